"""The DNS server that every container on a user-defined network finds at 127.0.0.11.

Its sockets stand inside of the container's namespace, on free ports that a rule in there leads port 53 to, so that the
container can have a DNS server of its own. They die with the daemon and are made again when it is back (ADR 0003).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Iterable
from typing import NamedTuple

from dnslib import RCODE

from sampan.base import crash, log
from sampan.host import netns, nft
from sampan.network import zone
from sampan.network.resolving import EMBEDDED_NAMESERVER
from sampan.network.upstream import Upstream
from sampan.network.zone import Responder, Zone

_logger = log.get("network.dns")
_TABLE = "sampan-dns"
_LENGTH = struct.Struct("!H")
_BURST = 64
_UNDER_WAY = 128
_IDLE_S = 30
_Client = tuple[str, int]


class Sockets(NamedTuple):
    """The server's two sockets, inside of a container's namespace."""

    udp: socket.socket
    tcp: socket.socket

    def close(self) -> None:
        self.udp.close()
        self.tcp.close()


def open_sockets(path: str) -> Sockets:
    """Return sockets that answer at 127.0.0.11:53 inside of the namespace at `path`. Blocking."""
    return netns.run_in(path, _open_here)


def _open_here() -> Sockets:
    found = Sockets(
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK),
        socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK),
    )
    handle = nft.Nft()
    try:
        if not _bind_as_before(found, handle):
            udp, tcp = (one.getsockname()[1] for one in found)
            crash.point("network.dns.rule.before")
            handle.run(_REDIRECT.format(table=_TABLE, address=EMBEDDED_NAMESERVER, udp=udp, tcp=tcp))
            crash.point("network.dns.rule.after")
        found.tcp.listen()
    except BaseException:
        found.close()
        raise
    finally:
        handle.close()
    return found


def _bind_as_before(sockets: Sockets, handle: nft.Nft) -> bool:
    """Bind to the ports of the rules that a daemon before us left, or to free ones; return whether rules are right.

    Rules are replaced only where they must be: the kernel makes a handle that deleted some wait 20 ms at its close.
    """
    ports = _ports_of_rules(handle)
    try:
        for one, port in zip(sockets, ports or (0, 0), strict=True):
            if one is sockets.tcp:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((EMBEDDED_NAMESERVER, port))
    except OSError as error:
        if ports is None or error.errno != errno.EADDRINUSE:
            raise
    else:
        return ports is not None
    handle.run(f"delete table ip {_TABLE}")
    for one in sockets:
        if one.getsockname()[1] == 0:
            one.bind((EMBEDDED_NAMESERVER, 0))
    return False


def _ports_of_rules(handle: nft.Nft) -> tuple[int, int] | None:
    """Return the UDP and TCP ports that port 53 is led to in this namespace, None without rules."""
    if not any(row.get("table", {}).get("name") == _TABLE for row in handle.query("list tables ip")):
        return None
    found = []
    for row in handle.query(f"list table ip {_TABLE}"):
        found += [part["dnat"]["port"] for part in row.get("rule", {}).get("expr", []) if "dnat" in part]
    if len(found) == 2:
        return found[0], found[1]
    handle.run(f"delete table ip {_TABLE}")
    return None


_REDIRECT = """table ip {table} {{
  chain output {{
    type nat hook output priority -100; policy accept;
    ip daddr {address} udp dport 53 dnat to {address}:{udp}
    ip daddr {address} tcp dport 53 dnat to {address}:{tcp}
  }}
}}
"""


class NameServers:
    """The servers of all containers, on one event loop."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._zones: dict[str, Zone] = {}
        self._servers: dict[str, _Server] = {}
        self._resolvers: dict[str, tuple[str, ...]] = {}

    def set_names(self, network_id: str, network_name: str, names: dict[str, tuple[str, ...]]) -> None:
        """Replace a network's names, for every container that is on it."""
        self._zones[network_id] = Zone(network_name, names)
        for server in self._servers.values():
            if network_id in server.networks:
                self._renew(server)

    def forget(self, network_id: str) -> None:
        """Drop a deleted network's names."""
        self._zones.pop(network_id, None)

    def has(self, container_id: str) -> bool:
        """Return whether the container has its server."""
        return container_id in self._servers

    async def start(self, container_id: str, sockets: Sockets) -> None:
        """Serve a container on `sockets`, now the server's."""
        server = self._servers[container_id] = _Server(sockets, self._upstream)
        server.resolvers = self._resolvers.get(container_id, ())
        await server.start()

    def set_networks(self, container_id: str, networks: Iterable[str], *, outside: bool) -> None:
        """Say which networks' names the container sees, and whether its other questions may be passed on."""
        server = self._servers.get(container_id)
        if server is not None:
            server.networks, server.outside = tuple(networks), outside
            self._renew(server)

    def set_resolvers(self, container_id: str, servers: tuple[str, ...]) -> None:
        """Pass the container's other questions on to these, instead of the host's, from now until `stop`."""
        self._resolvers[container_id] = servers
        server = self._servers.get(container_id)
        if server is not None:
            server.resolvers = servers

    def _renew(self, server: _Server) -> None:
        server.responder = Responder(self._zones[each] for each in server.networks if each in self._zones)

    def stop(self, container_id: str) -> None:
        """Close a container's server: its sockets would keep the namespace. Idempotent."""
        self._resolvers.pop(container_id, None)
        server = self._servers.pop(container_id, None)
        if server is not None:
            server.close()

    def close(self) -> None:
        """Close all."""
        for container_id in list(self._servers):
            self.stop(container_id)


