"""HttpClient: the client port over HTTP/1.1, for processes beside the server or on other machines.

Few connections, kept open; each watch has one of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import msgspec

from sampan.base.errors import Unavailable
from sampan.client.calls import Calls, decode_event, refusal, watching
from sampan.client.connection import Answer, Connection
from sampan.client.kubeconfig import Place
from sampan.client.port import Ref, Watched
from sampan.kube.object import Object
from sampan.kube.status import ApiError

_CONNECT_S = 10.0
_decode = msgspec.json.Decoder(Object).decode
_encode = msgspec.json.Encoder().encode


class HttpClient(Calls):
    """Calls raise `ApiError` for refusals and `Unavailable` where there was no answer."""

    def __init__(self, place: Place, agent: str, *, connections: int = 32) -> None:
        """`agent`: becomes the field manager of what it writes."""
        self._place = place
        self._idle: deque[Connection] = deque()
        self._room = asyncio.Semaphore(connections)
        self._watches: set[Connection] = set()
        token = f"Authorization: Bearer {place.token}\r\n" if place.token else ""
        self._head = f"Host: {place.host}:{place.port}\r\nUser-Agent: {agent}\r\nAccept: application/json\r\n{token}"

    async def close(self) -> None:
        for connection in [*self._idle, *self._watches]:
            connection.close()
        self._idle.clear()

    # --- the port

    async def watch(
        self, ref: Ref, resource_version: str, namespace: str = "", *, slim: bool = False, **query: str
    ) -> AsyncIterator[Watched]:
        connection = await self._connect()
        self._watches.add(connection)
        try:
            answer, lines = await connection.follow(
                self._request("GET", ref.path(namespace), watching(resource_version, query))
            )
            if answer.status != 200:
                raise _error(answer)
            async for line in lines:
                event = decode_event(line)
                if event["type"] == "ERROR":
                    raise refusal(event["object"])
                yield Watched(event["type"], event["object"])
        finally:
            self._watches.discard(connection)
            connection.close()

    # --- how

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Any = None,
        media: str = "application/json",
    ) -> Object:
        request = self._request(method, path, query, body, media)
        async with self._room:
            connection = self._from_pool() or await self._connect()
            answer = await connection.ask(request)
            if connection.usable:
                self._idle.append(connection)
            else:
                connection.close()
        if answer.status >= 400:
            raise _error(answer)
        return _decode(answer.body)

    def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Any = None,
        media: str = "application/json",
    ) -> bytes:
        target = f"{path}?{urlencode(query)}" if query else path
        if body is None:
            return f"{method} {target} HTTP/1.1\r\n{self._head}\r\n".encode()
        sent = _encode(body)
        head = f"{method} {target} HTTP/1.1\r\n{self._head}Content-Type: {media}\r\nContent-Length: {len(sent)}\r\n\r\n"
        return head.encode() + sent

    def _from_pool(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def _connect(self) -> Connection:
        place = self._place
        try:
            async with asyncio.timeout(_CONNECT_S):
                _, connection = await asyncio.get_running_loop().create_connection(
                    Connection, place.host, place.port, ssl=place.tls, server_hostname=place.host if place.tls else None
                )
        except TimeoutError as error:
            raise Unavailable(f"no Kubernetes API on {place.host}:{place.port}: no answer") from error
        except OSError as error:
            raise Unavailable(f"no Kubernetes API on {place.host}:{place.port}: {error}") from error
        return connection


def _error(answer: Answer) -> ApiError:
    with contextlib.suppress(msgspec.DecodeError):
        return refusal(_decode(answer.body), answer.status)
    return ApiError(answer.status, "", answer.body[:200].decode(errors="replace"))
