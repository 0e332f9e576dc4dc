"""Host ports held by sockets, and the small proxy behind [::]: IPv6 has no route_localnet, so [::1] needs one."""

from __future__ import annotations

import asyncio
import errno
import socket

from sampan.base import log

_logger = log.get("network.ports")
_CHUNK = 1 << 16


class SocketHeld:
    """A bound socket. It answers nobody (rules lead the traffic away before) unless `serve` is called."""

    def __init__(self, bound: socket.socket) -> None:
        self._socket = bound
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()

    async def serve(self, targets: tuple[str, ...], port: int) -> None:
        """Relay connections to `port` of the first of `targets` that takes them."""
        if self._server is not None:
            self._server.close()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is not None:
                self._relays.add(task)
                task.add_done_callback(self._relays.discard)
            await _relay(reader, writer, targets, port)

        self._server = await asyncio.start_server(accept, sock=self._socket.dup())

    def close(self) -> None:
        """Give the port back and cut what is relayed."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._relays:
            task.cancel()
        self._socket.close()


def hold(host: str, protocol: str, port: int) -> SocketHeld:
    """Return a socket that keeps everybody else from the port.

    Raises:
        OSError: EADDRINUSE, EADDRNOTAVAIL …
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    bound = socket.socket(family, kind | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol == "tcp":
            # Connections in TIME_WAIT of somebody before us must not block; a listener is exclusive all the same.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        if protocol == "tcp":
            bound.listen()
        bound.setblocking(False)
    except BaseException:
        bound.close()
        raise
    return SocketHeld(bound)


def has_ipv6() -> bool:
    """Return whether this host lets us bind IPv6 ports."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
            probe.bind(("::", 0))
    except OSError as error:
        if error.errno not in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
            raise
        return False
    return True


async def _relay(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, targets: tuple[str, ...], port: int
) -> None:
    far = await _open_first(targets, port)
    if far is None:
        writer.transport.abort()
        return
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_copy(reader, far[1]))
            both.create_task(_copy(far[0], writer))
    except* OSError:
        pass  # either end broke the connection: so does the other
    finally:
        for side in (writer, far[1]):
            side.close()


async def _open_first(targets: tuple[str, ...], port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    for target in targets:
        try:
            return await asyncio.open_connection(target, port)
        except OSError as error:
            _logger.debug("relay to %s port %d: %s", target, port, error)
    return None


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
