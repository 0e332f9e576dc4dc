"""A Debian root filesystem from the host's own package sources, by mmdebstrap or debootstrap."""

from __future__ import annotations

import asyncio
import os
import shutil
import tarfile
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sampan.base.errors import Unavailable
from sampan.host.remove import remove_tree

_INCLUDE = "ca-certificates"


def debian_suite() -> str:
    """Return the host's own release name, or Debian's stable when the host is something else."""
    for line in Path("/etc/os-release").read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "VERSION_CODENAME":
            return value.strip('"')
    return "stable"


@asynccontextmanager
async def debian_root(suite: str) -> AsyncIterator[Path]:
    """Yield the path of a tar with a minimal root of `suite`; it is deleted afterwards."""
    place = tempfile.mkdtemp(prefix="sampan-debian-")
    try:
        os.chmod(place, 0o755)  # mmdebstrap's helper users must reach it
        target = Path(place) / "root.tar"
        if shutil.which("mmdebstrap"):
            await _run("mmdebstrap", "--variant=minbase", "--mode=root", "--quiet", suite, str(target))
        elif shutil.which("debootstrap"):
            root = Path(place) / "root"
            await _run("debootstrap", "--variant=minbase", suite, str(root))
            await asyncio.to_thread(_pack, root, target)
        else:
            raise Unavailable("neither mmdebstrap nor debootstrap is on this host: install mmdebstrap and try again")
        yield target
    finally:
        await asyncio.to_thread(remove_tree, place)


def _pack(root: Path, target: Path) -> None:
    """Write the tree as a tar, without the package cache and without device nodes (a container has its own)."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(os.listdir(root)):
            tar.add(root / name, name, filter=_wanted)


def _wanted(row: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if row.isdev() or (row.name.startswith(("var/cache/apt/", "var/lib/apt/lists/")) and row.isfile()):
        return None
    return row


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    if process.returncode:
        tail = output.decode(errors="replace").strip()[-2000:]
        raise Unavailable(f"{command[0]} failed with status {process.returncode}: {tail}")
