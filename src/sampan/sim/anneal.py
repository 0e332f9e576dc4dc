"""Annealing: thousands of exchanges of instances between pairs of machines, tried at once, taken by Metropolis' rule.

The pairs of a batch share no machine, so each is judged by itself and what is taken never depends on another. An exchange
gives an instance each way, or one way only. Memory, scalars and rules are looked at only for what the cost would take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sampan.sim.floor import F4, FULL, SLOTS, Floor
from sampan.sim.packing import STEEP, Ints

_BATCH = 512
"""Pairs at a time: as many as leave the curves in the second-level cache."""
_ALONE = 0.7
"""The weight of giving nothing, beside 1 for each instance of the machine."""
_REFRESH = 200
"""Rounds after which the rounding of float32 products is taken away."""


class Heat(NamedTuple):
    """Temperatures, in the unit of the cost: from the first it falls to the last, by the same factor each round."""

    first: float = 0.01
    last: float = 0.0001


def anneal(
    floor: Floor,
    opened: Ints,
    rng: np.random.Generator,
    spent: Callable[[], float],
    heat: Heat | None = None,
    charge: float = 0.0,
) -> int:
    """Exchange instances among the opened machines until `spent` returns 1 or more; returns the number of exchanges tried.

    `spent` tells the share of the budget that is used: a count of its own calls gives the same result for the same seed, a
    clock gives the best that a time allows. Nothing that held is broken by an exchange. `charge` is what it costs, beside
    what the machines do, to take an instance away from where it was loaded.
    """
    heat = heat or Heat()
    groups = [opened[floor.kind[opened] == kind] for kind in range(len(floor.sizes))]
    groups = [group for group in groups if len(group)]
    batch = _Batch(floor, rng, charge)
    rounds = tried = 0
    while (share := spent()) < 1:
        temperature = heat.first * (heat.last / heat.first) ** share
        for left, right in _pairs(groups, rng):
            for low in range(0, len(left), _BATCH):
                batch.exchange(left[low : low + _BATCH], right[low : low + _BATCH], temperature)
            tried += len(left)
        rounds += 1
        if rounds % _REFRESH == 0:
            floor.refresh()
    floor.refresh()
    return tried


def _pairs(groups: list[Ints], rng: np.random.Generator) -> list[tuple[Ints, Ints]]:
    """Return pairs of machines within each group and between every two; the two sides of an entry are of one kind each."""
    mixed = [rng.permutation(group) for group in groups]
    pairs = [(group[: len(group) // 2], group[len(group) // 2 : len(group) // 2 * 2]) for group in mixed]
    for number, group in enumerate(mixed):
        for other in mixed[:number]:
            short = min(len(group), len(other))
            pairs.append((group[:short], other[:short]))
    return pairs


class _Taken(NamedTuple):
    """Exchanges, in columns: machines a and b, their slots, the app that leaves a and the one that leaves b."""

    a: Ints
    b: Ints
    slot_a: Ints
    slot_b: Ints
    app_a: Ints
    app_b: Ints
    row: Ints  # in the batch

    def only(self, which: NDArray[np.bool_]) -> _Taken:
        return _Taken(*(column[which] for column in self))


class _Batch:
    """Tries exchanges in arrays that are made once."""

    def __init__(self, floor: Floor, rng: np.random.Generator, charge: float) -> None:
        self._floor = floor
        self._rng = rng
        self._charge = np.float32(charge)
        self._points = floor.heat.shape[1]
        self._scale = np.float32(STEEP / self._points)
        self._growth = floor.growth.reshape(-1, self._points)
        self._arrays = [np.empty((_BATCH, self._points), np.float32) for _ in range(5)]
        self._ones = np.ones((_BATCH, self._points), np.float32)  # faster than a scalar in maximum
        self._one = np.ones(self._points, np.float32)

    def exchange(self, a: Ints, b: Ints, temperature: float) -> None:
        """Try one exchange for each pair of machines. All of `a` are of one kind, all of `b` too, none is there twice."""
        floor = self._floor
        slot_a, slot_b = self._slots(a), self._slots(b)
        every = _Taken(a, b, slot_a, slot_b, *self._apps(a, b, slot_a, slot_b), np.arange(len(a)))
        heat_a, heat_b = self._heats(every)
        burn_a, burn_b = self._burn(heat_a), self._burn(heat_b)
        rise = (burn_a + burn_b - floor.burn[a] - floor.burn[b]) * self._scale + self._opened(every)
        if self._charge:
            rise += self._charge * (floor.home[a, slot_a].astype(np.float32) + floor.home[b, slot_b])
        bar = self._rng.standard_exponential(len(a), np.float32) * np.float32(temperature)
        taken = every.only((rise < bar) & (every.app_a != every.app_b))
        taken = self._that_fit(taken)
        hot_a, hot_b = heat_a[taken.row], heat_b[taken.row]
        cool = (hot_a.max(axis=1, initial=0) < FULL) & (hot_b.max(axis=1, initial=0) < FULL)
        taken = taken.only(cool)
        floor.heat[taken.a], floor.heat[taken.b] = hot_a[cool], hot_b[cool]
        floor.burn[taken.a], floor.burn[taken.b] = burn_a[taken.row], burn_b[taken.row]
        self._settle(taken)

    def _slots(self, machines: Ints) -> Ints:
        """Return a slot of each machine, or the first free one: then it gives nothing."""
        count = self._floor.count[machines]
        drawn = (self._rng.random(len(machines), np.float32) * (count + np.float32(_ALONE))).astype(np.int64)
        return np.minimum(drawn, np.minimum(count, SLOTS - 1))

    def _apps(self, a: Ints, b: Ints, slot_a: Ints, slot_b: Ints) -> tuple[Ints, Ints]:
        slots = self._floor.slots
        return slots[a, slot_a].astype(np.int64), slots[b, slot_b].astype(np.int64)

    def _heats(self, pairs: _Taken) -> tuple[F4, F4]:
        """Return the heat (pairs, points) that each machine would have."""
        floor, size = self._floor, len(pairs.a)
        hot_a, hot_b, more, less, _ = (array[:size] for array in self._arrays)
        np.take(floor.heat, pairs.a, axis=0, out=hot_a, mode="clip")
        np.take(floor.heat, pairs.b, axis=0, out=hot_b, mode="clip")
        kind_a, kind_b = (int(floor.kind[side[0]]) if size else 0 for side in (pairs.a, pairs.b))
        change = self._change(pairs, kind_a, more, less)
        np.divide(hot_a, change, out=hot_a)
        if kind_b != kind_a:
            change = self._change(pairs, kind_b, more, less)
        np.multiply(hot_b, change, out=hot_b)
        return hot_a, hot_b

    def _change(self, pairs: _Taken, kind: int, more: F4, less: F4) -> F4:
        """Return by what the heat of a machine of this kind is multiplied when it gets a's instance for b's."""
        offset = kind * (self._floor.none + 1)
        np.take(self._growth, pairs.app_a + offset, axis=0, out=more, mode="clip")
        np.take(self._growth, pairs.app_b + offset, axis=0, out=less, mode="clip")
        return np.divide(more, less, out=more)

    def _burn(self, heat: F4) -> F4:
        above = self._arrays[4][: len(heat)]
        burn: F4 = np.maximum(heat, self._ones[: len(heat)], out=above) @ self._one
        return burn

    def _opened(self, pairs: _Taken) -> F4:
        """Return what machines that get their first instance cost more, and those that lose their last one less."""
        none, count = self._floor.none, self._floor.count
        gives_a, gives_b = pairs.app_a != none, pairs.app_b != none
        opens: F4 = ((count[pairs.a] == 0) & gives_b).astype(np.float32) + ((count[pairs.b] == 0) & gives_a)
        closes = ((count[pairs.a] == 1) & gives_a & ~gives_b).astype(np.float32)
        opens -= closes
        opens -= (count[pairs.b] == 1) & gives_b & ~gives_a
        return opens

    def _that_fit(self, taken: _Taken) -> _Taken:
        """Return the exchanges after which every hard limit but that of CPU holds."""
        floor = self._floor
        if not len(taken.a):
            return taken
        change = floor.needs[taken.app_a] - floor.needs[taken.app_b]
        room_a, room_b = floor.room[floor.kind[taken.a[0]]], floor.room[floor.kind[taken.b[0]]]
        fits = (floor.needed[taken.a] - change <= room_a).all(axis=1)
        fits &= (floor.needed[taken.b] + change <= room_b).all(axis=1)
        fits &= (floor.count[taken.a] < SLOTS) & (floor.count[taken.b] < SLOTS)
        taken = taken.only(fits)
        number = len(taken.a)
        machines = np.concatenate([taken.b, taken.a])
        rows = floor.slots[machines, : int(floor.count[machines].max(initial=0)) + 1]
        rows[np.arange(2 * number), np.concatenate([taken.slot_b, taken.slot_a])] = floor.none
        allowed = floor.rules.allowed(np.concatenate([taken.app_a, taken.app_b]), rows)
        return taken.only(allowed[:number] & allowed[number:])

    def _settle(self, taken: _Taken) -> None:
        floor = self._floor
        change = floor.needs[taken.app_a] - floor.needs[taken.app_b]
        floor.needed[taken.a] -= change
        floor.needed[taken.b] += change
        for machines, slots, leaving, coming in (
            (taken.a, taken.slot_a, taken.app_a, taken.app_b),
            (taken.b, taken.slot_b, taken.app_b, taken.app_a),
        ):
            floor.slots[machines, slots] = coming
            floor.home[machines, slots] = False
            floor.count[machines] += leaving == floor.none
            gone = coming == floor.none
            shrunk = machines[gone]
            last = floor.count[shrunk] - 1
            floor.slots[shrunk, slots[gone]] = floor.slots[shrunk, last]
            floor.home[shrunk, slots[gone]] = floor.home[shrunk, last]
            floor.slots[shrunk, last] = floor.none
            floor.home[shrunk, last] = False
            floor.count[shrunk] = last
