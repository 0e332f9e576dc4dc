"""Hollow nodes: many nodes in one process that are ready, keep their leases, and "run" pods without a container.

What a node agent would say is said by few requests: one watch for all nodes' pods, one lease a node and ten seconds, one
status a pod that starts, one delete a pod that ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from sampan.base import log
from sampan.base.clock import Clock
from sampan.base.errors import SampanError
from sampan.client.informer import Informer, Key
from sampan.client.port import Client
from sampan.control.controller import LEASES, PODS
from sampan.control.scheduling.following import NODES
from sampan.kube import object as objects
from sampan.kube import rfc3339
from sampan.kube.object import Object
from sampan.kube.reading import items, text
from sampan.kube.status import ApiError
from sampan.reconcile.loop import Loop
from sampan.sim import hollow_objects as made

CAPACITY = {"cpu": "32", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "110"}
RENEW_S = 10.0
_TICK_S = 0.1
_AT_ONCE = 32
_STRATEGIC = "application/strategic-merge-patch+json"
_MERGE = "application/merge-patch+json"

_log = log.get("hollow")
T = TypeVar("T")


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """`end_after_s`: after which time pods that may end (restartPolicy Never, OnFailure) do; None: they run on."""

    count: int
    prefix: str = "hollow"
    capacity: Mapping[str, str] = msgspec.field(default_factory=lambda: dict(CAPACITY))
    labels: Mapping[str, str] = {}
    zones: int = 0
    start_delay_s: float = 0.0
    stop_delay_s: float = 0.0
    end_after_s: float | None = None

    def names(self) -> list[str]:
        return [f"{self.prefix}-{number:0{len(str(self.count - 1))}}" for number in range(self.count)]

    def labels_of(self, number: int) -> dict[str, str]:
        zone = {"topology.kubernetes.io/zone": f"zone-{number % self.zones}"} if self.zones else {}
        return {**zone, **self.labels}


class HollowNodes:
    def __init__(self, client: Client, clock: Clock, wish: Wish) -> None:
        self._client = client
        self._clock = clock
        self._wish = wish
        self._names = wish.names()
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._versions: dict[str, str] = {}  # of the leases
        self._started = 0
        self._due: dict[str, tuple[str, float]] = {}  # uid -> what is next for a pod, and when
        self._pods = Informer(client, PODS, keep=self._slice)
        self._loop: Loop[Key] = Loop("hollow pods", self._reconcile, workers=_AT_ONCE)
        self._renewer: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Register all nodes; returns when they are ready."""
        await _each(self._names, self._register)
        self._renewer = asyncio.create_task(self._renew(), name="leases")
        self._pods.on_change(self._changed)
        self._pods.start()
        self._loop.start()
        await self._pods.synced()

    async def close(self, *, keep: bool = False) -> None:
        """Stop; the nodes, their leases and their pods are deleted unless they are to be kept."""
        if self._renewer is not None:
            self._renewer.cancel()
            await asyncio.gather(self._renewer, return_exceptions=True)
        await self._loop.close()
        left = [Key(*pod["who"]) for pod in self._pods]
        await self._pods.close()
        if not keep:
            await _each(left, self._delete)
            await _each(self._names, self._unregister)

    # --- nodes

    async def _register(self, name: str) -> None:
        """Make a node, or take up the one of an earlier run."""
        number = self._numbers[name]
        node = made.node(name, number, self._wish.capacity, self._wish.labels_of(number), self._now())
        try:
            await self._client.create(NODES, node)
        except ApiError as error:
            if error.code != 409:
                raise
        await self._client.patch(NODES, "", name, {"status": node["status"]}, media=_MERGE, subresource="status")
        # it was given a taint as it was not yet ready, and there is nobody else to take it away
        meta = {"labels": node["metadata"]["labels"]}
        await self._client.patch(NODES, "", name, {"metadata": meta, "spec": {"taints": None}}, media=_MERGE)
        await self._keep_lease(name)

    async def _unregister(self, name: str) -> None:
        for ref, namespace in ((NODES, ""), (LEASES, made.LEASES_IN)):
            await _unless_gone(self._client.delete(ref, namespace, name))

    async def _renew(self) -> None:
        """Renew all leases, evenly spread over the time."""
        loop = asyncio.get_running_loop()
        began, done = loop.time(), 0
        while True:
            await asyncio.sleep(_TICK_S)
            due = int((loop.time() - began) * len(self._names) / RENEW_S)
            names = [self._names[place % len(self._names)] for place in range(done, min(due, done + len(self._names)))]
            done = due
            await _each(names, self._keep_lease)

    async def _keep_lease(self, name: str) -> None:
        now = rfc3339.render_micro(self._clock.now_ns() // 1000)
        version = self._versions.get(name, "")
        try:
            if version:
                found = await self._client.update(LEASES, made.lease(name, now, version))
            else:
                found = await self._client.create(LEASES, made.lease(name, now))
        except SampanError as error:
            if isinstance(error, ApiError) and error.code == 404:
                self._versions.pop(name, None)
            elif isinstance(error, ApiError) and error.code == 409:
                kept = await self._client.get(LEASES, made.LEASES_IN, name)
                self._versions[name] = objects.resource_version(kept)
            else:
                _log.info("the lease of %s was not renewed: %s", name, error)
            return
        self._versions[name] = objects.resource_version(found)

    # --- pods

    def _slice(self, pod: Object) -> Object | None:
        """Return what is kept of a pod: nothing of those elsewhere, little of those that run."""
        node = text(pod, "spec", "nodeName")
        if node not in self._numbers:
            return None
        phase = text(pod, "status", "phase")
        kept: Object = {
            "metadata": {"resourceVersion": objects.resource_version(pod), "uid": objects.uid(pod)},
            "who": (objects.namespace(pod), objects.name(pod)),
            "phase": phase,
            "node": node,
            "deleting": objects.deleting(pod),
        }
        may_end = self._wish.end_after_s is not None and text(pod, "spec", "restartPolicy") != "Always"
        if (phase == "Pending" or may_end) and phase not in ("Succeeded", "Failed"):
            kept["started"] = text(pod, "status", "startTime")
            kept["may_end"] = may_end
            kept["spec"] = {
                group: [
                    {word: item[word] for word in ("name", "image", "restartPolicy") if word in item}
                    for item in items(pod, "spec", group)
                ]
                for group in ("containers", "initContainers")
            }
        return kept

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            if old is not None:
                self._due.pop(objects.uid(old), None)
        elif "who" in new and (new["deleting"] or new["phase"] == "Pending" or new.get("may_end")):
            self._loop.queue.add(Key(*new["who"]))

    async def _reconcile(self, key: Key) -> float | None:
        pod = self._pods.get(*key)
        if pod is None:
            return None
        phase, uid = pod["phase"], objects.uid(pod)
        if pod["deleting"]:
            return await self._after(uid, "ends", self._wish.stop_delay_s, lambda: self._delete(key, uid))
        if phase == "Pending":
            return await self._after(uid, "starts", self._wish.start_delay_s, lambda: self._run(key, pod))
        if phase == "Running" and pod.get("may_end"):
            return await self._after(uid, "is done", self._wish.end_after_s or 0.0, lambda: self._finish(key, pod))
        return None

    async def _after(self, uid: str, what: str, delay_s: float, act: Callable[[], Awaitable[None]]) -> float | None:
        """Act when the delay is over; returns how long that is, None when it is done."""
        now_s = self._clock.monotonic_s()
        next_, due_s = self._due.get(uid, ("", 0.0))
        if next_ != what:
            due_s = now_s + delay_s
            self._due[uid] = what, due_s
        if due_s > now_s:
            return due_s - now_s
        self._due.pop(uid, None)
        await act()
        return None

    async def _run(self, key: Key, pod: Object) -> None:
        self._started += 1
        host = made.node_address(self._numbers[pod["node"]])
        await self._say(key, made.running(pod, made.address(self._started), host, self._now()))

    async def _finish(self, key: Key, pod: Object) -> None:
        await self._say(key, made.succeeded(pod, pod["started"] or self._now(), self._now()))

    async def _say(self, key: Key, patch: Object) -> None:
        await _unless_gone(
            self._client.patch(PODS, key.namespace, key.name, patch, media=_STRATEGIC, subresource="status")
        )

    async def _delete(self, key: Key, uid: str = "") -> None:
        options: Object = {"gracePeriodSeconds": 0}
        if uid:
            options["preconditions"] = {"uid": uid}
        await _unless_gone(self._client.delete(PODS, key.namespace, key.name, options))

    def _now(self) -> str:
        return rfc3339.render(self._clock.now_ns() // 10**9)


async def _unless_gone(call: Awaitable[Object]) -> None:
    try:
        await call
    except ApiError as error:
        if error.code not in (404, 409):
            raise


async def _each(what: Iterable[T], act: Callable[[T], Awaitable[None]]) -> None:
    """Act on each, some at a time."""
    left = iter(list(what))

    async def work() -> None:
        for item in left:
            await act(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(work())
