"""Packing: instances with curves of use, machines with capacities, rules of interference, and what a placement costs.

A placement is an int64 array with the machine of each instance, -1 for none. Curves have one column a point of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CALM = 0.5
"""The share of a machine's CPU up to which more use costs nothing."""
STEEP = 10.0
"""How steeply use beyond that costs."""
TOLERANCE = 1e-9
"""By how much a sum may exceed a capacity: floating-point sums are not exact."""


@dataclass(frozen=True)
class Packing:
    """One problem. An instance has the curves of its app; a rule (A, B, k) allows at most k of B where A is (A = B: k + 1)."""

    cpu: Floats  # (apps, points), cores
    memory: Floats  # (apps, points), the unit of machine_memory
    scalars: Floats  # (apps, scalars): disk and counts, without a curve
    machine_cpu: Floats  # (machines,), cores
    machine_memory: Floats  # (machines,)
    machine_scalars: Floats  # (machines, scalars)
    rules: Ints  # (rules, 3): A, B, k
    app: Ints  # (instances,): the app of each instance
    start: Ints  # (instances,): a placement

    @cached_property
    def kind(self) -> Ints:
        """Return the kind of each machine: equal machines have the same number, the kind with the most CPU the smallest."""
        rows = np.column_stack([-self.machine_cpu, self.machine_memory, self.machine_scalars])
        return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)

    def used(self, placement: Ints, curves: Floats) -> Floats:
        """Return the sums (machines, columns) of the placed instances' rows of `curves` (apps, columns)."""
        placed = np.flatnonzero(placement >= 0)
        placed = placed[np.argsort(placement[placed], kind="stable")]
        machines = placement[placed]
        sums = np.zeros((len(self.machine_cpu), curves.shape[1]))
        first = np.flatnonzero(np.diff(machines, prepend=-1))
        if len(first):
            sums[machines[first]] = np.add.reduceat(curves[self.app[placed]], first, axis=0)
        return sums

    def costs(self, placement: Ints) -> Floats:
        """Return what each machine costs: mean over the points of 1 + 10 (e^max(0, share of CPU - 0.5) - 1); 0 when empty."""
        share = self.used(placement, self.cpu) / self.machine_cpu[:, None]
        costs: Floats = 1 + STEEP * np.expm1(np.maximum(share - CALM, 0)).mean(axis=1)
        costs[~np.isin(np.arange(len(costs)), placement)] = 0
        return costs

    def cost(self, placement: Ints) -> float:
        """Return the sum of all machines' costs."""
        return float(self.costs(placement).sum())
