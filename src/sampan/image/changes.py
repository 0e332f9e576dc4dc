"""What a writable layer changed, read from overlayfs' upper directory.

Spec: overlayfs.rst, "whiteouts and opaque directories".
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from sampan.host import syscalls
from sampan.host.untar import OPAQUE_XATTR
from sampan.image.port import Change

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def is_whiteout(facts: os.stat_result) -> bool:
    """Tell overlayfs' mark for a deleted path."""
    return stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0


def is_opaque(directory_fd: int) -> bool:
    """Tell a directory that hides what the layers below have in it."""
    try:
        return os.getxattr(directory_fd, OPAQUE_XATTR) in {b"y", b"x"}
    except OSError:  # ENODATA or ENOTSUP: no such mark
        return False


def changed_paths(upper: Path, lowers: Sequence[Path]) -> tuple[Change, ...]:
    """Return all changes sorted by path; `lowers` are the trees below, top first. A parent of a change counts too."""
    if not upper.exists():
        return ()  # never started: nothing can have changed
    fds = [os.open(lower, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for lower in lowers]
    root = os.open(upper, _OPEN)
    try:
        return tuple(sorted(_walk(root, b"", fds), key=lambda change: change.path.split("/")))
    finally:
        for fd in (root, *fds):
            os.close(fd)


def _walk(directory: int, path: bytes, lowers: Sequence[int]) -> Iterator[Change]:
    with os.scandir(directory) as rows:
        names = sorted(os.fsencode(row.name) for row in rows)
    if is_opaque(directory):
        yield from _hidden(path, set(names), lowers)
        lowers = ()
    for name in names:
        here = path + b"/" + name
        facts = os.stat(name, dir_fd=directory, follow_symlinks=False)
        below = _find(lowers, here)
        if is_whiteout(facts):
            if below is not None:
                yield _change(here, "deleted")
        elif stat.S_ISDIR(facts.st_mode):
            yield from _directory(directory, name, here, facts, below, lowers)
        else:
            yield _change(here, "added" if below is None else "modified")


def _directory(
    parent: int, name: bytes, path: bytes, facts: os.stat_result, below: os.stat_result | None, lowers: Sequence[int]
) -> Iterator[Change]:
    child = os.open(name, _OPEN, dir_fd=parent)
    try:
        inside = tuple(_walk(child, path, lowers if below is not None and stat.S_ISDIR(below.st_mode) else ()))
    finally:
        os.close(child)
    if below is None:
        yield _change(path, "added")
    elif inside or _differs(facts, below):
        yield _change(path, "modified")
    yield from inside


def _differs(upper: os.stat_result, lower: os.stat_result) -> bool:
    same = upper.st_mode == lower.st_mode and upper.st_uid == lower.st_uid and upper.st_gid == lower.st_gid
    return not (same and upper.st_mtime_ns == lower.st_mtime_ns)


def _find(lowers: Sequence[int], path: bytes) -> os.stat_result | None:
    """Return what `path` is in the layers below, None when they have not got it."""
    for fd in lowers:
        try:
            found = syscalls.openat2(fd, path.lstrip(b"/"), os.O_PATH | os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError):
            if _covers(fd, path):
                return None
            continue
        try:
            facts = os.fstat(found)
        finally:
            os.close(found)
        return None if is_whiteout(facts) else facts
    return None


def _covers(lower: int, path: bytes) -> bool:
    """Tell whether this tree hides `path` in the trees below it: a parent is a whiteout, a file, or opaque."""
    parts = path.strip(b"/").split(b"/")
    for depth in range(1, len(parts)):
        try:
            fd = syscalls.openat2(lower, b"/".join(parts[:depth]), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        except OSError:  # not a directory: whatever is below a file of the same name is out of sight
            return True
        opaque = is_opaque(fd)
        os.close(fd)
        if opaque:
            return True
    return False


def _hidden(path: bytes, names: set[bytes], lowers: Sequence[int]) -> Iterator[Change]:
    """Yield the entries of the layers below that an opaque directory hides and does not have itself."""
    seen: set[bytes] = set()
    for fd in lowers:
        try:
            directory = syscalls.openat2(fd, path.lstrip(b"/") or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # this layer has no such directory
            continue
        try:
            seen.update(os.fsencode(name) for name in os.listdir(directory))
        finally:
            os.close(directory)
    for name in sorted(seen - names):
        if _find(lowers, path + b"/" + name) is not None:
            yield _change(path + b"/" + name, "deleted")


def _change(path: bytes, kind: str) -> Change:
    return Change(path=path.decode(errors="replace"), kind=kind)


def tree_bytes(path: Path) -> int:
    """Return the bytes of all files in a tree; a file with several names counts once."""
    total = 0
    seen: set[tuple[int, int]] = set()
    for _, _, files, directory in os.fwalk(path, follow_symlinks=False):
        for name in files:
            facts = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if facts.st_nlink > 1:
                key = (facts.st_dev, facts.st_ino)
                if key in seen:
                    continue
                seen.add(key)
            total += facts.st_size
    return total
