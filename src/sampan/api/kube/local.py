"""LocalClient: the client port on a server in this process: the same way as over HTTP, without the bytes on a socket."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode

import msgspec

from sampan.api.kube.api import Api
from sampan.api.kube.request import Request, Response, Shared, User
from sampan.client.calls import Calls, decode_event, refusal, watching
from sampan.client.port import Ref, Watched
from sampan.kube.object import Object

_decode = msgspec.json.Decoder(Object).decode


class LocalClient(Calls):
    """Asks as one user, by whose rights it is judged like any other."""

    def __init__(self, api: Api, user: User, agent: str, reader: User | None = None) -> None:
        """`agent`: becomes the field manager of what it writes. `reader`: lists and watches instead of the user."""
        self._api = api
        self._user = user
        self._reader = reader or user
        self._agent = agent

    async def watch(
        self, ref: Ref, resource_version: str, namespace: str = "", *, slim: bool = False, **query: str
    ) -> AsyncIterator[Watched]:
        asked = watching(resource_version, query)
        response = await self._answer("GET", ref.path(namespace), asked, user=self._reader)
        if response.status != 200 or response.stream is None:
            raise refusal(_decode(response.body))
        sink = _Sink(_slim_event if slim else _event)
        sink.write(response.body)
        started = response.stream(sink)
        if started is not None:
            sink.running = asyncio.ensure_future(started)
        try:
            async for event in sink.events():
                if event.type == "ERROR":
                    raise refusal(event.object)
                yield event
        finally:
            sink.close()

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Any = None,
        media: str = "application/json",
    ) -> Object:
        return _whole(await self._answer(method, path, query, body, media))

    async def _read_page(self, path: str, query: dict[str, str]) -> Object:
        return _whole(await self._answer("GET", path, query, user=self._reader))

    async def _answer(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Any = None,
        media: str = "application/json",
        *,
        user: User | None = None,
    ) -> Response:
        headers = {"user-agent": self._agent, **({"content-type": media} if body is not None else {})}
        sent = msgspec.json.encode(body) if body is not None else b""
        request = Request(method, path, urlencode(query) if query else "", headers, sent)
        return await self._api.handle_as(user or self._user, request)


def _whole(response: Response) -> Object:
    found = _decode(response.body)
    if response.status >= 400:
        raise refusal(found)
    return found


class _Slim(msgspec.Struct, rename="camel", omit_defaults=True):
    """Who and whose an object is: what is read of many and kept of few."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    owner_references: list[dict[str, Any]] = []
    finalizers: list[str] = []
    deletion_timestamp: str | None = None


class _SlimObject(msgspec.Struct):
    metadata: _Slim


class _SlimEvent(msgspec.Struct):
    type: str
    object: msgspec.Raw


_decode_slim_event = msgspec.json.Decoder(_SlimEvent).decode
_decode_slim = msgspec.json.Decoder(_SlimObject).decode


def _event(line: bytes) -> Watched:
    event = decode_event(line)
    return Watched(event["type"], event["object"])


def _slim_event(line: bytes) -> Watched:
    event = _decode_slim_event(line)
    if event.type == "ERROR":
        return Watched(event.type, _decode(event.object))
    meta = _decode_slim(event.object).metadata
    return Watched(event.type, {"metadata": msgspec.to_builtins(meta)})


class _Sink:
    """Takes what a watch writes, and hands it out as events."""

    def __init__(self, read: Callable[[bytes], Watched]) -> None:
        self._read = read
        self.running: asyncio.Future[None] | None = None
        self._lines: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._ended = False
        self._callbacks: list[Callable[[], None]] = []

    def write(self, data: bytes) -> None:
        if data and not self._ended:
            self._lines.append(data)
            self._wake.set()

    def write_shared(self, shared: Shared) -> None:
        self.write(shared.data)

    @property
    def buffered(self) -> int:
        return sum(map(len, self._lines))

    def close(self) -> None:
        if not self._ended:
            self._ended = True
            self._wake.set()
            for callback in self._callbacks:
                callback()

    abort = close

    def on_close(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    async def drain(self) -> None:
        await asyncio.sleep(0)

    async def events(self) -> AsyncIterator[Watched]:
        while True:
            while self._lines:
                for line in self._lines.popleft().splitlines():
                    yield self._read(line)
            if self._ended:
                return
            self._wake.clear()
            await self._wake.wait()
