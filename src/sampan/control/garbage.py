"""The garbage collector: objects whose owners are gone are deleted; owners wait for, or let go of, their dependents.

Only dependents are held in memory: whether an owner exists is asked of the server, so that a cache that lags never deletes.

Spec: Kubernetes "Garbage Collection", "Owners and Dependents".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from sampan.client.informer import Informer
from sampan.client.port import Client, Ref
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.status import ApiError
from sampan.reconcile.loop import Loop

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
_SLICE = ("uid", "name", "namespace", "ownerReferences", "deletionTimestamp", "finalizers", "resourceVersion")


class Node(NamedTuple):
    """An object, where it is found."""

    ref: Ref
    namespace: str
    name: str


class GarbageCollector:
    """Follows every resource that can be listed, watched and deleted."""

    name = "garbage-collector"

    def __init__(
        self,
        client: Client,
        resources: Callable[[], Iterable[Ref]],
        resource_of: Callable[[str, str], Ref | None],
    ) -> None:
        """`resource_of(api_version, kind)`: the resource of an owner reference; None while nothing of that kind is served."""
        self._client = client
        self._resources = resources
        self._resource_of = resource_of
        self._informers: dict[Ref, Informer] = {}
        self._dependents: dict[str, set[Node]] = {}  # uid of an owner -> who names it
        self._loop: Loop[Node] = Loop(self.name, self._reconcile, workers=4)
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    async def start(self) -> None:
        self._loop.start()
        self.refresh()

    async def close(self) -> None:
        self._closed = True
        await self._loop.close()
        for informer in self._informers.values():
            await informer.close()
        await asyncio.gather(*self._closing)

    def refresh(self) -> None:
        """Follow resources that are new, and those that are gone no more."""
        if self._closed:
            return
        there = list(self._resources())
        for ref in self._informers.keys() - there:
            self._forget(ref)
        for ref in there:
            if ref not in self._informers:
                informer = self._informers[ref] = Informer(self._client, ref, keep=_dependent, slim=True)
                informer.on_change(self._listener(ref))
                informer.start()

    def _forget(self, ref: Ref) -> None:
        """Stop following a resource. Its objects went before it; what was not told of them is said now."""
        informer, gone = self._informers.pop(ref), self._listener(ref)
        for obj in list(informer):
            gone(obj, None)
        closing = asyncio.get_running_loop().create_task(informer.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _listener(self, ref: Ref) -> Callable[[Object | None, Object | None], None]:
        def changed(old: Object | None, new: Object | None) -> None:
            obj = new or old or {}
            node = Node(ref, objects.namespace(obj), objects.name(obj))
            before, after = _owners(old), _owners(new)
            for uid in before - after:
                holders = self._dependents.get(uid, set())
                holders.discard(node)
                if not holders:
                    self._dependents.pop(uid, None)
            for uid in after:
                self._dependents.setdefault(uid, set()).add(node)
            if new is None:
                for dependent in self._dependents.get(objects.uid(obj), ()):
                    self._loop.queue.add(dependent)
                self._wake_owners(obj)
            elif after or _waits(new):
                self._loop.queue.add(node)

        return changed

    def _wake_owners(self, gone: Object) -> None:
        """An owner that waits for this dependent may go on."""
        for reference in objects.owner_references(gone):
            ref = self._resource_of(str(reference.get("apiVersion")), str(reference.get("kind")))
            if ref is not None:
                namespace = objects.namespace(gone) if ref.namespaced else ""
                self._loop.queue.add(Node(ref, namespace, str(reference.get("name"))))

    async def _reconcile(self, node: Node) -> float | None:
        try:
            obj = await self._client.get(node.ref, node.namespace, node.name)
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        if objects.deleting(obj):
            if ORPHAN in objects.finalizers(obj):
                await self._orphan(node, obj)
            elif FOREGROUND in objects.finalizers(obj):
                await self._delete_dependents(node, obj)
            return None
        await self._judge(node, obj)
        return None

    async def _judge(self, node: Node, obj: Object) -> None:
        """Delete an object when none of its owners is there any more; else drop the references to those that are gone."""
        references = objects.owner_references(obj)
        if not references:
            return
        live, waiting, gone = [], [], []
        for reference in references:
            owner = await self._owner(node, reference)
            if owner is None:
                gone.append(reference)
            elif objects.deleting(owner) and FOREGROUND in objects.finalizers(owner):
                waiting.append(reference)
            else:
                live.append(reference)
        if live:
            if gone or waiting:
                await self._release(node, obj, {str(item.get("uid")) for item in (*gone, *waiting)})
            return
        blocked = any(reference.get("blockOwnerDeletion") for reference in waiting)
        policy = "Foreground" if blocked and self._dependents.get(objects.uid(obj)) else "Background"
        await self._delete(node, obj, policy)

    async def _owner(self, node: Node, reference: Mapping[str, object]) -> Object | None:
        ref = self._resource_of(str(reference.get("apiVersion")), str(reference.get("kind")))
        if ref is None:
            # Nobody serves that kind (now): whether its objects exist cannot be said.
            raise ApiError(
                404, "NotFound", f"no resource for owner {reference.get('apiVersion')} {reference.get('kind')}"
            )
        if ref.namespaced and not node.namespace:
            return {}  # in no namespace that could be known: as it cannot be gone, its dependent stays
        try:
            owner = await self._client.get(ref, node.namespace if ref.namespaced else "", str(reference.get("name")))
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        return owner if objects.uid(owner) == reference.get("uid") else None

    async def _delete(self, node: Node, obj: Object, policy: str) -> None:
        if ORPHAN in objects.finalizers(obj):
            policy = "Orphan"
        wanted = {
            "propagationPolicy": policy,
            "preconditions": {"uid": objects.uid(obj), "resourceVersion": objects.resource_version(obj)},
        }
        try:
            await self._client.delete(node.ref, node.namespace, node.name, wanted)
        except ApiError as error:
            if error.code != 404:
                raise

    async def _orphan(self, node: Node, obj: Object) -> None:
        """Take the owner's reference out of its dependents, then let it go."""
        for dependent in list(self._dependents.get(objects.uid(obj), ())):
            try:
                found = await self._client.get(dependent.ref, dependent.namespace, dependent.name)
            except ApiError as error:
                if error.code == 404:
                    continue
                raise
            await self._release(dependent, found, {objects.uid(obj)})
        await self._unfinalize(node, obj, ORPHAN)

    async def _delete_dependents(self, node: Node, obj: Object) -> None:
        """Delete the dependents; let the owner go when none is left that blocks it."""
        dependents = list(self._dependents.get(objects.uid(obj), ()))
        blocking = 0
        for dependent in dependents:
            try:
                found = await self._client.get(dependent.ref, dependent.namespace, dependent.name)
            except ApiError as error:
                if error.code == 404:
                    continue
                raise
            blocking += any(
                reference.get("uid") == objects.uid(obj) and reference.get("blockOwnerDeletion")
                for reference in objects.owner_references(found)
            )
            if not objects.deleting(found):
                self._loop.queue.add(dependent)
        if not blocking:
            await self._unfinalize(node, obj, FOREGROUND)

    async def _release(self, node: Node, obj: Object, uids: set[str]) -> None:
        meta = objects.metadata(obj)
        meta["ownerReferences"] = [item for item in objects.owner_references(obj) if item.get("uid") not in uids]
        await self._client.update(node.ref, obj)

    async def _unfinalize(self, node: Node, obj: Object, finalizer: str) -> None:
        objects.metadata(obj)["finalizers"] = [item for item in objects.finalizers(obj) if item != finalizer]
        try:
            await self._client.update(node.ref, obj)
        except ApiError as error:
            if error.code != 404:
                raise


def _owners(obj: Object | None) -> set[str]:
    return {str(item.get("uid")) for item in objects.owner_references(obj)} if obj else set()


def _waits(obj: Object) -> bool:
    return objects.deleting(obj) and not {ORPHAN, FOREGROUND}.isdisjoint(objects.finalizers(obj))


def _dependent(obj: Object) -> Object | None:
    """Return what the collector has to remember: those with owners, and those that wait for their dependents."""
    if not objects.owner_references(obj) and not _waits(obj):
        return None
    meta = obj.get("metadata") or {}
    return {"metadata": {key: meta[key] for key in _SLICE if key in meta}}
