"""Copying a directory tree with everything that belongs to its files, without following a link.

Kept: owner, mode, times, extended attributes (capabilities too), symbolic links, hard links, devices and FIFOs, holes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from sampan.host import syscalls
from sampan.host.files import reopen
from sampan.host.remove import remove_tree

_BELOW = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_MAGICLINKS
_ENTRY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_COPY_BYTES = 16 << 20
_NOT_KEPT = ("trusted.overlay.", "user.overlay.", "system.posix_acl_")
_IGNORED = {errno.ENOTSUP, errno.EPERM}


def is_empty(directory_fd: int) -> bool:
    """Tell whether a directory has nothing in it; a new filesystem's `lost+found` is nothing."""
    return set(os.listdir(_list_fd(directory_fd))) <= {"lost+found"}


def _list_fd(directory_fd: int) -> str:
    return f"/proc/self/fd/{directory_fd}"


def clear(directory_fd: int) -> None:
    """Delete all in a directory, not itself."""
    with os.scandir(_list_fd(directory_fd)) as rows:
        names = [(row.name, row.is_dir(follow_symlinks=False)) for row in rows]
    for name, is_directory in names:
        if is_directory:
            remove_tree(name, dir_fd=directory_fd)
        else:
            os.unlink(name, dir_fd=directory_fd)


def size_bytes(path: str) -> int:
    """Return the bytes of all files below `path`, each counted once; what vanishes meanwhile is not counted."""
    seen: set[tuple[int, int]] = set()
    total = 0
    pending = [path]
    while pending:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(pending.pop()) as rows:
            for row in rows:
                with contextlib.suppress(FileNotFoundError):
                    found = row.stat(follow_symlinks=False)
                    if (found.st_dev, found.st_ino) not in seen:
                        total += found.st_size if not stat.S_ISDIR(found.st_mode) else 0
                    if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
                        seen.add((found.st_dev, found.st_ino))
                    if stat.S_ISDIR(found.st_mode):
                        pending.append(row.path)
    return total


def copy(source_fd: int, target_fd: int) -> None:
    """Make the directory `target_fd` (empty) like `source_fd`, itself included."""
    links: dict[tuple[int, int], str] = {}
    directories = [""]
    for path in directories:  # grows while it is read: parents before children
        source = syscalls.openat2(source_fd, path or ".", os.O_RDONLY | os.O_DIRECTORY, resolve=_BELOW)
        target = syscalls.openat2(target_fd, path or ".", os.O_RDONLY | os.O_DIRECTORY, resolve=_BELOW)
        try:
            for name in sorted(os.listdir(source)):
                below = f"{path}/{name}" if path else name
                if _copy_entry(source, target, target_fd, name, below, links):
                    directories.append(below)
        finally:
            os.close(source)
            os.close(target)
    for path in reversed(directories):  # times last: making children changes them
        source = syscalls.openat2(source_fd, path or ".", os.O_RDONLY | os.O_DIRECTORY, resolve=_BELOW)
        target = syscalls.openat2(target_fd, path or ".", os.O_RDONLY | os.O_DIRECTORY, resolve=_BELOW)
        try:
            _dress(source, target)
        finally:
            os.close(source)
            os.close(target)


def _copy_entry(
    source: int, target: int, target_root: int, name: str, path: str, links: dict[tuple[int, int], str]
) -> bool:
    """Copy one entry; returns True for a directory, whose content is the caller's."""
    entry = os.open(name, _ENTRY, dir_fd=source)
    try:
        found = os.fstat(entry)
        if stat.S_ISDIR(found.st_mode):
            os.mkdir(name, 0o700, dir_fd=target)
            return True
        inode = (found.st_dev, found.st_ino)
        if inode in links:
            os.link(links[inode], name, src_dir_fd=target_root, dst_dir_fd=target, follow_symlinks=False)
            return False
        if found.st_nlink > 1:
            links[inode] = path
        if stat.S_ISREG(found.st_mode):
            _copy_file(entry, target, name)
        else:
            _copy_node(entry, found, target, name)
    finally:
        os.close(entry)
    return False


def _copy_file(entry: int, target: int, name: str) -> None:
    source = reopen(entry, os.O_RDONLY)
    made = os.open(name, _CREATE, 0o600, dir_fd=target)
    try:
        _copy_data(source, made)
        _dress(source, made)
    finally:
        os.close(source)
        os.close(made)


def _copy_data(source: int, made: int) -> None:
    """Copy in the kernel where it can, and leave holes as holes."""
    size = os.fstat(source).st_size
    os.truncate(made, size)
    at = 0
    while at < size:
        try:
            at = os.lseek(source, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = os.lseek(source, at, os.SEEK_HOLE)
        os.lseek(made, at, os.SEEK_SET)
        while at < end:
            copied = os.sendfile(made, source, at, min(end - at, _COPY_BYTES))
            if not copied:
                return
            at += copied


def _copy_node(entry: int, found: os.stat_result, target: int, name: str) -> None:
    """Copy a symbolic link, device or FIFO. A socket means nothing without its process."""
    if stat.S_ISSOCK(found.st_mode):
        return
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink("", dir_fd=entry), name, dir_fd=target)
    else:
        os.mknod(name, stat.S_IFMT(found.st_mode) | 0o600, found.st_rdev, dir_fd=target)
    os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        made = os.open(name, _ENTRY, dir_fd=target)
        try:
            os.chmod(_list_fd(made), stat.S_IMODE(found.st_mode))
        finally:
            os.close(made)
    os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=target, follow_symlinks=False)


def _dress(source: int, made: int) -> None:
    """Give a file or directory its original's owner, mode, attributes and times, in the order in which they survive."""
    found = os.fstat(source)
    os.fchown(made, found.st_uid, found.st_gid)
    os.fchmod(made, stat.S_IMODE(found.st_mode))
    try:
        names = os.listxattr(source)
    except OSError as error:
        if error.errno not in _IGNORED:
            raise
        names = []
    for name in names:
        if not name.startswith(_NOT_KEPT):
            try:
                os.setxattr(made, name, os.getxattr(source, name))
            except OSError as error:
                if error.errno not in _IGNORED:  # the volume's filesystem has none, or the kernel reserves it
                    raise
    os.utime(made, ns=(found.st_atime_ns, found.st_mtime_ns))
