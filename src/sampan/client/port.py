"""Client: the Kubernetes API in the words of a controller. Objects are dicts; refusals are `ApiError`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple, Protocol

from sampan.kube.object import Object


class Ref(NamedTuple):
    """A resource: what a URL names before namespace and name."""

    group: str
    version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Return the URL's path of a collection, an object or a subresource."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [self.plural, name, subresource]
        return "/".join(part for part in parts if part)


class Listed(NamedTuple):
    items: list[Object]
    resource_version: str


class Watched(NamedTuple):
    """An event of a watch: ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Object


class Client(Protocol):
    """Every call may raise `ApiError`; none is tried again by the client."""

    async def get(self, ref: Ref, namespace: str, name: str) -> Object: ...

    async def list(self, ref: Ref, namespace: str = "", **query: str) -> Listed:
        """Return all objects, of one namespace or of all, read in pages of one snapshot."""
        ...

    def pages(self, ref: Ref, namespace: str = "", **query: str) -> AsyncIterator[Listed]:
        """Yield the same page by page, for many objects of which little is kept."""
        ...

    def watch(
        self, ref: Ref, resource_version: str, namespace: str = "", *, slim: bool = False, **query: str
    ) -> AsyncIterator[Watched]:
        """Yield changes after a version until the server ends the watch; ApiError 410 when that version is too old.

        `slim`: of each object only who and whose it is: name, namespace, uid, version, owners, finalizers, deletion.
        """
        ...

    async def create(self, ref: Ref, obj: Object, *, subresource: str = "", name: str = "") -> Object: ...

    async def update(self, ref: Ref, obj: Object, *, subresource: str = "") -> Object: ...

    async def patch(
        self, ref: Ref, namespace: str, name: str, patch: Any, *, media: str, subresource: str = "", **query: str
    ) -> Object: ...

    async def delete(self, ref: Ref, namespace: str, name: str, options: Object | None = None) -> Object: ...
