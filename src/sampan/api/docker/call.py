"""One request with its answerers: what handlers get and how they reply."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from sampan.api.docker.errors import message_of
from sampan.api.docker.parse.body import decode
from sampan.base import log
from sampan.base.clock import Clock
from sampan.base.errors import InvalidArgument, SampanError
from sampan.engine.port import Engine
from sampan.spec.docker.api import API_VERSION, MEDIA_JSON, version_text

T = TypeVar("T")

MAX_BODY_BYTES = 4 << 20
"""Bound of a JSON body. Archives and images stream and have no bound here."""

_encode = msgspec.json.Encoder().encode
_logger = log.get("api")

STANDARD_HEADERS = {
    "Api-Version": version_text(API_VERSION),
    "Docker-Experimental": "false",
    "Ostype": "linux",
    "Server": "Sampan (linux)",
}


class Query(dict[str, str]):
    """Query parameters by name; of a repeated one the first. `all` has every value."""

    def __init__(self, text: str) -> None:
        self._pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=1000) if text else []
        super().__init__(reversed(self._pairs))

    def all(self, name: str) -> list[str]:
        """Return every value of a repeated parameter."""
        return [value for key, value in self._pairs if key == name]


class Call:
    """A routed request. `params` holds the path's parts, `version` what the client speaks."""

    __slots__ = ("clock", "engine", "params", "query", "request", "version")

    def __init__(
        self,
        request: web.BaseRequest,
        engine: Engine,
        clock: Clock,
        version: tuple[int, int],
        params: Mapping[str, str],
        query: Query,
    ) -> None:
        self.request = request
        self.engine = engine
        self.clock = clock
        self.version = version
        self.params = params
        self.query = query

    @property
    def name(self) -> str:
        """The object that the path names."""
        return self.params["name"]

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return self.request.transport is None or self.request.transport.is_closing()

    def header(self, name: str) -> str:
        """Return a header's value, "" when it is absent."""
        return self.request.headers.get(name, "")

    # the body

    async def body(self) -> bytes:
        """Return the whole body.

        Raises:
            InvalidArgument: it is larger than `MAX_BODY_BYTES`, or of a type other than JSON.
        """
        request = self.request
        if not request.can_read_body:
            return b""
        media = self.header("Content-Type").partition(";")[0].strip().lower()
        if media and media != MEDIA_JSON:
            raise InvalidArgument(f"unsupported Content-Type header ({media[:100]}): must be 'application/json'")
        declared = request.content_length or 0
        body = bytearray()
        if declared <= MAX_BODY_BYTES:
            await self._continue()
            while len(body) <= MAX_BODY_BYTES:
                piece = await request.content.readany()
                if not piece:
                    return bytes(body)
                body += piece
        raise InvalidArgument(f"request body too large: a JSON body may have {MAX_BODY_BYTES} bytes")

    async def decode(self, kind: type[T]) -> T:
        """Return the body as a wire struct."""
        return decode(await self.body(), kind)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives."""
        await self._continue()
        while True:
            piece = await self.request.content.readany()
            if not piece:
                return
            yield piece

    async def _continue(self) -> None:
        if self.header("Expect").lower() == "100-continue" and self.request.transport is not None:
            self.request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # answers

    def json(self, value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
        """Return `value` as JSON."""
        return json_response(value, status, headers)

    def empty(self, status: int = 204) -> web.Response:
        """Return an answer without a body."""
        return web.Response(status=status, headers=STANDARD_HEADERS)

    async def stream(self, media: str, headers: Mapping[str, str] | None = None) -> web.StreamResponse:
        """Send the head of a streamed answer now. From here on the handler ends when the client leaves."""
        response = web.StreamResponse(headers={**STANDARD_HEADERS, "Content-Type": media, **(headers or {})})
        if self.request.version >= (1, 1):
            response.enable_chunked_encoding()
        await response.prepare(self.request)
        self.cancel_when_gone()
        return response

    def cancel_when_gone(self) -> None:
        """Cancel the running handler when the connection ends."""
        task = asyncio.current_task()
        register = getattr(self.request.protocol, "cancel_when_lost", None)
        if task is not None and register is not None:
            register(task)

    async def stream_json(self, lines: AsyncIterator[object], media: str = MEDIA_JSON) -> web.StreamResponse:
        """Stream one JSON value a line. An error before the first line has its own status, a later one is a line."""
        iterator = aiter(lines)
        try:
            first = await anext(iterator)
        except StopAsyncIteration:
            response = await self.stream(media)
            await response.write_eof()
            return response
        response = await self.stream(media)
        try:
            await response.write(_encode(first) + b"\r\n")
            async for line in iterator:
                await response.write(_encode(line) + b"\r\n")
        except SampanError as error:
            await response.write(_error_line(message_of(error)))
        except ConnectionError:
            if self.gone:
                raise
            await response.write(_error_line("the connection to a part of the engine broke: see the daemon's log"))
        except Exception:
            _logger.exception("stream %s broke", self.request.path)
            await response.write(_error_line("internal error: see the daemon's log"))
        await response.write_eof()
        return response

    async def stream_bytes(
        self, chunks: AsyncIterator[bytes], media: str, headers: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        """Stream bytes. An error before the first has its own status; a later one cuts the connection."""
        iterator = aiter(chunks)
        first = await anext(iterator, b"")
        response = await self.stream(media, headers)
        await response.write(first)
        try:
            async for chunk in iterator:
                await response.write(chunk)
        except SampanError as error:
            # A cleanly ended body would look whole to the client.
            _logger.warning("stream %s broke: %s", self.request.path, error)
            if self.request.transport is not None:
                self.request.transport.abort()
            return response
        await response.write_eof()
        return response


def _error_line(text: str) -> bytes:
    return _encode({"errorDetail": {"message": text}, "error": text}) + b"\r\n"


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return `value` as JSON with the standard headers."""
    return web.Response(
        body=_encode(value) + b"\n",
        status=status,
        headers={**STANDARD_HEADERS, "Content-Type": MEDIA_JSON, **(headers or {})},
    )


def error_response(status: int, text: str) -> web.Response:
    """Return an error in Docker's shape; 304 has no body."""
    if status == 304:
        return web.Response(status=304, headers=STANDARD_HEADERS)
    # A message may quote what the client sent: no lone surrogate of it may break the encoder.
    return json_response({"message": text.encode("utf-8", "replace").decode()}, status)
