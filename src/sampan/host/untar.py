"""Unpacking a hostile tar below one directory.

Every path resolves as after a chroot (openat2 RESOLVE_IN_ROOT), the last component is never followed, and what an
entry replaces is unlinked before it is made, so that nothing is ever written through a link.

Spec: OCI image-spec 1.1, "Image Layer Filesystem Changeset" (whiteouts, opaque directories, hard links).
"""

from __future__ import annotations

import errno
import os
import stat
from types import TracebackType
from typing import NamedTuple, NoReturn, Self

from sampan.base.errors import Exhausted, InvalidArgument, TooLarge
from sampan.host import syscalls, tarstream
from sampan.host.remove import remove_tree
from sampan.host.tarstream import Entry, TarStream

WHITEOUT_PREFIX = b".wh."
OPAQUE_MARK = b".wh..wh..opq"
OPAQUE_XATTR = "trusted.overlay.opaque"

_RESOLVE = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CACHED_DIRECTORIES = 256
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE}
_HOSTILE = {
    errno.ELOOP,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENOENT,
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.EPERM,
    errno.EMLINK,
    errno.EXDEV,
    errno.EBUSY,
    errno.ENOTEMPTY,
    errno.ERANGE,
    errno.E2BIG,
    errno.EOVERFLOW,
}


class UnpackLimits(NamedTuple):
    """What one archive may hold."""

    max_entries: int = 1_000_000
    max_bytes: int = 1 << 40
    max_directory_names_bytes: int = 64 << 20  # these are held in memory until the end


class Unpacked(NamedTuple):
    """What was made. `implied` are directories that had no entry of their own, parents first, `.` for the root."""

    size_bytes: int
    entries: int
    implied: tuple[bytes, ...]


def unpack(tar: TarStream, root_fd: int, *, layer: bool = True, limits: UnpackLimits = UnpackLimits()) -> Unpacked:
    """Make the archive's tree below the directory `root_fd`; with `layer`, whiteouts become overlayfs'.

    Raises `InvalidArgument` for what no honest archive holds, `TooLarge` beyond `limits`, `Exhausted` on a full disk.
    What was made until then stays for the caller to delete.
    """
    with _Tree(root_fd, layer, limits) as tree:
        for entry in tar:
            tree.count(entry.size)
            try:
                tree.make(entry, tar)
            except OSError as error:
                _refuse(entry, error)
        tree.finish()
        return Unpacked(tree.size_bytes, tree.entries, tree.implied())


def _refuse(entry: Entry, error: OSError) -> NoReturn:
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _FULL:
        raise Exhausted(f"cannot unpack {entry.label}: {reason}; free some space and try again") from error
    if error.errno in _HOSTILE:
        raise InvalidArgument(f"cannot unpack {entry.label}: {reason}") from error
    raise error


def split(name: bytes) -> tuple[bytes, ...]:
    """Return the components of an archive's path, as seen from the root; raises `InvalidArgument` for `..`."""
    parts = tuple(part for part in name.split(b"/") if part not in {b"", b"."})
    if b".." in parts:
        raise InvalidArgument(f"the archive has a path with '..' in it: {name[:200].decode(errors='replace')!r}")
    return parts


def _umask() -> int:
    """Return the process's umask without setting it, as os.umask would."""
    with open("/proc/self/status", encoding="utf-8", errors="replace") as status:
        return next((int(line.split()[1], 8) for line in status if line.startswith("Umask:")), 0o777)


def _makes_exactly(root_fd: int) -> bool:
    """Tell whether new files below get our owner and the asked mode: no set-group-id bit and no default ACL there."""
    return os.geteuid() == 0 and not os.fstat(root_fd).st_mode & stat.S_ISGID and not os.listxattr(root_fd)


