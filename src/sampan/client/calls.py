"""Calls: the verbs of the client port as requests, whatever carries them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any, TypedDict

import msgspec

from sampan.client.port import Listed, Ref
from sampan.kube.object import Object
from sampan.kube.status import ApiError

PAGE = "500"


class Event(TypedDict):
    """A line of a watch."""

    type: str
    object: Object


decode_event = msgspec.json.Decoder(Event).decode


def refusal(found: Object, code: int = 500) -> ApiError:
    """Return what a Status object says as an error; `code`: where it does not say."""
    return ApiError(
        int(found.get("code") or code),
        str(found.get("reason") or ""),
        str(found.get("message") or ""),
        details=found.get("details"),
    )


def watching(resource_version: str, query: dict[str, str]) -> dict[str, str]:
    """Return the query of a watch."""
    return {**query, "watch": "1", "resourceVersion": resource_version, "allowWatchBookmarks": "true"}


class Calls(ABC):
    """All of the port but `watch`."""

    @abstractmethod
    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Any = None,
        media: str = "application/json",
    ) -> Object:
        """Return the object that is the answer.

        Raises:
            ApiError: it is a refusal.
        """

    async def _read_page(self, path: str, query: dict[str, str]) -> Object:
        return await self._call("GET", path, query)

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
            page = await self._read_page(ref.path(namespace), {**query, "limit": PAGE, **more})
            yield Listed(page["items"], page["metadata"]["resourceVersion"])
            if not (token := page["metadata"].get("continue")):
                return
            more = {"continue": token}

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
