"""Packing offline: from nothing, or on from a placement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sampan.sim.anneal import Heat, anneal
from sampan.sim.floor import Floor
from sampan.sim.greedy import fill
from sampan.sim.packing import Ints, Packing
from sampan.sim.relaxed import relaxed

_SLACK = 1.03
"""Opened machines beside those of the divisible optimum: instances are not divisible."""


class Packed(NamedTuple):
    placement: Ints
    cost: float
    tried: int  # exchanges


def pack(packing: Packing, spent: Callable[[], float], seed: int = 0, heat: Heat | None = None) -> Packed:
    """Return a placement of all instances on empty machines, every hard limit kept, as cheap as `spent` lets it become.

    Raises:
        Exhausted: the first placement found no machine for an instance.
    """
    floor = Floor(packing)
    opened = np.unique(chosen(replace(packing, start=np.full(len(packing.app), -1))))
    fill(floor, opened, np.bincount(packing.app, minlength=len(packing.cpu)))
    return improve(floor, opened, np.random.default_rng(seed), spent, heat)


def improve(
    floor: Floor,
    opened: Ints,
    rng: np.random.Generator,
    spent: Callable[[], float],
    heat: Heat | None = None,
    charge: float = 0.0,
) -> Packed:
    """Return what annealing makes of the instances on the floor."""
    opened = np.union1d(opened, np.flatnonzero(floor.count))
    tried = anneal(floor, opened, rng, spent, heat, charge)
    placement = floor.placement()
    return Packed(placement, floor.packing.cost(placement), tried)


def chosen(packing: Packing, slack: float = _SLACK) -> Ints:
    """Return the machines to open: of each kind as the divisible optimum has them, and a few more of the last kinds.

    Machines that the start uses are opened before others of their kind, and all of them are.
    """
    _, opened = relaxed(packing)
    have = np.bincount(packing.kind)
    more = int(np.ceil(opened.sum() * slack)) - int(opened.sum())
    for kind in range(len(have)):
        extra = min(more, int(have[kind] - opened[kind]))
        opened[kind] += extra
        more -= extra
    used = np.unique(packing.start[packing.start >= 0])
    ordered = np.concatenate([used, np.setdiff1d(np.arange(len(packing.kind)), used)])
    kinds = packing.kind[ordered]
    return np.concatenate([used, *(ordered[kinds == kind][: opened[kind]] for kind in range(len(have)))])


def repack(
    packing: Packing, spent: Callable[[], float], seed: int = 0, heat: Heat | None = None, charge: float = 0.0
) -> Packed:
    """Return a cheaper placement, found from the packing's start: what stands stays opened, what is missing is placed first.

    An instance that leaves its machine must save `charge`: the higher, the fewer moves.

    Raises:
        Exhausted: the first placement found no machine for an instance.
    """
    floor = Floor(packing)
    floor.load(packing.start)
    opened = np.unique(chosen(packing))
    fill(floor, opened, np.bincount(packing.app[packing.start < 0], minlength=len(packing.cpu)))
    return improve(floor, opened, np.random.default_rng(seed), spent, heat, charge)
