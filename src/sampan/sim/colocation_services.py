"""Services: the latency-critical pods that run, as columns."""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from sampan.schedule.colocation.columns import Columns
from sampan.sim.colocation_world import World
from sampan.sim.packing import Ints
from sampan.sim.task import Instance


class Services:
    """Columns of shape [pods], in the order in which pods started. `use` is of the time since `settle` was called last.

    `changed`: pods came or went since.
    """

    def __init__(self, world: World) -> None:
        counts = [task.count for task in world.services]
        firsts = [0, *accumulate(counts)]
        self.most = firsts[-1]
        self._first = {task.name: first for task, first in zip(world.services, firsts, strict=False)}
        self._curve_of = world.curve_of
        self._known: dict[str, tuple[int, int, int, int, int]] = {}
        self.changed = False
        self.keys: list[str] = []
        self.rows = self.numbers = self.curves = np.zeros(0, np.int64)
        self.asked = self.use = Columns(self.rows, self.rows)

    def start(self, instance: Instance, row: int, cpu_milli: int, memory_bytes: int) -> None:
        name, _, number = instance.key.rpartition("/")
        pod = self._first[name] + int(number)
        self._known[instance.key] = row, pod, self._curve_of[name], cpu_milli, memory_bytes
        self.changed = True

    def stop(self, key: str) -> None:
        del self._known[key]
        self.changed = True

    def settle(self) -> None:
        """Make the columns those of the pods that run now."""
        if self.changed:
            self.changed = False
            self.keys = list(self._known)
            columns = np.array(list(self._known.values()), np.int64).reshape(-1, 5)
            self.rows, self.numbers, self.curves = columns[:, 0], columns[:, 1], columns[:, 2]
            self.asked = Columns(columns[:, 3], columns[:, 4])

    def by_node(self, column: Ints, nodes: int) -> Ints:
        """Return the sums, [nodes]."""
        return np.bincount(self.rows, weights=column, minlength=nodes).astype(np.int64)
