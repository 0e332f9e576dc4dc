"""GPU clusters: shapes of pods, nodes whose GPUs can be shared, and what a placement leaves of a node.

CPU in milli-cores, memory in MiB, a GPU is 1,000 milli. A pod takes a part of one GPU, or whole GPUs, or none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sampan.sim.packing import Ints

WHOLE = 1000
MOST = 8
"""GPUs a node may have."""
Mask = NDArray[np.bool_]


class Shape(NamedTuple):
    """What a pod asks for. `milli` is of each of its GPUs; no models: any will do."""

    cpu: int
    memory: int
    gpus: int
    milli: int
    models: tuple[str, ...]


@dataclass(frozen=True)
class Workload:
    shapes: list[Shape]
    shape: Ints  # (pods,)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Return the share of the pods that has each shape."""
        shares: NDArray[np.float64] = np.bincount(self.shape, minlength=len(self.shapes)) / len(self.shape)
        return shares


@dataclass(frozen=True)
class Cluster:
    """Nodes in columns, in order of their names."""

    names: list[str]
    models: list[str]
    cpu: Ints
    memory: Ints
    gpus: Ints

    @property
    def milli(self) -> int:
        """Return the sum of all GPUs."""
        return int(self.gpus.sum()) * WHOLE


@dataclass(frozen=True)
class Asks:
    """The shapes of a workload as columns."""

    cpu: Ints  # (shapes,)
    memory: Ints
    gpus: Ints
    milli: Ints
    on: Mask  # (models, shapes)

    @classmethod
    def of(cls, shapes: list[Shape], models: list[str]) -> Asks:
        cpu, memory, gpus, milli = (np.array([shape[n] for shape in shapes], np.int64) for n in range(4))
        on = np.array([[not shape.gpus or not shape.models or m in shape.models for shape in shapes] for m in models])
        return cls(cpu, memory, gpus, milli, on.reshape(len(models), len(shapes)))


@dataclass(frozen=True)
class States:
    """What is free on some nodes. GPUs in ascending order; those that a node lacks are 0."""

    model: Ints  # (states,)
    cpu: Ints
    memory: Ints
    gpus: Ints  # (states, 8)

    def fit(self, asks: Asks) -> Mask:
        """Return (states, shapes): does a pod of the shape fit?"""
        enough = (self.cpu[:, None] >= asks.cpu) & (self.memory[:, None] >= asks.memory) & asks.on[self.model]
        return enough & (self.able(asks) >= asks.gpus)

    def able(self, asks: Asks) -> Ints:
        """Return (states, shapes): how many GPUs have what one of the shape's needs."""
        values, which = np.unique(asks.milli, return_inverse=True)
        able: Ints = np.count_nonzero(self.gpus[:, :, None] >= values, axis=1)[:, which]
        return able


class Steps(NamedTuple):
    """Every way to place one pod of each shape on each state: rows of these columns."""

    state: Ints
    shape: Ints
    gpu: Ints  # the shared GPU's place in the order, -1 for none or whole ones
    after: States


def steps(states: States, asks: Asks) -> Steps:
    """Return all ways in which shapes fit, by state and shape; of equal GPUs only the first."""
    fit = states.fit(asks)
    shared = (asks.gpus == 1) & (asks.milli < WHOLE)
    plain_state, plain_shape = np.nonzero(fit & ~shared)
    first = np.diff(states.gpus, axis=1, prepend=-1) > 0
    which = np.flatnonzero(shared)
    able = fit[:, which, None] & first[:, None, :] & (states.gpus[:, None, :] >= asks.milli[which][:, None])
    state, column, gpu = np.nonzero(able)
    all_state = np.concatenate([plain_state, state])
    all_shape = np.concatenate([plain_shape, which[column]])
    all_gpu = np.concatenate([np.full(len(plain_state), -1), gpu])
    gpus = states.gpus[all_state]
    taken = np.flatnonzero(all_gpu >= 0)
    gpus[taken, all_gpu[taken]] -= asks.milli[all_shape[taken]]
    whole = np.where(all_gpu < 0, asks.gpus[all_shape], 0)
    gpus[np.arange(MOST) >= MOST - whole[:, None]] = 0  # the last are the freest
    after = States(
        states.model[all_state],
        states.cpu[all_state] - asks.cpu[all_shape],
        states.memory[all_state] - asks.memory[all_shape],
        np.sort(gpus, axis=1),
    )
    return Steps(all_state, all_shape, all_gpu, after)
