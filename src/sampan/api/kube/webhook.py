"""Calls to webhooks: one POST of a JSON object over HTTPS, on a connection of its own. Redirects are not followed.

Spec: admissionregistration.k8s.io/v1 WebhookClientConfig; apiextensions.k8s.io/v1 the same.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

import msgspec

from sampan.api.kube.records import Records
from sampan.api.kube.view import View
from sampan.base.errors import Unavailable
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.reading import flag, items, mapping, number, text, words
from sampan.kube.resource import Resource

MOST_BYTES = 8 << 20
_HEAD_BYTES = 64 << 10
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Object).decode

Resolve: TypeAlias = Callable[[str, str, int], Awaitable[tuple[str, int]]]
"""(namespace, service, port) -> address and port to connect to; `Unavailable` where there is none."""


class ServiceLookup:
    """Finds services, as `Resolve`: one of their ready endpoints where there is any, else their virtual address."""

    def __init__(self, services: View, records: Records, slices: Resource, choose: Callable[[int], int]) -> None:
        """`slices`: the resource EndpointSlice. `choose(n)`: one of n, from 0."""
        self._services = services
        self._records = records
        self._slices = slices
        self._choose = choose

    async def __call__(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        service = self._services.get(namespace, name)
        if service is None:
            raise Unavailable(f'service "{name}" not found')
        if text(service, "spec", "type") == "ExternalName":
            return text(service, "spec", "externalName"), port
        named = next((each for each in items(service, "spec", "ports") if each.get("port") == port), None)
        if named is None:
            raise Unavailable(f'no service port {port} found for service "{name}"')
        found, _ = await self._records.list(self._slices, namespace)
        ready = [pair for each in found if _is_of(each, name) for pair in _ready(each, text(named, "name"))]
        if ready:
            return ready[self._choose(len(ready))]
        address = text(service, "spec", "clusterIP")
        if address in ("", "None"):
            raise Unavailable(f'no endpoints available for service "{name}"')
        return address, port


def _is_of(slice_: Object, service: str) -> bool:
    return objects.labels(slice_).get("kubernetes.io/service-name") == service


def _ready(slice_: Object, port: str) -> Iterator[tuple[str, int]]:
    """Yield address and port of each endpoint that is ready, or does not say. Spec: discovery.k8s.io/v1 EndpointSlice."""
    numbers = [number(each, "port") for each in items(slice_, "ports") if text(each, "name") == port]
    for endpoint in items(slice_, "endpoints"):
        if flag(endpoint, "conditions", "ready", missing=True):
            yield from (
                (address, number) for address in words(endpoint, "addresses")[:1] for number in numbers if number
            )


class Endpoint(NamedTuple):
    """Where a webhook is, and by whose certificates it is known. `name`: whom its certificate is for."""

    host: str
    port: int
    name: str
    path: str
    authority: str  # host and port as they were said
    ca: str = ""  # PEM
    tls: bool = True

    @property
    def url(self) -> str:
        """Return how errors name it."""
        return f"http{'s' if self.tls else ''}://{self.authority}{self.path}"


async def endpoint(config: Object, resolve: Resolve, *, plain: bool = False) -> Endpoint:
    """Return where a clientConfig leads. `plain`: http URLs are taken too.

    Raises:
        Unavailable: it leads nowhere.
    """
    ca = base64.b64decode(text(config, "caBundle")).decode(errors="replace")
    service = mapping(config, "service")
    if service:
        asked = number(service, "port") or 443
        host, port = await resolve(text(service, "namespace"), text(service, "name"), asked)
        name = f"{text(service, 'name')}.{text(service, 'namespace')}.svc"
        return Endpoint(host, port, name, text(service, "path") or "/", f"{name}:{asked}", ca)
    url = urlsplit(text(config, "url"))
    if url.scheme != "https" and not (plain and url.scheme == "http"):
        raise Unavailable(f"the webhook's URL {text(config, 'url')!r} is not https")
    host, tls = url.hostname or "", url.scheme == "https"
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return Endpoint(host, url.port or (443 if tls else 80), host, path, url.netloc, ca, tls)


@lru_cache(maxsize=64)
def _context(ca: str) -> ssl.SSLContext:
    """Return a context that trusts this CA, the system's where it is ""."""
    return ssl.create_default_context(cadata=ca or None)


async def post(to: Endpoint, body: Object, timeout_s: float) -> Object:
    """Send an object; returns the one that comes back.

    Raises:
        Unavailable: there was no answer in time, or it is not 200 with an object.
    """
    try:
        # a task of its own: the server drives requests without one, and a timeout needs one
        return await asyncio.ensure_future(_in_time(to, _encode(body), timeout_s))
    except TimeoutError:
        raise Unavailable(f'Post "{to.url}": context deadline exceeded ({timeout_s:g} s)') from None
    except (OSError, ssl.SSLError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        raise Unavailable(f'Post "{to.url}": {error}') from error


async def _in_time(to: Endpoint, body: bytes, timeout_s: float) -> Object:
    async with asyncio.timeout(timeout_s):
        return await _post(to, body)


async def _post(to: Endpoint, body: bytes) -> Object:
    context, name = (_context(to.ca), to.name) if to.tls else (None, None)
    reader, writer = await asyncio.open_connection(
        to.host, to.port, limit=_HEAD_BYTES, ssl=context, server_hostname=name
    )
    try:
        head = (
            f"POST {to.path} HTTP/1.1\r\nHost: {to.authority}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json\r\nConnection: close\r\nUser-Agent: sampan\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode("ascii") + body)
        await writer.drain()
        status, headers = _parsed(await reader.readuntil(b"\r\n\r\n"))
        content = await _content(reader, headers)
        if status != 200:
            raise ValueError(f"the webhook answered {status}")
        return _decode(content)
    finally:
        writer.transport.abort()


def _parsed(head: bytes) -> tuple[int, Mapping[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdecimal():
        raise ValueError("the answer is no HTTP")
    pairs = (line.partition(":") for line in lines if line)
    return int(parts[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _content(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _chunks(reader)
    if "content-length" in headers:
        size = int(headers["content-length"])
        if size > MOST_BYTES:
            raise ValueError("the answer is too long")
        return await reader.readexactly(size)
    content = await reader.read(MOST_BYTES + 1)
    while not reader.at_eof() and len(content) <= MOST_BYTES:
        content += await reader.read(MOST_BYTES)
    return content


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    content = b""
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        if size == 0:
            return content
        if len(content) + size > MOST_BYTES:
            raise ValueError("the answer is too long")
        content += await reader.readexactly(size)
        await reader.readexactly(2)
