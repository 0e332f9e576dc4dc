"""Figures: what a replay of arrivals came to, for people and for comparisons."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sampan.sim.arrivals import Outcome
from sampan.sim.gpu import States, Workload, models_of
from sampan.sim.gpu_policy import GpuFragmentation
from sampan.sim.traces.machine import GPU


class Figures(NamedTuple):
    """Of one run, at its end. Shares are percentages of the cluster's capacity."""

    placed: int
    pending: int
    gpu: float
    cpu: float
    memory: float
    fragmented: float  # free GPUs that the workload cannot use


def figures(workload: Workload, outcome: Outcome) -> Figures:
    """Return the figures of a run."""
    placed = sum(node is not None for node in outcome.nodes)
    snapshot = outcome.snapshot
    models = models_of(snapshot.nodes)
    states = States.of(snapshot, np.arange(len(snapshot.nodes)), models)
    columns = snapshot.resources

    def used(name: str) -> float:
        number = columns.numbers[name]
        return float(100 * (1 - columns.free[number].sum() / columns.allocatable[number].sum()))

    return Figures(
        placed=placed,
        pending=len(outcome.nodes) - placed,
        gpu=used(GPU),
        cpu=used("cpu"),
        memory=used("memory"),
        fragmented=float(
            100
            * GpuFragmentation(workload, models).amount(states).sum()
            / columns.allocatable[columns.numbers[GPU]].sum()
        ),
    )


def mean(each: list[Figures]) -> Figures:
    """Return the mean of each figure; counts are rounded."""
    placed, pending, *shares = np.mean(np.array(each), axis=0).tolist()
    return Figures(round(placed), round(pending), *shares)
