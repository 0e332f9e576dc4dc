"""The end of a namespace: everything in it is deleted, then the namespace itself.

Spec: Kubernetes "Namespaces"; core/v1 NamespaceCondition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from sampan.client.informer import Informer
from sampan.client.port import Client, Ref
from sampan.control.controller import NAMESPACES
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.status import ApiError
from sampan.reconcile.loop import Loop

FINALIZER = "kubernetes"
_AGAIN_S = 1.0
_EACH_S = 0.001
"""When to look again: what waits for others is looked at seldom where it is much."""
_AT_ONCE = 32
"""So many deletions share a write to the disk."""
_LATER = ("pods",)
"""Deleted after the rest, so that what would make them anew is gone first."""


class NamespaceEnd:
    """Empties namespaces that are being deleted."""

    name = "namespace-end"

    def __init__(self, client: Client, resources: Callable[[], Iterable[Ref]], now: Callable[[], str]) -> None:
        """`resources`: what can be in a namespace, now; each can be listed and deleted. `now`: RFC 3339."""
        self._client = client
        self._resources = resources
        self._now = now
        self._namespaces = Informer(client, NAMESPACES)
        self._loop: Loop[str] = Loop(self.name, self._reconcile, workers=2)

    async def start(self) -> None:
        def changed(old: Object | None, new: Object | None) -> None:
            if new is not None and objects.deleting(new):
                self._loop.queue.add(objects.name(new))

        self._namespaces.on_change(changed)
        self._namespaces.start()
        self._loop.start()

    async def close(self) -> None:
        await self._loop.close()
        await self._namespaces.close()

    async def _reconcile(self, name: str) -> float | None:
        try:
            namespace = await self._client.get(NAMESPACES, "", name)
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        if not objects.deleting(namespace):
            return None
        left = await self._empty(name)
        if left:
            await self._tell(namespace, left)
            return max(_AGAIN_S, sum(left.values()) * _EACH_S)
        finalizers = [item for item in objects.at(namespace, "spec", "finalizers") or [] if item != FINALIZER]
        namespace.setdefault("spec", {})["finalizers"] = finalizers
        await self._client.update(NAMESPACES, namespace, subresource="finalize")
        return None

    async def _empty(self, name: str) -> dict[str, int]:
        """Delete what is in the namespace; returns how much of each resource is still there."""
        refs = sorted(self._resources(), key=lambda ref: ref.plural in _LATER)
        left: dict[str, int] = {}
        for ref in refs:
            found = deleted = 0
            async for page in self._client.pages(ref, name):
                wanted = [objects.name(obj) for obj in page.items if not objects.deleting(obj)]
                for start in range(0, len(wanted), _AT_ONCE):
                    await asyncio.gather(*(self._delete(ref, name, one) for one in wanted[start : start + _AT_ONCE]))
                found, deleted = found + len(page.items), deleted + len(wanted)
            remaining = await self._count(ref, name) if deleted else found
            if remaining:
                left[f"{ref.plural}.{ref.group}" if ref.group else ref.plural] = remaining
        return left

    async def _count(self, ref: Ref, namespace: str) -> int:
        count = 0
        async for page in self._client.pages(ref, namespace):
            count += len(page.items)
        return count

    async def _delete(self, ref: Ref, namespace: str, name: str) -> None:
        try:
            await self._client.delete(ref, namespace, name, {"propagationPolicy": "Background"})
        except ApiError as error:
            if error.code != 404:
                raise

    async def _tell(self, namespace: Object, left: dict[str, int]) -> None:
        """Say in the status what the namespace waits for."""
        listed = ", ".join(f"{what} has {count} resource instances" for what, count in sorted(left.items()))
        condition = {
            "type": "NamespaceContentRemaining",
            "status": "True",
            "reason": "SomeResourcesRemain",
            "message": f"Some resources are remaining: {listed}",
            "lastTransitionTime": self._now(),
        }
        conditions = objects.at(namespace, "status", "conditions") or []
        before = next((item for item in conditions if item.get("type") == condition["type"]), None)
        if before is not None and before.get("message") == condition["message"]:
            return
        kept = [item for item in conditions if item.get("type") != condition["type"]]
        namespace.setdefault("status", {})["conditions"] = [*kept, condition]
        await self._client.update(NAMESPACES, namespace, subresource="status")
