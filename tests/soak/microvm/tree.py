"""An image of this working tree with the Python packages that it needs. Made for each boot."""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.requirements import Requirement

from soak.microvm.disk import compile_tree, ext4

ROOT = Path(__file__).parents[3]
PYTHON_PROJECTS = ("sampan", "pytest", "pytest-asyncio", "pytest-timeout", "pytest-xdist")
GUEST = "tests/soak/microvm/guest"


def make_tree(target: Path, arguments: list[str]) -> None:
    """Write an image of src, tests and the Python packages they need, compiled, and of what to run."""
    with tempfile.TemporaryDirectory(dir=target.parent) as place:
        tree = Path(place)
        for name in ("src", "tests"):
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "golden"))
        shutil.copy(ROOT / "pyproject.toml", tree)
        site = tree / "site"
        for name in _closure(PYTHON_PROJECTS):
            _copy_distribution(name, site)
        compile_tree(tree)
        (tree / "arguments").write_text("".join(f"{word}\n" for word in arguments))
        (tree / "python").write_text(f"{sys.version_info.major}.{sys.version_info.minor}\n")
        sampan = tree / ".venv/bin/sampan"
        sampan.parent.mkdir(parents=True)
        shutil.copy(ROOT / GUEST / "sampan", sampan)
        for path in (sampan, tree / GUEST / "init"):
            path.chmod(0o755)
        ext4(tree, target, "tree", megabytes=256)


def _closure(names: Iterable[str]) -> Iterator[str]:
    """Yield the names and all that they require here, each once."""
    seen: set[str] = set()
    wanted = list(names)
    while wanted:
        name = wanted.pop().lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        yield name
        for text in importlib.metadata.distribution(name).requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                wanted.append(requirement.name)


def _copy_distribution(name: str, site: Path) -> None:
    for file in importlib.metadata.distribution(name).files or ():
        if file.parts[0] == ".." or "__pycache__" in file.parts or file.suffix == ".pth":
            continue
        target = site / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(str(file.locate()), target)
