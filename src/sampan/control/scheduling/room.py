"""Room: pods of lower priority are evicted for those that are placed in their stead, who are bound when they have ended.

Until then these hold their places on the snapshot, and are nominated in the API. Those of a gang wait for each other. Where one's
place is given to another, or a victim cannot be evicted, all is taken back and they have another turn.

Spec: "Pod Priority and Preemption"; kube-scheduler DefaultPreemption.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sampan.base import log
from sampan.base.errors import SampanError
from sampan.control.scheduling.answers import Answers
from sampan.control.scheduling.binding import Binding
from sampan.control.scheduling.cluster import Cluster, Placement
from sampan.control.scheduling.events import Events
from sampan.kube.status import ApiError
from sampan.schedule.pod import Pod
from sampan.schedule.preemption import Eviction
from sampan.schedule.snapshot import Lifted

_WORKERS = 8

_log = log.get("scheduler")


class Kept(NamedTuple):
    """A pod that is on the node it was nominated for, and who was taken off the snapshot for it, being about to end."""

    placement: Placement
    ending: list[Lifted]


class _Group:
    """Pods that hold their places until all victims have ended, and are bound together: one, or those of a gang.

    `victims`: those who have not ended yet, each with the placement it makes room for.
    """

    def __init__(self, placements: Sequence[Placement]) -> None:
        self.placements = placements
        self.victims: dict[str, Placement] = {}


class Room:
    def __init__(self, cluster: Cluster, answers: Answers, events: Events, binding: Binding) -> None:
        self._cluster = cluster
        self._answers = answers
        self._events = events
        self._binding = binding
        self._waiting: dict[str, _Group] = {}  # by each pod that waits
        self._for: dict[str, _Group] = {}  # by victim
        self._jobs: asyncio.Queue[_Group] = asyncio.Queue()
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

    def resume(self, pod: Pod, node: str) -> Kept | None:
        """Put a pod on the node that an earlier turn, or scheduler, nominated it for; None where it does not fit there.

        Pods of lower priority that are about to end there make room for it. Follow it by `make` or `undo`.
        """
        snapshot, known = self._cluster.snapshot, self._cluster.known
        snapshot.settle()
        row = snapshot.rows.get(node)
        if row is None:
            return None
        below = [other for other, _ in snapshot.pods.on(row) if other.priority < pod.priority]
        ending = [snapshot.lift(one.key) for one in below if one.key in known and known[one.key].deleting]
        snapshot.add(pod, node)
        kept = Kept(Placement(pod, node), ending)
        if self._binding.still_fits(pod):
            return kept
        self.undo(kept)
        return None

    def undo(self, kept: Kept) -> None:
        """Leave the snapshot as it was before `resume`; of several, the last one first."""
        self._cluster.snapshot.remove(kept.placement.pod.key)
        for one in reversed(kept.ending):
            self._cluster.snapshot.put_back(one)

    def make(self, placements: Sequence[Placement], evictions: Iterable[Eviction], kept: Iterable[Kept] = ()) -> None:
        """Evict pods for those that are assumed on their nodes, and bind these when all victims have ended; returns at once.

        `evictions`: all for one of them; `kept`: those of them for whom pods are about to end already.
        """
        group, by, others = _Group(placements), {one.pod.key: one for one in placements}, list[_Group]()
        for eviction in evictions:
            key = eviction.pod.key
            seen = self._cluster.known.get(key)
            if key in self._waiting:
                others.append(self._waiting[key])
            elif seen is not None and seen.node:
                group.victims[key] = by[eviction.by]
            elif seen is not None:
                self._cluster.forget(key)  # its binding is not told any more
                self._cluster.enqueue(seen.pod)
        for one in kept:
            group.victims.update((lifted.pod.key, one.placement) for lifted in one.ending)
        self._cluster.leaving.update(group.victims)
        self._for.update(dict.fromkeys(group.victims, group))
        self._waiting.update(dict.fromkeys(by, group))
        self._jobs.put_nowait(group)
        for other in others:
            self._take_back(other)

    def gone(self, key: str) -> None:
        """A pod has ended: it may be a victim, or one that waits."""
        if (group := self._for.pop(key, None)) is not None:
            del group.victims[key]
            self._bind_if_free(group)
        if (group := self._waiting.get(key)) is not None:
            self._take_back(group)

    def _bind_if_free(self, group: _Group) -> None:
        if not group.victims and self._waits(group):
            for pod, _ in group.placements:
                del self._waiting[pod.key]
            self._binding.bind(*group.placements)

    def _waits(self, group: _Group) -> bool:
        return self._waiting.get(group.placements[0].pod.key) is group

    def _take_back(self, group: _Group) -> None:
        """One of those that wait has lost its place: all of them have another turn."""
        if not self._waits(group):
            return
        self._restore(group)
        for pod, _ in group.placements:
            self._cluster.forget(pod.key)
        for pod, _ in group.placements:
            seen = self._cluster.known.get(pod.key)
            if seen is not None and not seen.node and not seen.deleting:
                self._cluster.enqueue(seen.pod)

    def _restore(self, group: _Group) -> None:
        """Make no more room: victims count again, those that are about to end too."""
        for pod, _ in group.placements:
            del self._waiting[pod.key]
        victims, group.victims = group.victims, {}
        for victim in victims:
            del self._for[victim]
            self._cluster.restore(victim)

    async def _work(self) -> None:
        while True:
            group = await self._jobs.get()
            try:
                await self._evict(group)
            except SampanError as error:
                self._no_room(group, str(error))
            except Exception:
                _log.exception("room was not made by a defect of ours")
                self._no_room(group, "a defect of the scheduler")

    def _no_room(self, group: _Group, why: str) -> None:
        if not self._waits(group):
            return
        why = f"no room could be made on {', '.join(sorted({node for _, node in group.victims.values()}))}: {why}"
        self._restore(group)
        for pod, _ in group.placements:
            _log.info("%s: %s", pod.key, why)
            self._binding.again(pod, why)

    async def _evict(self, group: _Group) -> None:
        known = self._cluster.known
        for pod, node in group.placements:
            if not self._waits(group):
                return
            try:
                await self._answers.nominate(pod.key, known[pod.key].uid, node)
            except ApiError as error:
                if error.code in (404, 409):
                    return  # it is gone, and we are about to be told
                raise
        for victim in sorted(group.victims):
            seen = known.get(victim)
            if victim not in group.victims or seen is None or seen.deleting:
                continue  # it is not to go any more, or about to
            pod, node = group.victims[victim]
            uid = known[pod.key].uid
            await self._answers.evict(victim, seen.uid)
            note = f"Preempted by pod {uid} on node {node}"
            self._events.say(victim, seen.uid, "Preempted", note, action="Preempting", type_="Normal")
        self._bind_if_free(group)
