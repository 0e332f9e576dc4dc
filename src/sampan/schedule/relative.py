"""Relative points: those that depend on the extremes of the raw ones over the nodes that passed."""

from __future__ import annotations

import numpy as np

from sampan.schedule.arrays import NOWHERE, Floats, Mask, Rows
from sampan.schedule.plugin import Normal, Score, normalised

_TWO_SIDED = (Normal.SPAN, Normal.EVEN)


def points(kind: Normal, raw: Floats, grains: float, passed: Mask, counted: Mask | None) -> Floats:
    """Return the points in whole grains, all arrays [nodes]; nodes that are not counted get none."""
    bar = np.where(passed if counted is None else passed & counted, 0.0, NOWHERE)
    greatest = float((raw + bar).max())
    if greatest == NOWHERE:
        return np.zeros(len(raw))
    least = float((raw - bar).min()) if kind in _TWO_SIDED else 0.0
    return _grains(kind, raw, least, greatest, grains, counted)


def _grains(kind: Normal, raw: Floats, least: float, greatest: float, grains: float, counted: Mask | None) -> Floats:
    found: Floats = np.rint(normalised(kind, raw, least, greatest) * grains)
    return found if counted is None else np.where(counted, found, 0.0)


class Relative:
    """A rule whose raw points no placement changes, [nodes]. Its points stand while its extremes have a witness that passes."""

    def __init__(self, rule: Score, kind: Normal, grains: float, raw: Floats) -> None:
        self._kind = kind
        self._weight = grains
        self._raw = raw
        self._counted = rule.counted()
        self._two_sided = kind in _TWO_SIDED
        among = raw if self._counted is None else raw[self._counted]
        self._top = float(among.max()) if len(among) else NOWHERE
        self._bottom = float(among.min()) if len(among) else NOWHERE
        self._tops = self._counted_and(raw == self._top)
        self._bottoms = self._counted_and(raw == self._bottom)
        self._points: Floats = np.zeros(len(raw))
        self._least, self._greatest = np.inf, NOWHERE
        self._low, self._high = -1, -1

    def of(self, passed: Mask) -> Floats:
        """Return the points in grains with these nodes passing, [nodes]. Not to be changed."""
        high = self._witness(self._tops, passed)
        low = self._witness(self._bottoms, passed) if self._two_sided else -1
        if high < 0 or (self._two_sided and low < 0):
            return self._search(passed)
        if self._greatest != self._top or (self._two_sided and self._least != self._bottom):
            self._settle(self._bottom if self._two_sided else 0.0, self._top)
        self._low, self._high = low, high
        return self._points

    def holds(self, scores: Floats, touched: Rows) -> bool:
        """Return whether the points last returned still stand after these rows changed. `scores`, [nodes], say who passes."""
        if self._high < 0 or scores[self._high] == NOWHERE or (self._two_sided and scores[self._low] == NOWHERE):
            return False
        if self._greatest == self._top and (not self._two_sided or self._least == self._bottom):
            return True
        raw = self._raw.take(touched)
        beyond = raw > self._greatest
        if self._two_sided:
            beyond |= raw < self._least
        return not bool((beyond & (scores.take(touched) > NOWHERE)).any())

    def leans_on(self, row: int) -> bool:
        """Return whether the row is a witness."""
        return row == self._high or (self._two_sided and row == self._low)

    def _search(self, passed: Mask) -> Floats:
        """Find the extremes where the very highest or lowest does not pass."""
        among = self._counted_and(passed)
        if not among.any():
            self._low = self._high = -1
            self._least, self._greatest = np.inf, NOWHERE
            self._points = np.zeros(len(self._raw))
            return self._points
        lows, highs = np.where(among, self._raw, np.inf), np.where(among, self._raw, NOWHERE)
        self._low, self._high = int(lows.argmin()), int(highs.argmax())
        self._settle(float(lows[self._low]) if self._two_sided else 0.0, float(highs[self._high]))
        return self._points

    def _settle(self, least: float, greatest: float) -> None:
        self._least, self._greatest = least, greatest
        self._points = _grains(self._kind, self._raw, least, greatest, self._weight, self._counted)

    def _counted_and(self, mask: Mask) -> Mask:
        return mask if self._counted is None else mask & self._counted

    @staticmethod
    def _witness(among: Mask, passed: Mask) -> int:
        both = among & passed
        return int(both.argmax()) if both.any() else -1
