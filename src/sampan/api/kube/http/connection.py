"""One client's connection: bytes to requests, responses to bytes.

Requests are answered in order, one at a time. An answer that goes on (a watch) keeps no task and no parser; a client that
has said nothing meanwhile may ask on after its end. A handler that
never waits is run without a task. Who sends ahead, or does not take what was sent, is read no further until that has changed.
"""

from __future__ import annotations

import asyncio
import types
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Protocol, cast

from isal import isal_zlib

from sampan.api.kube import answers
from sampan.api.kube.http import wire
from sampan.api.kube.http.reader import Queue, Reader
from sampan.api.kube.http.sink import StreamSink
from sampan.api.kube.http.wire import Refused
from sampan.api.kube.request import Handler, Judge, Request, Response
from sampan.base import log
from sampan.kube.status import ApiError

STALLED_S = 60.0
"""How long a client may take nothing of its answer."""
_LINGER_S = 2.0
_GZIP_FROM, _GZIP_ELSEWHERE_FROM = 128 * 1024, 1024 * 1024

_NOTHING: Queue = deque(maxlen=0)

_log = log.get("kube.http")


class Home(Protocol):
    """What a connection needs of its server."""

    handler: Handler
    judge: Judge
    connections: set[Connection]
    closing: bool

    def left(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """Its transport may be TCP or the TLS layer's."""

    __slots__ = (
        "_ended",
        "_judging",
        "_keep",
        "_queue",
        "_reader",
        "_running",
        "_server",
        "_sink",
        "_stalled",
        "_transport",
        "_writable",
    )

    def __init__(self, server: Home) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._reader: Reader | None = None  # none for a stream: its client has nothing more to say
        self._queue: Queue = deque()
        self._running: asyncio.Task[Any] | None = None
        self._judging: asyncio.Task[None] | None = None  # nothing is read meanwhile
        self._sink: StreamSink | None = None
        self._ended = False  # nothing more is read
        self._keep = False  # more may be asked after the stream that runs
        self._writable: asyncio.Future[None] | None = None  # while the client does not take what was written
        self._stalled = (0, 0.0)  # bytes it has not taken, and since when just as many

    # --- from below

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._reader = self._new_reader(self._transport)
        self._server.connections.add(self)

    def _new_reader(self, transport: asyncio.Transport) -> Reader:
        peer = transport.get_extra_info("peername")
        remote = str(peer[0]) if isinstance(peer, tuple) else ""
        return Reader(self._queue, transport.get_extra_info("peercert_der") or b"", remote)

    def data_received(self, data: bytes) -> None:
        if self._reader is None:
            self._keep = False  # it was not heard
        if self._ended or self._reader is None:
            return
        try:
            self._reader.feed(data)
        except Refused as refused:
            self._refuse(refused.error)
        else:
            if self._reader.expected and self._transport is not None:
                self._reader.expected = False
                self._transport.write(wire.CONTINUE)
            if (head := self._reader.head) is not None:
                self._reader.head = None
                self._judging = asyncio.get_running_loop().create_task(self._judge(head))
        self._serve()

    async def _judge(self, head: Request) -> None:
        """Find out whether a large body may come, before there is more of it than fits a socket."""
        try:
            refusal = await self._server.judge(head)
        except asyncio.CancelledError:
            raise
        except BaseException:
            _log.exception("a judge raised, which it must not")
            self.abort()
            return
        self._judging = None
        if refusal is not None:
            self._ended = True
            self._queue.append((refusal, False))
        self._serve()

    def eof_received(self) -> bool:
        """Answer what was asked before the client ended its input; a watch ends with it."""
        self._ended = True
        return self._sink is None and not self.idle

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.left(self)
        self._ended = True
        self._queue = _NOTHING
        for task in (self._running, self._judging):
            if task is not None:
                task.cancel()
        if self._sink is not None:
            self._sink.ended()
        self._stop_reading()
        self._transport = None
        self.resume_writing()

    def _stop_reading(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def pause_writing(self) -> None:
        if self._writable is None:
            self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None:
            if not self._writable.done():
                self._writable.set_result(None)
            self._writable = None
        self._serve()

    # --- answering

    def _serve(self) -> None:
        """Answer what is in the queue, as far as can be done without waiting."""
        transport = self._transport
        while self._free and self._queue and transport is not None and not transport.is_closing():
            asked, keep = self._queue.popleft()
            if isinstance(asked, Response):
                self._send_refusal(transport, asked)
            else:
                self._handle(asked, keep)
        self._read_on()

    @property
    def _free(self) -> bool:
        """Whether the next request may be answered now."""
        return self._running is None and self._sink is None and self._writable is None

    def _read_on(self) -> None:
        """Read more from a client that has not sent ahead and whose body is not being judged, and from no other."""
        transport, wait = self._transport, bool(self._queue) or self._judging is not None
        if transport is not None and transport.is_reading() is wait and not transport.is_closing():
            transport.pause_reading() if wait else transport.resume_reading()

    def _handle(self, request: Request, keep: bool) -> None:
        """Answer a request; without a task where the handler does not wait."""
        work = cast("Coroutine[Any, Any, Response]", self._server.handler(request))
        try:
            waits_for = work.send(None)
        except StopIteration as done:
            self._answer(request, done.value, keep)
        except BaseException:
            _log.exception("a handler raised, which it must not")
            self.abort()
        else:
            self._later(self._finish(request, _resume(work, waits_for), keep))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        self._running = asyncio.get_running_loop().create_task(work)

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
        self._serve()

    def _answer(self, request: Request, response: Response, keep: bool) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if response.stream is not None and request.method != "HEAD":
            self._stream(transport, response, keep)
        elif len(response.body) <= _GZIP_FROM or not wire.takes_gzip(request.headers.get("accept-encoding", "")):
            self._send(request, response, keep)
        elif len(response.body) <= _GZIP_ELSEWHERE_FROM:
            self._send(request, _packed(response), keep)
        else:
            self._later(self._pack(request, response, keep))

    async def _pack(self, request: Request, response: Response, keep: bool) -> None:
        packed = await asyncio.to_thread(_packed, response)
        self._running = None
        self._send(request, packed, keep)
        self._serve()

    def _send(self, request: Request, response: Response, keep: bool) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        keep = keep and not self._server.closing and not (self._ended and not self._queue)
        head = wire.head(response, b"" if keep else b"Connection: close\r\n")
        sized = b"%bContent-Length: %d\r\n\r\n" % (head, len(response.body))
        transport.write(sized if request.method == "HEAD" else sized + response.body)
        if not keep:
            self._ended = True
            transport.close()

    def _stream(self, transport: asyncio.Transport, response: Response, keep: bool) -> None:
        """Begin an answer that goes on.

        A connection that would be kept is not said to close: Python's clients let go of the socket at that word, and can
        then not end a watch that nothing happens in.
        """
        ends = b"" if keep else b"Connection: close\r\n"
        transport.write(wire.head(response, b"Transfer-Encoding: chunked\r\n" + ends) + b"\r\n")
        self._sink = sink = StreamSink(transport, self._drained, self._stream_over)
        self._keep = keep and not self._queue  # what was sent ahead is not heard
        self._stop_reading()
        self._queue = _NOTHING
        if response.body:
            sink.write(response.body)
        start = cast("Callable[[StreamSink], Awaitable[None] | None]", response.stream)
        running = start(sink)
        if running is not None:
            self._later(self._run_stream(running, sink))

    def _stream_over(self) -> None:
        """Go on with the next request where nothing was missed of it, else end."""
        transport, sink = self._transport, self._sink
        if transport is None or transport.is_closing() or sink is None:
            return
        if not self._keep or self._ended or self._server.closing:
            transport.close()
            return
        sink.ended()
        self._sink, self._queue = None, deque()
        self._reader = self._new_reader(transport)
        self._serve()

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
            self._serve()

    def _refuse(self, error: ApiError) -> None:
        """Answer what is no request, after those before it, and end: where the next one begins cannot be known."""
        self._ended = True
        self._queue.append((answers.json(error.status(), error.code, error.headers), False))

    def _send_refusal(self, transport: asyncio.Transport, response: Response) -> None:
        """Send it so that a client that is still sending sees it: an unread byte would make the kernel cut the connection."""
        head = wire.head(response, b"Connection: close\r\n")
        transport.write(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(response.body), response.body))
        if transport.can_write_eof():
            transport.write_eof()
        asyncio.get_running_loop().call_later(_LINGER_S, transport.abort)

    async def _drained(self) -> None:
        """Return when the client has taken most of what was written."""
        if self._writable is not None:
            await asyncio.shield(self._writable)

    # --- from the server

    @property
    def idle(self) -> bool:
        return self._running is None and self._sink is None and not self._queue

    def look(self, now: float) -> None:
        """End the connection if it has been idle, on its way with a request or not taking its answer for too long."""
        transport = self._transport
        if transport is None:
            return
        unsent = transport.get_write_buffer_size()
        if not unsent or unsent != self._stalled[0]:
            self._stalled = (unsent, now)
        elif now - self._stalled[1] > STALLED_S and (self._sink is None or self._running is not None):
            transport.abort()
        if self._reader is None or not self.idle or self._ended or not self._reader.late(now):
            return
        if self._reader.between:
            transport.close()
        else:
            self._refuse(ApiError(408, "Timeout", "the request was on its way for too long"))
            self._serve()

    def close(self) -> None:
        """End: at once when idle, else with the answer that is being made."""
        if self._sink is not None:
            self._sink.close()
        elif self.idle and self._transport is not None:
            self._ended = True
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()


def _packed(response: Response) -> Response:
    packer = isal_zlib.compressobj(0, isal_zlib.DEFLATED, 31)
    headers = (*response.headers, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"))
    return Response(response.status, packer.compress(response.body) + packer.flush(), response.content_type, headers)


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
