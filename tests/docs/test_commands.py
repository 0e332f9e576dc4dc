"""Every command block in the docs that is marked `runnable` runs, and what the docs name exists.

A block starts with ```sh runnable. The blocks of a file run in order, as one script, against a private daemon that the
environment points at, with `sampan` on the PATH.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from sampan.cli.main import GROUPS, SERVICE, VERBS
from wire.cli_daemon import SAMPAN

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_BLOCK = re.compile(r"^```sh runnable\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


def blocks(page: Path) -> list[str]:
    return _BLOCK.findall(page.read_text())


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.root
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=name_of)
def test_commands_run(page, daemon, tmp_path):
    environ = {**daemon.environ, "PATH": f"{os.path.dirname(SAMPAN)}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    script = "set -euo pipefail\n" + "\n".join(blocks(page))
    done = subprocess.run(
        ["bash", "-c", script], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
    )
    daemon.sampan("container", "prune", "-f", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    broken = [target for target in _LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_named_in_docs_exist(page):
    """`src/…`, `tests/…`, `scripts/…`, `bench/…` and `docs/…` in code marks; NAME, N and * stand for anything."""
    named = re.findall(r"`((?:src|tests|scripts|bench|docs)/[\w./-]+)`", page.read_text())
    missing = [path for path in named if not re.search(r"NAME|NNNN|\bN\b|\bX\b", path) and not (ROOT / path).exists()]
    assert missing == []


def test_every_page_is_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            links = [(page.parent / target).resolve() for target in _LINK.findall(page.read_text())]
            waiting += [link for link in links if link.suffix == ".md"]
    assert [name_of(page) for page in PAGES if page not in reached] == []


def test_every_command_is_documented():
    text = (ROOT / "docs" / "cli.md").read_text()
    wanted = [*VERBS, *SERVICE, *GROUPS]
    assert [name for name in wanted if f"`{name}" not in text] == []


def test_every_package_is_described():
    text = (ROOT / "docs" / "architecture.md").read_text()
    packages = [path.name for path in (ROOT / "src" / "sampan").iterdir() if (path / "__init__.py").exists()]
    assert [name for name in packages if f"**`{name}`**" not in text] == []


def test_every_dependency_has_its_reason():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    wanted = (
        project["project"]["dependencies"]
        + project["dependency-groups"]["dev"]
        + [name for extra in extras for name in extra]
    )
    names = [re.split(r"[<>=;\[ ]", requirement)[0] for requirement in wanted]
    text = (ROOT / "docs" / "dependencies.md").read_text()
    assert [name for name in names if f"`{name}`" not in text] == []


def test_the_lock_holds_no_address():
    assert "://" not in (ROOT / "requirements.lock").read_text()
