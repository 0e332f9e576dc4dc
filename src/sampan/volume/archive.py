"""TreeArchive: `docker cp` both ways and `docker export`, on the file trees of containers. See the port for promises.

A tree is opened with its volumes in a mount namespace of its own (host.files), looked up only inside the root, and read
and written in threads. Compressed archives are unpacked here: no program of the container or the host is ever started.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

from sampan.base.errors import Exhausted, Forbidden, InvalidArgument, NotFound, SampanError
from sampan.host import tarstream
from sampan.host.compression import decompress
from sampan.host.files import IN_ROOT, Tree, canonical, open_directory, open_entry
from sampan.host.pack import pack_directory, pack_entry
from sampan.host.rootfs import resolve_user
from sampan.host.syscalls import openat2
from sampan.host.tarstream import Entry, TarStream
from sampan.host.untar import split, unpack
from sampan.volume.port import PathStat
from sampan.volume.threads import Threads

Rows = tuple[tuple[str, str, bool], ...]

_DIRECTORY, _SYMLINK = 1 << 31, 1 << 27
_GO_TYPES = {
    stat.S_IFREG: 0,
    stat.S_IFDIR: _DIRECTORY,
    stat.S_IFLNK: _SYMLINK,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_GO_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


class TreeArchive:
    """An Archive with threads of its own."""

    def __init__(self) -> None:
        self._threads = Threads("archive")

    async def stat(self, rootfs: str, mounts: Rows, path: str) -> PathStat:
        return await self._threads.run(lambda: _stat_in(rootfs, mounts, path))

    async def read(self, rootfs: str, mounts: Rows, path: str) -> tuple[PathStat, AsyncIterator[bytes]]:
        found, chunks = await self._threads.run(lambda: _read_in(rootfs, mounts, path))
        return found, self._threads.stream(chunks)

    async def write(
        self,
        rootfs: str,
        mounts: Rows,
        path: str,
        chunks: AsyncIterator[bytes],
        *,
        no_overwrite_dir_non_dir: bool = False,
        copy_uid_gid: bool = False,
        user: str = "",
    ) -> None:
        owner = user if copy_uid_gid else ""
        await self._threads.consume(
            chunks, lambda plain: _write_in(rootfs, mounts, path, plain, owner, strict=no_overwrite_dir_non_dir)
        )

    async def export(self, rootfs: str) -> AsyncIterator[bytes]:
        return self._threads.stream(_export_from(rootfs))

    def close(self) -> None:
        """Let go of the threads. May be repeated."""
        self._threads.close()


def path_error(error: OSError, path: str) -> SampanError:
    """Return what a user is told of a failed look-up of `path`."""
    if error.errno == errno.ENOENT:
        return NotFound(f"Could not find the file {path} in the container")
    if error.errno == errno.EROFS:
        return Forbidden("mounted volume is marked read-only")
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE}:
        return Exhausted(f"{path}: {error.strerror}; free some and try again")
    return InvalidArgument(f"{path}: {(error.strerror or str(error)).lower()}")


# --- in threads -------------------------------------------------------------------------------------------------------


def _absolute(path: str) -> str:
    """Return the path from the root, as given but for the slash ahead: a slash or dot at the end has a meaning."""
    if "\0" in path:
        raise InvalidArgument("the path has a NUL byte in it")
    return "/" + path.lstrip("/")


def _stat_in(rootfs: str, mounts: Rows, path: str) -> PathStat:
    path = _absolute(path)
    try:
        with Tree(rootfs, mounts) as tree:
            return _describe(tree.root_fd, tree.hold(open_entry(tree.root_fd, path)), path)
    except OSError as error:
        raise path_error(error, path) from error


def _describe(root_fd: int, entry: int, path: str) -> PathStat:
    found = os.fstat(entry)
    target = canonical(root_fd, path) if stat.S_ISLNK(found.st_mode) else ""
    return PathStat(
        name=_base(path),
        size=found.st_size,
        mode=go_mode(found.st_mode),
        mtime=rfc3339(found.st_mtime_ns),
        link_target=target,
    )


def _base(path: str) -> str:
    """Return the last component as Go's filepath.Base does: "." for `x/.`, "/" for the root."""
    return posixpath.basename(path.rstrip("/")) or "/"


