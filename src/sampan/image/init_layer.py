"""The init layer: empty places for what a runtime mounts into every container.

It lies on top of an image's layers and has only what the image itself lacks, so that mount points neither need a
writable root nor show up as the container's changes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from sampan.host import syscalls

_DIRECTORIES = (b"dev", b"dev/pts", b"dev/shm", b"dev/mqueue", b"proc", b"sys", b"etc")
_FILES = (b"etc/hosts", b"etc/hostname", b"etc/resolv.conf", b"dev/console")
_LINKS = ((b"etc/mtab", b"/proc/mounts"),)
_OPEN = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


def make_init_layer(lowers: Sequence[Path], target: Path) -> None:
    """Fill the empty directory `target`; `lowers` are the image's trees, top first."""
    fds = [os.open(lower, _OPEN) for lower in (target, *lowers)]
    try:
        root, *lower_fds = fds
        if lower_fds:
            dress(target, os.fstat(lower_fds[0]))
        for path in _DIRECTORIES:
            if _lacks(lower_fds, root, path, target):
                os.mkdir(path, 0o755, dir_fd=root)
        for path in _FILES:
            if _lacks(lower_fds, root, path, target):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755, dir_fd=root))
        for path, link in _LINKS:
            if _lacks(lower_fds, root, path, target):
                os.symlink(link, path, dir_fd=root)
    finally:
        for fd in fds:
            os.close(fd)


def dress(directory: Path, like: os.stat_result) -> None:
    """Give our own new `directory` the owner, mode and times of another."""
    os.chown(directory, like.st_uid, like.st_gid)
    os.chmod(directory, stat.S_IMODE(like.st_mode))
    os.utime(directory, ns=(like.st_atime_ns, like.st_mtime_ns))


def _lacks(lower_fds: Sequence[int], root: int, path: bytes, target: Path) -> bool:
    """Tell whether the image lacks `path` and can have it; its parent is then made in the init layer."""
    if _find((root, *lower_fds), path) is not None:
        return False
    parent = path.rpartition(b"/")[0]
    if not parent or _find((root,), parent) is not None:
        return True
    facts = _find(lower_fds, parent)
    if facts is None or not stat.S_ISDIR(facts.st_mode):
        return False  # a link or a file stands there: nothing is put over what the image chose
    os.mkdir(parent, dir_fd=root)
    dress(target / os.fsdecode(parent), facts)
    return True


def _find(fds: Sequence[int], path: bytes) -> os.stat_result | None:
    """Return the stat of `path` in the topmost tree that has it (a whiteout counts as having it)."""
    for fd in fds:
        try:
            found = syscalls.openat2(fd, path, os.O_PATH | os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            return os.fstat(found)
        finally:
            os.close(found)
    return None
