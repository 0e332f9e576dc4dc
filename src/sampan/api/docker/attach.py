"""Attach, logs, exec: everything that carries a process's stdio.

Spec: Docker Engine API v1.51, ContainerAttach, ContainerAttachWebsocket, ContainerLogs, ExecStart.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import WSMsgType, web

from sampan.api.docker.call import STANDARD_HEADERS, Call
from sampan.api.docker.errors import message_of
from sampan.api.docker.hijack import Hijacked, frame, take
from sampan.api.docker.parse import query
from sampan.api.docker.parse.container import parse_console_size
from sampan.api.docker.parse.exec import parse_exec
from sampan.api.docker.parse.keys import DetachFilter, parse_keys
from sampan.api.docker.render.container import render_exec
from sampan.api.docker.render.moment import rfc3339_fixed
from sampan.base import log
from sampan.base.errors import InvalidArgument, RuntimeFailed, SampanError
from sampan.engine.port import Container, ExecRecord, Filters, LogLine, Streams
from sampan.spec.docker.api import MEDIA_MULTIPLEXED_STREAM, MEDIA_RAW_STREAM
from sampan.spec.docker.container import ExecCreateRequest, ExecStartRequest

_MULTIPLEXED_VERSION = (1, 42)
_PIECE_BYTES = 64 * 1024
_EXIT_CODE_S = 2.0

_logger = log.get("api")


def _hijack(call: Call, *, framed: bool) -> Hijacked:
    """Take the connection: 101 when the client asked for an upgrade, 200 from old clients."""
    if call.header("Upgrade"):
        media = MEDIA_MULTIPLEXED_STREAM if framed and call.version >= _MULTIPLEXED_VERSION else MEDIA_RAW_STREAM
        head = f"HTTP/1.1 101 UPGRADED\r\nContent-Type: {media}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
    else:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {MEDIA_RAW_STREAM}\r\n"
    fields = "".join(f"{name}: {value}\r\n" for name, value in STANDARD_HEADERS.items())
    return take(call.request.protocol, call.request.transport, f"{head}{fields}\r\n".encode())


class _Session:
    """One client on one process: who gets which stream, and what an end of input means."""

    def __init__(self, connection: Hijacked, streams: Streams, *, wanted: frozenset[str], framed: bool) -> None:
        self.connection = connection
        self.streams = streams
        self.wanted = wanted
        self.framed = framed

    async def send(self, stream: str, data: bytes) -> None:
        if stream in self.wanted:
            await self.connection.write(frame(stream, data) if self.framed else data)

    async def pump_output(self) -> None:
        """Return when the process has ended and all was sent."""
        async for stream, data in self.streams.output():
            for start in range(0, len(data), _PIECE_BYTES):
                await self.send(stream, data[start : start + _PIECE_BYTES])

    async def pump_input(self, keys: DetachFilter | None) -> bool:
        """Return at the end of the client's input; True when it typed the detach keys."""
        while data := await self.connection.read():
            passed, detached = keys.feed(data) if keys else (data, False)
            if passed:
                await self.streams.write(passed)
            if detached:
                return True
        return False

    async def run(self, *, stdin: bool, keys: DetachFilter | None, close_stdin: bool) -> bool:
        """Carry both ways until either side is done; True when the client detached by keys.

        The end of the client's input closes stdin when `close_stdin`, and otherwise ends the session.
        """
        output = asyncio.ensure_future(self.pump_output())
        source = asyncio.ensure_future(self.pump_input(keys) if stdin else self._until_lost())
        try:
            await asyncio.wait((output, source), return_when=asyncio.FIRST_COMPLETED)
            if source.done():
                detached = bool(source.result()) if not source.exception() else False
                if close_stdin and stdin and not detached:
                    await self.streams.close_stdin()
                    if not self.connection.lost and not source.exception():
                        await self._finish(output)
                return detached
            output.result()
            return False
        finally:
            for task in (output, source):
                task.cancel()
            await asyncio.gather(output, source, return_exceptions=True)

    async def _until_lost(self) -> bool:
        await self.connection.wait_lost()
        return False

    async def _finish(self, output: asyncio.Future[None]) -> None:
        gone = asyncio.ensure_future(self.connection.wait_lost())
        try:
            await asyncio.wait((output, gone), return_when=asyncio.FIRST_COMPLETED)
            if output.done():
                output.result()
        finally:
            gone.cancel()


