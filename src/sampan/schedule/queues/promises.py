"""Promises: by when the first job of each queue starts, so that nobody who comes before it in time is in its way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from math import inf

from sampan.schedule.offers.vector import Vector
from sampan.schedule.queues.calendar import Calendar, Promise
from sampan.schedule.queues.tree import Node, entitled, parting

Rival = tuple[Node, Vector, float]
"""Queue, amounts and length of a job that would start."""


class Promises:
    """By the job's key, the oldest first."""

    def __init__(self) -> None:
        self._all: dict[str, Promise] = {}

    def __iter__(self) -> Iterator[Promise]:
        return iter(self._all.values())

    def get(self, key: str) -> Promise | None:
        return self._all.get(key)

    def set(self, promise: Promise) -> None:
        self._all[promise.job.key] = promise

    def drop(self, key: str) -> None:
        self._all.pop(key, None)

    def give(self, one: Promise, calendar: Calendar, since_s: float) -> bool:
        """Promise a job the earliest time from then on; returns False where none can be foreseen: then it has none."""
        others = self._but(frozenset([one.job.key]))
        at_s = calendar.earliest(one.leaf, one.amounts, one.length_s, others, since_s)
        if at_s == inf:
            self.drop(one.job.key)
            return False
        self.set(one._replace(at_s=at_s))
        return True

    def renew(self, calendar: Calendar, still: Callable[[Promise], bool]) -> None:
        """Keep promises, or make them earlier; later only where one has been broken. Those that are not `still` due are dropped."""
        old, self._all = self._all, {}
        for one in old.values():
            if still(one):
                self.give(one, calendar, max(one.at_s, calendar.now_s))
        for one in sorted(self, key=lambda one: one.at_s):
            if not one.nodes:  # nodes are what that one waits for
                self.give(one, calendar, calendar.now_s)

    def in_the_way(self, rival: Rival, calendar: Calendar, besides: frozenset[str]) -> Promise | None:
        """Return a promise that would be broken by a job that starts now, though there is room for it now."""
        binding = self._but(besides)
        if not binding or calendar.lasts(*rival, binding):
            return None
        return min(binding, key=lambda one: one.at_s)

    def _but(self, besides: Collection[str]) -> list[Promise]:
        return [one for key, one in self._all.items() if key not in besides]


def outranked(promises: Iterable[Promise], leaf: Node, amounts: Vector) -> frozenset[str]:
    """Return the jobs whose promises do not bind this one: where the queues' paths part, it is within a guarantee."""
    parted = ((one.job.key, parting(leaf, one.leaf)) for one in promises)
    return frozenset(key for key, pair in parted if pair is not None and entitled(pair[0], amounts))
