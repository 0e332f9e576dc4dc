"""Packing a tree into a tar stream, while somebody else may be changing it.

Directories are opened by name from the start (no link is followed, no `..` exists), files by the descriptor that was
looked at. So what goes into the archive is what stands below the start, whatever is swapped meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator

from sampan.host import syscalls
from sampan.host.files import reopen

PIECE_BYTES = 1 << 18
_BELOW = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_MAGICLINKS
_ENTRY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
_KINDS = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}
_END = bytes(2 * tarfile.BLOCKSIZE)


def pack_directory(directory_fd: int, name: str | None) -> Iterator[bytes]:
    """Yield a tar of an open directory as `name`, "" for a root; None leaves the directory itself out."""
    return _pieces(_tree(directory_fd, name))


def pack_entry(entry_fd: int, name: str) -> Iterator[bytes]:
    """Yield a tar with one entry that is no directory, from its O_PATH descriptor."""
    return _pieces(_entry(entry_fd, name, {}))


def _pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Join small parts; headers come in 512 bytes."""
    held: list[bytes] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join((*held, _END))


def _tree(top: int, name: str | None) -> Iterator[bytes]:
    lead = "" if name is None else f"{name}/"
    seen: dict[tuple[int, int], str] = {}
    pending = [""]
    while pending:
        path = pending.pop()
        try:
            directory = syscalls.openat2(top, path or ".", os.O_RDONLY | os.O_DIRECTORY, resolve=_BELOW)
        except OSError as error:
            if error.errno in _GONE:
                continue
            raise
        try:
            if path or name is not None:
                yield _header(directory, os.fstat(directory), lead + path)
            below: list[str] = []
            yield from _files(directory, f"{path}/" if path else "", lead, seen, below)
            pending.extend(reversed(below))
        finally:
            os.close(directory)


def _files(directory: int, path: str, lead: str, seen: dict[tuple[int, int], str], below: list[str]) -> Iterator[bytes]:
    """Yield what is in a directory but its directories; those are added to `below`."""
    for child in sorted(os.listdir(directory)):
        try:
            entry = os.open(child, _ENTRY, dir_fd=directory)
        except FileNotFoundError:
            continue
        try:
            if stat.S_ISDIR(os.fstat(entry).st_mode):
                below.append(path + child)
            else:
                yield from _entry(entry, lead + path + child, seen)
        finally:
            os.close(entry)


def _entry(fd: int, name: str, seen: dict[tuple[int, int], str]) -> Iterator[bytes]:
    found = os.fstat(fd)
    if stat.S_IFMT(found.st_mode) not in _KINDS:
        return  # sockets have no place in a tar
    inode = (found.st_dev, found.st_ino)
    if found.st_nlink > 1 and inode in seen:
        yield _header(fd, found, name, link=seen[inode])
        return
    if found.st_nlink > 1:
        seen[inode] = name
    if not stat.S_ISREG(found.st_mode):
        yield _header(fd, found, name)
        return
    source = reopen(fd, os.O_RDONLY)
    try:
        yield _header(source, found, name)
        yield from _content(source, found.st_size)
    finally:
        os.close(source)


def _content(source: int, size: int) -> Iterator[bytes]:
    """Yield exactly `size` bytes and the padding, also when the file shrinks or grows meanwhile."""
    left = size
    while left:
        piece = os.read(source, min(left, PIECE_BYTES))
        if not piece:
            piece = bytes(min(left, PIECE_BYTES))
        left -= len(piece)
        yield piece
    yield bytes(-size % tarfile.BLOCKSIZE)


def _header(fd: int, found: os.stat_result, name: str, link: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.type = _KINDS[stat.S_IFMT(found.st_mode)]
    info.mode = stat.S_IMODE(found.st_mode)
    info.uid, info.gid = found.st_uid, found.st_gid
    info.mtime = max(0, int(found.st_mtime))
    if link:
        info.type, info.linkname = tarfile.LNKTYPE, link
    elif info.type == tarfile.REGTYPE:
        info.size = found.st_size
    elif info.type == tarfile.SYMTYPE:
        info.linkname = os.readlink("", dir_fd=fd)
    elif info.type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        info.devmajor, info.devminor = os.major(found.st_rdev), os.minor(found.st_rdev)
    if info.type in (tarfile.REGTYPE, tarfile.DIRTYPE):
        info.pax_headers = _xattrs(fd)
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _xattrs(fd: int) -> dict[str, str]:
    """Return what untar sets: capabilities and user attributes."""
    try:
        names = os.listxattr(fd)
    except OSError:
        return {}
    chosen = [
        n for n in names if n == "security.capability" or (n.startswith("user.") and not n.startswith("user.overlay."))
    ]
    return {f"SCHILY.xattr.{name}": os.getxattr(fd, name).decode("utf-8", "surrogateescape") for name in chosen}
