"""The HTTP server of the Docker API: versions, errors, connections.

`Server(engine, addresses)`, then `start()`; `close()` ends within about a second, containers go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import stat
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from sampan.api.docker.attach import Taken
from sampan.api.docker.call import Call, Query, error_response
from sampan.api.docker.errors import message_of, status_of
from sampan.api.docker.hijack import Hijacked
from sampan.api.docker.listen import check_listen, open_socket, tls_files
from sampan.api.docker.routes import Router
from sampan.api.docker.stall import STALL_S, StallGuard
from sampan.base import log
from sampan.base.clock import Clock, SystemClock
from sampan.base.errors import Forbidden, InvalidArgument, SampanError
from sampan.engine.port import Engine
from sampan.spec.docker.api import API_VERSION, MIN_API_VERSION, version_text

__all__ = ["Server", "check_listen", "split_version"]

_VERSION = re.compile(r"/v(\d{1,4})\.(\d{1,4})(?=/|$)")
_UPGRADE = re.compile(rb"\r\nupgrade: *tcp *\r\n", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,9}) *(?:\r\n|$)", re.IGNORECASE)
_HEAD_BYTES = 16 * 1024
_READ_BUFFER_BYTES = 256 * 1024
_BACKLOG = 512
_CLOSE_GRACE_S = 0.3

_logger = log.get("api")


class Connection(RequestHandler):
    """One HTTP connection. Errors of the protocol are JSON too; a client that stalls is cut; streams end with it."""

    def __init__(self, manager: HttpServer, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(manager, loop=loop, **options)
        self.guard = StallGuard(manager.stall_s)
        self._doomed: set[asyncio.Task[Any]] = set()
        self._taken = manager.taken
        self._http_left: int | None = None  # bytes of a request to upgrade that are still to come
        self.early = bytearray()
        self.surrendered = False  # the connection is a stream now: no answer may be written to it

    def cancel_when_lost(self, task: asyncio.Task[Any]) -> None:
        """Cancel the task of a streaming handler when the client leaves."""
        if self.transport is None or self.transport.is_closing():
            task.cancel()
            return
        self._doomed.add(task)

    def track(self, connection: Hijacked) -> None:
        """Remember a taken connection until it ends, so that the server can close it."""
        self._taken.add(connection)

    def data_received(self, data: bytes) -> None:
        """Pass on what is HTTP. What follows a request to upgrade is the stream's, and the parser would lose it."""
        if self._http_left is None and _UPGRADE.search(data, 0, _HEAD_BYTES):
            self._http_left = _length_of_request(data)
        if self._http_left is None:
            super().data_received(data)
            return
        http, rest = data[: self._http_left], data[self._http_left :]
        self._http_left -= len(http)
        self.early += rest
        if len(self.early) > _READ_BUFFER_BYTES and self.transport is not None:
            self.transport.pause_reading()
        if http:
            super().data_received(http)

    def stay_http(self) -> None:
        """The upgrade was answered with an error: what follows is the next request."""
        if self._http_left is not None:
            early, self.early, self._http_left = bytes(self.early), bytearray(), None
            if self.transport is not None and not self.transport.is_reading():
                self.transport.resume_reading()
            if early:
                self.data_received(early)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.guard.resume()
        super().connection_lost(exc)
        self.cancel_doomed()

    def cancel_doomed(self) -> None:
        """Cancel the running streams of this connection."""
        for task in self._doomed:
            task.cancel()
        self._doomed.clear()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.transport is not None:
            self.guard.pause(self.transport)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.guard.resume()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to what is no HTTP."""
        if status >= 500:
            _logger.error("request failed", exc_info=exc)
        text = (message or "").strip().partition("\n")[0] or f"malformed request ({status})"
        response = error_response(status if status != 500 else 500, text if status < 500 else "internal error")
        response.force_close()
        return response


def _length_of_request(data: bytes) -> int | None:
    """Return the bytes of the request that `data` begins with; None when its head is not whole."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = _LENGTH.search(data, 0, end)
    return end + 4 + (int(length[1]) if length else 0)


class HttpServer(web.Server):
    """Makes a `Connection` of every accepted socket."""

    def __init__(self, handler: Any, stall_s: float) -> None:
        self.taken: set[Hijacked] = set()
        self.stall_s = stall_s
        super().__init__(handler)

    def cancel_streams(self) -> None:
        """End the handlers of streamed answers: they would last as long as their clients."""
        for connection in self.connections:
            if isinstance(connection, Connection):
                connection.cancel_doomed()

    def __call__(self) -> RequestHandler:
        return Connection(
            self,
            loop=self._loop,
            access_log=None,
            read_bufsize=_READ_BUFFER_BYTES,
            auto_decompress=False,
            lingering_time=2.0,
            max_line_size=64 * 1024,
            max_field_size=64 * 1024,
        )


