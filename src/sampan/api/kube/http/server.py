"""The HTTP/1.1 server of the Kubernetes API: it listens, and ends connections whose time is up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

from sampan.api.http.tls import TlsLayer
from sampan.api.kube.http.connection import Connection
from sampan.api.kube.request import Handler, Judge, Request, Response

_SWEEP_S = 10.0
_BACKLOG = 1024
_CLOSE_S = 3.0


async def _wanted(head: Request) -> Response | None:
    """Let every body come."""
    return None


class Server:
    """Listens on TCP, with or without TLS."""

    def __init__(self, handler: Handler, judge: Judge = _wanted, *, sweep_s: float = _SWEEP_S) -> None:
        """`judge`: says whether a large body may come. `sweep_s`: how often connections are looked at that take too long."""
        self.handler = handler
        self.judge = judge
        self.connections: set[Connection] = set()
        self.closing = False
        self._sweep_s = sweep_s
        self._listeners: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None
        self._emptied: asyncio.Future[None] | None = None

    async def listen(self, listener: socket.socket, context: ssl.SSLContext | None = None) -> None:
        """Serve a bound socket. May be called for several."""
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep(), name="http sweep")

        def connect() -> asyncio.Protocol:
            return TlsLayer(context, lambda: Connection(self)) if context is not None else Connection(self)

        loop = asyncio.get_running_loop()
        self._listeners.append(await loop.create_server(connect, sock=listener, backlog=_BACKLOG))

    def left(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if self._emptied is not None and not self.connections and not self._emptied.done():
            self._emptied.set_result(None)

    async def close(self) -> None:
        """Take no more connections, end those that are idle, and give the others a moment."""
        self.closing = True
        for listener in self._listeners:
            listener.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self.connections):
            connection.close()
        if self.connections:
            self._emptied = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._emptied], timeout=_CLOSE_S)
        for connection in list(self.connections):
            with contextlib.suppress(Exception):
                connection.abort()

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._sweep_s)
            now = loop.time()
            for connection in list(self.connections):
                connection.look(now)
