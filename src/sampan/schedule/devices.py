"""DeviceColumns: the thousandths that are free on each device of each node.

A share of a device goes to the fullest device that has room, whole devices to the first that are wholly free; ties go to
the smallest index. A column is an array of shape [devices, nodes]; a node with fewer devices has -1 there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sampan.schedule.arrays import Ints, Mask, Rows
from sampan.schedule.node import Node
from sampan.schedule.shape import DeviceAsk, Shape

WHOLE = 1000
_MISSING = -1

Taken = tuple[tuple[str, int, int], ...]
"""(kind, device, thousandths) that a pod holds."""


class DeviceColumns:
    def __init__(self) -> None:
        self.free: dict[str, Ints] = {}
        self._size = 0
        self._taken: dict[str, Taken] = {}

    def reset(self, nodes: Sequence[Node]) -> None:
        """Give each node a row, in this order, with nothing taken."""
        self._size = len(nodes)
        self.free.clear()
        self._taken.clear()
        for row, node in enumerate(nodes):
            self._fill(row, node)

    def set_row(self, row: int, node: Node, pods: Sequence[tuple[str, Shape]]) -> None:
        """Change what a node has, and give the pods on it their devices anew, in order of their keys."""
        for column in self.free.values():
            column[:, row] = _MISSING
        self._fill(row, node)
        for key, shape in sorted(pods):
            self._taken.pop(key, None)
            self.take(row, key, shape)

    def holding(self, key: str) -> Taken:
        """Return which devices a pod holds, for whoever starts it."""
        return self._taken.get(key, ())

    def fits(self, wish: DeviceAsk, rows: Rows | None) -> Mask:
        """Return on which of the rows (all where None) the wish can be met, [rows]."""
        column = self.free.get(wish.kind)
        if column is None:
            return np.zeros(self._size if rows is None else len(rows), np.bool_)
        free = column if rows is None else column.take(rows, axis=1)
        usable = free >= wish.milli if wish.milli < WHOLE else free == WHOLE
        found: Mask = np.count_nonzero(usable, axis=0) >= wish.count
        return found

    def take(self, row: int, key: str, shape: Shape, held: Taken | None = None) -> None:
        """Give a pod its devices on a row, `held` or, where None, those chosen; devices that are not there are not given."""
        taken = self._chosen(row, shape) if held is None else held
        for kind, device, milli in taken:
            self.free[kind][device, row] -= milli
        if taken:
            self._taken[key] = taken

    def give(self, row: int, key: str) -> Taken:
        """Take back what a pod holds; returns it."""
        taken = self._taken.pop(key, ())
        for kind, device, milli in taken:
            self.free[kind][device, row] += milli
        return taken

    def _chosen(self, row: int, shape: Shape) -> Taken:
        return tuple(
            (wish.kind, device, wish.milli)
            for wish in shape.devices
            if wish.kind in self.free
            for device in _choose(self.free[wish.kind][:, row].tolist(), wish)
        )

    def _fill(self, row: int, node: Node) -> None:
        for kind, devices in node.devices:
            column = self.free.get(kind)
            have = 0 if column is None else len(column)
            if column is None or len(devices) > have:
                grown = np.full((len(devices), self._size), _MISSING, np.int64)
                if column is not None:
                    grown[:have] = column
                column = self.free[kind] = grown
            column[: len(devices), row] = devices


def _choose(free: list[int], wish: DeviceAsk) -> list[int]:
    least = min(wish.milli, WHOLE)
    fitting = [device for device, left in enumerate(free) if left >= least and (wish.milli < WHOLE or left == WHOLE)]
    fitting.sort(key=lambda device: free[device])
    return fitting[: wish.count]
