"""Ask: a shape as one snapshot knows it, with what a pod of it takes and counts in."""

from __future__ import annotations

from sampan.schedule.resources import Demand
from sampan.schedule.shape import Shape
from sampan.schedule.tally import Tally


class Ask:
    __slots__ = ("amounts", "demand", "number", "shape", "special", "tallies")

    def __init__(self, shape: Shape, number: int, demand: Demand) -> None:
        self.shape = shape
        self.number = number
        self.demand = demand
        self.amounts = dict(demand)
        self.tallies: list[tuple[Tally, int]] = []
        self.special = bool(
            shape.devices or shape.attachments or shape.unbound
        )  # takes more than amounts of the columns
