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
from typing import Any, TypeVar

from sampan.host import process, syscalls
from sampan.host.mount import mounts_below

T = TypeVar("T")

UNIFIED = "/sys/fs/cgroup/unified"
CGROUP_ROOT = "/sys/fs/cgroup"


class Launcher:
    """Starts programs from its thread. Call it on the event loop's thread."""

    def __init__(self, data_root: str) -> None:
        """`data_root`: when it is a shared mount of its own, mounts below it need no new namespace."""
        shared_root = (
            data_root
            if any(row.target == data_root and "shared:" in row.propagation for row in mounts_below(data_root))
            else ""
        )
        self._shared_root = shared_root.encode()
        self._requests: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._fingerprint: int | None = None
        self._table = -1
        self._home = -1

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str = "/",
        descriptors: Mapping[int, int] | None = None,
    ) -> tuple[int, int]:
        """Start a program from the private mount namespace; returns (pid, pidfd). See `process.spawn`.

        When it is cancelled, what was started meanwhile is killed.
        """

        def job() -> tuple[int, int]:
            self._refresh()
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

    def close(self) -> None:
        """End the thread. What was started goes on. May be repeated."""
        if self._thread is not None:
            self._requests.put(None)
            self._thread.join()
            self._thread = None

    def _serve(self) -> None:
        # the host's namespace, to come back to before each copy of it; and its table of mounts, which tells of changes
        self._home = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY)
        self._table = os.open("/proc/thread-self/mountinfo", os.O_RDONLY)
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
            os.close(self._table)

    def _refresh(self) -> None:
        """Copy the host's mount namespace when there is no copy yet, or when it changed where it matters."""
        if self._fingerprint is not None and not self._table_changed():
            return
        fingerprint = self._read_table()
        if fingerprint == self._fingerprint:
            return
        syscalls.setns(self._home, syscalls.CLONE_NEWNS)
        syscalls.unshare(syscalls.CLONE_NEWNS)
        if os.path.ismount(UNIFIED):
            _hide_unified()
        self._fingerprint = fingerprint

    def _table_changed(self) -> bool:
        poller = select.poll()
        poller.register(self._table, select.POLLPRI)
        return bool(poller.poll(0))

    def _read_table(self) -> int:
        os.lseek(self._table, 0, os.SEEK_SET)
        chunks = []
        while chunk := os.read(self._table, 1 << 16):
            chunks.append(chunk)
        inside = b" " + self._shared_root + b"/" if self._shared_root else b"\0"
        # a namespace bound to a file is opened by the engine and handed on: where it is mounted does not matter
        lines = b"".join(chunks).split(b"\n")
        return hash(tuple(line for line in lines if inside not in line and b" - nsfs " not in line))


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
