"""The HTTP/1.1 server of the Kubernetes API: bytes to requests, responses to bytes.

Requests of one connection are answered in order, one at a time. An answer that goes on (a watch) keeps no task and no
parser. A handler that never waits is run without a task.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import types
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote_to_bytes

import httptools
from isal import isal_zlib

from sampan.api.http.tls import TlsLayer
from sampan.api.kube import answers
from sampan.api.kube.request import Handler, Request, Response, Shared
from sampan.base import log
from sampan.kube import status
from sampan.kube.decoding import MOST_BYTES

HEAD_BYTES = 64 * 1024
QUEUED = 64
"""Requests that a connection may have sent ahead."""
SLOW_S = 30.0
"""For how long a request may be on its way, and an idle connection is kept ten times as long."""
_SWEEP_S = 10.0
_GZIP_FROM = 128 * 1024
_BACKLOG = 1024
_CLOSE_S = 3.0
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_log = log.get("kube.http")


class Refused(Exception):
    def __init__(self, error: status.ApiError) -> None:
        super().__init__(str(error))
        self.error = error


class Connection(asyncio.Protocol):
    """One client."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_certificate",
        "_closing",
        "_head_bytes",
        "_headers",
        "_parser",
        "_queue",
        "_running",
        "_server",
        "_sink",
        "_target",
        "_transport",
        "_writable",
        "busy_since",
        "remote",
    )

    def __init__(self, server: Server) -> None:
        self._server = server
        self._parser: Any = None
        self._transport: asyncio.Transport | None = None
        self._queue: deque[tuple[Request, bool]] = deque()
        self._running: asyncio.Task[Any] | None = None
        self._sink: StreamSink | None = None
        self._closing = False
        self._writable: asyncio.Future[None] | None = None
        self._head_bytes = self._body_bytes = 0
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._certificate = b""
        self.remote = ""
        self.busy_since = 0.0

    # --- from below

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)
        self._certificate = transport.get_extra_info("peercert_der") or b""
        peer = transport.get_extra_info("peername")
        self.remote = str(peer[0]) if isinstance(peer, tuple) else ""
        self.busy_since = self._server.now()
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._parser is None or self._closing:
            return  # a client of a stream has nothing more to say
        self._head_bytes += len(data)
        self.busy_since = self._server.now()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._closing = True  # what comes after is no HTTP; the request itself is answered
        except Refused as refused:
            self._refuse(refused.error)
        except httptools.HttpParserError as error:
            cause = error.__context__
            known = cause.error if isinstance(cause, Refused) else status.bad_request(f"this is no HTTP/1.1: {error}")
            self._refuse(known)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.left(self)
        self._closing = True
        self._queue.clear()
        if self._running is not None:
            self._running.cancel()
        if self._sink is not None:
            self._sink.ended()
        self.resume_writing()
        self._transport = self._parser = None

    def pause_writing(self) -> None:
        if self._writable is None:
            self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None:
            if not self._writable.done():
                self._writable.set_result(None)
            self._writable = None

    # --- from the parser

    def on_message_begin(self) -> None:
        self._target, self._headers, self._body = b"", {}, []
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._limit_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        if key in self._headers:
            if key in ("content-length", "host", "authorization", "transfer-encoding"):
                raise Refused(status.bad_request(f"the header {key} came twice"))
            text = f"{self._headers[key]}, {text}"
        self._headers[key] = text
        self._limit_head()

    def _limit_head(self) -> None:
        if self._head_bytes - self._body_bytes > HEAD_BYTES + MOST_BYTES or len(self._headers) > 200:
            raise Refused(status.ApiError(431, "RequestHeaderFieldsTooLarge", "the request's head is too large"))

    def on_headers_complete(self) -> None:
        if self._head_bytes > HEAD_BYTES + len(self._headers) and self._size_of_head() > HEAD_BYTES:
            raise Refused(status.ApiError(431, "RequestHeaderFieldsTooLarge", "the request's head is too large"))
        length = self._headers.get("content-length", "0")
        if length.isdecimal() and int(length) > MOST_BYTES:
            raise Refused(status.too_large(f"limit is {MOST_BYTES}"))
        if self._headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
            self._transport.write(_CONTINUE)

    def _size_of_head(self) -> int:
        return len(self._target) + sum(len(key) + len(value) + 4 for key, value in self._headers.items())

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > MOST_BYTES:
            raise Refused(status.too_large(f"limit is {MOST_BYTES}"))
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        method = self._parser.get_method().decode("latin-1")
        target, _, query = self._target.partition(b"?")
        request = Request(
            method,
            _path(target),
            query.decode("latin-1"),
            self._headers,
            self._body[0] if len(self._body) == 1 else b"".join(self._body),
            self._certificate,
            self.remote,
        )
        keep = self._parser.should_keep_alive() and self._parser.get_http_version() == "1.1"
        if self._running is None and not self._queue and self._sink is None:
            self._serve(request, keep)
            return
        if len(self._queue) >= QUEUED:
            raise Refused(status.too_many_requests("too many requests were sent ahead"))
        self._queue.append((request, keep))

    # --- answering

    def _serve(self, request: Request, keep: bool) -> None:
        """Answer a request; without a task where the handler does not wait."""
        work = cast("Coroutine[Any, Any, Response]", self._server.handler(request))
        try:
            waits_for = work.send(None)
        except StopIteration as done:
            self._answer(request, done.value, keep)
            return
        except BaseException:
            _log.exception("a handler raised, which it must not")
            self.abort()
            return
        self._running = asyncio.get_running_loop().create_task(self._finish(request, _resume(work, waits_for), keep))

    async def _finish(self, request: Request, work: Awaitable[Response], keep: bool) -> None:
        try:
            response = await work
        except asyncio.CancelledError:
            raise
        except BaseException:
            _log.exception("a handler raised, which it must not")
            self.abort()
            return
        self._running = None
        self._answer(request, response, keep)

    def _answer(self, request: Request, response: Response, keep: bool) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        keep = keep and not self._closing and not self._server.closing
        if response.stream is not None and request.method != "HEAD":
            self._stream(response)
            return
        body = response.body
        extra = b""
        if len(body) > _GZIP_FROM and "gzip" in request.headers.get("accept-encoding", ""):
            packer = isal_zlib.compressobj(0, isal_zlib.DEFLATED, 31)
            body = packer.compress(body) + packer.flush()
            extra = b"Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"
        head = _head(response, extra + (b"" if keep else b"Connection: close\r\n"))
        sized = b"%bContent-Length: %d\r\n\r\n" % (head, len(body))
        transport.write(sized if request.method == "HEAD" else sized + body)
        if not keep:
            self._closing = True
            transport.close()
        elif self._queue:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        if self._queue and self._running is None and self._sink is None and self._transport is not None:
            self._serve(*self._queue.popleft())

    def _stream(self, response: Response) -> None:
        """Begin an answer that goes on; this connection has no other after it."""
        transport, start = self._transport, response.stream
        if transport is None or start is None:
            return
        transport.write(_head(response, b"Transfer-Encoding: chunked\r\nConnection: close\r\n") + b"\r\n")
        self._sink = sink = StreamSink(self, transport)
        self._parser = None
        self._queue.clear()
        self._headers, self._body = {}, []
        if response.body:
            sink.write(response.body)
        running = start(sink)
        if running is not None:
            self._running = asyncio.ensure_future(self._run_stream(running, sink))

    async def _run_stream(self, running: Awaitable[None], sink: StreamSink) -> None:
        try:
            await running
        except asyncio.CancelledError:
            raise
        except Exception:
            _log.exception("a stream ended by a defect of ours")
            sink.abort()
        finally:
            self._running = None

    def _refuse(self, error: status.ApiError) -> None:
        """Answer what is no request, and end: where the next one begins cannot be known."""
        transport = self._transport
        self._closing = True
        if transport is None or self._sink is not None or self._running is not None:
            self.abort()
            return
        response = answers.json(error.status(), error.code, error.headers)
        head = _head(response, b"Connection: close\r\n")
        transport.write(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(response.body), response.body))
        transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    async def drained(self) -> None:
        """Return when the client has taken most of what was written."""
        if self._writable is not None:
            await asyncio.shield(self._writable)

    @property
    def idle(self) -> bool:
        return self._running is None and self._sink is None and not self._queue

    @property
    def streaming(self) -> bool:
        return self._sink is not None

    def close(self) -> None:
        """End: at once when idle, else with the answer that is being made."""
        self._closing = True
        if self._sink is not None:
            self._sink.close()
        elif self.idle and self._transport is not None:
            self._transport.close()


