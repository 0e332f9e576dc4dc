"""Reports: of pods that did not fit: their event, their condition, each only when it says something new."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from sampan.base import log
from sampan.base.clock import Clock
from sampan.base.errors import SampanError
from sampan.control.scheduling import texts
from sampan.control.scheduling.answers import Answers
from sampan.control.scheduling.cluster import Cluster
from sampan.control.scheduling.events import Events
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.preemption import Eviction
from sampan.schedule.refusal import Refusal
from sampan.schedule.shape import Shape

_WORKERS = 4

_log = log.get("scheduler")


class _News(NamedTuple):
    """`lost`: the pod is not on the node it was nominated for."""

    uid: str
    message: str
    lost: bool


class Reports:
    def __init__(self, cluster: Cluster, core: Scheduler, answers: Answers, events: Events, clock: Clock) -> None:
        self._cluster = cluster
        self._core = core
        self._answers = answers
        self._events = events
        self._clock = clock
        self._told: dict[str, str] = {}  # pod -> its condition's message
        self._waiting: OrderedDict[str, _News] = OrderedDict()  # the newest of each pod, to be told
        self._telling: dict[str, asyncio.Event] = {}  # set when it is told
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._texts: dict[tuple[int, Refusal, bool], str] = {}
        self._as_of = (-1, -1, -1)
        self.wait_for_others = False
        """Whether a pod waits whose rules look at other pods: a placement may help it."""

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._work(), name=f"conditions {number}") for number in range(_WORKERS)]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def refuse(self, pod: Pod, refusal: Refusal) -> None:
        """Tell that a pod fits nowhere."""
        self.unfit(pod, self._text(pod, refusal))
        self.wait_for_others |= _looks_at_others(pod.shape)

    def making_room(self, pod: Pod, victims: Sequence[Eviction]) -> None:
        """Tell that a pod did not fit as it was, before its victims went."""
        snapshot = self._cluster.snapshot
        position = snapshot.touches.position
        lifted = snapshot.lift(pod.key)
        for victim in victims:
            snapshot.add(victim.pod, victim.node)
        standing = self._core.standing(pod.shape)
        message = texts.crowded(standing)
        for victim in victims:
            snapshot.remove(victim.pod.key)
        snapshot.put_back(lifted)
        snapshot.touches.rewind(position)
        self.unfit(pod, message)

    def unfit(self, pod: Pod, message: str) -> None:
        """Tell why a pod is not placed, in an event and in its condition."""
        seen = self._cluster.known.get(pod.key)
        if seen is None:
            return
        self._events.say(pod.key, seen.uid, "FailedScheduling", message, action="Scheduling", type_="Warning")
        lost = bool(seen.nominated) and pod.key not in self._cluster.assumed and not self._held(pod)
        if lost or self._told.get(pod.key) != message:
            self._told[pod.key] = message
            self._waiting[pod.key] = _News(seen.uid, message, lost)
            self._wake.set()

    def park(self, pod: Pod) -> None:
        """Keep a pod for a later turn."""
        self._cluster.queue.park(pod, self._clock.monotonic_s())

    async def hush(self, key: str) -> None:
        """Tell no more that a pod does not fit, as it is about to be bound. Returns when what was being told is told."""
        if self._waiting.pop(key, None) is not None:
            self._told.pop(key, None)
        while (told := self._telling.get(key)) is not None:
            await told.wait()

    def forget(self, key: str) -> None:
        """A pod is placed, or gone."""
        self._told.pop(key, None)
        self._waiting.pop(key, None)

    def _held(self, pod: Pod) -> bool:
        """Return whether a pod may evict nobody now because pods on its nominated node are about to end."""
        seen = self._cluster.known.get(pod.key)
        return not pod.may_preempt and seen is not None and seen.pod.may_preempt

    def _text(self, pod: Pod, refusal: Refusal) -> str:
        """Return a refusal's sentences; many pods of one shape that wait share them."""
        snapshot = self._cluster.snapshot
        as_of = snapshot.as_of
        if as_of != self._as_of:
            self._texts.clear()
            self._as_of = as_of
        if refusal.note or not refusal.nodes:
            return refusal.message()
        standing = self._core.standing(pod.shape)
        held = self._held(pod)
        key = standing.ask.number, refusal, held
        found = self._texts.get(key)
        if found is None:
            found = self._texts[key] = texts.unfit(standing, pod, refusal, held=held)
        return found

    async def _work(self) -> None:
        while True:
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            key, news = self._waiting.popitem(last=False)
            while (told := self._telling.get(key)) is not None:
                await told.wait()
            told = self._telling[key] = asyncio.Event()
            try:
                await self._answers.unschedulable(key, news.uid, news.message, withdraw=news.lost)
            except SampanError as error:
                self._told.pop(key, None)
                _log.info("the condition of %s was not told: %s", key, error)
            finally:
                del self._telling[key]
                told.set()


def _looks_at_others(shape: Shape) -> bool:
    return bool(shape.affinity) or any(spread.hard for spread in shape.spread)
