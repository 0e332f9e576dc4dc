"""NodeResourcesBalancedAllocation: better where all resources would be used to the same degree.

Spec: kube-scheduler NodeResourcesBalancedAllocation: 100 less 100 times the standard deviation of the used parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sampan.schedule.arrays import Floats, Mask
from sampan.schedule.ask import Ask
from sampan.schedule.plugin import Normal, Reach
from sampan.schedule.plugins.resources_fit import after, scored
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.view import Nodes
from sampan.schedule.weighted import sum_of


@dataclass(frozen=True)
class NodeResourcesBalancedAllocation:
    resources: tuple[str, ...] = ("cpu", "memory")
    name: ClassVar = "NodeResourcesBalancedAllocation"
    reach: ClassVar = Reach.NODE

    def prescore(self, ask: Ask, snapshot: Snapshot) -> BalanceOfTwo | Balance | None:
        """A pod that asks for none of them disturbs no balance."""
        if not dict(ask.shape.requests).keys() & set(self.resources):
            return None
        numbers = [scored(snapshot, resource) for resource in self.resources]
        return BalanceOfTwo(ask, snapshot, *numbers) if len(numbers) == 2 else Balance(numbers)


class BalanceOfTwo:
    """The deviation of two is half their difference."""

    reach = Reach.NODE
    foresees = True
    normal: Normal | None = None

    def __init__(self, ask: Ask, snapshot: Snapshot, first: int, second: int) -> None:
        self._now = snapshot.resources.weighted(((first, 50.0), (second, -50.0)))
        self._own = self._now.of([ask.amounts.get(first, 0), ask.amounts.get(second, 0)])

    def points(self, nodes: Nodes) -> Floats:
        found: Floats = 100.0 - np.abs(after(self._now.values, self._own, nodes))
        return found

    def counted(self) -> Mask | None:
        return None


class Balance:
    reach = Reach.NODE
    foresees = True
    normal: Normal | None = None

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = numbers

    def points(self, nodes: Nodes) -> Floats:
        left = [nodes.left(number) for number in self._numbers]
        mean = sum_of(left) * (1.0 / len(left))
        squares = [(part - mean) * (part - mean) for part in left]
        found: Floats = 100.0 - np.sqrt(sum_of(squares) * (1.0 / len(left))) * 100.0
        return found

    def counted(self) -> Mask | None:
        return None
