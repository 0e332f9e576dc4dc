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

    __slots__ = ("_terms", "values")

    def __init__(self, free: Sequence[Ints], inverse: Sequence[Floats], weights: Sequence[float]) -> None:
        """Take the columns, which are shared, and a weight for each."""
        self._terms = [(have, whole * weight) for have, whole, weight in zip(free, inverse, weights, strict=True)]
        self.values: Floats = sum_of([have * scale for have, scale in self._terms])

    def touch(self, row: int) -> None:
        total = 0.0
        for have, scale in self._terms:
            total += have.item(row) * scale.item(row)
        self.values[row] = total

    def touch_all(self, rows: Rows) -> None:
        self.values[rows] = sum_of([have.take(rows) * scale.take(rows) for have, scale in self._terms])

    def of(self, amounts: Sequence[int]) -> Floats:
        """Return what one pod that takes these amounts takes off each node's value, [nodes]."""
        pairs = zip(amounts, self._terms, strict=True)
        return sum_of([amount * scale for amount, (_, scale) in pairs])


def sum_of(parts: Sequence[Floats]) -> Floats:
    """Return the sum, made in order, starting from 0."""
    total = np.zeros(len(parts[0]))
    for part in parts:
        total += part
    return total