async def _carry(
    call: Call,
    session: _Session,
    *,
    stdin: bool,
    keys: DetachFilter | None,
    close_stdin: bool,
    ended: Callable[[], Awaitable[None]] | None = None,
) -> bool:
    """Run a session to its end, then `ended`; the connection ends with it. True when the client detached by keys."""
    connection = session.connection
    track = getattr(call.request.protocol, "track", None)
    if track is not None:
        track(connection)
    try:
        detached = await session.run(stdin=stdin, keys=keys, close_stdin=close_stdin)
        if ended is not None and not detached and not connection.lost:
            await ended()
        return detached
    except SampanError as error:
        _logger.warning("attach %s: client cut: %s", call.request.path, error)
        connection.abort()
    except OSError:
        pass  # the client left; the process goes on
    finally:
        session.streams.detach()
        connection.close()
    return False


class Taken(web.Response):
    """The answer of a handler whose connection is not HTTP any more: nothing of it is ever sent."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> None:
        """Send no head."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Send no end."""


def _wanted(call: Call) -> frozenset[str]:
    return frozenset(name for name in ("stdout", "stderr") if query.flag(call.query, name))


async def attach(call: Call) -> web.StreamResponse:
    """POST /containers/{name}/attach."""
    keys = parse_keys(call.query.get("detachKeys", ""))
    found = call.engine.container(call.name)
    process = found.spec.process
    streams = await call.engine.attach(found.id)
    try:
        connection = _hijack(call, framed=not process.tty)
    except ConnectionError:
        streams.detach()
        raise
    session = _Session(connection, streams, wanted=_wanted(call), framed=not process.tty)
    if query.flag(call.query, "logs") and not await _replay(call, session, found):
        return Taken()
    if not query.flag(call.query, "stream"):
        streams.detach()
        connection.close()
        return Taken()
    stdin = query.flag(call.query, "stdin") and process.stdin_open
    detached = await _carry(
        call,
        session,
        stdin=stdin,
        keys=DetachFilter(keys) if process.tty else None,
        close_stdin=process.stdin_once and not process.tty,
    )
    if detached:
        attributes = {**found.spec.labels, "image": found.spec.image, "name": found.name}
        call.engine.emit("container", "detach", found.id, attributes)
    return Taken()


async def _replay(call: Call, session: _Session, found: Container) -> bool:
    """Send the logs so far; False when the client left meanwhile."""
    try:
        async for line in call.engine.logs(found.id):
            await session.send(line.stream, line.data)
    except (OSError, SampanError) as error:
        _logger.info("attach %s: replay of the logs ended: %s", found.short_id, error)
        session.streams.detach()
        session.connection.close()
        return False
    return True


async def attach_websocket(call: Call) -> web.StreamResponse:
    """GET /containers/{name}/attach/ws: binary messages both ways, streams not told apart."""
    keys = parse_keys(call.query.get("detachKeys", ""))
    found = call.engine.container(call.name)
    process = found.spec.process
    socket = web.WebSocketResponse(heartbeat=30)
    if not socket.can_prepare(call.request):
        raise InvalidArgument("attach/ws needs a WebSocket handshake")
    streams = await call.engine.attach(found.id)
    await socket.prepare(call.request)
    wanted = _wanted(call) or frozenset({"stdout", "stderr"})
    output = asyncio.ensure_future(_websocket_output(socket, streams, wanted))
    filter_ = DetachFilter(keys) if process.tty else None
    try:
        async for message in socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                break
            data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
            passed, detached = filter_.feed(data) if filter_ else (data, False)
            if passed and process.stdin_open:
                await streams.write(passed)
            if detached:
                break
        if process.stdin_once and not process.tty:
            await streams.close_stdin()
    finally:
        output.cancel()
        await asyncio.gather(output, return_exceptions=True)
        streams.detach()
        await socket.close()
    return socket


async def _websocket_output(socket: web.WebSocketResponse, streams: Streams, wanted: frozenset[str]) -> None:
    async for stream, data in streams.output():
        if stream in wanted:
            await socket.send_bytes(data)
    await socket.close()


# --- logs -------------------------------------------------------------------------------------------------------------


async def logs(call: Call) -> web.StreamResponse:
    """GET /containers/{name}/logs."""
    wanted = _wanted(call)
    if not wanted:
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
    now_ns = call.clock.now_ns()
    found = call.engine.container(call.name)
    if found.spec.log.driver == "none":
        raise InvalidArgument("configured logging driver does not support reading")
    lines = call.engine.logs(
        found.id,
        follow=query.flag(call.query, "follow"),
        tail=query.tail(call.query),
        since_ns=query.time_ns(call.query, "since", now_ns),
        until_ns=query.time_ns(call.query, "until", now_ns),
    )
    framed = not found.spec.process.tty
    timestamps = query.flag(call.query, "timestamps")
    media = MEDIA_MULTIPLEXED_STREAM if framed and call.version >= _MULTIPLEXED_VERSION else MEDIA_RAW_STREAM
    return await _stream_logs(call, lines, wanted, media, framed=framed, timestamps=timestamps)


