"""Network namespaces as files: made, entered for a moment, dropped.

A file keeps its namespace when the daemon dies. Dropping is unmount and unlink: the kernel takes the interfaces away
by itself, later, and nobody waits for it (deleting a veth costs 17-34 ms).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sampan.base import crash
from sampan.host import mount, syscalls
from sampan.host.netlink import Netlink

T = TypeVar("T")
_OWN = "/proc/thread-self/ns/net"


def prepare_directory(directory: Path) -> None:
    """Make the directory for namespace files: shared, so that an unmount reaches every copy of the mount table."""
    mount.share_data_root(str(directory))


def remove_directory(directory: Path) -> None:
    """Drop every namespace file in it, then the directory. Idempotent."""
    for path in sorted(directory.glob("*")):
        drop(str(path))
    if directory.is_dir():
        _unmount(str(directory))
        directory.rmdir()


def make(path: str, configure: Callable[[], object] | None = None) -> Netlink:
    """Bind a new namespace at `path`; return an rtnetlink socket inside of it. `configure` is called inside first.

    Raises:
        FileExistsError: there is a file already.
    """
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC, 0o444))
    try:
        with _elsewhere():
            syscalls.unshare(syscalls.CLONE_NEWNET)
            netlink = Netlink()
            if configure is not None:
                configure()
            crash.point("netns.bind.before")
            syscalls.mount(_OWN, path, flags=syscalls.MS_BIND)
            crash.point("netns.bind.after")
    except BaseException:
        drop(path)
        raise
    return netlink


def drop(path: str) -> None:
    """Let the namespace at `path` go. Idempotent; processes and sockets inside of it keep it until they end."""
    crash.point("netns.drop.before")
    _unmount(path)
    crash.point("netns.unlink.before")
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    crash.point("netns.drop.after")


def _unmount(path: str) -> None:
    while True:
        try:
            syscalls.umount(path, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
        except OSError as error:
            if error.errno in {errno.EINVAL, errno.ENOENT}:
                return
            raise


def exists(path: str) -> bool:
    """Return whether a namespace is bound at `path` (a plain file is what a kill left behind)."""
    try:
        return os.stat(path).st_dev != os.stat(os.path.dirname(path)).st_dev
    except FileNotFoundError:
        return False


def run_in(path: str, function: Callable[[], T]) -> T:
    """Return `function()`, called with this thread inside of the namespace at `path`."""
    target = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with _elsewhere():
            syscalls.setns(target, syscalls.CLONE_NEWNET)
            return function()
    finally:
        os.close(target)


def open_netlink(path: str) -> Netlink:
    """Return an rtnetlink socket inside of the namespace at `path`."""
    return run_in(path, Netlink)


@contextmanager
def _elsewhere() -> Iterator[None]:
    """Bring the thread back to its own namespace afterwards, whatever happens."""
    home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        try:
            syscalls.setns(home, syscalls.CLONE_NEWNET)
        except OSError:
            # The thread's next task would be done inside of some container. Crash-only: the next start repairs.
            os.abort()
        os.close(home)
