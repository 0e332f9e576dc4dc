"""Weighted: what is left of several resources on each node as one number, for scores.

It is the sum of weight * free / allocatable, in float64, and is made of the int64 columns anew whenever a node is touched:
nothing is added up over time. What one pod takes off it depends on the node's size alone, so a score needs one column of
the nodes and one of the ask instead of two for each resource.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sampan.schedule.arrays import Floats, Ints, Rows


class Weighted:
    """`free`, `inverse`: of each resource, [nodes]. `values`: [nodes]."""

    __slots__ = ("_free", "_scales", "values")

    def __init__(self, free: Sequence[Ints], scales: Sequence[tuple[int, Floats]]) -> None:
        """Take the columns by resource, which are shared, and (resource, weight / allocatable), [nodes] each."""
        self._free = free
        self._scales = scales
        self.values: Floats = sum_of([free[number] * scale for number, scale in scales])

    def touch(self, row: int) -> None:
        total = 0.0
        for number, scale in self._scales:
            total += self._free[number].item(row) * scale.item(row)
        self.values[row] = total

    def touch_all(self, rows: Rows) -> None:
        self.values[rows] = sum_of([self._free[number].take(rows) * scale.take(rows) for number, scale in self._scales])

    def of(self, amounts: Sequence[int]) -> Floats:
        """Return what one pod that takes these amounts takes off each node's value, [nodes]."""
        return sum_of([amount * scale for amount, (_, scale) in zip(amounts, self._scales, strict=True)])


def sum_of(parts: Sequence[Floats]) -> Floats:
    """Return the sum, made in order, starting from 0."""
    total = np.zeros(len(parts[0]))
    for part in parts:
        total += part
    return total
