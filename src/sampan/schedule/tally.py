"""Tally: how many pods of some sort are on each node and in each domain, kept up with every placement.

The sort is a weight that each shape has: 1 for "matches this selector", the weight of a term for "has this term". Every
question about other pods (affinity, spread, ports in use) is a tally; nobody walks over pods.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Protocol

import numpy as np

from sampan.schedule.arrays import Ints, Mask, Rows
from sampan.schedule.labels import Domains
from sampan.schedule.shape import Shape

Weigh = Callable[[Shape], int]


class DomainSums:
    """The sum of a tally over each domain, of the nodes in `of` only. `values`: [domains + 1], the last one always 0."""

    def __init__(self, domains: Domains, counts: Ints, of: Mask | None) -> None:
        self.domains = domains
        self.of = of
        self.values = domains.sums(counts if of is None else np.where(of, counts, 0))

    def add(self, row: int, weight: int) -> None:
        slot = self.domains.slot[row]
        if slot != self.domains.size and (self.of is None or self.of[row]):
            self.values[slot] += weight

    def add_all(self, rows: Rows, weight: int) -> None:
        if self.of is not None:
            rows = rows[self.of[rows]]
        np.add.at(self.values, self.domains.slot[rows], weight)
        self.values[-1] = 0


class Tally:
    """`counts`: [nodes]; `total` is their sum."""

    def __init__(self, weigh: Weigh) -> None:
        self.weigh = weigh
        self.counts: Ints = np.zeros(0, np.int64)
        self.total = 0
        self._sums: dict[Hashable, DomainSums] = {}

    def recount(self, counts: Ints) -> None:
        self.counts = counts
        self.total = int(counts.sum())
        self._sums.clear()

    def forget_domains(self) -> None:
        """Drop the sums: labels of nodes changed."""
        self._sums.clear()

    def by(self, topology: str, domains: Domains, of: Mask | None = None, name: Hashable = None) -> DomainSums:
        """Return the sums over the domains of a topology, kept up from now on. `name` stands for the mask `of`."""
        found = self._sums.get((topology, name))
        if found is None:
            found = self._sums[topology, name] = DomainSums(domains, self.counts, of)
        return found

    def add(self, row: int, weight: int) -> None:
        self.counts[row] += weight
        self.total += weight
        for sums in self._sums.values():
            sums.add(row, weight)

    def add_all(self, rows: Rows, weight: int) -> None:
        np.add.at(self.counts, rows, weight)
        self.total += weight * len(rows)
        for sums in self._sums.values():
            sums.add_all(rows, weight)


class Weighed(Protocol):
    """An ask, as far as tallies know it."""

    shape: Shape
    tallies: list[tuple[Tally, int]]


class Tallies:
    """All tallies that anybody asked for, by what they count."""

    def __init__(self) -> None:
        self._all: dict[Hashable, Tally] = {}

    def get(self, key: Hashable) -> Tally | None:
        return self._all.get(key)

    def add(self, key: Hashable, tally: Tally) -> None:
        self._all[key] = tally

    def weigh(self, ask: Weighed) -> None:
        """Find out which tallies a new ask counts in."""
        weights = ((tally, tally.weigh(ask.shape)) for tally in self._all.values())
        ask.tallies = [(tally, weight) for tally, weight in weights if weight]

    def recount(
        self, tallies: Iterable[Tally] | None, asks: Iterable[Weighed], rows: Rows, of: Rows, size: int
    ) -> None:
        """Count pods anew (all tallies where None): `rows` and `of`, [pods], are their rows and the numbers of their asks."""
        known = list(asks)
        for tally in self._all.values() if tallies is None else tallies:
            weights = np.fromiter((tally.weigh(ask.shape) for ask in known), np.int64, len(known))
            counts = np.zeros(size, np.int64)
            if weights.any():
                np.add.at(counts, rows, weights[of])
            tally.recount(counts)

    def forget_domains(self) -> None:
        for tally in self._all.values():
            tally.forget_domains()
