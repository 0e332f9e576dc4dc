"""Arrivals: pods come one by one, each is placed once where a policy says, or never; nothing leaves and nothing moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sampan.base.errors import InvalidArgument
from sampan.sim.gpu import MOST, WHOLE, Asks, Cluster, States, Steps, Workload, steps
from sampan.sim.packing import Ints

Floats = NDArray[np.float64]
NOWHERE = -np.inf


class Policy(Protocol):
    """Scores what placements leave behind. It knows the shapes and how often each occurs, never the order of arrival."""

    def score(self, before: States, found: Steps) -> Floats:
        """Return (steps,): the higher the better. It may depend on the node before and after the step only."""
        ...


Maker = Callable[[Cluster, Workload], Policy]
"""What makes a policy for a cluster and a workload: its class."""


class Outcome(NamedTuple):
    arrived: Ints  # (pods,): milli of GPU that have arrived, summed up
    placed: Ints  # (pods,): milli placed by then
    node: Ints  # (pods,): -1 for those that fitted nowhere
    free: States  # by node, at the end


class Replay:
    """One cluster, one workload and one policy. Scores depend on a node's state alone, so they are kept by state."""

    def __init__(self, cluster: Cluster, workload: Workload, policy: Policy) -> None:
        self._cluster, self._workload, self._policy = cluster, workload, policy
        self._models = sorted(set(cluster.models))
        self._asks = Asks.of(workload.shapes, self._models)
        self._known: dict[bytes, tuple[Floats, Ints]] = {}

    def run(self, order: Sequence[int] | Ints) -> Outcome:
        """Return what becomes of the pods (rows of the workload) in this order. Of equal scores the first node has it."""
        free = self._empty()
        scores = np.empty((len(self._workload.shapes), len(free)))
        gpus = np.empty(scores.shape, np.int64)
        for node in range(len(free)):
            scores[:, node], gpus[:, node] = self._scores(free[node])
        shapes = self._workload.shape[np.asarray(order)]
        nodes = np.full(len(shapes), -1, np.int64)
        for number, shape in enumerate(shapes.tolist()):
            node = int(scores[shape].argmax())
            if scores[shape, node] == NOWHERE:
                continue
            nodes[number] = node
            self._take(free[node], shape, int(gpus[shape, node]))
            scores[:, node], gpus[:, node] = self._scores(free[node])
        milli = (self._asks.gpus * self._asks.milli)[shapes]
        return Outcome(np.cumsum(milli), np.cumsum(np.where(nodes >= 0, milli, 0)), nodes, _states(free))

    def _empty(self) -> Ints:
        """Return a row a node: model, CPU, memory, GPUs in ascending order."""
        cluster = self._cluster
        model = np.array([self._models.index(name) for name in cluster.models])
        gpus = (np.arange(MOST) >= MOST - cluster.gpus[:, None]) * WHOLE
        return np.column_stack([model, cluster.cpu, cluster.memory, gpus]).astype(np.int64)

    def _scores(self, row: Ints) -> tuple[Floats, Ints]:
        """Return for each shape the best score on such a node and the GPU that has it."""
        key = row.tobytes()
        if key not in self._known:
            before = _states(row[None])
            found = steps(before, self._asks)
            score = self._policy.score(before, found)
            best = np.full(len(self._workload.shapes), NOWHERE)
            gpu = np.full(len(best), -1, np.int64)
            order = np.lexsort((found.gpu, -score))[::-1]  # of equal scores the fullest GPU is written last
            best[found.shape[order]], gpu[found.shape[order]] = score[order], found.gpu[order]
            self._known[key] = best, gpu
        return self._known[key]

    def _take(self, row: Ints, shape: int, gpu: int) -> None:
        asks = self._asks
        row[1] -= asks.cpu[shape]
        row[2] -= asks.memory[shape]
        if gpu >= 0:
            row[3 + gpu] -= asks.milli[shape]
            row[3:].sort()
        elif asks.gpus[shape]:
            row[len(row) - asks.gpus[shape] :] = 0
            row[3:].sort()


def _states(rows: Ints) -> States:
    return States(rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3:])


def allocation(outcome: Outcome, milli: int, percent: int = 130) -> float:
    """Return the placed percentage of the cluster's GPUs, mean over the arrivals at which `percent` of them had arrived.

    Raises:
        InvalidArgument: there is no such arrival.
    """
    there = np.round(100 * outcome.arrived / milli) == percent
    if not there.any():
        last = round(100 * int(outcome.arrived[-1]) / milli) if len(outcome.arrived) else 0
        raise InvalidArgument(f"the arrivals never are at {percent} % of the cluster's GPUs: they end at {last} %")
    return float(100 * outcome.placed[there].mean() / milli)
