"""The scheduler in the cluster: pods without a node get one, by the core in `schedule`; in kube-scheduler's words.

One loop takes pods from the queue, places them on the snapshot, and leaves it to workers to tell the API. What the API does
not take is forgotten and has another turn. Spec: kube-scheduler; "Pod Priority and Preemption", "Pod Scheduling Readiness".
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby

import msgspec

from sampan.base import log
from sampan.base.clock import Clock
from sampan.client.port import Client
from sampan.control.scheduling import texts
from sampan.control.scheduling.answers import Answers
from sampan.control.scheduling.binding import Binding
from sampan.control.scheduling.cluster import Cluster, Placement
from sampan.control.scheduling.events import Events
from sampan.control.scheduling.figures import ERROR, Figures
from sampan.control.scheduling.following import Following
from sampan.control.scheduling.reports import Reports
from sampan.control.scheduling.room import Kept, Room
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Gang, Pod
from sampan.schedule.preemption import Eviction
from sampan.schedule.profile import DEFAULT, FILTERS, Profile
from sampan.schedule.refusal import Refusal

_AT_ONCE = 128
"""Pods in a turn: the loop is the API server's too, and a turn is work without a pause."""
_AHEAD = 1024
"""Placed pods whose binding is still under way; no more are placed before some are bound."""
_FLUSH_S = 300.0
"""After this time all that did not fit are tried again, whatever was told."""

_log = log.get("scheduler")