class _Tree:
    """The directory that is being filled. Descriptors of parents are kept, since archives come sorted by directory."""

    def __init__(self, root_fd: int, layer: bool, limits: UnpackLimits) -> None:
        self._root_fd = root_fd
        self._layer = layer
        self._limits = limits
        self._names_bytes = 0
        self._parents: dict[bytes, int] = {}
        self._times: dict[bytes, int] = {}
        self._implied: list[bytes] = [b"."]
        self._umask = _umask()
        self._exact = layer and _makes_exactly(root_fd)
        self.entries = 0
        self.size_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._forget()

    def count(self, size: int) -> None:
        """Add an entry (or a directory that one implies); raises `TooLarge` before anything is made of it."""
        self.entries += 1
        self.size_bytes += size
        if self.entries > self._limits.max_entries:
            raise TooLarge(f"the archive has more than {self._limits.max_entries} entries")
        if self.size_bytes > self._limits.max_bytes:
            raise TooLarge(f"the archive unpacks to more than the limit of {self._limits.max_bytes} bytes")

    def _remember(self, path: bytes) -> bytes:
        self._names_bytes += len(path)
        if self._names_bytes > self._limits.max_directory_names_bytes:
            raise TooLarge("the archive has more and longer directory names than are held in memory")
        return path

    def finish(self) -> None:
        """Set the times of directories that something was made in."""
        self._forget()
        if b"." in self._times:
            root = self._open(b".")
            self._leave(b".", root)

    def implied(self) -> tuple[bytes, ...]:
        """Return the directories that no entry described, parents first."""
        return tuple(path for path in self._implied if path not in self._times)

    # --- where --------------------------------------------------------------------------------------------------------

    def _place(self, name: bytes) -> tuple[int, bytes]:
        """Return the parent's descriptor and the last component ("" for the root itself)."""
        directory, _, base = name.rstrip(b"/").rpartition(b"/")
        if base in {b"", b".", b".."}:
            parts = split(name)
            if not parts:
                return self._root_fd, b""
            directory, base = b"/".join(parts[:-1]), parts[-1]
        parent = self._parents.get(directory)
        return (self._enter(directory) if parent is None else parent), base

    def _enter(self, directory: bytes) -> int:
        parts = split(directory)
        if self._layer and any(part.startswith(WHITEOUT_PREFIX) for part in parts):
            raise InvalidArgument("the layer has an entry below a whiteout")
        if not parts:
            return self._root_fd
        if len(self._parents) >= _CACHED_DIRECTORIES:
            self._forget()
        path = b"/".join(parts)
        try:
            fd = self._open(path)
        except FileNotFoundError:
            self._imply(parts)
            fd = self._open(path)
        self._parents[directory] = fd
        return fd

    def _open(self, path: bytes) -> int:
        return syscalls.openat2(self._root_fd, path, os.O_RDONLY | os.O_DIRECTORY, resolve=_RESOLVE)

    def _imply(self, parts: tuple[bytes, ...]) -> None:
        parent = os.dup(self._root_fd)
        try:
            for depth, part in enumerate(parts, 1):
                path = b"/".join(parts[:depth])
                try:
                    child = self._step(parent, part, path)
                except FileNotFoundError:
                    self.count(0)
                    os.mkdir(part, 0o755, dir_fd=parent)
                    self._implied.append(self._remember(path))
                    child = self._step(parent, part, path)
                os.close(parent)
                parent = child
        finally:
            os.close(parent)

    def _step(self, parent: int, part: bytes, path: bytes) -> int:
        """Open the next directory of a path: from its parent, or from the root when it is a link."""
        try:
            return os.open(part, _OPEN_DIRECTORY, dir_fd=parent)
        except NotADirectoryError:
            return self._open(path)

    def _forget(self) -> None:
        while self._parents:
            self._leave(*self._parents.popitem())

    def _leave(self, directory: bytes, fd: int) -> None:
        """Close a directory, with the time that its entry says: what was made in it has changed it."""
        try:
            mtime_ns = self._times.get(directory) or self._times.get(b"/".join(split(directory)))
            if mtime_ns is not None:
                os.utime(fd, ns=(mtime_ns, mtime_ns))
        finally:
            os.close(fd)

    def _clear(self, parent: int, base: bytes) -> None:
        """Remove what stands at the place of a new entry."""
        if stat.S_ISDIR(os.lstat(base, dir_fd=parent).st_mode):
            remove_tree(base, dir_fd=parent)
        else:
            os.unlink(base, dir_fd=parent)
        # a path that was resolved through it may lead elsewhere now; our caller's descriptor stays open
        for path in [path for path, fd in self._parents.items() if fd != parent]:
            self._leave(path, self._parents.pop(path))

    # --- what ---------------------------------------------------------------------------------------------------------

    def make(self, entry: Entry, tar: TarStream) -> None:
        """Make one entry."""
        parent, base = self._place(entry.name)
        if not base:
            if entry.kind != tarstream.DIRECTORY:
                raise InvalidArgument("the archive wants to replace the root directory by something else")
            self._dress_directory(os.dup(self._root_fd), entry)
            self._times[b"."] = entry.mtime_ns
        elif self._layer and base.startswith(WHITEOUT_PREFIX):
            self._whiteout(parent, base)
        elif entry.kind == tarstream.FILE:
            self._file(parent, base, entry, tar)
        elif entry.kind == tarstream.DIRECTORY:
            self._directory(parent, base, entry)
        elif entry.kind == tarstream.SYMLINK:
            self._symlink(parent, base, entry)
        elif entry.kind == tarstream.HARDLINK:
            self._hard_link(entry)
        else:
            self._node(parent, base, entry)

    def _whiteout(self, parent: int, base: bytes) -> None:
        if base == OPAQUE_MARK:
            os.setxattr(f"/proc/self/fd/{parent}", OPAQUE_XATTR, b"y")
            return
        hidden = base.removeprefix(WHITEOUT_PREFIX)
        if hidden.startswith(WHITEOUT_PREFIX):
            return  # aufs' own bookkeeping, without meaning here
        if hidden in {b"", b".", b".."}:
            raise InvalidArgument(f"the layer has a whiteout of nothing: {base.decode(errors='replace')!r}")
        try:
            os.mknod(hidden, stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent)
        except FileExistsError:
            return  # the same layer has the path: a whiteout speaks of the layers below only

    def _is_exact(self, entry: Entry) -> bool:
        """Tell whether open(2) and mkdir(2) alone give the entry its owner and mode. Most entries are so."""
        return self._exact and not entry.uid and not entry.gid and not entry.mode & (self._umask | 0o7000)

    def _file(self, parent: int, base: bytes, entry: Entry, tar: TarStream) -> None:
        exact = self._is_exact(entry)
        mode = entry.mode if exact else 0o600
        try:
            fd = os.open(base, _CREATE, mode, dir_fd=parent)
        except FileExistsError:
            self._clear(parent, base)
            fd = os.open(base, _CREATE, mode, dir_fd=parent)
        try:
            for piece in tar.data():
                written = os.write(fd, piece)
                while written < len(piece):
                    written += os.write(fd, piece[written:])
            if not exact:
                os.fchown(fd, entry.uid, entry.gid)
                os.fchmod(fd, entry.mode)
            if entry.xattrs:
                _set_xattrs(fd, entry)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)

    def _directory(self, parent: int, base: bytes, entry: Entry) -> None:
        exact = self._is_exact(entry) and not entry.xattrs
        try:
            os.mkdir(base, entry.mode if exact else 0o700, dir_fd=parent)
        except FileExistsError:
            exact = False
            if not stat.S_ISDIR(os.lstat(base, dir_fd=parent).st_mode):
                self._clear(parent, base)
                os.mkdir(base, 0o700, dir_fd=parent)
        if exact:
            os.utime(base, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)
        else:
            self._dress_directory(os.open(base, _OPEN_DIRECTORY, dir_fd=parent), entry)
        self._times[self._remember(b"/".join(split(entry.name)))] = entry.mtime_ns

    def _dress_directory(self, fd: int, entry: Entry) -> None:
        if entry.mode & stat.S_ISGID:
            self._exact = False  # what is made in it would inherit its group
        try:
            os.fchown(fd, entry.uid, entry.gid)
            os.fchmod(fd, entry.mode)
            _set_xattrs(fd, entry)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)

    def _symlink(self, parent: int, base: bytes, entry: Entry) -> None:
        if not entry.link:
            raise InvalidArgument(f"{entry.label} is a symbolic link to nothing")
        try:
            os.symlink(entry.link, base, dir_fd=parent)
        except FileExistsError:
            self._clear(parent, base)
            os.symlink(entry.link, base, dir_fd=parent)
        self._dress_node(parent, base, entry)

    def _hard_link(self, entry: Entry) -> None:
        source, target = split(entry.link), split(entry.name)
        if not source:
            raise InvalidArgument(f"{entry.label} is a hard link to the root directory")
        if source == target:
            raise InvalidArgument(f"{entry.label} is a hard link to itself")
        from_fd = os.dup(self._place(entry.link)[0])
        try:
            parent, base = self._place(entry.name)
            if stat.S_ISDIR(os.lstat(source[-1], dir_fd=from_fd).st_mode):
                raise InvalidArgument(f"{entry.label} is a hard link to a directory")
            self._link(from_fd, source[-1], parent, base)
        finally:
            os.close(from_fd)

    def _link(self, from_fd: int, source: bytes, parent: int, base: bytes) -> None:
        try:
            os.link(source, base, src_dir_fd=from_fd, dst_dir_fd=parent, follow_symlinks=False)
        except FileExistsError:
            if os.path.sameopenfile(from_fd, parent) and source == base:
                return  # two spellings of one path
            self._clear(parent, base)
            os.link(source, base, src_dir_fd=from_fd, dst_dir_fd=parent, follow_symlinks=False)

    def _node(self, parent: int, base: bytes, entry: Entry) -> None:
        device = os.makedev(entry.major, entry.minor)
        if entry.kind == tarstream.CHAR and device == 0 and self._layer:
            raise InvalidArgument(
                f"{entry.label} is overlayfs' own whiteout device; layers say whiteouts as .wh. files"
            )
        kinds = {tarstream.CHAR: stat.S_IFCHR, tarstream.BLOCK_DEVICE: stat.S_IFBLK, tarstream.FIFO: stat.S_IFIFO}
        try:
            os.mknod(base, kinds[entry.kind] | 0o600, device, dir_fd=parent)
        except FileExistsError:
            self._clear(parent, base)
            os.mknod(base, kinds[entry.kind] | 0o600, device, dir_fd=parent)
        self._dress_node(parent, base, entry)

    def _dress_node(self, parent: int, base: bytes, entry: Entry) -> None:
        os.chown(base, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        if entry.kind != tarstream.SYMLINK:
            fd = os.open(base, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            try:
                os.chmod(f"/proc/self/fd/{fd}", entry.mode)
            finally:
                os.close(fd)
        os.utime(base, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)


def _set_xattrs(fd: int, entry: Entry) -> None:
    """Set the attributes that a program in the image can need; never overlayfs' own, which would rewire the layer."""
    for name, value in entry.xattrs.items():
        if name != "security.capability" and not (name.startswith("user.") and not name.startswith("user.overlay.")):
            continue
        try:
            os.setxattr(fd, name, value)
        except OSError as error:
            if error.errno != errno.ENOTSUP:  # the data root's filesystem has none: Docker goes on too
                raise
