"""Touches: the rows whose pods changed, in order, so that a cache redoes only those."""

from __future__ import annotations

import numpy as np

from sampan.schedule.arrays import Rows

_LEAST = 1024


class Touches:
    """A log with positions that only grow; what is older than `kept` entries is forgotten."""

    def __init__(self, kept: int) -> None:
        self._kept = max(kept, _LEAST)
        self._rows: Rows = np.zeros(2 * self._kept, np.intp)
        self._base = 0
        self._length = 0

    @property
    def position(self) -> int:
        return self._base + self._length

    def add(self, row: int) -> None:
        if self._length == len(self._rows):
            self._forget(1)
        self._rows[self._length] = row
        self._length += 1

    def add_all(self, rows: Rows) -> None:
        if len(rows) > self._kept:
            self._base += len(rows) - self._kept
            rows = rows[-self._kept :]
        if self._length + len(rows) > len(self._rows):
            self._forget(len(rows))
        self._rows[self._length : self._length + len(rows)] = rows
        self._length += len(rows)

    def rewind(self, position: int) -> None:
        """Forget what was touched since: all of it was put back, and nobody has looked."""
        self._length = max(position - self._base, 0)

    def since(self, position: int) -> Rows | None:
        """Return the rows touched since, perhaps more than once; None when that is no longer known."""
        start = position - self._base
        return self._rows[start : self._length] if start >= 0 else None

    def _forget(self, room: int) -> None:
        dropped = self._length - (self._kept - min(room, self._kept))
        rest = self._rows[dropped : self._length].copy()
        self._rows[: len(rest)] = rest
        self._base += dropped
        self._length = len(rest)
