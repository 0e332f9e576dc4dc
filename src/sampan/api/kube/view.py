"""View: all objects of one resource, decoded and current, for what looks at them on every request (RBAC, CRDs, quotas).

Only for resources of which there are few: the objects are held as dicts. A view lags behind the store by what its watch
has not told yet; `caught_up` waits for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from sampan.api.kube.records import Change, Records
from sampan.base import log
from sampan.base.errors import SampanError
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.resource import Resource
from sampan.store.kv.port import Watch

_log = log.get("kube")


class View:
    """Reads are plain calls. What it returns is shared: do not change it."""

    def __init__(self, records: Records, resource: Resource) -> None:
        self._records = records
        self._resource = resource
        self._objects: dict[tuple[str, str], Object] = {}
        self._spaces: dict[str, dict[str, Object]] = {}
        self._listeners: list[Callable[[Change], None]] = []
        self._watch: Watch | None = None
        self._revision = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._relist: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read everything, and follow it from there."""
        found, revision = await self._records.list(self._resource)
        before, self._objects, self._spaces = self._objects, {}, {}
        for obj in found:
            previous = before.pop(self._put(obj), None)
            if previous is None or objects.resource_version(previous) != objects.resource_version(obj):
                self._tell(Change("MODIFIED" if previous else "ADDED", obj, previous))
        for gone in before.values():
            self._tell(Change("DELETED", gone, gone))
        self._watch = self._records.watch(self._resource, revision, self._deliver, self._failed)
        self._advance(revision)

    def close(self) -> None:
        """Stop following. May be repeated."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        if self._relist is not None:
            self._relist.cancel()

    def get(self, namespace: str, name: str) -> Object | None:
        return self._objects.get((namespace, name))

    def __iter__(self) -> Iterator[Object]:
        return iter(list(self._objects.values()))

    def __len__(self) -> int:
        return len(self._objects)

    def of(self, namespace: str) -> list[Object]:
        """Return the objects of one namespace."""
        return list(self._spaces.get(namespace, {}).values())

    def on_change(self, listener: Callable[[Change], None]) -> None:
        """Call `listener` for each change from now on, and for every object when it is started or read again."""
        self._listeners.append(listener)

    async def caught_up(self, revision: int) -> None:
        """Return when everything up to `revision` is in the view."""
        if revision > self._revision:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append((revision, waiter))
            await waiter

    def _deliver(self, changes: Sequence[Change], revision: int) -> None:
        for change in changes:
            if change.type == "DELETED":
                self._drop(change.object)
            else:
                self._put(change.object)
            self._tell(change)
        self._advance(revision)

    def _put(self, obj: Object) -> tuple[str, str]:
        key = space, name = objects.namespace(obj), objects.name(obj)
        self._objects[key] = self._spaces.setdefault(space, {})[name] = obj
        return key

    def _drop(self, obj: Object) -> None:
        space, name = objects.namespace(obj), objects.name(obj)
        self._objects.pop((space, name), None)
        if (left := self._spaces.get(space)) is not None:
            left.pop(name, None)
            if not left:
                del self._spaces[space]

    def _advance(self, revision: int) -> None:
        self._revision = max(self._revision, revision)
        ready = [waiter for asked, waiter in self._waiting if asked <= self._revision]
        self._waiting = [entry for entry in self._waiting if entry[0] > self._revision]
        for waiter in ready:
            if not waiter.done():
                waiter.set_result(None)

    def _tell(self, change: Change) -> None:
        for listener in self._listeners:
            listener(change)

    def _failed(self, error: SampanError) -> None:
        _log.warning("reading all %s again: %s", self._resource.plural, error)
        self._relist = asyncio.ensure_future(self._again())

    async def _again(self) -> None:
        while True:
            try:
                await self.start()
            except SampanError as error:
                _log.error("cannot read %s: %s", self._resource.plural, error)
                await asyncio.sleep(1.0)
            else:
                return
