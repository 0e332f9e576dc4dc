"""Calendar: what is taken at which time, as far as time limits tell: by jobs that run, and by jobs that were promised room.

A job that runs takes its amounts until its time limit is over, for ever where it has none; a promised one from the promised
time on. So the earliest time for one more job is known, and whether it may start now without being in anybody's way: that
is when its earliest time is now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from math import inf
from typing import NamedTuple

from sampan.schedule.offers.vector import Vector, minus, plus, within
from sampan.schedule.queues.job import Job
from sampan.schedule.queues.tree import Node, QueueTree


class Promise(NamedTuple):
    """The first job of a queue starts at `at_s` at the latest. `nodes`, by pod: where, if nodes and not amounts were short."""

    job: Job
    leaf: Node
    amounts: Vector
    length_s: float
    at_s: float
    nodes: tuple[str, ...] = ()


class Running(NamedTuple):
    """`ends_s`: when its time limit is over; inf where it has none. `promised`: what it was promised before it was admitted."""

    job: Job
    leaf: Node
    amounts: Vector
    started_s: float
    ends_s: float
    promised: Promise | None


class _Change(NamedTuple):
    at_s: float
    leaf: Node
    amounts: Vector  # that come free; negative ones are taken


class Calendar:
    """From `now_s` on. The tree counts what runs; whoever changes it tells."""

    def __init__(self, tree: QueueTree, now_s: float, running: Iterable[Running]) -> None:
        self.now_s = now_s
        self._tree = tree
        ends = [_Change(one.ends_s, one.leaf, one.amounts) for one in running if one.ends_s < inf]
        self._ends = sorted(ends, key=_time)
        self._last: tuple[list[tuple[str, float]], list[_Change]] = ([], self._ends)
        """With promises merged: mostly the same ones are asked about."""

    def started(self, one: Running) -> None:
        if one.ends_s < inf:
            self._ends.append(_Change(one.ends_s, one.leaf, one.amounts))
            self._ends.sort(key=_time)
            self._last = [], self._ends

    def earliest(
        self,
        leaf: Node,
        amounts: Vector,
        length_s: float,
        promises: Collection[Promise] = (),
        since_s: float | None = None,
    ) -> float:
        """Return from when on there is room for as long as the job may run, beside those promised; inf: not foreseen.

        Room is of the cluster, and within the limits of the queue and those above it. `since_s`: not before that; now where None.
        """
        since_s = self.now_s if since_s is None else since_s
        start_s = inf
        for at_s, until_s, free in self._periods(leaf, promises):
            if not all(within(amounts, left) for left in free):
                start_s = inf
            elif start_s == inf:
                start_s = max(at_s, since_s)
            if start_s + length_s <= until_s:
                break
        return start_s

    def lasts(self, leaf: Node, amounts: Vector, length_s: float, promises: Collection[Promise]) -> bool:
        """Return whether there is room from now on for as long as the job may run, beside those promised."""
        end_s = self.now_s + length_s
        for _, until_s, free in self._periods(leaf, promises):
            if not all(within(amounts, left) for left in free):
                return False
            if end_s <= until_s:
                break
        return True

    def _periods(self, leaf: Node, promises: Collection[Promise]) -> Iterator[tuple[float, float, list[Vector]]]:
        """Yield the times in which nothing changes: from, until, and what is free of the cluster and each queue of the path."""
        changes = self._merged(promises)
        free = [minus(self._tree.capacity, self._tree.used), *(minus(node.limit, node.used) for node in leaf.path)]
        at_s, place, count = self.now_s, 0, len(changes)
        while True:
            while place < count and changes[place].at_s <= at_s:
                self._apply(changes[place], leaf, free)
                place += 1
            until_s = changes[place].at_s if place < count else inf
            yield at_s, until_s, free
            if place == count:
                return
            at_s = until_s

    def _merged(self, promises: Collection[Promise]) -> list[_Change]:
        if not promises:
            return self._ends
        key = [(one.job.key, one.at_s) for one in promises]
        if key != self._last[0]:
            taken = [change for one in promises for change in self._changes(one)]
            self._last = key, sorted([*self._ends, *taken], key=_time)
        return self._last[1]

    def _changes(self, one: Promise) -> Iterable[_Change]:
        start_s = max(one.at_s, self.now_s)
        yield _Change(start_s, one.leaf, minus(self._tree.dimensions.zero, one.amounts))
        if one.length_s < inf:
            yield _Change(start_s + one.length_s, one.leaf, one.amounts)

    def _apply(self, change: _Change, leaf: Node, free: list[Vector]) -> None:
        free[0] = plus(free[0], change.amounts)
        for place, (mine, theirs) in enumerate(zip(leaf.path, change.leaf.path, strict=False), 1):
            if mine is not theirs:
                return
            free[place] = plus(free[place], change.amounts)


def _time(change: _Change) -> float:
    return change.at_s
