"""Attachments: which volumes are attached to which node, so that a volume that two pods share counts once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sampan.schedule.arrays import Ints
from sampan.schedule.node import Node
from sampan.schedule.shape import Attachment, Shape

UNLIMITED = 1 << 62


class Attachments:
    """`free[driver]`: [nodes], how many more volumes of the driver can be attached."""

    def __init__(self) -> None:
        self.free: dict[str, Ints] = {}
        self._users: dict[Attachment, dict[int, int]] = {}  # by volume: pods that use it, by row
        self._size = 0

    def reset(self, nodes: Sequence[Node]) -> None:
        """Give each node a row, in this order, with nothing attached."""
        self._size = len(nodes)
        self.free.clear()
        self._users.clear()
        for row, node in enumerate(nodes):
            self.set_row(row, node)

    def set_row(self, row: int, node: Node) -> None:
        """Change a node's limits; what is attached stays attached."""
        limits = dict(node.attachable)
        for driver in self.free.keys() | limits.keys():
            used = sum(1 for volume, users in self._users.items() if volume.driver == driver and users.get(row))
            self.column(driver)[row] = limits.get(driver, UNLIMITED) - used

    def column(self, driver: str) -> Ints:
        found = self.free.get(driver)
        if found is None:
            found = self.free[driver] = np.full(self._size, UNLIMITED, np.int64)
        return found

    def users(self, volume: Attachment) -> dict[int, int]:
        """Return how many pods use a volume on each row."""
        return self._users.get(volume, {})

    def add(self, row: int, shape: Shape) -> None:
        for volume in set(shape.attachments):
            users = self._users.setdefault(volume, {})
            users[row] = users.get(row, 0) + 1
            if users[row] == 1:
                self.column(volume.driver)[row] -= 1

    def remove(self, row: int, shape: Shape) -> None:
        for volume in set(shape.attachments):
            users = self._users[volume]
            users[row] -= 1
            if not users[row]:
                del users[row]
                self.column(volume.driver)[row] += 1
            if not users:
                del self._users[volume]