class Dispatcher:
    """Turns a request into a call of its handler, and any error into Docker's shape."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._router = Router()

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        response = await self._answer_or_error(request)
        if isinstance(connection, Connection):
            if connection.surrendered:
                return response if isinstance(response, Taken) else Taken()
            connection.stay_http()
        return response

    async def _answer_or_error(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except SampanError as error:
            status = status_of(error)
            if status >= 500 and status not in (501, 503):
                _logger.warning("%s %s: %s", request.method, request.path, error)
            return error_response(status, message_of(error))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            gone = request.transport is None or request.transport.is_closing()
            if gone and isinstance(error, ConnectionError):
                return Taken()  # the client left: nobody is there to be answered
            _logger.exception("%s %s failed", request.method, request.path)
            return error_response(500, "internal error: a defect of Sampan; its daemon's log has the details")

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        refuse_browsers(request.headers, request.transport)
        target = request._message.path  # noqa: SLF001  (the raw target: decoding it is ours)
        raw_path, _, raw_query = target.partition("?")
        if not target.isascii() or "%00" in target:
            raise InvalidArgument("invalid request target: it holds a NUL or a byte that is not percent-encoded")
        version, raw_path = split_version(raw_path)
        found = self._router.find(request.method, unquote(raw_path) if "%" in raw_path else raw_path)
        if found is None:
            return error_response(404, "page not found")
        handler, params = found
        try:
            query = Query(raw_query)
        except ValueError as error:
            raise InvalidArgument(f"invalid query: {error}") from None
        return await handler(Call(request, self._engine, self._clock, version, params, query))


def refuse_browsers(headers: Mapping[str, str], transport: asyncio.BaseTransport | None) -> None:
    """Refuse what a web page made a browser send: to a loopback port any page could, and be root here.

    Raises:
        Forbidden: an Origin that is not this machine, or (over TCP) a Host that is a name other than localhost.
    """
    origin = headers.get("Origin", "")
    if origin and not _is_local(origin.partition("://")[2]):
        raise Forbidden(f"requests of web pages are refused (Origin: {origin[:100]})")
    address = transport.get_extra_info("sockname") if transport is not None else None
    if isinstance(address, tuple) and transport is not None and transport.get_extra_info("sslcontext") is None:
        host = headers.get("Host", "")
        if host and not _is_local(host):
            raise Forbidden(f"requests to this port must name it by address or as localhost, not as {host[:100]}")


def _is_local(host: str) -> bool:
    """Return whether host[:port] is localhost, a name below it, or an address."""
    name = host.partition("/")[0].rpartition("@")[2]
    if name.startswith("["):
        return True
    name = name.partition(":")[0].lower()
    return name in ("localhost", "docker") or name.endswith(".localhost") or name.replace(".", "").isdigit()


def split_version(path: str) -> tuple[tuple[int, int], str]:
    """Return the API version that a path asks for (the newest when it does not), and the path without it.

    Raises:
        InvalidArgument: a version outside of what is spoken here.
    """
    match = _VERSION.match(path)
    if match is None:
        return API_VERSION, path
    version = (int(match[1]), int(match[2]))
    if version > API_VERSION:
        raise InvalidArgument(
            f"client version {version_text(version)} is too new. Maximum supported API version is "
            f"{version_text(API_VERSION)}"
        )
    if version < MIN_API_VERSION:
        raise InvalidArgument(
            f"client version {version_text(version)} is too old. Minimum supported API version is "
            f"{version_text(MIN_API_VERSION)}, please upgrade your client to a newer version"
        )
    return version, path[match.end() :]


class Server:
    """The API of one engine on any number of addresses: unix:///path, and tcp://host:port.

    `tls` names the PEM files "cacert", "cert" and "key"; TCP then takes TLS clients with a certificate only, and
    without it is loopback only. `group` owns Unix sockets ("" is docker or sampan, where one exists). `stall_s`: after
    how long a client that takes nothing is cut.
    """

    def __init__(
        self,
        engine: Engine,
        addresses: Sequence[str],
        *,
        tls: Mapping[str, str] | None = None,
        group: str = "",
        clock: Clock | None = None,
        stall_s: float = STALL_S,
    ) -> None:
        self._engine = engine
        self._stall_s = stall_s
        self._listen_on = tuple(addresses)
        self._tls = tls_files(tls) if tls else None
        self._group = group
        self._clock = clock or SystemClock()
        self._http: HttpServer | None = None
        self._servers: list[asyncio.Server] = []
        self._sockets: list[tuple[str, int]] = []

    async def start(self) -> None:
        """Listen on all addresses, or on none.

        Raises:
            InvalidArgument, Conflict, Unavailable: see `listen.open_socket`.
        """
        loop = asyncio.get_running_loop()
        self._http = HttpServer(Dispatcher(self._engine, self._clock), self._stall_s)
        try:
            for address in self._listen_on:
                await self._listen(loop, self._http, address)
        except BaseException:
            await self.close()
            raise

    async def _listen(self, loop: asyncio.AbstractEventLoop, http: HttpServer, address: str) -> None:
        opened = open_socket(address, tls=self._tls is not None, group=self._group)
        if address.startswith("unix:"):
            path = opened.getsockname()
            self._sockets.append((path, os.stat(path).st_ino))
            self._servers.append(await loop.create_unix_server(http, sock=opened, backlog=_BACKLOG))
            return
        factory: Any = http
        if self._tls is not None:
            from sampan.api.http.tls import TlsLayer, make_context

            context = make_context(self._tls)
            factory = lambda: TlsLayer(context, http)  # noqa: E731
        self._servers.append(await loop.create_server(factory, sock=opened, backlog=_BACKLOG))

    @property
    def addresses(self) -> list[Any]:
        """The bound addresses (a port 0 is resolved)."""
        return [opened.getsockname() for server in self._servers for opened in server.sockets]

    async def close(self) -> None:
        """Stop listening, let short requests end, cut streams. May be repeated."""
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        self._remove_sockets()
        http, self._http = self._http, None
        if http is not None:
            for connection in list(http.taken):
                connection.close()
            http.cancel_streams()
            await http.shutdown(_CLOSE_GRACE_S)
        for server in servers:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(server.wait_closed(), 0.2)

    def _remove_sockets(self) -> None:
        """Unlink our own Unix sockets only: another daemon may have replaced one."""
        for path, inode in self._sockets:
            with contextlib.suppress(FileNotFoundError):
                found = os.lstat(path)
                if found.st_ino == inode and stat.S_ISSOCK(found.st_mode):
                    os.unlink(path)
        self._sockets.clear()
