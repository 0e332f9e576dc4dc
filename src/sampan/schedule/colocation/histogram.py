"""Histograms: how much of something series of samples had, where newer samples count more.

A sample's weight halves with each half-life. Buckets grow by a constant factor, so that a percentile is off by no more than that
factor, whatever it is of; a series takes 8 bytes a bucket and never more.
"""

from __future__ import annotations

import numpy as np

from sampan.schedule.arrays import Floats, Rows

GROWTH = 1.05
"""A bucket's upper edge by the one below it."""
_RESCALED_AFTER = 100.0
"""Half-lives. Weights grow instead of being halved at each sample; now and then all of them are divided."""
_ROUNDING = 1e-12
"""A percentile that a bucket reaches but for rounding lies in that bucket."""


class Histograms:
    """`least`, `most`: what is below the one counts as it, what is above the other as that."""

    def __init__(self, least: float, most: float, half_life_s: float) -> None:
        count = int(np.ceil(np.log(most / least) / np.log(GROWTH))) + 1
        self._edges: Floats = least * np.power(GROWTH, np.arange(count, dtype=np.float64))
        self._half_life_s = half_life_s
        self._weights: Floats = np.zeros((0, count))
        self._since_s: float | None = None  # when a sample's weight is 1

    def reserve(self, rows: int) -> None:
        """Have room for so many series."""
        if rows > len(self._weights):
            more = max(rows, 2 * len(self._weights)) - len(self._weights)
            self._weights = np.concatenate([self._weights, np.zeros((more, len(self._edges)))])

    def clear(self, row: int) -> None:
        """Forget a series."""
        self._weights[row] = 0

    def add(self, rows: Rows, values: Floats, now_s: float) -> None:
        """Add one sample to each of different series, [rows]; time does not go back."""
        buckets = np.searchsorted(self._edges, values).clip(max=len(self._edges) - 1)
        weight = self._weight(now_s)  # before what is there is read: it may be divided
        self._weights[rows, buckets] += weight

    def percentile(self, rows: Rows, share: float) -> Floats:
        """Return of each series the least edge that at least `share` of its weight is not above, [rows]; 0 where it has none."""
        sums = np.cumsum(self._weights[rows], axis=1)
        total = sums[:, -1]
        found: Floats = self._edges[np.argmax(sums >= (share * (1 - _ROUNDING) * total)[:, None], axis=1)]
        return np.where(total > 0, found, 0.0)

    def _weight(self, now_s: float) -> float:
        if self._since_s is None:
            self._since_s = now_s
        age = (now_s - self._since_s) / self._half_life_s
        if age > _RESCALED_AFTER:
            self._weights *= 2.0**-age
            self._since_s, age = now_s, 0.0
        return float(2.0**age)
