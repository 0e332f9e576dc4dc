"""Room: pods of lower priority are evicted for one that is placed in their stead, and it is bound when they have ended.

Until then the pod holds its place on the snapshot, and is nominated in the API. Where its own place is given to another, or
its victims cannot be evicted, all is taken back and it has another turn.

Spec: "Pod Priority and Preemption"; kube-scheduler DefaultPreemption.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sampan.base import log
from sampan.base.errors import SampanError
from sampan.control.scheduling.answers import Answers
from sampan.control.scheduling.binding import Binding
from sampan.control.scheduling.cluster import Cluster
from sampan.control.scheduling.events import Events
from sampan.kube.status import ApiError
from sampan.schedule.pod import Pod
from sampan.schedule.preemption import Eviction

_WORKERS = 8

_log = log.get("scheduler")


class _Waiting:
    def __init__(self, pod: Pod, node: str, victims: set[str]) -> None:
        self.pod = pod
        self.node = node
        self.victims = victims


class Room:
    def __init__(self, cluster: Cluster, answers: Answers, events: Events, binding: Binding) -> None:
        self._cluster = cluster
        self._answers = answers
        self._events = events
        self._binding = binding
        self._waiting: dict[str, _Waiting] = {}  # by the pod that waits
        self._for: dict[str, str] = {}  # victim -> the pod that waits for its end
        self._jobs: asyncio.Queue[str] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._work(), name=f"evictions {number}") for number in range(_WORKERS)]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def making(self, pod: Pod, node: str) -> bool:
        """Return whether pods of lower priority are about to end on the node a pod was nominated for."""
        snapshot = self._cluster.snapshot
        row = snapshot.rows.get(node)
        if row is None:
            return False
        return any(
            other.priority < pod.priority and (seen := self._cluster.known.get(other.key)) is not None and seen.deleting
            for other, _ in snapshot.pods.on(row)
        )

    def resume(self, pod: Pod, node: str) -> bool:
        """Take up again what an earlier scheduler began: pods that are about to end make room for one on its nominated node.

        Returns whether the pod waits for their end; it is assumed there then.
        """
        snapshot, known = self._cluster.snapshot, self._cluster.known
        snapshot.settle()
        row = snapshot.rows.get(node)
        if row is None:
            return False
        below = [other for other, _ in snapshot.pods.on(row) if other.priority < pod.priority]
        ending = [snapshot.lift(one.key) for one in below if one.key in known and known[one.key].deleting]
        snapshot.add(pod, node)
        if not ending or not self._binding.still_fits(pod):
            snapshot.remove(pod.key)
            for one in reversed(ending):
                snapshot.put_back(one)
            return False
        self._cluster.assumed[pod.key] = node
        waiting = self._waiting[pod.key] = _Waiting(pod, node, {one.pod.key for one in ending})
        for key in waiting.victims:
            self._cluster.leaving.add(key)
            self._for[key] = pod.key
        return True

    def make(self, pod: Pod, node: str, evictions: Sequence[Eviction]) -> None:
        """Evict pods for one that is assumed on their node; returns at once."""
        victims: set[str] = set()
        for eviction in evictions:
            victim = eviction.pod
            seen = self._cluster.known.get(victim.key)
            if victim.key in self._waiting:
                self._take_back(victim.key)
            elif seen is not None and seen.node:
                victims.add(victim.key)
                self._cluster.leaving.add(victim.key)
                self._for[victim.key] = pod.key
            elif seen is not None:
                self._cluster.assumed.pop(victim.key, None)  # its binding is not told any more
                self._cluster.queue.add(seen.pod)
        self._waiting[pod.key] = _Waiting(pod, node, victims)
        self._jobs.put_nowait(pod.key)

    def gone(self, key: str) -> None:
        """A pod has ended: it may be a victim, or one that waits."""
        if (by := self._for.pop(key, None)) is not None:
            waiting = self._waiting.get(by)
            if waiting is not None:
                waiting.victims.discard(key)
                self._bind_if_free(waiting)
        if (waiting := self._waiting.pop(key, None)) is not None:
            self._restore(waiting)

    def _bind_if_free(self, waiting: _Waiting) -> None:
        if not waiting.victims and self._waiting.pop(waiting.pod.key, None) is not None:
            self._binding.bind(waiting.pod, waiting.node)

    def _take_back(self, key: str) -> None:
        """A pod that waits has lost its place: it has another turn."""
        waiting = self._waiting.pop(key)
        self._restore(waiting)
        self._cluster.forget(key)
        seen = self._cluster.known.get(key)
        if seen is not None:
            self._cluster.queue.add(seen.pod)

    def _restore(self, waiting: _Waiting) -> None:
        for victim in waiting.victims:
            self._for.pop(victim, None)
            self._cluster.restore(victim)

    async def _work(self) -> None:
        while True:
            key = await self._jobs.get()
            waiting = self._waiting.get(key)
            if waiting is None:
                continue
            try:
                await self._evict(waiting)
            except SampanError as error:
                _log.info("no room is made for %s on %s: %s", key, waiting.node, error)
                if self._waiting.get(key) is waiting:
                    del self._waiting[key]
                    self._restore(waiting)
                    self._binding.again(waiting.pod, f"no room could be made on {waiting.node}: {error}")

    async def _evict(self, waiting: _Waiting) -> None:
        pod, node = waiting.pod, waiting.node
        seen = self._cluster.known.get(pod.key)
        uid = seen.uid if seen is not None else ""
        try:
            await self._answers.nominate(pod.key, uid, node)
        except ApiError as error:
            if error.code in (404, 409):
                return  # it is gone, and we are about to be told
            raise
        for victim in sorted(waiting.victims):
            known = self._cluster.known.get(victim)
            if known is None:
                continue
            await self._answers.evict(victim, known.uid)
            note = f"Preempted by pod {uid} on node {node}"
            self._events.say(victim, known.uid, "Preempted", note, action="Preempting", type_="Normal")
        self._bind_if_free(waiting)