class StreamSink:
    """A chunked body. Spec: RFC 9112 section 7.1."""

    __slots__ = ("_callbacks", "_connection", "_transport")

    def __init__(self, connection: Connection, transport: asyncio.Transport) -> None:
        self._connection: Connection | None = connection
        self._transport = transport
        self._callbacks: list[Callable[[], None]] = []

    def write(self, data: bytes) -> None:
        if data and self._connection is not None and not self._transport.is_closing():
            self._transport.write(_chunk(data))

    def write_shared(self, shared: Shared) -> None:
        if self._connection is not None and not self._transport.is_closing():
            if not shared.framed:
                shared.framed = _chunk(shared.data)
            self._transport.write(shared.framed)

    @property
    def buffered(self) -> int:
        return self._transport.get_write_buffer_size()

    def close(self) -> None:
        if self._connection is not None and not self._transport.is_closing():
            self._transport.write(b"0\r\n\r\n")
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def on_close(self, callback: Callable[[], None]) -> None:
        if self._connection is None:
            callback()
        else:
            self._callbacks.append(callback)

    async def drain(self) -> None:
        if self._connection is not None:
            await self._connection.drained()
        await asyncio.sleep(0)

    def ended(self) -> None:
        """The connection is gone."""
        self._connection = None
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


class Server:
    """Listens on TCP, with or without TLS."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.connections: set[Connection] = set()
        self.closing = False
        self._listeners: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._emptied: asyncio.Future[None] | None = None

    def left(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if self._emptied is not None and not self.connections and not self._emptied.done():
            self._emptied.set_result(None)

    def now(self) -> float:
        return self._loop.time() if self._loop is not None else 0.0

    async def listen(self, listener: socket.socket, context: ssl.SSLContext | None = None) -> None:
        """Serve a bound socket. May be called for several."""
        self._loop = asyncio.get_running_loop()
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep(), name="http sweep")

        def connect() -> asyncio.Protocol:
            return TlsLayer(context, lambda: Connection(self)) if context is not None else Connection(self)

        self._listeners.append(await self._loop.create_server(connect, sock=listener, backlog=_BACKLOG))

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
        """End connections that have been idle, or in the middle of a request, for too long."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = self.now()
            for connection in list(self.connections):
                if connection.idle and now - connection.busy_since > SLOW_S * 10:
                    connection.close()


