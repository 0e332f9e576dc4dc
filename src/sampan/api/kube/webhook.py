"""Calls to webhooks: where they are, and what they answer.

Spec: admissionregistration.k8s.io/v1 WebhookClientConfig; apiextensions.k8s.io/v1 the same.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias
from urllib.parse import urlsplit

import msgspec

from sampan.api.kube.records import Records
from sampan.api.kube.view import View
from sampan.api.kube.webhook_connections import Connections, Endpoint
from sampan.base.errors import Unavailable
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.reading import flag, items, mapping, number, text, words
from sampan.kube.resource import Resource

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


class Caller:
    """Asks webhooks, each by one POST of a JSON object. Redirects are not followed."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._connections = Connections()

    def close(self) -> None:
        self._connections.close()

    async def post(self, config: Object, body: Object, timeout_s: float, *, query: str = "") -> Object:
        """Send an object where a clientConfig leads; returns the one that comes back. `query`: added to the URL's.

        Raises:
            Unavailable: it leads nowhere, there was no answer in time, or it is not 200 with an object.
        """
        to = await endpoint(config, self._resolve)
        if query:
            to = to._replace(path=f"{to.path}{'&' if '?' in to.path else '?'}{query}")
        try:
            # a task of its own: the server drives requests without one, and a timeout needs one
            return await asyncio.ensure_future(self._in_time(to, _encode(body), timeout_s))
        except TimeoutError:
            raise Unavailable(f'Post "{to.url}": context deadline exceeded ({timeout_s:g} s)') from None
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise Unavailable(f'Post "{to.url}": {error}') from error

    async def _in_time(self, to: Endpoint, body: bytes, timeout_s: float) -> Object:
        async with asyncio.timeout(timeout_s):
            status, content = await self._connections.post(to, body)
        if status != 200:
            raise ValueError(f"the webhook answered {status}")
        return _decode(content)


async def endpoint(config: Object, resolve: Resolve) -> Endpoint:
    """Return where a clientConfig leads.

    Raises:
        Unavailable: it leads nowhere.
    """
    try:
        ca = base64.b64decode(text(config, "caBundle")).decode(errors="replace")
    except ValueError:
        raise Unavailable("the webhook's caBundle is not in base64") from None
    service = mapping(config, "service")
    if service:
        asked = number(service, "port") or 443
        host, port = await resolve(text(service, "namespace"), text(service, "name"), asked)
        name = f"{text(service, 'name')}.{text(service, 'namespace')}.svc"
        return Endpoint(host, port, name, text(service, "path") or "/", f"{name}:{asked}", ca)
    try:
        url = urlsplit(text(config, "url"))
        port = url.port or 443
    except ValueError as error:
        raise Unavailable(f"the webhook's URL {text(config, 'url')!r} is none: {error}") from None
    if url.scheme != "https":
        raise Unavailable(f"the webhook's URL {text(config, 'url')!r} is not https")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return Endpoint(url.hostname or "", port, url.hostname or "", path, url.netloc, ca)