class _Server:
    """One container's server."""

    def __init__(self, sockets: Sockets, upstream: Upstream) -> None:
        self.networks: tuple[str, ...] = ()
        self.outside = True
        self.resolvers: tuple[str, ...] = ()
        self.responder = Responder(())
        self._sockets, self._upstream = sockets, upstream
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    async def start(self) -> None:
        self._loop.add_reader(self._sockets.udp, self._readable)
        self._listener = await asyncio.start_server(self._connected, sock=self._sockets.tcp)

    def close(self) -> None:
        self._loop.remove_reader(self._sockets.udp)
        if self._listener is not None:
            self._listener.close()
        for task in self._tasks:
            task.cancel()
        self._sockets.close()

    def _readable(self) -> None:
        for _ in range(_BURST):
            try:
                query, client = self._sockets.udp.recvfrom(4096)
            except BlockingIOError:
                return
            except OSError as error:
                _logger.debug("reading a question: %s", error)
                return
            response = self.responder.answer(query)
            if response is None:
                self._pass_on(query, client)
            else:
                self._send(response, client)

    def _send(self, response: bytes, client: _Client) -> None:
        if response:
            with contextlib.suppress(OSError):  # the asker is gone, or its queue is full: it will ask again
                self._sockets.udp.sendto(response, client)

    def _pass_on(self, query: bytes, client: _Client) -> None:
        if not self.outside or len(self._tasks) >= _UNDER_WAY:
            self._send(zone.refusal(query, RCODE.SERVFAIL), client)
            return
        task = self._loop.create_task(self._forward(query, client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, query: bytes, client: _Client) -> None:
        self._send(await self._upstream.ask(query, over_tcp=False, servers=self.resolvers), client)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            async with asyncio.timeout(_IDLE_S):
                while True:
                    (length,) = _LENGTH.unpack(await reader.readexactly(2))
                    await self._answer_stream(await reader.readexactly(length), writer)
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _answer_stream(self, query: bytes, writer: asyncio.StreamWriter) -> None:
        response = self.responder.answer(query, limit=65535)
        if response is None:
            response = (
                await self._upstream.ask(query, over_tcp=True, servers=self.resolvers)
                if self.outside
                else zone.refusal(query, RCODE.SERVFAIL)
            )
        if not response:
            raise ConnectionAbortedError("not a question")
        writer.write(_LENGTH.pack(len(response)) + response)
        await writer.drain()
