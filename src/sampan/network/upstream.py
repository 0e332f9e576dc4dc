"""Questions that are not about containers, passed on to the host's resolvers."""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections.abc import Sequence
from pathlib import Path

from dnslib import RCODE

from sampan.network import zone

RESOLV_CONF = Path("/etc/resolv.conf")
_PORT = 53
_TIMEOUT_S = 2.0
_SUSPECT_TIMEOUT_S = 0.5
_LENGTH = struct.Struct("!H")


class Upstream:
    """The resolvers of a resolv.conf, read again when the file changes. A silent one is waited for less, next time."""

    def __init__(self, resolv_conf: Path) -> None:
        self._path = resolv_conf
        self._stamp: tuple[int, int] | None = None
        self._servers: tuple[str, ...] = ()
        self._suspect: set[str] = set()

    def servers(self) -> tuple[str, ...]:
        """Return the host's resolvers."""
        try:
            status = self._path.stat()
        except OSError:
            return ()
        stamp = (status.st_mtime_ns, status.st_size)
        if stamp != self._stamp:
            self._stamp, self._servers = stamp, parse_servers(self._path.read_text(errors="replace"))
            self._suspect.clear()
        return self._servers

    async def ask(self, query: bytes, *, over_tcp: bool, servers: Sequence[str] = ()) -> bytes:
        """Return the answer of the first resolver that gives one; SERVFAIL when none does."""
        own_id = secrets.token_bytes(2)
        for server in servers or self.servers():
            timeout_s = _SUSPECT_TIMEOUT_S if server in self._suspect else _TIMEOUT_S
            exchange = _over_tcp if over_tcp else _over_udp
            try:
                async with asyncio.timeout(timeout_s):
                    response = await exchange(server, own_id + query[2:])
            except (OSError, asyncio.IncompleteReadError):
                self._suspect.add(server)
                continue
            self._suspect.discard(server)
            return query[:2] + response[2:]
        return zone.refusal(query, RCODE.SERVFAIL)


def parse_servers(text: str) -> tuple[str, ...]:
    """Return the nameserver lines of a resolv.conf."""
    rows = (line.split() for line in text.splitlines())
    return tuple(row[1] for row in rows if len(row) >= 2 and row[0] == "nameserver")


class _Question(asyncio.DatagramProtocol):
    def __init__(self, query: bytes) -> None:
        self._query = query
        self.response: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, _: object) -> None:
        if not self.response.done() and zone.answers(self._query, data):
            self.response.set_result(data)

    def error_received(self, error: Exception) -> None:
        if not self.response.done():
            self.response.set_exception(error)


async def _over_udp(server: str, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(lambda: _Question(query), remote_addr=(server, _PORT))
    try:
        transport.sendto(query)
        return await protocol.response
    finally:
        transport.close()


async def _over_tcp(server: str, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(server, _PORT)
    try:
        writer.write(_LENGTH.pack(len(query)) + query)
        response = await reader.readexactly(_LENGTH.unpack(await reader.readexactly(2))[0])
    finally:
        writer.close()
    if not zone.answers(query, response):
        raise OSError(f"resolver {server} answered another question")
    return response
