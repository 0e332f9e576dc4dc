"""ResourceColumns: what each node has of each resource and what is left of it, in int64.

A column is an array of shape [nodes]. Resources are numbered as they are met; the first ones are fixed. What is left of all of
them lies in one array, so that whether an ask fits is one comparison of a block of its rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sampan.schedule.arrays import Floats, Ints, Rows
from sampan.schedule.node import Node
from sampan.schedule.shape import Shape
from sampan.schedule.weighted import Weighted

SCORED_CPU, SCORED_MEMORY, CPU, MEMORY, PODS = range(5)
_FIXED = ("scored cpu", "scored memory", "cpu", "memory", "pods")
_UNASKED = {SCORED_CPU: 100, SCORED_MEMORY: 200 << 20}
"""What scores count for a pod that asks for none, so that such pods spread too. Spec: kube-scheduler's non-zero requests."""

Demand = tuple[tuple[int, int], ...]
"""(resource, amount): what one pod takes of the columns."""


class ResourceColumns:
    def __init__(self) -> None:
        self.numbers: dict[str, int] = {name: number for number, name in enumerate(_FIXED)}
        self.allocatable: list[Ints] = []
        self.block: Ints = np.zeros((0, 0), np.int64)  # [resources or more, nodes]
        self.free: list[Ints] = []  # its rows, by resource
        self._inverse: dict[int, Floats] = {}
        self._weighted: dict[tuple[tuple[int, float], ...], Weighted] = {}
        self._size = 0
        self.reset(())

    def number(self, name: str) -> int:
        """Return a resource's number, which is new where no one has asked before."""
        found = self.numbers.get(name)
        if found is None:
            found = self.numbers[name] = len(self.allocatable)
            self.allocatable.append(np.zeros(self._size, np.int64))
            if found == len(self.block):
                self._grow()
            self.free.append(self.block[found])
        return found

    def _grow(self) -> None:
        self.block = np.concatenate([self.block, np.zeros((len(self.block), self._size), np.int64)])
        self.free[:] = self.block[: len(self.free)]

    def demand(self, shape: Shape) -> Demand:
        """Return what a pod of this shape takes, the counts for scores among it."""
        totals = {self.number(name): amount for name, amount in shape.requests if amount}
        totals[PODS] = 1
        totals[SCORED_CPU] = totals.get(CPU) or _UNASKED[SCORED_CPU]
        totals[SCORED_MEMORY] = totals.get(MEMORY) or _UNASKED[SCORED_MEMORY]
        return tuple(sorted(totals.items()))

    def reset(self, nodes: Sequence[Node]) -> None:
        """Give each node a row, in this order, with nothing taken."""
        self._size = len(nodes)
        for name in sorted({name for node in nodes for name, _ in node.allocatable} - self.numbers.keys()):
            self.numbers[name] = len(self.numbers)
        self.allocatable = [np.zeros(self._size, np.int64) for _ in self.numbers]
        for row, node in enumerate(nodes):
            self._fill(row, node)
        self.block = np.zeros((2 * len(self.numbers), self._size), np.int64)
        self.block[: len(self.numbers)] = self.allocatable
        self.free[:] = self.block[: len(self.numbers)]
        self._forget()

    def set_row(self, row: int, node: Node) -> None:
        """Change what a node has; what is taken stays taken."""
        for name, _ in node.allocatable:
            self.number(name)
        taken = [int(has[row] - left[row]) for has, left in zip(self.allocatable, self.free, strict=True)]
        for column in self.allocatable:
            column[row] = 0
        self._fill(row, node)
        for has, left, amount in zip(self.allocatable, self.free, taken, strict=True):
            left[row] = has[row] - amount
        self._forget()

    def _fill(self, row: int, node: Node) -> None:
        for name, amount in node.allocatable:
            self.allocatable[self.numbers[name]][row] = amount
        self.allocatable[SCORED_CPU][row] = self.allocatable[CPU][row]
        self.allocatable[SCORED_MEMORY][row] = self.allocatable[MEMORY][row]

    def take(self, row: int, demand: Demand) -> None:
        free = self.free
        for number, amount in demand:
            free[number][row] -= amount
        for weighted in self._weighted.values():
            weighted.touch(row)

    def give(self, row: int, demand: Demand) -> None:
        free = self.free
        for number, amount in demand:
            free[number][row] += amount
        for weighted in self._weighted.values():
            weighted.touch(row)

    def take_all(self, rows: Rows, demand: Demand) -> None:
        """Take the demand once for each of the rows; a row may be named more than once."""
        for number, amount in demand:
            np.subtract.at(self.free[number], rows, amount)
        for weighted in self._weighted.values():
            weighted.touch_all(rows)

    def weighted(self, weights: tuple[tuple[int, float], ...]) -> Weighted:
        """Return the sum of weight * free / allocatable over (resource, weight), kept up until nodes change."""
        found = self._weighted.get(weights)
        if found is None:
            scales = [(number, self.inverse(number) * weight) for number, weight in weights]
            found = self._weighted[weights] = Weighted(self.free, scales)
        return found

    def _forget(self) -> None:
        self._inverse.clear()
        self._weighted.clear()

    def inverse(self, number: int) -> Floats:
        """Return 1 / allocatable, and 0 where there is none of it."""
        found = self._inverse.get(number)
        if found is None:
            has = self.allocatable[number]
            found = self._inverse[number] = np.divide(1.0, has, out=np.zeros(self._size), where=has > 0)
        return found