async def _stream_logs(
    call: Call, lines: AsyncIterator[LogLine], wanted: frozenset[str], media: str, *, framed: bool, timestamps: bool
) -> web.StreamResponse:
    response = await call.stream(media)
    batch = _Batch(response)
    continued = dict.fromkeys(("stdout", "stderr"), False)
    async for line in lines:
        if line.stream in wanted:
            stamp = timestamps and not continued[line.stream]
            data = f"{rfc3339_fixed(line.time_ns)} ".encode() + line.data if stamp else line.data
            await batch.add(frame(line.stream, data) if framed else data)
            continued[line.stream] = line.partial
    await batch.flush()
    await response.write_eof()
    return response


def _looked_at(task: asyncio.Task[None]) -> None:
    """A write to a client that left fails; the handler, cancelled by the same loss, will not come to ask."""
    if not task.cancelled():
        task.exception()


class _Batch:
    """Joins what comes without a pause into one write; what comes alone goes out at once."""

    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response
        self._pending = bytearray()
        self._flushing: asyncio.Task[None] | None = None

    async def add(self, data: bytes) -> None:
        self._pending += data
        if len(self._pending) >= _PIECE_BYTES:
            await self.flush()
        elif self._flushing is None or self._flushing.done():
            # Runs only when the reader of the log has to wait for more.
            self._flushing = asyncio.ensure_future(self._write())
            self._flushing.add_done_callback(_looked_at)

    async def flush(self) -> None:
        if self._flushing is not None:
            await self._flushing
        await self._write()

    async def _write(self) -> None:
        while self._pending:
            data, self._pending = bytes(self._pending), bytearray()
            await self._response.write(data)


# --- exec -------------------------------------------------------------------------------------------------------------


async def exec_create(call: Call) -> web.StreamResponse:
    """POST /containers/{name}/exec."""
    request = await call.decode(ExecCreateRequest)
    spec, extra_env = parse_exec(request)
    parse_keys(request.detach_keys or "")
    record = await call.engine.exec_create(
        call.name,
        spec,
        attach=(request.attach_stdin or False, request.attach_stdout or False, request.attach_stderr or False),
        detach_keys=request.detach_keys or "",
        extra_env=extra_env,
    )
    return call.json({"Id": record.id}, 201)


async def exec_start(call: Call) -> web.StreamResponse:
    """POST /exec/{name}/start."""
    request = await call.decode(ExecStartRequest)
    record = call.engine.exec_inspect(call.name)
    tty = request.tty or record.spec.tty
    size = parse_console_size(request.console_size)
    if request.detach:
        await call.engine.exec_start(call.name, tty=tty, detach=True, console_size=size)
        return call.empty(200)
    try:
        streams = await call.engine.exec_start(call.name, tty=tty, detach=False, console_size=size)
    except RuntimeFailed as error:
        # The client learns the exit code by inspect; here it reads why, as from the process itself.
        connection = _hijack(call, framed=not tty)
        text = f"{message_of(error)}\r\n".encode()
        await connection.write(text if tty else frame("stdout", text))
        connection.close()
        return Taken()
    if streams is None:
        return call.empty(200)
    wanted = {name for name, on in (("stdout", record.attach_stdout), ("stderr", record.attach_stderr)) if on}
    session = _Session(_hijack(call, framed=not tty), streams, wanted=frozenset(wanted), framed=not tty)
    await _carry(
        call,
        session,
        stdin=record.attach_stdin,
        keys=DetachFilter(parse_keys(record.detach_keys)) if tty else None,
        close_stdin=not tty,
        ended=lambda: _exec_recorded(call, record),
    )
    return Taken()


async def _exec_recorded(call: Call, record: ExecRecord) -> None:
    """Return when the exit code can be inspected: clients ask for it as soon as the stream has ended.

    A process that closed its output and goes on is not waited for longer than `_EXIT_CODE_S`.
    """
    terms: dict[str, tuple[str, ...]] = {"event": ("exec_die",), "container": (record.container_id,)}
    events = aiter(call.engine.events(filters=Filters(terms=terms)))
    coming = asyncio.ensure_future(anext(events))
    try:
        async with asyncio.timeout(_EXIT_CODE_S):
            await asyncio.sleep(0)  # the subscription stands before the look
            while call.engine.exec_inspect(record.id).running:
                await coming
                coming = asyncio.ensure_future(anext(events))
    except (TimeoutError, SampanError):
        pass
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


async def exec_inspect(call: Call) -> web.StreamResponse:
    return call.json(render_exec(call.engine.exec_inspect(call.name)))


async def exec_resize(call: Call) -> web.StreamResponse:
    await call.engine.exec_resize(call.name, *query.size(call.query))
    return call.empty(200)
