"""Interference: which apps may come to a machine that holds others, for many machines at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sampan.sim.packing import Ints

_UNLIMITED = 1 << 30


class Interference:
    """The rules by app. A rule (A, B, k) is met twice: by B coming to A, and by A coming to B.

    Each app's list begins with itself: where an app has no rule about itself there is no limit.
    """

    def __init__(self, rules: Ints, apps: int) -> None:
        a, b, k = rules[:, 0], rules[:, 1], rules[:, 2]
        of_itself = np.full(apps + 1, _UNLIMITED, np.int64)
        np.minimum.at(of_itself, a[a == b], k[a == b])
        a, b, k = a[a != b], b[a != b], k[a != b]
        every = np.arange(apps + 1)
        coming = np.concatenate([every, a, b])
        order = np.argsort(coming, kind="stable")
        self._first = np.searchsorted(coming[order], np.arange(apps + 2))
        self._other = np.concatenate([every, b, a])[order]
        self._most = np.concatenate([of_itself, k, k])[order]
        guest = np.concatenate([np.zeros(len(every) + len(a), bool), np.ones(len(b), bool)])
        self._guest = guest[order]  # here `most` limits the coming app, not the other

    def allowed(self, apps: Ints, rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Return for each app (n,) whether it may join the apps of its row (n, slots), which it is not in yet."""
        lengths = self._first[apps + 1] - self._first[apps]
        starts = np.cumsum(lengths) - lengths
        who = np.repeat(np.arange(len(apps)), lengths)
        rule = np.arange(len(who)) + (self._first[apps] - starts)[who]
        met = np.flatnonzero(rows[who] == self._other[rule][:, None]) // rows.shape[1]
        there = np.bincount(met, minlength=len(who))
        already = there[starts][who]  # each list begins with the app itself
        most = self._most[rule]
        broken = np.where(self._guest[rule], (there > 0) & (already + 1 > most), there > most)
        allowed = np.ones(len(apps), bool)
        allowed[who[broken]] = False
        return allowed
