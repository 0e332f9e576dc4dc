"""Policies for clusters with GPUs: scores of the core that ask what a pod leaves of a node, knowing which shapes come how often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from sampan.schedule.arrays import Floats
from sampan.schedule.shape import Shape, amounts
from sampan.sim.gpu import Asks, States, Workload

_LARGEST_CPU, _LARGEST_GPU = 128_000, 8_000
"""Milli of the largest machines there are: what is left is measured by them."""
_TIGHT = 35.0
"""Milli of GPU that an empty node's CPU, or its GPUs, are worth to be kept together."""
_SAME = 3
"""Decimals: scores that differ by less are equal, and go to the first node."""


class Policy(Protocol):
    def score(self, before: States, after: States, asks: Asks) -> Floats:
        """Return how good it is that a pod of each shape goes to a node: of one state before, and what each leaves, [shapes]."""


class BestFit:
    """The least left of a node, CPU and GPU as shares of the largest node, in whole per cent."""

    def __init__(self, workload: Workload, models: Sequence[str]) -> None:
        pass

    def score(self, before: States, after: States, asks: Asks) -> Floats:
        return np.trunc((1 - _left(after) / 2) * 100)


def _left(states: States) -> Floats:
    left: Floats = states.cpu / _LARGEST_CPU + states.gpus.sum(axis=1) / _LARGEST_GPU
    return left


class GpuFragmentation:
    """How much of a node's free GPUs a workload cannot use.

    For each shape all free GPUs of a node that it doesn't fit on are fragments, else those GPUs with too little for it. A
    node's fragmentation is the mean over the shapes, weighted by how often each occurs; a shape without GPU uses none.
    """

    def __init__(self, workload: Workload, models: Sequence[str]) -> None:
        shapes, shares = _without_memory(workload)
        self._asks = Asks.of(shapes, models)
        self._weights = np.where(self._asks.gpus > 0, shares, 0)
        self._values, self._which = np.unique(self._asks.milli, return_inverse=True)

    def amount(self, states: States) -> Floats:
        """Return milli of GPU, [states]."""
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
        asked = {name: amount for name, amount in shape.requests if name != "memory"}
        merged = Shape(requests=amounts(asked), devices=shape.devices, node_terms=shape.node_terms)
        shares[merged] = shares.get(merged, 0) + share
    return list(shares), np.array(list(shares.values()))


class FragmentationDescent:
    """Where fragmentation rises least, in whole steps of a sigmoid from 0 to 100; so do the authors of the idea (2023)."""

    def __init__(self, workload: Workload, models: Sequence[str]) -> None:
        self._fragmentation = GpuFragmentation(workload, models)

    def score(self, before: States, after: States, asks: Asks) -> Floats:
        fall = self._fragmentation.amount(before) - self._fragmentation.amount(after)
        steps: Floats = np.trunc(100 / (1 + np.exp(-fall / 1000)) + 1e-9)  # sums that are 0 but for rounding are 0
        return steps


class Stranding:
    """How much of a node's free GPUs will stay free because its CPU ends first.

    Filled with one shape alone, a node's CPU serves so many GPUs; what it has beyond is stranded. The mean over the shapes
    with GPUs, weighted by how often each occurs. Fragmentation asks what the next pod can use, and sees a shortage of CPU
    when it is there; this sees it come.
    """

    def __init__(self, workload: Workload, models: Sequence[str]) -> None:
        asks = Asks.of(workload.shapes, models)
        weights = np.where(asks.gpus > 0, workload.shares, 0)
        self._weights = weights / max(weights.sum(), 1e-9)
        self._served = asks.gpus * asks.milli / np.maximum(asks.cpu, 1)  # milli of GPU by milli of CPU

    def amount(self, states: States) -> Floats:
        """Return milli of GPU, [states]."""
        total = states.gpus.sum(axis=1)
        stranded: Floats = np.maximum(total[:, None] - states.cpu[:, None] * self._served, 0) @ self._weights
        return stranded


class Lasting:
    """Where fragmentation now and stranding later rise least together, and of almost equal nodes the fullest.

    Stranding counts for pods with GPU only. Pods without are many and large where CPU is short: sent to where they strand
    nothing, more of them would fit, and CPU that is spent is missed by GPUs elsewhere.
    """

    def __init__(self, workload: Workload, models: Sequence[str]) -> None:
        self._fragmentation = GpuFragmentation(workload, models)
        self._stranding = Stranding(workload, models)

    def score(self, before: States, after: States, asks: Asks) -> Floats:
        fall = self._fragmentation.amount(before) - self._fragmentation.amount(after)
        fall += np.where(asks.gpus > 0, self._stranding.amount(before) - self._stranding.amount(after), 0)
        return np.round(fall, _SAME) - _TIGHT * _left(after)


POLICIES: dict[str, Callable[[Workload, Sequence[str]], Policy]] = {
    "best-fit": BestFit,
    "fgd": FragmentationDescent,
    "lasting": Lasting,
}
