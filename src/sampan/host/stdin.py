"""A container's stdin as a named pipe whose open write end outlives the daemon.

conmon's own stdin cannot do both: either any client that goes away (a killed daemon too) ends it, or nothing can. So the
container reads a named pipe. Its write end is sent over a socket pair whose receiving end conmon inherited and never
reads: there it stays, in flight, and keeps the pipe open for as long as conmon lives. To end stdin it is received back
and closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket

from sampan.host.process import copy_descriptor, wake

PARKING_FD = 6
"""The descriptor in conmon that holds the write end in flight."""


class StdinPipe:
    """The daemon's side. Make with `create` (then `park` once the container reads) or `adopt`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._writer = -1
        self._parking: socket.socket | None = None  # the receiving end, as conmon has it
        self._sender: socket.socket | None = None
        self._lock = asyncio.Lock()

    @classmethod
    def create(cls, path: str) -> StdinPipe:
        """Make the pipe, open so that the runtime's opening does not wait."""
        pipe = cls(path)
        os.mkfifo(path, 0o600)
        pipe._writer = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        pipe._sender, pipe._parking = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        return pipe

    @classmethod
    def adopt(cls, path: str, monitor_pidfd: int) -> StdinPipe | None:
        """Return the pipe of a running container, None when its stdin has ended."""
        pipe = cls(path)
        try:
            pipe._writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            descriptor = copy_descriptor(monitor_pidfd, PARKING_FD)
        except OSError as error:
            pipe.close()
            if error.errno in {errno.ENOENT, errno.ENXIO, errno.EBADF, errno.ESRCH}:
                return None
            raise
        pipe._parking = socket.socket(fileno=descriptor)
        return pipe

    def descriptor(self) -> int:
        """Return what the monitor inherits as `PARKING_FD`."""
        assert self._parking is not None
        return self._parking.fileno()

    def park(self) -> None:
        """Leave a write end with the monitor. The container must have opened the pipe by now."""
        writer = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.close(self._writer)
        self._writer = writer
        assert self._sender is not None
        socket.send_fds(self._sender, [b"w"], [writer])

    async def write(self, data: bytes) -> None:
        """Send to stdin; returns when all is in the pipe. What comes after its end is dropped."""
        async with self._lock:
            left = memoryview(data)
            while left and self._writer >= 0:
                try:
                    left = left[os.write(self._writer, left) :]
                except BlockingIOError:
                    await self._writable()
                except BrokenPipeError:
                    return

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        descriptor = os.dup(self._writer)
        loop.add_writer(descriptor, wake, ready)
        try:
            await ready
        finally:
            loop.remove_writer(descriptor)
            os.close(descriptor)

    async def end(self) -> None:
        """End stdin, after what is being written. May be repeated."""
        async with self._lock:
            if self._parking is not None:
                with contextlib.suppress(BlockingIOError):
                    _, parked, _, _ = socket.recv_fds(self._parking, 1, 8, socket.MSG_DONTWAIT)
                    for descriptor in parked:
                        os.close(descriptor)
            self.close()

    def close(self) -> None:
        """Let go; the container's stdin stays open. May be repeated."""
        if self._writer >= 0:
            os.close(self._writer)
            self._writer = -1
        for end in (self._parking, self._sender):
            if end is not None:
                end.close()
        self._parking = self._sender = None