class PodScheduler:
    """`client` reads and writes. `host` names this instance in events. `figures`: where it counts."""

    name = "scheduler"

    def __init__(
        self, client: Client, clock: Clock, host: str, profile: Profile = DEFAULT, figures: Figures | None = None
    ) -> None:
        self._clock = clock
        self._figures = figures or Figures()
        self._cluster = Cluster()
        self._following = Following(client, self._cluster)
        self._core = Scheduler(self._cluster.snapshot, profile)
        answers = Answers(client, clock)
        self._events = Events(client, clock, host)
        self._reports = Reports(self._cluster, self._core, answers, self._events, clock)
        self._binding = Binding(self._cluster, self._core, answers, self._events, self._reports)
        # a policy of others may look at other pods: a placement may help whom it refused
        self._reports.wait_for_others = any(plugin not in FILTERS for plugin in profile.filters)
        self._room = Room(self._cluster, answers, self._events, self._binding)
        self._stirred = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._cluster.stir = self._stirred.set
        self._cluster.gone = self._gone
        self._cluster.held = self._held
        self._cluster.came = lambda key: self._figures.came(key, clock.monotonic_s())
        self._binding.freed = self._stirred.set
        self._binding.bound = lambda key: self._figures.bound(key, clock.monotonic_s())
        self._binding.failed = lambda key: self._figures.refused(key, clock.monotonic_s(), ERROR)

    async def start(self) -> None:
        self._figures.pending = lambda: {**self._cluster.queue.counts(), "gated": len(self._cluster.gated)}
        self._events.start()
        self._reports.start()
        self._binding.start()
        self._room.start()
        self._task = asyncio.create_task(self._run(), name=self.name)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for part in (self._following, self._room, self._binding, self._reports, self._events):
            await part.close()
        self._figures.rest()

    def _gone(self, key: str) -> None:
        self._reports.forget(key)
        self._room.gone(key)
        self._figures.gone(key)

    def _held(self, key: str, why: str) -> None:
        self._reports.unfit(self._cluster.known[key].pod, why)

    async def _run(self) -> None:
        await self._following.start()
        self._cluster.snapshot.settle()
        _log.info("schedules: %d nodes, %d pods", len(self._cluster.snapshot.nodes), len(self._cluster.known))
        flushed_s = self._clock.monotonic_s()
        while True:
            self._stirred.clear()  # what stirs from here on is not waited for below
            now_s = self._clock.monotonic_s()
            if self._cluster.moved or now_s - flushed_s > _FLUSH_S:
                self._cluster.moved = False
                flushed_s = now_s
                self._cluster.queue.wake(now_s)
                self._binding.look()
            next_s = self._cluster.queue.tick(now_s)
            pods = self._cluster.queue.take(_AT_ONCE) if self._binding.under_way < _AHEAD else []
            if pods:
                self._try(pods)
                await asyncio.sleep(0)
                continue
            wait_s = _FLUSH_S if next_s is None else max(0.0, next_s - now_s)
            try:
                async with asyncio.timeout(wait_s):
                    await self._stirred.wait()
            except TimeoutError:
                pass

    # --- a turn

    def _try(self, pods: Sequence[Pod]) -> None:
        """Give pods their turn. Where a defect of ours breaks it off, each has one alone: whom it is about waits."""
        try:
            self._turn(pods)
        except Exception:
            _log.exception("a turn of %d pods failed by a defect of ours", len(pods))
            self._cluster.recount()
            if len(pods) == 1:
                self._figures.refused(pods[0].key, self._clock.monotonic_s(), ERROR)
                self._later(pods[0])
                return
            for pod in pods:
                if pod.key not in self._cluster.assumed:
                    self._try([pod])

    def _turn(self, pods: Sequence[Pod]) -> None:
        began_s = self._clock.monotonic_s()
        pods = self._cluster.in_turn(pods)
        for pod in pods:
            self._figures.began(pod.key, began_s)
        for gang, some in groupby(pods, key=lambda pod: pod.gang):
            ready = [pod for pod in map(self._complete, some) if pod is not None]
            if gang is None:
                self._place(ready)
            else:
                self._place_gang(gang, ready)

    def _complete(self, pod: Pod) -> Pod | None:
        """Return a pod with all that it asks for; None: not now."""
        seen = self._cluster.known.get(pod.key)
        if seen is None or seen.node:
            return None
        wanted = self._cluster.wanted(seen)
        if wanted.shape is not pod.shape:
            pod = msgspec.structs.replace(pod, shape=wanted.shape)
        fault = seen.fault or wanted.fault
        if not fault:
            return pod
        self._figures.refused(pod.key, self._clock.monotonic_s())
        self._reports.unfit(pod, texts.fault(len(self._cluster.snapshot.nodes), fault))
        self._later(pod)
        return None

    def _place(self, pods: Sequence[Pod]) -> None:
        """Place pods one after another; those for whom room is being made already are where they were nominated for."""
        ready = []
        for pod in pods:
            if (kept := self._resume(pod)) is not None:
                self._carry_out([kept.placement], (), [kept])
            else:
                ready.append(self._patient(pod))
        outcome = self._core.place(ready)
        evictions = _by_pod(outcome.evictions)
        for pod in ready:
            if (node := outcome.placements.get(pod.key)) is not None:
                self._carry_out([Placement(pod, node)], evictions.get(pod.key, ()))
            else:
                self._refuse(pod, outcome.reasons[pod.key])

    def _place_gang(self, gang: Gang, pods: Sequence[Pod]) -> None:
        """Place the pods of a gang, first those for whom room is being made already; if that leaves too few, all anew."""
        kept: list[Kept] = []
        if len({pod.priority for pod in pods}) == 1:  # else one could evict another
            kept = [found for pod in pods if (found := self._resume(pod)) is not None]
        there = {one.placement.pod.key for one in kept}
        left = Gang(gang.name, gang.least - len(kept))
        ready = [msgspec.structs.replace(self._patient(pod), gang=left) for pod in pods if pod.key not in there]
        outcome = self._core.place(ready)
        if kept and len(kept) + len(outcome.placements) < gang.least:
            for one in reversed(kept):
                self._room.undo(one)
            kept, ready = [], [self._patient(pod) for pod in pods]
            outcome = self._core.place(ready)
        placed = [Placement(pod, outcome.placements[pod.key]) for pod in ready if pod.key in outcome.placements]
        if kept or placed:
            self._carry_out([*(one.placement for one in kept), *placed], outcome.evictions, kept)
        for pod in ready:
            if pod.key in outcome.reasons:
                self._refuse(pod, outcome.reasons[pod.key])

    def _resume(self, pod: Pod) -> Kept | None:
        node = self._cluster.known[pod.key].nominated
        return self._room.resume(pod, node) if node else None

    def _patient(self, pod: Pod) -> Pod:
        """Return a pod without the right to evict, where others are about to end on the node it was nominated for."""
        node = self._cluster.known[pod.key].nominated
        return msgspec.structs.replace(pod, may_preempt=False) if node and self._room.making(pod, node) else pod

    def _carry_out(
        self, placements: Sequence[Placement], evictions: Sequence[Eviction], kept: Sequence[Kept] = ()
    ) -> None:
        """Bind pods together, as soon as those in their way have ended."""
        for pod, node in placements:
            self._cluster.assumed[pod.key] = node
        if len(placements) > 1:
            self._cluster.provisional.update(pod.key for pod, _ in placements)
        if evictions or any(one.ending for one in kept):
            self._make_room(placements, evictions, kept)
            return
        self._binding.bind(*placements)
        if self._reports.wait_for_others:
            self._cluster.moved = True

    def _make_room(self, placements: Sequence[Placement], evictions: Sequence[Eviction], kept: Sequence[Kept]) -> None:
        now_s = self._clock.monotonic_s()
        victims = _by_pod(evictions)
        made_for = len(victims) + sum(bool(one.ending) for one in kept)
        for pod, _ in placements:
            self._figures.refused(pod.key, now_s)
            if pod.key in victims:
                self._figures.preempted(len(victims[pod.key]))
                self._reports.making_room(pod, victims[pod.key])
            elif pod.gang is not None:
                note = f"gang {pod.gang.name}: room is made for {made_for} of its {len(placements)} pods"
                self._reports.unfit(pod, note)
        self._room.make(placements, evictions, kept)

    def _refuse(self, pod: Pod, refusal: Refusal) -> None:
        self._figures.refused(pod.key, self._clock.monotonic_s())
        if not refusal.note:
            self._figures.preempted(0)
        self._reports.refuse(pod, refusal)
        self._later(pod)

    def _later(self, pod: Pod) -> None:
        if pod.key in self._cluster.known:
            self._cluster.queue.park(self._known(pod), self._clock.monotonic_s())

    def _known(self, pod: Pod) -> Pod:
        """Return a pod as it is told, without what was added for a turn."""
        seen = self._cluster.known.get(pod.key)
        return pod if seen is None else seen.pod


def _by_pod(evictions: Sequence[Eviction]) -> dict[str, list[Eviction]]:
    """Return evictions by the pod that they make room for."""
    found: dict[str, list[Eviction]] = {}
    for eviction in evictions:
        found.setdefault(eviction.by, []).append(eviction)
    return found
