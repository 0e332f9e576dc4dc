"""Filters: what was declined, and until when it is not offered again.

A filter keeps offers away that have no more of anything than what was declined. Spec: Mesos Filters.refuse_seconds.
"""

from __future__ import annotations

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
            self._move(np.arange(self._length), 2 * self._length)
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
        self._move(lines, max(_FIRST, 2 * len(lines)))

    def _move(self, lines: Rows, size: int) -> None:
        """Keep these lines, with room for `size`."""
        who, where, until, what = self._who, self._where, self._until, self._what
        self._length = count = len(lines)
        self._who, self._where = np.zeros(size, np.intp), np.zeros(size, np.intp)
        self._until, self._what = np.zeros(size), np.zeros((len(what), size), np.int64)
        self._who[:count], self._where[:count] = who[lines], where[lines]
        self._until[:count], self._what[:, :count] = until[lines], what[:, lines]


class Others:
    """Filters that do not block all that could be offered, but may block a part of it."""

    def __init__(self, keys: Rows, what: Ints, lines: Rows) -> None:
        self._keys, self._what, self._lines = keys, what, lines
        self._known: dict[int, list[Vector]] | None = None

    def blocks(self, key: int, parts: Parts) -> bool:
        """Return whether one keeps this offer away. `key`: row times width plus subscription."""
        if not len(self._keys):
            return False
        offered = (*parts.firm(), *(parts.revocable or (0,) * len(parts.bare)))
        if self._known is None:
            self._known = {}
            columns = self._what[:, self._lines].T.tolist()
            for one, what in zip(self._keys.tolist(), columns, strict=True):
                self._known.setdefault(one, []).append(tuple(what))
        return any(within(offered, what) for what in self._known.get(key, ()))