@types.coroutine
def _resume(work: Coroutine[Any, Any, Response], waits_for: Any) -> Generator[Any, Any, Response]:
    """Go on with a coroutine that was begun outside of a task, and waits for something."""
    while True:
        try:
            sent = yield waits_for
        except BaseException as error:
            try:
                waits_for = work.throw(error)
            except StopIteration as done:
                return cast("Response", done.value)
        else:
            try:
                waits_for = work.send(sent)
            except StopIteration as done:
                return cast("Response", done.value)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_PHRASES = {code.value: code.phrase.encode() for code in HTTPStatus}


def _head(response: Response, extra: bytes) -> bytes:
    out = b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nCache-Control: no-cache, private\r\n%b" % (
        response.status,
        _PHRASES.get(response.status, b"Unknown"),
        response.content_type.encode(),
        extra,
    )
    for name, value in response.headers:
        out += f"{name}: {value}\r\n".encode("latin-1")
    return out


def _path(target: bytes) -> str:
    """Return the path of a request's target, decoded.

    Raises:
        Refused: it is no path, or its decoded form could be read in two ways.
    """
    if not target.startswith(b"/"):
        raise Refused(status.bad_request("the target of a request is a path that begins with /"))
    if b"%" in target:
        if b"%2f" in target.lower() or b"%00" in target:
            raise Refused(status.bad_request("a path's part may not contain a slash or a zero byte"))
        target = unquote_to_bytes(target)
    try:
        text = target.decode()
    except UnicodeDecodeError:
        raise Refused(status.bad_request("the path is no UTF-8")) from None
    if not text.isprintable():
        raise Refused(status.bad_request("the path has characters that cannot be printed"))
    return text
