"""Policies for clusters with GPUs: functions of what a placement leaves of a node."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sampan.sim.arrivals import Floats
from sampan.sim.gpu import Asks, Cluster, Shape, States, Steps, Workload

_LARGEST_CPU, _LARGEST_GPU = 128_000, 8_000
"""Milli of the largest machines there are: what is left is measured by them."""
_TIGHT = 35.0
"""Milli of GPU that an empty node's CPU, or its GPUs, are worth to be kept together."""
_SAME = 3
"""Decimals: scores that differ by less are equal, and go to the first node."""


class BestFit:
    """The least left of a node, CPU and GPU as shares of the largest node, in whole per cent; the fullest GPU."""

    def __init__(self, cluster: Cluster, workload: Workload) -> None:
        pass

    def score(self, before: States, found: Steps) -> Floats:
        return np.trunc((1 - _left(found.after) / 2) * 100)


def _left(states: States) -> Floats:
    left: Floats = states.cpu / _LARGEST_CPU + states.gpus.sum(axis=1) / _LARGEST_GPU
    return left


class Fragmentation:
    """How much of a node's free GPUs a workload cannot use.

    For each shape all free GPUs of a node that it doesn't fit on are fragments, else those GPUs with too little for it. A
    node's fragmentation is the mean over the shapes, weighted by how often each occurs; a shape without GPU uses none.
    """

    def __init__(self, cluster: Cluster, workload: Workload) -> None:
        shapes, shares = _without_memory(workload)
        self._asks = Asks.of(shapes, sorted(set(cluster.models)))
        self._weights = np.where(self._asks.gpus > 0, shares, 0)
        self._values, self._which = np.unique(self._asks.milli, return_inverse=True)

    def amount(self, states: States) -> Floats:
        """Return (states,) in milli."""
        asks = self._asks
        enough = states.gpus[:, :, None] >= self._values
        able = np.count_nonzero(enough, axis=1)[:, self._which]
        usable = np.einsum("ng,ngv->nv", states.gpus, enough)[:, self._which]
        hosts = (able >= asks.gpus) & (states.cpu[:, None] >= asks.cpu) & asks.on[states.model]
        total: Floats = states.gpus.sum(axis=1).astype(np.float64)
        total -= (hosts * usable) @ self._weights
        return total


def _without_memory(workload: Workload) -> tuple[list[Shape], Floats]:
    """Return the shapes that differ in more than memory, and their shares."""
    shares: dict[Shape, float] = {}
    for shape, share in zip(workload.shapes, workload.shares.tolist(), strict=True):
        merged = shape._replace(memory=0)
        shares[merged] = shares.get(merged, 0) + share
    return list(shares), np.array(list(shares.values()))


class FragmentationDescent:
    """Where fragmentation rises least, in whole steps of a sigmoid from 0 to 100; so do the authors of the idea (2023)."""

    def __init__(self, cluster: Cluster, workload: Workload) -> None:
        self._fragmentation = Fragmentation(cluster, workload)

    def score(self, before: States, found: Steps) -> Floats:
        fall = _fall(self._fragmentation.amount, before, found)
        steps: Floats = np.trunc(100 / (1 + np.exp(-fall / 1000)) + 1e-9)  # sums that are 0 but for rounding are 0
        return steps


class Stranding:
    """How much of a node's free GPUs will stay free because its CPU ends first.

    Filled with one shape alone, a node's CPU serves so many GPUs; what it has beyond is stranded. The mean over the shapes
    with GPUs, weighted by how often each occurs. Fragmentation asks what the next pod can use, and sees a shortage of CPU
    when it is there; this sees it come.
    """

    def __init__(self, cluster: Cluster, workload: Workload) -> None:
        asks = Asks.of(workload.shapes, sorted(set(cluster.models)))
        weights = np.where(asks.gpus > 0, workload.shares, 0)
        self._weights = weights / max(weights.sum(), 1e-9)
        self._served = asks.gpus * asks.milli / np.maximum(asks.cpu, 1)  # milli of GPU by milli of CPU

    def amount(self, states: States) -> Floats:
        """Return (states,) in milli."""
        total = states.gpus.sum(axis=1)
        stranded: Floats = np.maximum(total[:, None] - states.cpu[:, None] * self._served, 0) @ self._weights
        return stranded


class Lasting:
    """Where fragmentation now and stranding later rise least together, and of almost equal nodes the fullest.

    Stranding counts for pods with GPU only. Pods without are many and large where CPU is short: sent to where they strand
    nothing, more of them would fit, and CPU that is spent is missed by GPUs elsewhere.
    """

    def __init__(self, cluster: Cluster, workload: Workload) -> None:
        self._fragmentation = Fragmentation(cluster, workload)
        self._stranding = Stranding(cluster, workload)
        self._gpus = np.array([shape.gpus for shape in workload.shapes])

    def score(self, before: States, found: Steps) -> Floats:
        fall = _fall(self._fragmentation.amount, before, found)
        fall += np.where(self._gpus[found.shape] > 0, _fall(self._stranding.amount, before, found), 0)
        return np.round(fall, _SAME) - _TIGHT * _left(found.after)


def _fall(amount: Callable[[States], Floats], before: States, found: Steps) -> Floats:
    fall: Floats = amount(before)[found.state] - amount(found.after)
    return fall
