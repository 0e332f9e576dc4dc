"""PodTable: the pods that are on nodes, each in a slot, with row, ask, priority and start as columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from sampan.schedule.arrays import Floats, Ints, Rows
from sampan.schedule.pod import Pod

ABSENT = -1
"""The row of a free slot, and of a pod on a node that is not known."""


class PodTable:
    def __init__(self) -> None:
        self.slots: dict[str, int] = {}
        self.pods: list[Pod | None] = []
        self.rows: npt.NDArray[np.int32] = np.full(1024, ABSENT, np.int32)
        self.asks: npt.NDArray[np.int32] = np.zeros(1024, np.int32)
        self.priority: Ints = np.zeros(1024, np.int64)
        self.started_s: Floats = np.zeros(1024)
        self.priorities: dict[int, int] = {}  # how many pods have each
        self._vacant: list[int] = []
        self._on_row: list[list[int]] = []

    def __len__(self) -> int:
        return len(self.slots)

    def __contains__(self, key: str) -> bool:
        return key in self.slots

    def add(self, pod: Pod, row: int, ask: int) -> None:
        """Keep a pod. Raises ValueError where its key is not new."""
        if pod.key in self.slots:
            raise ValueError(f"{pod.key} is there already")
        slot = self._vacant.pop() if self._vacant else self._append()
        self.slots[pod.key] = slot
        self.pods[slot] = pod
        self.rows[slot] = row
        self.asks[slot] = ask
        self.priority[slot] = pod.priority
        self.started_s[slot] = pod.started_s
        self.priorities[pod.priority] = self.priorities.get(pod.priority, 0) + 1
        if row != ABSENT:
            self._on_row[row].append(slot)

    def add_all(self, pods: Sequence[Pod], rows: Rows, ask: int) -> None:
        """Keep pods of one ask, each on its row. Raises ValueError where a key is not new."""
        keys = {pod.key for pod in pods}
        if len(keys) < len(pods) or not self.slots.keys().isdisjoint(keys):
            raise ValueError("one of the pods is there already")
        start = len(self.pods)
        end = start + len(pods)
        self._grow(end)
        self.pods.extend(pods)
        self.rows[start:end] = rows
        self.asks[start:end] = ask
        priorities = [pod.priority for pod in pods]
        self.priority[start:end] = priorities
        self.started_s[start:end] = [pod.started_s for pod in pods]
        for priority, count in Counter(priorities).items():
            self.priorities[priority] = self.priorities.get(priority, 0) + count
        slots, on_row = self.slots, self._on_row
        for slot, (pod, row) in enumerate(zip(pods, rows.tolist(), strict=True), start):
            slots[pod.key] = slot
            on_row[row].append(slot)

    def remove(self, key: str) -> tuple[Pod, int, int]:
        """Forget a pod; returns it, its row and its ask. Raises KeyError where there is none."""
        slot = self.slots.pop(key)
        pod, row, ask = self.pods[slot], int(self.rows[slot]), int(self.asks[slot])
        if pod is None:
            raise KeyError(key)
        if row != ABSENT:
            self._on_row[row].remove(slot)
        self.pods[slot] = None
        self.rows[slot] = ABSENT
        self._vacant.append(slot)
        self.priorities[pod.priority] -= 1
        if not self.priorities[pod.priority]:
            del self.priorities[pod.priority]
        return pod, row, ask

    def lowest(self) -> int | None:
        """Return the lowest priority of a pod that is there."""
        return min(self.priorities, default=None)

    def on(self, row: int) -> list[tuple[Pod, int]]:
        """Return the pods on a row with their asks, in no order that means something."""
        found = ((self.pods[slot], int(self.asks[slot])) for slot in self._on_row[row])
        return [(pod, ask) for pod, ask in found if pod is not None]

    def place_all(self, rows_of: Iterable[tuple[str, int]], size: int) -> None:
        """Give every pod its row anew: (key, row) of all of them, of `size` rows."""
        self._on_row = [[] for _ in range(size)]
        for key, row in rows_of:
            slot = self.slots[key]
            self.rows[slot] = row
            if row != ABSENT:
                self._on_row[row].append(slot)

    def renumber_asks(self) -> list[int]:
        """Number the asks that pods have from 0 on, without gaps; returns their old numbers in the new order."""
        used = np.array(sorted(self.slots.values()), np.intp)
        old, new = np.unique(self.asks[used], return_inverse=True)
        self.asks[used] = new
        return [int(number) for number in old]

    def below(self, priority: int) -> Rows:
        """Return the slots of the pods on known nodes that have a lower priority."""
        size = len(self.pods)
        return np.flatnonzero((self.rows[:size] != ABSENT) & (self.priority[:size] < priority))

    def columns(self) -> tuple[Rows, Rows]:
        """Return (rows, asks) of the pods that are on known nodes, each [pods]."""
        rows = self.rows[: len(self.pods)]
        here = rows != ABSENT
        return rows[here].astype(np.intp), self.asks[: len(self.pods)][here].astype(np.intp)

    def _append(self) -> int:
        slot = len(self.pods)
        self._grow(slot + 1)
        self.pods.append(None)
        return slot

    def _grow(self, size: int) -> None:
        if size > len(self.rows):
            more = max(size, 2 * len(self.rows)) - len(self.rows)
            self.rows = np.concatenate([self.rows, np.full(more, ABSENT, np.int32)])
            self.asks = np.concatenate([self.asks, np.zeros(more, np.int32)])
            self.priority = np.concatenate([self.priority, np.zeros(more, np.int64)])
            self.started_s = np.concatenate([self.started_s, np.zeros(more)])
