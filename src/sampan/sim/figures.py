"""Figures: what a replay of arrivals came to, for people and for comparisons."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sampan.sim.arrivals import Floats, Outcome
from sampan.sim.gpu import Cluster, Workload
from sampan.sim.gpu_policy import Fragmentation
from sampan.sim.packing import Ints


class Figures(NamedTuple):
    """Of one run, at its end. Shares are percentages of the cluster's capacity."""

    placed: int
    pending: int
    gpu: float
    cpu: float
    memory: float
    fragmented: float  # free GPUs that the workload cannot use


def figures(cluster: Cluster, workload: Workload, outcome: Outcome) -> Figures:
    """Return the figures of a run."""
    placed = int(np.count_nonzero(outcome.node >= 0))
    free = outcome.free
    lost = Fragmentation(cluster, workload).amount(free).sum()
    return Figures(
        placed=placed,
        pending=len(outcome.node) - placed,
        gpu=_used(free.gpus, cluster.milli),
        cpu=_used(free.cpu, int(cluster.cpu.sum())),
        memory=_used(free.memory, int(cluster.memory.sum())),
        fragmented=float(100 * lost / cluster.milli),
    )


def mean(each: list[Figures]) -> Figures:
    """Return the mean of each figure; counts are rounded."""
    placed, pending, *shares = np.mean(np.array(each), axis=0).tolist()
    return Figures(round(placed), round(pending), *shares)


def curve(outcome: Outcome, milli: int) -> Floats:
    """Return the placed percentage at each whole percentage arrived: nan where no arrival fell on it."""
    arrived = np.round(100 * outcome.arrived / milli).astype(np.int64)
    size = int(arrived[-1]) + 1
    sums = np.bincount(arrived, 100 * outcome.placed / milli, size)
    count = np.bincount(arrived, minlength=size)
    return np.where(count > 0, sums / np.maximum(count, 1), np.nan)


def _used(free: Ints, capacity: int) -> float:
    return float(100 * (1 - free.sum() / capacity))
