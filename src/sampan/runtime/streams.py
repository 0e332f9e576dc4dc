"""Stdio for many clients of one process: fan-out with bounded buffers, back-pressure, and a cut for who takes nothing.

The source is read only while every client has room. A client that takes no byte for `STALL_S` is cut, so it can hold
the process up for that long at most; a client that is slow but takes bytes gets all of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from sampan.base.errors import Exhausted

BUFFER_BYTES = 256 * 1024
STALL_S = 10.0


class Source(Protocol):
    """What a fan-out reads from and writes to."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    async def write(self, data: bytes) -> None: ...

    async def end_stdin(self) -> None: ...


class Fanout:
    """All clients of one process's stdio. `stall_s`: after how long one that takes nothing is cut."""

    def __init__(self, resize: Callable[[int, int], Awaitable[None]], stall_s: float = STALL_S) -> None:
        self._clients: list[Client] = []
        self._resize = resize
        self.stall_s = stall_s
        self.close_stdin_once = False  # stdin ends when the first client that closes it does
        self.source: Source | None = None
        self.ended = False

    def attach(self) -> Client:
        """Return a client that sees all output from now on."""
        client = Client(self)
        if self.ended:
            client.finish()
        else:
            self._clients.append(client)
        return client

    def feed(self, stream: str, data: bytes) -> None:
        """Hand output to every client; pauses the source when one has no room left."""
        for client in self._clients:
            client.give(stream, data)
        self._balance()

    def end(self) -> None:
        """No more output: every client ends after what it has."""
        self.ended = True
        for client in self._clients:
            client.finish()
        self._clients.clear()

    def leave(self, client: Client) -> None:
        if client in self._clients:
            self._clients.remove(client)
        self._balance()

    def _balance(self) -> None:
        if self.source is None or self.ended:
            return
        if any(client.full for client in self._clients):
            self.source.pause()
        else:
            self.source.resume()

    def taken(self) -> None:
        """A client made room."""
        self._balance()

    async def write(self, data: bytes) -> None:
        if self.source is not None and not self.ended:
            await self.source.write(data)

    async def close_stdin(self) -> None:
        if self.source is not None and self.close_stdin_once:
            await self.source.end_stdin()

    async def resize(self, height: int, width: int) -> None:
        await self._resize(height, width)


class Client:
    """One client's `Streams`."""

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout
        self._chunks: deque[tuple[str, bytes]] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._finished = False
        self._cut = False
        self._stall: asyncio.TimerHandle | None = None

    @property
    def full(self) -> bool:
        return self._bytes >= BUFFER_BYTES

    def give(self, stream: str, data: bytes) -> None:
        """Append output; starts the clock on a client that has no room left."""
        self._chunks.append((stream, data))
        self._bytes += len(data)
        self._wake.set()
        if self.full and self._stall is None:
            self._restart_clock()

    def _restart_clock(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
        self._stall = asyncio.get_running_loop().call_later(self._fanout.stall_s, self._cut_off) if self.full else None

    def _cut_off(self) -> None:
        self._cut = True
        self._chunks.clear()
        self._bytes = 0
        self.detach()

    def finish(self) -> None:
        """No more will come."""
        self._finished = True
        self._wake.set()

    async def output(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield ("stdout"|"stderr", data) until the process has ended and all was delivered.

        Raises:
            Exhausted: this client took nothing for too long and was cut.
        """
        while True:
            while self._chunks:
                stream, data = self._chunks.popleft()
                self._bytes -= len(data)
                self._restart_clock()
                self._fanout.taken()
                yield stream, data
            if self._cut:
                raise Exhausted(f"the client took no output for {self._fanout.stall_s:.0f} s and was cut: attach again")
            if self._finished:
                return
            self._wake.clear()
            await self._wake.wait()

    async def write(self, data: bytes) -> None:
        """Send to stdin; returns when accepted."""
        if not self._cut:
            await self._fanout.write(data)

    async def close_stdin(self) -> None:
        """Half-close. May be repeated."""
        await self._fanout.close_stdin()

    async def resize(self, height: int, width: int) -> None:
        """Set the terminal's size; a no-op without one."""
        await self._fanout.resize(height, width)

    def detach(self) -> None:
        """Leave; the process goes on. May be repeated."""
        self.finish()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        self._fanout.leave(self)
