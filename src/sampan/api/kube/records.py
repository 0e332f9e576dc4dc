"""Records: objects in the store, by resource. The one place that turns objects into keys and bytes and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from sampan.base.errors import SampanError
from sampan.kube import object as objects
from sampan.kube import stored
from sampan.kube.object import Object
from sampan.kube.resource import Resource
from sampan.store.kv.port import Event, Op, Store, Watch


class Change(NamedTuple):
    """A change as readers see it. `object` is the last state of a deleted one, with the revision of the deletion."""

    type: str  # ADDED, MODIFIED, DELETED
    object: Object
    previous: Object | None


class Records:
    """Reads and writes whole objects, in the storage version. Refusals of the store come through as they are."""

    def __init__(self, store: Store, others: Mapping[str, Store] | None = None) -> None:
        """`others`: prefix of keys -> a store of its own, such as the one of events."""
        self._store = store
        self._others = dict(others or {})

    def store(self, resource: Resource) -> Store:
        """Return the store that keeps this resource."""
        return self._others.get(resource.prefix, self._store)

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        item = await self.store(resource).get(resource.key(namespace, name))
        return stored.decode(item.value, item.mod_revision) if item else None

    async def list(self, resource: Resource, namespace: str = "") -> tuple[list[Object], int]:
        """Return all objects, of one namespace or of all, and the revision at which they were read."""
        page = await self.store(resource).range(resource.key(namespace, "") if namespace else resource.prefix)
        return [stored.decode(item.value, item.mod_revision) for item in page.items], page.revision

    async def create(self, resource: Resource, obj: Object, *, lease: int = 0) -> int:
        """Keep a new object; returns its revision.

        Raises:
            CompareFailed: there is one of that name.
        """
        return await self._put(resource, obj, 0, lease)

    async def update(self, resource: Resource, obj: Object, expect: int, *, lease: int = 0) -> int:
        """Replace the object whose revision is `expect`; returns the new revision.

        Raises:
            CompareFailed: it has changed, or there is none.
        """
        return await self._put(resource, obj, expect, lease)

    async def _put(self, resource: Resource, obj: Object, expect: int, lease: int) -> int:
        key = resource.key(objects.namespace(obj), objects.name(obj))
        return await self.store(resource).commit([Op(key, stored.encode(obj), expect, lease)])

    async def delete(self, resource: Resource, namespace: str, name: str, expect: int) -> int:
        """Remove the object whose revision is `expect`; returns the revision of the removal."""
        return await self.store(resource).commit([Op(resource.key(namespace, name), None, expect)])

    def watch(
        self,
        resource: Resource,
        after: int,
        deliver: Callable[[Sequence[Change], int], None],
        failed: Callable[[SampanError], None],
    ) -> Watch:
        """Tell every change after a revision, decoded. For readers inside; clients' watches join bytes (`watch.py`)."""
        return self.store(resource).watch(
            resource.prefix,
            after,
            lambda events, revision: deliver([change(event) for event in events], revision),
            failed,
        )


def change(event: Event) -> Change:
    """Return a store's event as a change of an object."""
    previous = stored.decode(event.previous, event.previous_revision) if event.previous is not None else None
    if event.value is not None:
        return Change("MODIFIED" if previous else "ADDED", stored.decode(event.value, event.revision), previous)
    last = stored.decode(event.previous or b'{"metadata":{}}', event.revision)
    return Change("DELETED", last, previous)
