"""The launcher: one thread with a mount namespace of its own, from which monitors and runtimes are started.

crun refuses a host where the cgroup v2 hierarchy is mounted beside v1 ("hybrid"). In the launcher's namespace that one
is out of sight; nothing on the host changes. The namespace is made anew when mounts of the host outside of the shared
data root changed since, so that new host mounts are seen by new containers; mounts below a shared data root propagate
by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import select
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from sampan.host import process, syscalls
from sampan.host.mount import mounts_below
from sampan.host.mount_table import MountTable

T = TypeVar("T")

UNIFIED = "/sys/fs/cgroup/unified"
CGROUP_ROOT = "/sys/fs/cgroup"
ROOTS = "containers"
"""The directory of the data root below which the roots of containers are mounted, and nothing else."""


class Launcher:
    """Starts programs from its thread. Call it on the event loop's thread."""

    def __init__(self, data_root: str) -> None:
        """`data_root`: when it is a shared mount of its own, mounts below it need no new namespace."""
        shared_root = (
            data_root
            if any(row.target == data_root and "shared:" in row.propagation for row in mounts_below(data_root))
            else ""
        )
        self._shared_root = shared_root
        self._requests: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._fingerprint: int | None = None
        self._table: MountTable | None = None
        self._home = -1

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str = "/",
        descriptors: Mapping[int, int] | None = None,
        root: str = "",
    ) -> tuple[int, int]:
        """Start a program from the private mount namespace; returns (pid, pidfd). See `process.spawn`.

        `root`: the container's root, where that is mounted below the data root: it is there for what is started.

        When it is cancelled, what was started meanwhile is killed.
        """

        def job() -> tuple[int, int]:
            self._refresh(root)
            os.chdir(cwd)
            try:
                return process.spawn(argv, env=env, descriptors=descriptors)
            finally:
                os.chdir("/")

        started = asyncio.ensure_future(self.run(job))
        try:
            return await asyncio.shield(started)
        except asyncio.CancelledError:
            with contextlib.suppress(OSError):
                await _undo(*(await started))
            raise

    async def run(self, job: Callable[[], T]) -> T:
        """Run `job` on the launcher's thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="launcher", daemon=True)
            self._thread.start()
        future: Future[T] = Future()
        self._requests.put((future, job))
        return await asyncio.wrap_future(future)

    def forget(self, root: str) -> None:
        """Take a root out of sight of what is started next: the fewer mounts, the less there is for a runtime to read.

        The container that is in it keeps it, and so does the host.
        """
        if self._shared_root and self._thread is not None:
            self._requests.put((Future(), partial(_detach, root)))

    def close(self) -> None:
        """End the thread. What was started goes on. May be repeated."""
        if self._thread is not None:
            self._requests.put(None)
            self._thread.join()
            self._thread = None

    def _serve(self) -> None:
        self._home = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY)  # the host's, to come back to before each copy
        self._table = MountTable(self._shared_root)
        try:
            syscalls.unshare(syscalls.CLONE_FS)
            while (request := self._requests.get()) is not None:
                future, job = request
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    future.set_result(job())
                except BaseException as error:
                    future.set_exception(error)
        finally:
            os.close(self._home)
            self._table.close()

    def _refresh(self, root: str) -> None:
        """Copy the host's mount namespace when there is no copy yet, or when it changed where it matters."""
        table = self._table
        assert table is not None
        fingerprint = self._fingerprint
        if fingerprint is None or _changed(table.descriptor()):
            fingerprint = table.fingerprint()
        if fingerprint == self._fingerprint and (not root or os.path.ismount(root)):
            return
        syscalls.setns(self._home, syscalls.CLONE_NEWNS)
        syscalls.unshare(syscalls.CLONE_NEWNS)
        if os.path.ismount(UNIFIED):
            _hide_unified()
        if self._shared_root:
            _keep_only(self._shared_root, root)
        self._fingerprint = fingerprint


def _changed(table: int) -> bool:
    poller = select.poll()
    poller.register(table, select.POLLPRI)
    return bool(poller.poll(0))


def _keep_only(shared_root: str, root: str) -> None:
    """Take the roots of other containers out of this copy of the host's mounts.

    Once the shared data root is a slave here, it still gets what the host mounts in it, and gives nothing back: nothing is
    unmounted on the host.
    """
    syscalls.mount(None, shared_root, flags=syscalls.MS_SLAVE)
    for row in reversed(mounts_below(shared_root)):
        if row.target != root and row.target.startswith(f"{shared_root}/{ROOTS}/"):
            _detach(row.target)


def _detach(path: str) -> None:
    with contextlib.suppress(OSError):
        syscalls.umount(path, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)


async def _undo(pid: int, pidfd: int) -> None:
    process.send_signal(pidfd, signal.SIGKILL)
    await process.ended(pidfd)
    process.reap(pid)
    os.close(pidfd)


def _hide_unified() -> None:
    """Cover the cgroup root with one that has the v1 hierarchies only.

    Taking the v2 mount out would show the directory below it, in which runtimes then make plain directories that nobody
    sees on the host, and nobody removes.
    """
    entries = [entry for entry in os.scandir(CGROUP_ROOT) if entry.path != UNIFIED]
    links = {entry.path: os.readlink(entry.path) for entry in entries if entry.is_symlink()}
    paths = [entry.path for entry in entries if not entry.is_symlink() and os.path.ismount(entry.path)]
    copies = {path: syscalls.open_tree(syscalls.AT_FDCWD, path, syscalls.OPEN_TREE_CLONE) for path in paths}
    syscalls.mount(None, CGROUP_ROOT, flags=syscalls.MS_PRIVATE)
    syscalls.mount("cgroup", CGROUP_ROOT, "tmpfs", options="mode=755,size=64k")
    for path, copy in copies.items():
        os.mkdir(path)
        syscalls.move_mount(copy, syscalls.AT_FDCWD, path)
        os.close(copy)
    for path, target in links.items():
        os.symlink(target, path)
    syscalls.mount(None, CGROUP_ROOT, flags=syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY)
