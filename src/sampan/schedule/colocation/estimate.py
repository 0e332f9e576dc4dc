"""Estimates: what each pod will use, from what it used.

CPU can be taken back at once, memory cannot: so CPU follows use within hours, and memory forgets over days. An estimate is
never below what is in use now. A pod that is new counts with what it asks for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from sampan.schedule.arrays import Floats, Ints, Mask, Rows
from sampan.schedule.colocation.histogram import Histograms
from sampan.schedule.colocation.policy import Policy

_CPU_RANGE = 10.0, 1e6
_MEMORY_RANGE = float(1 << 20), float(1 << 43)


class Use(NamedTuple):
    """Millicores and bytes, [pods] each."""

    cpu: Ints
    memory: Ints


class Estimator:
    """Series of use by pod. Rows are stable until the pod is forgotten."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._cpu = Histograms(*_CPU_RANGE, policy.cpu_half_life_s)
        self._memory = Histograms(*_MEMORY_RANGE, policy.memory_half_life_s)
        self._rows: dict[str, int] = {}
        self._vacant: list[int] = []
        self._since_s: Floats = np.zeros(0)  # when each was first seen
        self._last = Use(np.zeros(0, np.int64), np.zeros(0, np.int64))

    def rows(self, keys: Iterable[str], now_s: float) -> Rows:
        """Return the rows of pods; those that are new begin now."""
        return np.array([self._row(key, now_s) for key in keys], np.intp)

    def forget(self, key: str) -> None:
        """A pod has gone. One that is not known is nothing."""
        row = self._rows.pop(key, None)
        if row is not None:
            self._cpu.clear(row)
            self._memory.clear(row)
            self._last.cpu[row] = self._last.memory[row] = 0
            self._vacant.append(row)

    def observe(self, rows: Rows, use: Use, now_s: float) -> None:
        """Take in what different pods use now."""
        self._cpu.add(rows, use.cpu.astype(np.float64), now_s)
        self._memory.add(rows, use.memory.astype(np.float64), now_s)
        self._last.cpu[rows] = use.cpu
        self._last.memory[rows] = use.memory

    def estimate(self, rows: Rows, asked: Use, now_s: float) -> Use:
        """Return what pods will use. Never less than they use now."""
        policy = self._policy
        new = now_s - self._since_s[rows] < policy.warm_up_s
        cpu = self._cpu.percentile(rows, policy.cpu_percentile)
        memory = self._memory.percentile(rows, policy.memory_percentile)
        return Use(
            self._of(cpu, new, asked.cpu, self._last.cpu[rows]),
            self._of(memory, new, asked.memory, self._last.memory[rows]),
        )

    def _of(self, percentile: Floats, new: Mask, asked: Ints, last: Ints) -> Ints:
        usual = np.ceil(percentile * (1 + self._policy.safety)).astype(np.int64)
        return np.maximum(np.where(new, asked, usual), last)

    def _row(self, key: str, now_s: float) -> int:
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = self._vacant.pop() if self._vacant else self._append()
            self._since_s[row] = now_s
        return row

    def _append(self) -> int:
        row = len(self._rows)
        if row >= len(self._since_s):
            more = max(64, len(self._since_s))
            self._since_s = np.concatenate([self._since_s, np.zeros(more)])
            self._last = Use(*(np.concatenate([column, np.zeros(more, np.int64)]) for column in self._last))
            self._cpu.reserve(len(self._since_s))
            self._memory.reserve(len(self._since_s))
        return row
