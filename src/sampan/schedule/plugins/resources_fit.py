"""NodeResourcesFit: what a pod asks for is free; the more is left, the better, or the less.

Spec: kube-scheduler NodeResourcesFit, LeastAllocated and MostAllocated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sampan.schedule.arrays import Floats, Ints, Mask
from sampan.schedule.ask import Ask
from sampan.schedule.plugin import Normal, Reach
from sampan.schedule.resources import PODS, SCORED_CPU, SCORED_MEMORY
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.view import Nodes

_SCORED = {"cpu": SCORED_CPU, "memory": SCORED_MEMORY}
_COUNTED = frozenset(_SCORED.values())
_ANY = -(1 << 62)
"""Less than can be left: what is not asked for may be overdrawn."""


@dataclass(frozen=True)
class NodeResourcesFit:
    """`weights`: resources that are scored. `most`: fullest first."""

    weights: tuple[tuple[str, int], ...] = (("cpu", 1), ("memory", 1))
    most: bool = False
    name: ClassVar = "NodeResourcesFit"
    reach: ClassVar = Reach.NODE

    def prefilter(self, ask: Ask, snapshot: Snapshot) -> Fit:
        return Fit(ask, snapshot)

    def prescore(self, ask: Ask, snapshot: Snapshot) -> Allocated:
        whole = sum(weight for _, weight in self.weights)
        parts = tuple((scored(snapshot, resource), 100.0 * weight / whole) for resource, weight in self.weights)
        return Allocated(ask, snapshot, parts, most=self.most)


def scored(snapshot: Snapshot, resource: str) -> int:
    """Return the column that scores go by for a resource."""
    return _SCORED[resource] if resource in _SCORED else snapshot.resources.number(resource)


class Fit:
    reach = Reach.NODE
    foresees = True

    def __init__(self, ask: Ask, snapshot: Snapshot) -> None:
        self.demand = [(number, amount) for number, amount in ask.demand if number not in _COUNTED]
        self._names = {number: name for name, number in snapshot.resources.numbers.items()}
        asked = dict(self.demand)
        self._rows = slice(min(asked), max(asked) + 1)
        rows = range(min(asked), max(asked) + 1)
        self._least: Ints = np.array([[asked.get(number, _ANY)] for number in rows], np.int64)
        self._takes: Ints = np.array([[asked.get(number, 0)] for number in rows], np.int64)

    def passes(self, nodes: Nodes) -> Mask | None:
        free = nodes.snapshot.resources.block[self._rows]
        if nodes.rows is not None:
            free = free.take(nodes.rows, axis=1)
        if nodes.more is not None:
            free = free - self._takes * nodes.more
        found: Mask = np.logical_and.reduce(free >= self._least)
        return found

    def reasons(self, nodes: Nodes) -> Sequence[tuple[str, Mask]]:
        return [(self._reason(number), nodes.free(number) < amount) for number, amount in self.demand]

    def _reason(self, number: int) -> str:
        return "Too many pods" if number == PODS else f"Insufficient {self._names[number]}"


class Allocated:
    """100 times the weighted mean of what would be left, or of what would be used."""

    reach = Reach.NODE
    foresees = True
    normal: Normal | None = None

    def __init__(self, ask: Ask, snapshot: Snapshot, parts: tuple[tuple[int, float], ...], *, most: bool) -> None:
        self._now = snapshot.resources.weighted(parts)
        self._own = self._now.of([ask.amounts.get(number, 0) for number, _ in parts])
        self._most = most

    def points(self, nodes: Nodes) -> Floats:
        left = after(self._now.values, self._own, nodes)
        return 100.0 - left if self._most else left

    def counted(self) -> Mask | None:
        return None


def after(now: Floats, own: Floats, nodes: Nodes) -> Floats:
    """Return what a sum of what is left would be with one pod (and `nodes.more`) on each node, each taking `own` off it."""
    takes = nodes.pick(own)
    if nodes.more is not None:
        takes = takes * (nodes.more + 1)
    return nodes.pick(now) - takes
