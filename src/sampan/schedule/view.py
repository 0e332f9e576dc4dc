"""Nodes: the rows that a rule is asked about, as columns of that length."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from sampan.schedule.arrays import Floats, Ints, Mask, Rows
from sampan.schedule.ask import Ask
from sampan.schedule.snapshot import Snapshot

T = TypeVar("T", bound=np.generic)


class Nodes:
    """Rows of a snapshot, seen by one ask. `rows` None: all of them; otherwise [rows], perhaps with repeats.

    `more`, [rows]: how many pods of this very ask to assume on each besides those that are there; what the columns say
    counts them. None: none. `passed`, [nodes]: which passed all filters; known to scores whose reach is CLUSTER.
    """

    __slots__ = ("_left", "ask", "more", "passed", "rows", "snapshot")

    def __init__(self, snapshot: Snapshot, ask: Ask, rows: Rows | None = None, more: Ints | None = None) -> None:
        self.snapshot = snapshot
        self.ask = ask
        self.rows = rows
        self.more = more
        self.passed: Mask | None = None
        self._left: dict[int, Floats] = {}

    def __len__(self) -> int:
        return len(self.snapshot.nodes) if self.rows is None else len(self.rows)

    def pick(self, column: npt.NDArray[T]) -> npt.NDArray[T]:
        """Return a column of all nodes at these rows."""
        return column if self.rows is None else column.take(self.rows)

    def free(self, resource: int) -> Ints:
        """Return what is left of a resource, int64. May be the column itself: not to be changed."""
        column = self.snapshot.resources.free[resource]
        rows = self.rows
        found: Ints = column if rows is None else column.take(rows)
        if self.more is not None and resource in self.ask.amounts:
            found = found - self.more * self.ask.amounts[resource]
        return found

    def left(self, resource: int) -> Floats:
        """Return the part of a resource that would be left, of what the node has: 1 for all, below 0 for too little.

        It is (free - asked) * (1 / allocatable) in float64, and 0 where the node has none.
        """
        found = self._left.get(resource)
        if found is None:
            whole = self.pick(self.snapshot.resources.inverse(resource))
            found = (self.free(resource) - self.ask.amounts.get(resource, 0)) * whole
            self._left[resource] = found
        return found
