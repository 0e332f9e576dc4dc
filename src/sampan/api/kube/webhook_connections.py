"""Connections to webhooks: HTTP/1.1 over TLS, kept open for the next question for a while."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from sampan.api.kube.host_names import HostNames

MOST_BYTES = 8 << 20
_HEAD_BYTES = 64 << 10
_IDLE_S = 30.0
_MOST_IDLE = 16
"""Connections to one place that are kept."""


class Endpoint(NamedTuple):
    """Where a webhook is, and by whose certificates it is known. `name`: whom its certificate is for."""

    host: str
    port: int
    name: str
    path: str
    authority: str  # host and port as they were said
    ca: str = ""  # PEM

    @property
    def url(self) -> str:
        """Return how errors name it."""
        return f"https://{self.authority}{self.path}"

    @property
    def place(self) -> tuple[str, int, str, str]:
        """Return what connections are the same by."""
        return self.host, self.port, self.name, self.ca


@lru_cache(maxsize=64)
def _context(ca: str) -> ssl.SSLContext:
    """Return a context that trusts this CA, the system's where it is ""."""
    return ssl.create_default_context(cadata=ca or None)


class _Gone(Exception):
    """A connection that was kept ended before anything was answered."""


class _Connection:
    """One connection, with one question at a time on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.used = False
        self.lasting = False
        self.idle: asyncio.TimerHandle | None = None

    @property
    def open(self) -> bool:
        return not self._reader.at_eof() and not self._writer.is_closing()

    def close(self) -> None:
        self._writer.transport.abort()

    def _acknowledge_at_once(self) -> None:
        """Keep servers that write head and body apart from waiting 40 ms for an acknowledgement in between."""
        found = self._writer.get_extra_info("socket")
        if found is not None and hasattr(socket, "TCP_QUICKACK"):
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    async def exchange(self, to: Endpoint, body: bytes) -> tuple[int, bytes]:
        """Send a body; returns the status and the body that come back."""
        if not to.path.isascii() or not to.path.isprintable() or " " in to.path:
            raise ValueError("the path of the webhook's URL has characters that no URL has")
        head = (
            f"POST {to.path} HTTP/1.1\r\nHost: {to.authority}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json\r\nUser-Agent: sampan\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            self._writer.write(head.encode("ascii") + body)
            await self._writer.drain()
            self._acknowledge_at_once()
            answer = await self._reader.readuntil(b"\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError) as error:
            if self.used and not getattr(error, "partial", b""):
                raise _Gone from error
            raise
        self.used = True
        status, headers, latest = _parsed(answer)
        content, ends = await _content(self._reader, headers)
        self.lasting = latest and ends and "close" not in headers.get("connection", "").lower()
        return status, content


class Connections:
    """Use it on one event loop."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int, str, str], list[_Connection]] = {}
        self._names = HostNames()

    def close(self) -> None:
        for kept in self._idle.values():
            for connection in kept:
                self._forget(connection)
        self._idle.clear()

    async def post(self, to: Endpoint, body: bytes) -> tuple[int, bytes]:
        """Send a body, on a connection that is open already where there is one; returns status and body of the answer.

        What was sent on a connection that its server had just ended is sent again: a webhook may be asked twice.

        Raises:
            OSError, EOFError, ValueError, asyncio.LimitOverrunError
        """
        while (kept := self._taken(to)) is not None:
            try:
                return await self._exchange(kept, to, body)
            except _Gone:
                continue
        return await self._exchange(await self._opened(to), to, body)

    async def _opened(self, to: Endpoint) -> _Connection:
        """Return a new connection, to the first of the host's addresses that takes one."""
        failed: OSError | None = None
        for address in await self._names.addresses(to.host):
            try:
                streams = await asyncio.open_connection(
                    address, to.port, limit=_HEAD_BYTES, ssl=_context(to.ca), server_hostname=to.name
                )
                return _Connection(*streams)
            except ssl.SSLError:
                raise
            except OSError as error:
                failed = failed or error
        raise failed or OSError(f"lookup {to.host}: no address")

    async def _exchange(self, connection: _Connection, to: Endpoint, body: bytes) -> tuple[int, bytes]:
        connection.lasting = False
        try:
            return await connection.exchange(to, body)
        finally:
            kept = self._idle.setdefault(to.place, [])
            if connection.lasting and len(kept) < _MOST_IDLE:
                kept.append(connection)
                connection.idle = asyncio.get_running_loop().call_later(_IDLE_S, self._expire, to.place, connection)
            else:
                connection.close()
                if not kept:
                    del self._idle[to.place]

    def _taken(self, to: Endpoint) -> _Connection | None:
        kept = self._idle.get(to.place, [])
        while kept:
            connection = kept.pop()
            if connection.idle is not None:
                connection.idle.cancel()
            if connection.open:
                return connection
            connection.close()
        self._idle.pop(to.place, None)
        return None

    def _expire(self, place: tuple[str, int, str, str], connection: _Connection) -> None:
        kept = self._idle.get(place, [])
        if connection in kept:
            kept.remove(connection)
        if not kept:
            self._idle.pop(place, None)
        connection.close()

    def _forget(self, connection: _Connection) -> None:
        if connection.idle is not None:
            connection.idle.cancel()
        connection.close()


def _parsed(head: bytes) -> tuple[int, Mapping[str, str], bool]:
    """Return the status, the headers, and whether it is HTTP/1.1."""
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdecimal():
        raise ValueError("the answer is no HTTP")
    pairs = (line.partition(":") for line in lines if line)
    return int(parts[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}, parts[0] == "HTTP/1.1"


async def _content(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> tuple[bytes, bool]:
    """Return the body, and whether it ended before the connection did."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _chunks(reader), True
    if "content-length" in headers:
        size = int(headers["content-length"])
        if not 0 <= size <= MOST_BYTES:
            raise ValueError("the answer is too long")
        return await reader.readexactly(size), True
    content = await reader.read(MOST_BYTES + 1)
    while not reader.at_eof() and len(content) <= MOST_BYTES:
        content += await reader.read(MOST_BYTES)
    if len(content) > MOST_BYTES:
        raise ValueError("the answer is too long")
    return content, False


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    content = b""
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        if size == 0:
            while (await reader.readuntil(b"\r\n")) != b"\r\n":
                pass
            return content
        if not 0 <= len(content) + size <= MOST_BYTES:
            raise ValueError("the answer is too long")
        content += await reader.readexactly(size)
        await reader.readexactly(2)
