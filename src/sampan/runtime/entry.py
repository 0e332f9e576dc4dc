"""One live container: its processes, its stdio and its end, as long as the daemon knows it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable

from sampan.base import log
from sampan.base.clock import Clock
from sampan.host import monitor, process
from sampan.host.cgroup import Group
from sampan.host.logfile import LogFile
from sampan.host.stdin import StdinPipe
from sampan.runtime.port import Exit
from sampan.runtime.streams import Fanout

_log = log.get("runtime")

KILLED = 137
MONITOR_LOST = "the monitor of this container was killed: its exit code is unknown, so the container was killed too"


class Entry:
    """A created or running container. `exit` is done when it has ended."""

    def __init__(self, container_id: str, files: monitor.Files, group: Group, clock: Clock) -> None:
        self.id = container_id
        self.files = files
        self.group = group
        self.clock = clock
        self.pid = 0
        self.pid_start_ticks = 0
        self.pidfd = -1
        self.monitor_pid = 0
        self.monitor_pidfd = -1
        self.runtime = ""
        self.adopted = False  # an earlier daemon made it: there may be more on the host than this one knows
        self.tty = False
        self.stdin: StdinPipe | None = None  # None for a terminal, or when stdin is not open
        self.log: LogFile | None = None
        self.grown: set[asyncio.Future[None]] = set()
        self.fanout = Fanout(self._resize)
        self.exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._watcher: asyncio.Task[None] | None = None
        self._connection: monitor.Connection | None = None

    def connect(self) -> None:
        """Take the attach connection. Without a monitor there is no output any more."""
        connection = monitor.Connection(self._output, self._output_end)
        self._connection = connection
        try:
            connection.connect(self.files.attach)
        except OSError:
            self.fanout.end()
            return
        self.fanout.source = self

    # --- the fan-out's source: output comes from the monitor, input goes to the pipe or the monitor's terminal

    def pause(self) -> None:
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        if self._connection is not None:
            self._connection.resume()

    async def write(self, data: bytes) -> None:
        if self.stdin is not None:
            await self.stdin.write(data)
        elif self.tty and self._connection is not None:
            await self._connection.write(data)

    async def end_stdin(self) -> None:
        if self.stdin is not None:
            await self.stdin.end()

    def watch(self, ended: Callable[[Entry], None]) -> None:
        """Resolve `exit` when the monitor ends, then call `ended`."""
        self._watcher = asyncio.get_running_loop().create_task(self._watch(ended), name=f"watch {self.id[:12]}")

    def _output(self, stream: str, data: bytes) -> None:
        self.fanout.feed(stream, data)
        if self.log is not None and self.log.grew(data):
            self._tell_loss()
        self._tell_readers()

    def _output_end(self) -> None:
        if self.log is not None:
            if self.log.compare():
                self._tell_loss()
            self.log.save_lost()
        self.fanout.end()
        self._tell_readers()

    def _tell_loss(self) -> None:
        if self.log is not None:
            lines, size = self.log.lost.lines, self.log.lost.size_bytes
            _log.warning(
                "container %s: %d lines (%d bytes) are in no log: is the disk full?", self.id[:12], lines, size
            )

    def _tell_readers(self) -> None:
        if self.grown:
            for future in self.grown:
                if not future.done():
                    future.set_result(None)
            self.grown.clear()

    async def growth(self) -> bool:
        """Return True when the log may have grown, False when the container has ended."""
        if self.exit.done():
            return False
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.grown.add(future)
        try:
            await future
        finally:
            self.grown.discard(future)
        return not self.exit.done()

    async def _resize(self, height: int, width: int) -> None:
        if self.tty:
            monitor.control(f"{self.files.directory}/ctl", 1, height, width)

    async def _watch(self, ended: Callable[[Entry], None]) -> None:
        if self.monitor_pidfd >= 0:
            await process.ended(self.monitor_pidfd)
            process.reap(self.monitor_pid)
        record = self.files.exit_code()
        try:
            result = self._exit(*record) if record else await self._monitor_lost()
        except Exception as error:
            _log.exception("container %s: its end could not be read", self.id[:12])
            result = Exit(code=KILLED, error=str(error), finished_at_ns=self.clock.now_ns())
        if not self.exit.done():
            self.exit.set_result(result)
        self._tell_readers()
        ended(self)

    def _exit(self, code: int, at_ns: int) -> Exit:
        return Exit(code=code & 0xFF, oom_killed=self._oom_killed(), finished_at_ns=at_ns)

    def _oom_killed(self) -> bool:
        with contextlib.suppress(OSError):
            if self.group.oom_kills():
                return True
        return os.path.exists(self.files.oom)

    async def _monitor_lost(self) -> Exit:
        """A container without a monitor cannot be told the truth about: end it, and say so."""
        oom_killed = self._oom_killed()
        _log.warning("container %s: its monitor is gone without a record", self.id[:12])
        await asyncio.to_thread(self.kill_all)
        if self.pidfd >= 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await process.ended(self.pidfd)
        return Exit(code=KILLED, oom_killed=oom_killed, finished_at_ns=self.clock.now_ns(), error=MONITOR_LOST)

    def kill_all(self) -> None:
        """SIGKILL the first process and all others of its cgroup. Blocks: call in a thread."""
        if self.pidfd >= 0:
            process.send_signal(self.pidfd, signal.SIGKILL)
        self.group.kill()

    async def settled(self) -> None:
        """Return when the end has been read and told; at once when nobody watches. The monitor must have ended."""
        if self._watcher is not None:
            await asyncio.wait({self._watcher})

    def close(self) -> None:
        """Let go of it; its processes go on."""
        if self._watcher is not None:
            self._watcher.cancel()
        if self._connection is not None:
            self._connection.close()
        if self.stdin is not None:
            self.stdin.close()
        self.fanout.end()
        for descriptor in (self.pidfd, self.monitor_pidfd):
            if descriptor >= 0:
                os.close(descriptor)
        self.pidfd = self.monitor_pidfd = -1