def go_mode(mode: int) -> int:
    """Return the bits of Go's os.FileMode."""
    bits = sum(go for unix, go in _GO_BITS.items() if mode & unix)
    return (mode & 0o777) | _GO_TYPES.get(stat.S_IFMT(mode), 0) | bits


def rfc3339(time_ns: int) -> str:
    """Return the time in UTC with as many digits as it needs."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    return f"{whole}{fraction}Z"


def _read_in(rootfs: str, mounts: Rows, path: str) -> tuple[PathStat, Iterator[bytes]]:
    """Return the stat, and a generator that owns the open tree."""
    path = _absolute(path)
    try:
        tree = Tree(rootfs, mounts)
        entry = tree.hold(open_entry(tree.root_fd, path))
        return _describe(tree.root_fd, entry, path), _pack(tree, entry, _base(path))
    except OSError as error:
        raise path_error(error, path) from error


def _pack(tree: Tree, entry: int, name: str) -> Iterator[bytes]:
    with tree:
        if stat.S_ISDIR(os.fstat(entry).st_mode):
            yield from pack_directory(entry, "" if name == "/" else name)
        else:
            yield from pack_entry(entry, name)


def _export_from(rootfs: str) -> Iterator[bytes]:
    with Tree(rootfs) as tree:
        yield from pack_directory(tree.root_fd, None)


def _write_in(rootfs: str, mounts: Rows, path: str, chunks: Iterator[bytes], owner: str, *, strict: bool) -> None:
    """Unpack, in a thread that ends with it."""
    path = _absolute(path)
    try:
        with Tree(rootfs, mounts) as tree:
            tree.enter()
            _check_target(tree.root_fd, path)
            ids = None
            if owner:
                user = resolve_user(tree.root_fd, owner)
                ids = (user.uid, user.gid)
            archive = _Relocated(decompress(chunks), tree.root_fd, canonical(tree.root_fd, path), ids, strict=strict)
            unpack(archive, tree.root_fd, layer=False)
            archive.drain()
    except OSError as error:
        raise path_error(error, path) from error


def _check_target(root_fd: int, path: str) -> None:
    try:
        directory = open_directory(root_fd, path)
    except NotADirectoryError:
        raise InvalidArgument("extraction point is not a directory") from None
    try:
        if os.fstatvfs(directory).f_flag & os.ST_RDONLY:
            raise Forbidden("mounted volume is marked read-only")
    finally:
        os.close(directory)


class _Relocated(TarStream):
    """An archive whose entries are named from the root, for unpacking below `target`, with checks docker makes."""

    def __init__(
        self, chunks: Iterator[bytes], root_fd: int, target: str, owner: tuple[int, int] | None, *, strict: bool
    ) -> None:
        super().__init__(chunks)
        self._root_fd = root_fd
        self._target = os.fsencode(target.rstrip("/"))
        self._owner = owner
        self._strict = strict

    def __iter__(self) -> Iterator[Entry]:
        for entry in super().__iter__():
            parts = split(entry.name)
            if not parts:
                continue  # the target itself stays as it is
            if self._owner is not None:
                entry.uid, entry.gid = self._owner
            entry.name = b"/".join((self._target, *parts))
            if entry.kind == tarstream.HARDLINK:
                entry.link = b"/".join((self._target, *split(entry.link)))
            if self._strict:
                self._check_kind(entry)
            yield entry

    def _check_kind(self, entry: Entry) -> None:
        """Refuse to put a file in a directory's place, or the other way round."""
        try:
            fd = openat2(self._root_fd, entry.name, os.O_PATH | os.O_NOFOLLOW, resolve=IN_ROOT)
        except FileNotFoundError:
            return
        try:
            is_directory = stat.S_ISDIR(os.fstat(fd).st_mode)
        finally:
            os.close(fd)
        place, name = os.fsdecode(entry.name), os.fsdecode(entry.name.removeprefix(self._target + b"/"))
        if is_directory and entry.kind != tarstream.DIRECTORY:
            raise InvalidArgument(f'cannot overwrite directory "{place}" with non-directory "{name}"')
        if not is_directory and entry.kind == tarstream.DIRECTORY:
            raise InvalidArgument(f'cannot overwrite non-directory "{place}" with directory "{name}"')
