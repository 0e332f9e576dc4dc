"""Deleting a directory tree of any depth, without following a link and with few open descriptors."""

from __future__ import annotations

import contextlib
import errno
import os

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_DEPTH = 64
"""Deeper directories are first renamed to the top: a container can nest them beyond any stack or descriptor limit."""


def remove_tree(name: str | bytes, dir_fd: int | None = None) -> None:
    """Delete the directory `name` (below `dir_fd`) and all in it. A missing one is fine, as is another who deletes it too."""
    try:
        top = os.open(name, _OPEN, dir_fd=dir_fd)
    except FileNotFoundError:
        return
    try:
        moved = 0
        while (left := _empty(top, top, moved, 0)) > moved:
            moved = left
    finally:
        os.close(top)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(name, dir_fd=dir_fd)


def _empty(top: int, directory: int, moved: int, depth: int) -> int:
    """Delete what is in `directory`; returns how many directories were moved to `top` so far."""
    with os.scandir(directory) as rows:
        names = [(row.name, row.is_dir(follow_symlinks=False)) for row in rows]
    for name, is_directory in names:
        if not is_directory:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)
        elif depth < _MAX_DEPTH:
            moved = _descend(top, directory, name, moved, depth)
        else:
            moved += 1
            _raise_to_top(top, directory, name, moved)
    return moved


def _descend(top: int, directory: int, name: str, moved: int, depth: int) -> int:
    try:
        child = os.open(name, _OPEN, dir_fd=directory)
    except FileNotFoundError:
        return moved
    try:
        moved = _empty(top, child, moved, depth + 1)
    finally:
        os.close(child)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(name, dir_fd=directory)
    return moved


def _raise_to_top(top: int, directory: int, name: str, number: int) -> None:
    for attempt in range(1000):
        try:
            os.rename(name, f".removed-{number}-{attempt}", src_dir_fd=directory, dst_dir_fd=top)
        except OSError as error:
            if error.errno not in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}:
                raise
        else:
            return
