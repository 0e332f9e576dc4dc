"""Fragmentation: what is free where it is of no use.

For each shape, what is free of a resource on nodes that a pod of the shape doesn't fit on is a fragment. A cluster's fragmentation
is the mean over the shapes that came so far, weighted by how many pods of each did. An empty cluster of equal nodes has none, and a full one
neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from sampan.schedule.arrays import NOWHERE
from sampan.schedule.place import Scheduler
from sampan.schedule.shape import Shape

MOST_SHAPES = 32
"""Only so many shapes are asked, those that came most often."""


class Fragmentation:
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._came: Counter[Shape] = Counter()
        self._as_of = (-1, -1, -1)
        self._known: list[float] = []

    def came(self, shape: Shape, count: int) -> None:
        """Count pods that arrived."""
        self._came[shape] += count
        self._known = []

    def of(self, resources: Sequence[str]) -> list[float]:
        """Return the fragmentation of each resource, in its own unit, summed up over the nodes."""
        snapshot = self._scheduler.snapshot
        as_of = snapshot.as_of
        if as_of != self._as_of or not self._known:
            self._as_of = as_of
            self._known = self._now(resources)
        return self._known

    def _now(self, resources: Sequence[str]) -> list[float]:
        often = self._came.most_common(MOST_SHAPES)
        total = sum(count for _, count in often)
        columns = self._scheduler.snapshot.resources
        useless = np.zeros(len(self._scheduler.snapshot.nodes))
        for shape, count in often:
            standing = self._scheduler.standing(shape)
            if standing.rows is None:
                useless += (count / total) * (standing.totals() == NOWHERE)
        return [float(np.maximum(columns.free[columns.numbers[name]], 0) @ useless) for name in resources]
