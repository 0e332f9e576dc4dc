"""One HTTP/1.1 connection of a client: a request at a time, its answer whole, or line by line as it comes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import NamedTuple, cast

import httptools

from sampan.base.errors import Unavailable

_HIGH_BYTES = 4 << 20
"""A line reader that is so far behind is waited for: the server keeps the rest."""


class Answer(NamedTuple):
    status: int
    body: bytes


class Connection(asyncio.Protocol):
    """`usable` tells whether it can take another request."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self._body: list[bytes] = []
        self._lines: _Lines | None = None
        self._lost = False
        self._keep = True

    @property
    def usable(self) -> bool:
        return not self._lost and self._answer is None and self._keep

    async def ask(self, request: bytes) -> Answer:
        """Send a request; returns its answer.

        Raises:
            Unavailable: the connection ended. Whether the server did what was asked is not known.
        """
        self._answer = asyncio.get_running_loop().create_future()
        self._send(request)
        try:
            return await self._answer
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._answer = None

    async def follow(self, request: bytes) -> tuple[Answer, AsyncIterator[bytes]]:
        """Send a request; returns the answer's head (its body where it is a refusal), and its lines as they come."""
        self._lines = _Lines(self)
        head = await self.ask(request)
        return head, self._lines.read()

    def close(self) -> None:
        self._keep = False
        if self._transport is not None:
            self._transport.close()

    def hold(self, *, held: bool) -> None:
        """Read nothing more, or again, from the socket."""
        if self._transport is not None and not self._lost:
            (self._transport.pause_reading if held else self._transport.resume_reading)()

    def _send(self, request: bytes) -> None:
        if self._transport is None or self._lost:
            raise Unavailable("the connection to the Kubernetes API ended")
        self._transport.write(request)

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()
            self._end("the Kubernetes API's answer is no HTTP")

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self._end(f"the connection to the Kubernetes API ended{f': {error}' if error else ''}")

    def _end(self, why: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Unavailable(why))
        if self._lines is not None:
            self._lines.end()

    # --- the parser's side

    def on_headers_complete(self) -> None:
        if self._lines is not None and self._parser.get_status_code() == 200:
            self._settle(b"")

    def on_body(self, body: bytes) -> None:
        if self._lines is not None and self._parser.get_status_code() == 200:
            self._lines.feed(body)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        self._keep = self._keep and self._parser.should_keep_alive()
        if self._lines is not None:
            self._lines.end()
        self._settle(b"".join(self._body))
        self._body.clear()

    def _settle(self, body: bytes) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(self._parser.get_status_code(), body))


class _Lines:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ready: deque[bytes] = deque()
        self._rest = b""
        self._bytes = 0
        self._ended = False
        self._wake = asyncio.Event()

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._ready.extend(lines)
        self._bytes += len(data)
        if self._bytes > _HIGH_BYTES:
            self._connection.hold(held=True)
        self._wake.set()

    def end(self) -> None:
        self._ended = True
        self._wake.set()

    async def read(self) -> AsyncIterator[bytes]:
        """Yield lines until the answer ends."""
        while True:
            while self._ready:
                line = self._ready.popleft()
                self._bytes -= len(line) + 1
                if self._bytes < _HIGH_BYTES // 2:
                    self._connection.hold(held=False)
                if line:
                    yield line
            if self._ended:
                return
            self._wake.clear()
            await self._wake.wait()
