"""Filters: what was declined, and until when it is not offered again.

A filter keeps offers away that have no more of anything than what was declined. Spec: Mesos Filters.refuse_seconds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np

from sampan.schedule.arrays import Floats, Ints, Mask, Rows
from sampan.schedule.offers.offer import Parts
from sampan.schedule.offers.vector import Vector, within

DEFAULT_S, LONGEST_S = 5.0, 365 * 86400.0
_FIRST = 1024


class Filters:
    """Columns with a line for each filter; `what` is [dimensions of firm ones, then of revocable ones][lines]."""

    def __init__(self, dimensions: int) -> None:
        self._length = 0
        self._who: Rows = np.zeros(_FIRST, np.intp)
        self._where: Rows = np.zeros(_FIRST, np.intp)
        self._until: Floats = np.zeros(_FIRST)
        self._what: Ints = np.zeros((2 * dimensions, _FIRST), np.int64)

    def __len__(self) -> int:
        return self._length

    def add(self, who: int, where: int, what: Vector, now_s: float, refuse_s: float) -> None:
        """Remember that a subscription declined `what` (firm, then revocable) on a node. A negative time: the default."""
        lasting = DEFAULT_S if refuse_s < 0 else min(refuse_s, LONGEST_S)
        if lasting == 0:
            return
        if self._length == len(self._who):
            self._grow()
        line = self._length
        self._who[line], self._where[line], self._until[line] = who, where, now_s + lasting
        self._what[:, line] = what
        self._length += 1

    def clear(self, who: int) -> None:
        """Forget what a subscription declined."""
        self._keep(self._who[: self._length] != who)

    def expire(self, now_s: float) -> None:
        """Forget those whose time is over: one that ends now no longer holds."""
        alive = self._until[: self._length] > now_s
        if not alive.all():
            self._keep(alive)

    def block(self, width: int, rows: Rows, most: Ints) -> tuple[Mask, Others]:
        """Return who is blocked where, [nodes, width], whatever of `most` is offered; and the filters that may yet block.

        `rows`: the row of each node's number, -1 where it has none. `most`: [as `what`][nodes].
        """
        count = most.shape[1]
        blocked = np.zeros((count, width), np.bool_)
        where = rows[self._where[: self._length]]
        lines = np.flatnonzero(where >= 0)
        where = where[lines]
        covers = np.ones(len(lines), np.bool_)
        for place in range(len(most)):
            if most[place].any():
                covers &= most[place].take(where) <= self._what[place, : self._length].take(lines)
        who = self._who[lines]
        blocked[where[covers], who[covers]] = True
        rest = ~covers
        return blocked, Others(where[rest] * width + who[rest], self._what, lines[rest])

    def _keep(self, which: Mask) -> None:
        lines = np.flatnonzero(which)
        self._length = count = len(lines)
        for column in (self._who, self._where, self._until, *self._what):
            column[:count] = column[lines]

    def _grow(self) -> None:
        """Make room for as many again."""
        size = self._length
        self._who, self._where = (
            np.append(self._who, np.zeros(size, np.intp)),
            np.append(self._where, np.zeros(size, np.intp)),
        )
        self._until = np.append(self._until, np.zeros(size))
        self._what = np.append(self._what, np.zeros((len(self._what), size), np.int64), axis=1)


class Others:
    """Filters that do not block all that could be offered, but may block a part of it."""

    def __init__(self, keys: Rows, what: Ints, lines: Rows) -> None:
        order = np.argsort(keys, kind="stable")
        self._keys: list[int] = keys[order].tolist()
        self._lines: list[int] = lines[order].tolist()
        self._what = what

    def blocks(self, key: int, parts: Parts) -> bool:
        """Return whether one keeps this offer away. `key`: row times width plus subscription."""
        place, end = bisect_left(self._keys, key), bisect_right(self._keys, key)
        if place == end:
            return False
        offered = (*parts.firm(), *(parts.revocable or (0,) * len(parts.bare)))
        return any(within(offered, self._what[:, line].tolist()) for line in self._lines[place:end])
