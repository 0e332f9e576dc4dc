"""Mounting overlayfs in-process, for any number of lower directories.

Spec: Linux Documentation/filesystems/overlayfs.rst, "Multiple lower layers" and "Volatile mount".
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sampan.host import syscalls
from sampan.host.remove import remove_tree

_PAGE = 4096
_INCOMPATIBLE = "incompat/volatile"


def mount_overlay(lowers: Sequence[Path], upper: Path, work: Path, merged: Path, *, volatile: bool) -> None:
    """Mount `lowers` (top first) with a writable `upper` at `merged`.

    The options of mount(2) must fit in a page. Long lists go through short symlinks in a directory beside `upper`,
    named by a descriptor, which any kernel understands.
    """
    tail = f",upperdir={_quote(upper)},workdir={_quote(work)}" + (",volatile" if volatile else "")
    options = "lowerdir=" + ":".join(_quote(lower) for lower in lowers) + tail
    if len(os.fsencode(options)) < _PAGE:
        syscalls.mount("overlay", str(merged), "overlay", options=options)
        return
    links = upper.parent / "l"
    _link(links, lowers)
    fd = os.open(links, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        short = ":".join(f"/proc/self/fd/{fd}/{number}" for number in range(len(lowers)))
        syscalls.mount("overlay", str(merged), "overlay", options="lowerdir=" + short + tail)
    finally:
        os.close(fd)


def _link(links: Path, lowers: Sequence[Path]) -> None:
    remove_tree(str(links))
    links.mkdir(mode=0o700)
    for number, lower in enumerate(lowers):
        (links / str(number)).symlink_to(lower)


def _quote(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def was_volatile(work: Path) -> bool:
    """Tell whether the last mount was volatile: such an upper directory is lost when the machine crashed since."""
    return (work / "work" / _INCOMPATIBLE).exists()


def forgive_volatile(work: Path) -> None:
    """Let a volatile upper directory be mounted again. Only right in the same boot of the machine."""
    remove_tree(str(work / "work" / "incompat"))


def boot_id() -> str:
    """Return what identifies this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
