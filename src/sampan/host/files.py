"""Path work inside a container's root: the tree with its volumes over it, and look-ups that cannot leave it.

A path that a container can change is only ever resolved with openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS) from a
descriptor of the root, and the last component is opened with O_PATH | O_NOFOLLOW. So a container that swaps links
while we work can lead us to another place inside its root, never out of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from sampan.base.errors import InvalidArgument
from sampan.host import syscalls

Rows = Sequence[tuple[str, str, bool]]
"""(host source, target in the tree, read-only), as mounted over the root."""

IN_ROOT = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
_MOUNT_ATTR_RDONLY = 0x1
_MAX_LINKS = 40


class Tree:
    """A root with mounts over it, as its container sees them, open at `root_fd` until it is closed.

    The mounts are made in a mount namespace of the tree's own, so that nothing of them shows on the host; closing the
    last descriptor ends them. With no mounts to make there is no namespace either.
    """

    def __init__(self, rootfs: str, mounts: Rows = ()) -> None:
        self.root_fd = self._namespace = -1
        self._held: list[int] = []
        if not mounts:
            self.root_fd = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            return
        failure: list[BaseException] = []
        thread = threading.Thread(target=self._build, args=(rootfs, mounts, failure))
        thread.start()
        thread.join()
        if failure:
            raise failure[0]

    def _build(self, rootfs: str, mounts: Rows, failure: list[BaseException]) -> None:
        """Make the namespace. It is this short-lived thread's own; a descriptor keeps it when the thread ends."""
        try:
            syscalls.unshare(syscalls.CLONE_NEWNS)
            # slave, not private: what the host unmounts meanwhile goes from here too
            syscalls.mount(None, "/", flags=syscalls.MS_REC | syscalls.MS_SLAVE)
            self._namespace = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            self.root_fd = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            for source, target, read_only in sorted(mounts, key=lambda row: row[1].count("/")):
                _mount_over(self.root_fd, source, target, read_only=read_only)
        except BaseException as error:  # handed to the caller's thread
            self.close()
            failure.append(error)

    def enter(self) -> None:
        """Move the calling thread into the tree's namespace, for good: it must end with its work.

        Only from inside does the kernel refuse to delete what something is mounted on; from outside the mounts would go,
        the container's own too.
        """
        if self._namespace >= 0:
            syscalls.unshare(syscalls.CLONE_FS)
            syscalls.setns(self._namespace, syscalls.CLONE_NEWNS)

    def hold(self, fd: int) -> int:
        """Return `fd`, which will be closed with the tree."""
        self._held.append(fd)
        return fd

    def close(self) -> None:
        """May be repeated."""
        for fd in (*self._held, self.root_fd, self._namespace):
            if fd >= 0:
                os.close(fd)
        self.root_fd = self._namespace = -1
        self._held = []

    def __del__(self) -> None:
        self.close()  # a stream that nobody began to read ends here

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _mount_over(root_fd: int, source: str, target: str, *, read_only: bool) -> None:
    """Mount a copy of `source`'s mounts at `target` inside the root; the place is made when it is missing."""
    flags = syscalls.OPEN_TREE_CLONE | syscalls.AT_RECURSIVE
    copy = syscalls.open_tree(syscalls.AT_FDCWD, source, flags)
    try:
        if read_only:
            syscalls.mount_setattr(
                copy, "", flags=syscalls.AT_EMPTY_PATH | syscalls.AT_RECURSIVE, set_attributes=_MOUNT_ATTR_RDONLY
            )
        place = _make_place(root_fd, target, directory=stat.S_ISDIR(os.fstat(copy).st_mode))
        try:
            syscalls.move_mount(copy, place, "")
        finally:
            os.close(place)
    finally:
        os.close(copy)


def _make_place(root_fd: int, target: str, *, directory: bool) -> int:
    """Return a descriptor of the mount point; a missing one is made, as the runtime does at start."""
    with contextlib.suppress(FileNotFoundError):
        return syscalls.openat2(root_fd, target, os.O_PATH, resolve=IN_ROOT)
    *above, last = split(canonical(root_fd, target))
    parent = os.dup(root_fd)
    try:
        for part in above:
            parent = _enter(parent, part)
        with contextlib.suppress(FileExistsError):
            if directory:
                os.mkdir(last, 0o755, dir_fd=parent)
            else:
                os.mknod(last, stat.S_IFREG | 0o644, dir_fd=parent)
    finally:
        os.close(parent)
    return syscalls.openat2(root_fd, target, os.O_PATH, resolve=IN_ROOT)


def _enter(parent: int, part: str) -> int:
    """Return the directory `part` of `parent`, made when missing; `parent` is closed."""
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(part, 0o755, dir_fd=parent)
        return os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    finally:
        os.close(parent)


def split(path: str) -> list[str]:
    """Return the components that count."""
    return [part for part in path.split("/") if part not in ("", ".")]


def open_directory(root_fd: int, path: str) -> int:
    """Return a descriptor of the directory, links followed inside the root."""
    return syscalls.openat2(root_fd, path or "/", os.O_PATH | os.O_DIRECTORY, resolve=IN_ROOT)


def open_entry(root_fd: int, path: str) -> int:
    """Return an O_PATH descriptor of what stands at `path`, the last component not followed.

    A trailing slash or dot follows it and demands a directory, as lstat(2) does.
    """
    if not split(path):
        return os.dup(root_fd)
    if path.endswith(("/", "/.")):
        return open_directory(root_fd, path)
    return syscalls.openat2(root_fd, path, os.O_PATH | os.O_NOFOLLOW, resolve=IN_ROOT)


def canonical(root_fd: int, path: str) -> str:
    """Return the absolute path inside the root with every link resolved; components that do not exist stay as they are.

    The answer is true of one moment. Whoever uses it resolves it again inside the root.
    """
    pending = split(path)[::-1]
    here: list[str] = []
    links = 0
    while pending:
        part = pending.pop()
        if part == "..":
            here = here[:-1]
            continue
        target = _link(root_fd, "/".join((*here, part)))
        if target is None:
            here.append(part)
            continue
        links += 1
        if links > _MAX_LINKS:
            raise InvalidArgument(f"{path}: too many levels of symbolic links")
        here = [] if target.startswith("/") else here
        pending += split(target)[::-1]
    return "/" + "/".join(here)


def _link(root_fd: int, path: str) -> str | None:
    """Return what the link at `path` says, None when there is none."""
    try:
        fd = syscalls.openat2(root_fd, path, os.O_PATH | os.O_NOFOLLOW, resolve=IN_ROOT)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.EACCES}:
            return None
        raise
    try:
        if not stat.S_ISLNK(os.fstat(fd).st_mode):
            return None
        return os.readlink("", dir_fd=fd)
    finally:
        os.close(fd)


def reopen(path_fd: int, flags: int) -> int:
    """Return a descriptor for reading or listing of the very file that `path_fd` (O_PATH) names; links are impossible."""
    return os.open(f"/proc/self/fd/{path_fd}", flags | os.O_CLOEXEC)
