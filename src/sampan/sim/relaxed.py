"""Relaxed: what a packing would cost if CPU could be divided at will and nothing else counted."""

from __future__ import annotations

import numpy as np

from sampan.sim.packing import CALM, STEEP, Floats, Ints, Packing

_TRIED = 64
_LEVELS = 2001


def relaxed(packing: Packing) -> tuple[float, Ints]:
    """Return the cost that no placement undercuts (to 1e-5 of it), and how many machines of each kind reach it.

    A machine's cost is convex in its use, so equal machines share a load evenly, and use beyond the calm half goes where a
    core costs least: to the machines with the most CPU, until a core of those is as dear as one of the next kind. These are
    opened first: a calm machine costs the same whatever its size.
    """
    load = np.bincount(packing.app, minlength=len(packing.cpu)) @ packing.cpu
    first = np.unique(packing.kind, return_index=True)[1]
    sizes, have = packing.machine_cpu[first], np.bincount(packing.kind)
    low, high = 1, int(have.sum())
    while True:
        numbers = np.unique(np.linspace(low, high, _TRIED).astype(np.int64))
        opened = [np.clip(number - (np.cumsum(have) - have), 0, have) for number in numbers]
        costs = [_divided(load, sizes, each) for each in opened]
        best = int(np.argmin(costs))
        if len(numbers) == high - low + 1:
            return costs[best], opened[best]
        low, high = int(numbers[max(best - 1, 0)]), int(numbers[min(best + 1, len(numbers) - 1)])


def _divided(load: Floats, sizes: Floats, opened: Ints) -> float:
    """Return the cost of a divisible load (points,) on so many machines of each size; inf where it does not fit."""
    here = opened > 0
    sizes, opened = sizes[here], opened[here]
    above = np.maximum(load - CALM * (sizes * opened).sum(), 0)
    levels = np.linspace(0, 1 - CALM, _LEVELS)[:, None]  # of the biggest machines, beyond calm
    shares = np.maximum(levels + np.log(sizes / sizes.max()), 0)  # at the same price of a core
    taken = (shares * sizes * opened).sum(axis=1)
    if above.max(initial=0) > taken[-1]:
        return float("inf")
    prices = STEEP * (np.expm1(shares) * opened).sum(axis=1)
    return float(opened.sum() + np.interp(above, taken, prices).mean())
