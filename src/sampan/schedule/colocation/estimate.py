"""Estimates: what latency-critical pods will use on each node, from what they used.

CPU can be taken back at once, memory cannot. So CPU is estimated of all pods of a node together, as their peaks seldom meet, and
follows use within hours; memory is estimated of each pod, and forgets over days. An estimate is never below what is in use
now. A pod that is new counts with what it asks for; later what is added for safety ends there.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sampan.schedule.arrays import Floats, Ints, Rows
from sampan.schedule.colocation.columns import Columns
from sampan.schedule.colocation.histogram import Histograms
from sampan.schedule.colocation.policy import Policy

_CPU_RANGE = 10.0, 1e6
_MEMORY_RANGE = float(1 << 20), float(1 << 43)


class Estimator:
    """Series of CPU by node, of memory by pod. `rows` tells the row of each pod; it has it until it is forgotten."""

    def __init__(self, policy: Policy, nodes: int) -> None:
        self._policy = policy
        self._nodes = nodes
        self._cpu = Histograms(*_CPU_RANGE, policy.cpu_half_life_s)
        self._cpu.reserve(nodes)
        self._memory = Histograms(*_MEMORY_RANGE, policy.memory_half_life_s)
        self._rows: dict[str, int] = {}
        self._vacant: list[int] = []
        self._since_s: Floats = np.zeros(0)  # when each pod was first seen

    def rows(self, keys: Iterable[str], now_s: float) -> Rows:
        """Return the rows of pods; those that are new begin now."""
        return np.array([self._row(key, now_s) for key in keys], np.intp)

    def forget(self, key: str) -> None:
        """A pod has gone. One that is not known is nothing. What its node used fades by itself."""
        row = self._rows.pop(key, None)
        if row is not None:
            self._memory.clear(row)
            self._vacant.append(row)

    def estimate(self, rows: Rows, nodes: Rows, use: Columns, asked: Columns, now_s: float) -> Columns:
        """Take in what different pods use now, [pods] with the node of each, and return what they will use, [nodes].

        Never less than they use now, added up. What a node used while all of its pods were new is no part of its series.
        """
        policy = self._policy
        self._memory.add(rows, use.memory.astype(np.float64), now_s)
        usual = self._memory.percentile(rows, policy.memory_percentile)
        new = now_s - self._since_s[rows] < policy.warm_up_s
        memory = np.where(
            new, np.maximum(asked.memory, use.memory), _safe(usual, policy.memory_safety, asked.memory, use.memory)
        )
        known_use, known_asked, new_cpu = (
            self._by_node(nodes, np.where(of, cpu, 0))
            for of, cpu in ((~new, use.cpu), (~new, asked.cpu), (new, np.maximum(asked.cpu, use.cpu)))
        )
        there = np.flatnonzero(self._by_node(nodes, (~new).astype(np.int64)))
        self._cpu.add(there, known_use[there].astype(np.float64), now_s)
        cpu = new_cpu
        cpu[there] += _safe(
            self._cpu.percentile(there, policy.cpu_percentile), policy.cpu_safety, known_asked[there], known_use[there]
        )
        return Columns(cpu, self._by_node(nodes, memory))

    def _by_node(self, nodes: Rows, column: Ints) -> Ints:
        return np.bincount(nodes, weights=column, minlength=self._nodes).astype(np.int64)

    def _row(self, key: str, now_s: float) -> int:
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = self._vacant.pop() if self._vacant else self._append()
            self._since_s[row] = now_s
        return row

    def _append(self) -> int:
        row = len(self._rows)
        if row >= len(self._since_s):
            self._since_s = np.concatenate([self._since_s, np.zeros(max(64, row))])
            self._memory.reserve(len(self._since_s))
        return row


def _safe(usual: Floats, safety: float, asked: Ints, use: Ints) -> Ints:
    """Return what usually is used and some more, but no more than is asked for because of that; at least what is used."""
    found = np.maximum(usual, np.minimum(usual * (1 + safety), asked))
    return np.maximum(np.ceil(found).astype(np.int64), use)
