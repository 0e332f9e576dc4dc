"""LocalClient: the client port on a server in this process: the same way as over HTTP, without the bytes on a socket."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, TypedDict
from urllib.parse import urlencode

import msgspec

from sampan.api.kube.api import Api
from sampan.api.kube.request import Request, Response, Shared, User
from sampan.client.port import Listed, Ref, Watched
from sampan.kube.object import Object
from sampan.kube.status import ApiError

PAGE = "500"
_decode = msgspec.json.Decoder(Object).decode


class LocalClient:
    """Asks as one user, by whose rights it is judged like any other."""

    def __init__(self, api: Api, user: User, agent: str, reader: User | None = None) -> None:
        """`agent`: becomes the field manager of what it writes. `reader`: lists and watches instead of the user."""
        self._api = api
        self._user = user
        self._reader = reader or user
        self._agent = agent

    async def get(self, ref: Ref, namespace: str, name: str) -> Object:
        return await self._call("GET", ref.path(namespace, name))

    async def list(self, ref: Ref, namespace: str = "", **query: str) -> Listed:
        items: list[Object] = []
        version = ""
        async for page in self.pages(ref, namespace, **query):
            items += page.items
            version = page.resource_version
        return Listed(items, version)

    async def pages(self, ref: Ref, namespace: str = "", **query: str) -> AsyncIterator[Listed]:
        more: dict[str, str] = {}
        while True:
            asked = {**query, "limit": PAGE, **more}
            page = await self._call("GET", ref.path(namespace), asked, user=self._reader)
            yield Listed(page["items"], page["metadata"]["resourceVersion"])
            if not (token := page["metadata"].get("continue")):
                return
            more = {"continue": token}

    async def watch(
        self, ref: Ref, resource_version: str, namespace: str = "", *, slim: bool = False, **query: str
    ) -> AsyncIterator[Watched]:
        asked = {**query, "watch": "1", "resourceVersion": resource_version, "allowWatchBookmarks": "true"}
        response = await self._answer("GET", ref.path(namespace), asked, user=self._reader)
        if response.status != 200 or response.stream is None:
            raise _error(_decode(response.body))
        sink = _Sink(_slim_event if slim else _event)
        sink.write(response.body)
        started = response.stream(sink)
        if started is not None:
            sink.running = asyncio.ensure_future(started)
        try:
            async for event in sink.events():
                if event.type == "ERROR":
                    raise _error(event.object)
                yield event
        finally:
            sink.close()

    async def create(self, ref: Ref, obj: Object, *, subresource: str = "", name: str = "") -> Object:
        namespace = obj.get("metadata", {}).get("namespace", "")
        return await self._call("POST", ref.path(namespace, name, subresource), body=obj)

    async def update(self, ref: Ref, obj: Object, *, subresource: str = "") -> Object:
        meta = obj["metadata"]
        return await self._call("PUT", ref.path(meta.get("namespace", ""), meta["name"], subresource), body=obj)

    async def patch(
        self, ref: Ref, namespace: str, name: str, patch: Any, *, media: str, subresource: str = "", **query: str
    ) -> Object:
        return await self._call("PATCH", ref.path(namespace, name, subresource), query, patch, media)

    async def delete(self, ref: Ref, namespace: str, name: str, options: Object | None = None) -> Object:
        return await self._call("DELETE", ref.path(namespace, name), body=options)

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Any = None,
        media: str = "application/json",
        *,
        user: User | None = None,
    ) -> Object:
        response = await self._answer(method, path, query, body, media, user=user)
        found = _decode(response.body)
        if response.status >= 400:
            raise _error(found)
        return found

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


def _error(found: Object) -> ApiError:
    return ApiError(
        int(found.get("code") or 500),
        str(found.get("reason") or ""),
        str(found.get("message") or ""),
        details=found.get("details"),
    )


class _Event(TypedDict):
    type: str
    object: Object


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


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_slim_event = msgspec.json.Decoder(_SlimEvent).decode
_decode_slim = msgspec.json.Decoder(_SlimObject).decode


def _event(line: bytes) -> Watched:
    event = _decode_event(line)
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
