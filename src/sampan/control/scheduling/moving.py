"""Moving: a pod is evicted by the API, and its replacement waited for. Nodes that it must not come to are cordoned meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import NamedTuple

from sampan.base.errors import Unavailable
from sampan.client.port import Client
from sampan.control.controller import PODS
from sampan.control.scheduling import pods
from sampan.control.scheduling.following import NODES
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.reading import flag, items, text

CORDONED = "sampan.dev/cordoned-by-rebalance"
"""An annotation of nodes: the cordon is ours and goes when the replacement is there, or at the next run."""

_MERGE = "application/merge-patch+json"


class Replacement(NamedTuple):
    key: str
    node: str


class Moving:
    """`patience_s`: how long a replacement may take until it is ready."""

    def __init__(self, client: Client, patience_s: float) -> None:
        self._client = client
        self._patience_s = patience_s

    async def cordon(self, names: Collection[str]) -> None:
        """Let nothing new come to nodes, until somebody uncordons them."""
        for name in sorted(names):
            await self._client.patch(NODES, "", name, {"spec": {"unschedulable": True}}, media=_MERGE)

    async def uncordon_left_behind(self) -> None:
        """Uncordon what a run that was killed had cordoned."""
        await self._uncordon([node for node in (await self._client.list(NODES)).items if _ours(node)])

    @asynccontextmanager
    async def kept_off(self, names: Collection[str]) -> AsyncIterator[None]:
        """Cordon those of these nodes that are not yet, for as long as the context lasts."""
        open_ = [
            node
            for node in (await self._client.list(NODES)).items
            if objects.name(node) in names and not flag(node, "spec", "unschedulable")
        ]
        ours = {"metadata": {"annotations": {CORDONED: "true"}}, "spec": {"unschedulable": True}}
        try:
            for node in open_:
                await self._client.patch(NODES, "", objects.name(node), ours, media=_MERGE)
            yield
        finally:
            await self._uncordon(open_)

    async def _uncordon(self, nodes: Collection[Object]) -> None:
        theirs = {"metadata": {"annotations": {CORDONED: None}}, "spec": {"unschedulable": None}}
        for node in nodes:
            await self._client.patch(NODES, "", objects.name(node), theirs, media=_MERGE)

    async def move(self, key: str) -> Replacement:
        """Evict a pod and return the one that is ready in its stead.

        Raises:
            ApiError: it was not evicted; 429 where a disruption budget does not allow it.
            Unavailable: no replacement was ready in time.
        """
        namespace, _, name = key.partition("/")
        listed = await self._client.list(PODS, namespace)
        pod = next((one for one in listed.items if objects.name(one) == name), {})
        of, known = text(pods.owner(pod), "uid"), {objects.uid(one) for one in listed.items}
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
            "deleteOptions": {"preconditions": {"uid": objects.uid(pod)}},
        }
        await self._client.create(PODS, body, subresource="eviction", name=name)
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._ready(namespace, listed.resource_version, of, known)
        except TimeoutError:
            why = f"{key} was evicted, and no replacement of it was ready within {self._patience_s:g} s"
            raise Unavailable(f"{why}: see `kubectl -n {namespace} get pods`") from None

    async def _ready(self, namespace: str, version: str, of: str, known: Collection[str]) -> Replacement:
        while True:
            async for event in self._client.watch(PODS, version, namespace):
                pod = event.object
                version = objects.resource_version(pod) or version
                new = event.type in ("ADDED", "MODIFIED") and objects.uid(pod) not in known
                if new and text(pods.owner(pod), "uid") == of and _is_ready(pod) and not objects.deleting(pod):
                    return Replacement(f"{namespace}/{objects.name(pod)}", text(pod, "spec", "nodeName"))


def _is_ready(pod: Object) -> bool:
    said = items(pod, "status", "conditions")
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in said)


def _ours(node: Object) -> bool:
    return CORDONED in objects.annotations(node)
