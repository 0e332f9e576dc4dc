"""Policies for clusters with GPUs: scores of the core that ask what a pod leaves of a node, knowing which shapes come how often."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Protocol

import numpy as np

from sampan.schedule.arrays import Floats, Mask
from sampan.schedule.ask import Ask
from sampan.schedule.node import Node
from sampan.schedule.plugin import Normal, Reach
from sampan.schedule.profile import FILTERS, Profile
from sampan.schedule.shape import Shape, amounts
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.view import Nodes
from sampan.sim.gpu import Asks, States, Workload
from sampan.sim.traces.machine import MODEL

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


class Fragmentation:
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
        self._fragmentation = Fragmentation(workload, models)

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
        self._fragmentation = Fragmentation(workload, models)
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


def profile(name: str, nodes: Iterable[Node], workload: Workload) -> Profile:
    """Return the core's profile of a policy of POLICIES, for pods of a workload's shapes on such nodes."""
    models = sorted({dict(node.labels).get(MODEL, "") for node in nodes})
    return Profile(FILTERS, ((GpuScore(name, POLICIES[name](workload, models), workload.shapes, models), 1),))


class GpuScore:
    """A policy as a plugin. Scores depend on a node's state and the shape alone, so they are kept by state, for all shapes."""

    reach: ClassVar = Reach.NODE

    def __init__(self, name: str, policy: Policy, shapes: Sequence[Shape], models: Sequence[str]) -> None:
        self.name = name
        self.models = models
        self.asks = Asks.of(shapes, models)
        self._policy = policy
        self._places = {shape: place for place, shape in enumerate(shapes)}
        self._known: dict[bytes, Floats] = {}

    def prescore(self, ask: Ask, snapshot: Snapshot) -> GpuPoints:
        """Raises KeyError where the shape is none of the workload's."""
        table = snapshot.kept(("gpu scores", self), lambda: Table(snapshot, self))
        return GpuPoints(table, self._places[ask.shape])

    def scores(self, state: States) -> Floats:
        """Return the score of a pod of each shape on one state, [shapes]."""
        key = b"".join(column.tobytes() for column in (state.model, state.cpu, state.gpus))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._policy.score(state, state.after(self.asks), self.asks)
        return found


class Table:
    """The scores of all shapes on all nodes, [shapes, nodes]; touched nodes are scored again."""

    def __init__(self, snapshot: Snapshot, plugin: GpuScore) -> None:
        self._snapshot = snapshot
        self._plugin = plugin
        self._scores = np.zeros((len(plugin.asks.cpu), len(snapshot.nodes)))
        self._seen = -1

    def of(self, shape: int) -> Floats:
        """Return the scores of a shape, [nodes]; not to be changed."""
        touches = self._snapshot.touches
        if touches.position != self._seen:
            touched = touches.since(self._seen) if self._seen >= 0 else None
            rows = np.arange(len(self._snapshot.nodes)) if touched is None else np.unique(touched)
            self._seen = touches.position
            states = States.of(self._snapshot, rows, self._plugin.models)
            for at, row in enumerate(rows.tolist()):
                one = slice(at, at + 1)
                self._scores[:, row] = self._plugin.scores(States(states.model[one], states.cpu[one], states.gpus[one]))
        found: Floats = self._scores[shape]
        return found


class GpuPoints:
    reach = Reach.NODE
    foresees = False  # what the next pod leaves depends on the one before
    normal: Normal | None = None

    def __init__(self, table: Table, shape: int) -> None:
        self._table = table
        self._shape = shape

    def points(self, nodes: Nodes) -> Floats:
        return nodes.pick(self._table.of(self._shape))

    def counted(self) -> Mask | None:
        return None
