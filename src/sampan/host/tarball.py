"""Writing tars: members with data at hand, and overlayfs' upper directory as an image layer.

Spec: OCI image-spec 1.1, "Image Layer Filesystem Changeset"; POSIX pax.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterable, Iterator

from sampan.base.errors import InvalidArgument
from sampan.host.pipe import READ_BYTES
from sampan.host.tarstream import MAX_NAME_BYTES, XATTR_PREFIX
from sampan.host.untar import OPAQUE_MARK, OPAQUE_XATTR, WHITEOUT_PREFIX

END = bytes(tarfile.BLOCKSIZE * 2)
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}


def member(name: str, chunks: Iterable[bytes], size: int, mtime: int = 0) -> Iterator[bytes]:
    """Yield one regular file of `size` bytes."""
    row = tarfile.TarInfo(name)
    row.size, row.mtime, row.mode = size, mtime, 0o644
    yield _header(row)
    yield from chunks
    yield bytes(-size % tarfile.BLOCKSIZE)


def pack_upper(upper: str) -> Iterator[bytes]:
    """Yield the layer tar of an overlay's upper directory, sorted: what was deleted becomes whiteout files."""
    root = os.open(upper, _OPEN_DIRECTORY)
    packer = _Packer()
    try:
        yield from packer.directory(root, b"")
    finally:
        os.close(root)
    yield END


class _Packer:
    """Walks one tree; remembers files with several names."""

    def __init__(self) -> None:
        self._names: dict[tuple[int, int], bytes] = {}

    def directory(self, fd: int, path: bytes) -> Iterator[bytes]:
        facts = os.fstat(fd)
        if path:
            yield _header(_row(path + b"/", facts, _xattrs(fd)))
        if _is_opaque(fd):
            yield _header(_mark(path, OPAQUE_MARK, facts))
        with os.scandir(fd) as rows:
            names = sorted(os.fsencode(row.name) for row in rows)
        for name in names:
            if name.startswith(WHITEOUT_PREFIX):
                raise InvalidArgument(f"{name!r} cannot be in an image: names that begin with .wh. mean deletions")
            yield from self._entry(fd, name, path)

    def _entry(self, parent: int, name: bytes, above: bytes) -> Iterator[bytes]:
        path = above + b"/" + name if above else name
        if len(path) > MAX_NAME_BYTES:
            raise InvalidArgument(f"a path is longer than {MAX_NAME_BYTES} bytes: {path[:100]!r}…")
        facts = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(facts.st_mode):
            child = os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
            try:
                yield from self.directory(child, path)
            finally:
                os.close(child)
        elif stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0:
            yield _header(_mark(above, WHITEOUT_PREFIX + name, facts))
        elif stat.S_IFMT(facts.st_mode) in _TYPES:
            yield from self._leaf(parent, name, path, facts)
        # a socket is left out: it means nothing without the process that made it

    def _leaf(self, parent: int, name: bytes, path: bytes, facts: os.stat_result) -> Iterator[bytes]:
        first = self._names.setdefault((facts.st_dev, facts.st_ino), path) if facts.st_nlink > 1 else path
        if first != path:
            row = _row(path, facts, {})
            row.type, row.linkname, row.size = tarfile.LNKTYPE, os.fsdecode(first), 0
            yield _header(row)
        elif stat.S_ISREG(facts.st_mode):
            yield from _file(parent, name, path)
        else:
            row = _row(path, facts, {})
            if stat.S_ISLNK(facts.st_mode):
                row.linkname = os.readlink(os.fsdecode(name), dir_fd=parent)
            yield _header(row)


def _file(parent: int, name: bytes, path: bytes) -> Iterator[bytes]:
    fd = os.open(name, _OPEN_FILE, dir_fd=parent)
    try:
        facts = os.fstat(fd)
        yield _header(_row(path, facts, _xattrs(fd)))
        left = facts.st_size
        while left:
            chunk = os.read(fd, min(left, READ_BYTES)) or bytes(min(left, READ_BYTES))  # zeros, if it shrank meanwhile
            left -= len(chunk)
            yield chunk
        yield bytes(-facts.st_size % tarfile.BLOCKSIZE)
    finally:
        os.close(fd)


def _row(path: bytes, facts: os.stat_result, xattrs: dict[str, bytes]) -> tarfile.TarInfo:
    row = tarfile.TarInfo(os.fsdecode(path))
    row.type = _TYPES[stat.S_IFMT(facts.st_mode)]
    row.mode, row.uid, row.gid = stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid
    row.size = facts.st_size if stat.S_ISREG(facts.st_mode) else 0
    row.devmajor, row.devminor = os.major(facts.st_rdev), os.minor(facts.st_rdev)
    seconds, nanoseconds = divmod(facts.st_mtime_ns, 1_000_000_000)
    row.mtime = seconds
    row.pax_headers = {XATTR_PREFIX + name: value.decode("utf-8", "surrogateescape") for name, value in xattrs.items()}
    if nanoseconds:
        row.pax_headers = {**row.pax_headers, "mtime": f"{seconds}.{nanoseconds:09d}"}
    return row


def _mark(directory: bytes, name: bytes, like: os.stat_result) -> tarfile.TarInfo:
    row = tarfile.TarInfo(os.fsdecode(directory + b"/" + name if directory else name))
    row.mtime = int(like.st_mtime)
    return row


def _header(row: tarfile.TarInfo) -> bytes:
    return row.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _is_opaque(fd: int) -> bool:
    try:
        return os.getxattr(fd, OPAQUE_XATTR) == b"y"
    except OSError:  # ENODATA or ENOTSUP: no such mark
        return False


def _xattrs(fd: int) -> dict[str, bytes]:
    try:
        names = os.listxattr(fd)
    except OSError:  # ENOTSUP: this filesystem has none
        return {}
    wanted = [name for name in names if name == "security.capability" or name.startswith("user.")]
    return {name: os.getxattr(fd, name) for name in wanted}
