"""GPUs as policies see them: what is free on nodes, what shapes ask for, and what a pod leaves of a node.

CPU in millicores, a GPU is 1,000 milli. A pod takes a part of one GPU, the fullest that has room, or whole GPUs, or none: as
the core gives devices (schedule/devices.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sampan.schedule.arrays import Floats, Ints, Mask, Rows
from sampan.schedule.devices import WHOLE
from sampan.schedule.node import Node
from sampan.schedule.resources import CPU
from sampan.schedule.shape import Shape
from sampan.schedule.snapshot import Snapshot
from sampan.sim.traces.machine import GPU, MODEL


def models_of(nodes: Iterable[Node]) -> list[str]:
    """Return the models of GPUs that there are, in order; "" where nodes do not say."""
    return sorted({_model(node) for node in nodes})


def _model(node: Node) -> str:
    return dict(node.labels).get(MODEL, "")


class Workload(NamedTuple):
    """The distinct shapes of some pods, and the part of the pods that has each."""

    shapes: list[Shape]
    shares: Floats

    @classmethod
    def of(cls, counts: Mapping[Shape, int]) -> Workload:
        """Return it by how many pods have each shape."""
        found = np.array(list(counts.values()), np.float64)
        return cls(list(counts), found / max(found.sum(), 1.0))


class Asks(NamedTuple):
    """Shapes as columns, [shapes]; `on`: [models, shapes]. `milli`: of each GPU, 0 where none is asked for."""

    cpu: Ints
    gpus: Ints
    milli: Ints
    on: Mask

    @classmethod
    def of(cls, shapes: Sequence[Shape], models: Sequence[str]) -> Asks:
        wishes = [next((wish for wish in shape.devices if wish.kind == GPU), None) for shape in shapes]
        cpu = [dict(shape.requests).get("cpu", 0) for shape in shapes]
        gpus = [wish.count if wish else 0 for wish in wishes]
        milli = [wish.milli if wish else 0 for wish in wishes]
        on = [[_runs_on(shape, model) for shape in shapes] for model in models]
        return cls(np.array(cpu), np.array(gpus), np.array(milli), np.array(on).reshape(len(models), len(shapes)))


def _runs_on(shape: Shape, model: str) -> bool:
    terms = shape.node_terms
    return terms is None or any(
        all(part.matches({MODEL: model} if model else {}) for part in term.labels) for term in terms
    )


@dataclass(frozen=True)
class States:
    """What is free on some nodes. GPUs in ascending order, [states, GPUs]; those that a node lacks are 0."""

    model: Rows  # [states]
    cpu: Ints
    gpus: Ints

    @classmethod
    def of(cls, snapshot: Snapshot, rows: Rows, models: Sequence[str]) -> States:
        """Return the states of rows now; models by their places."""
        labels = [_model(snapshot.nodes[row]) for row in rows.tolist()]
        column = snapshot.devices.free.get(GPU)
        gpus = np.zeros((len(rows), 1), np.int64) if column is None else np.maximum(column.take(rows, axis=1).T, 0)
        model = np.array([models.index(label) for label in labels], np.intp)
        return cls(model, snapshot.resources.free[CPU].take(rows), np.sort(gpus, axis=1))

    def after(self, asks: Asks) -> States:
        """Return, of one state, what a pod of each shape leaves of it, [shapes]; of shapes that do not fit it means nothing."""
        count, most = len(asks.cpu), self.gpus.shape[1]
        gpus = np.repeat(self.gpus, count, axis=0)
        shared = np.flatnonzero((asks.gpus == 1) & (asks.milli < WHOLE))
        fullest = (gpus[shared] >= asks.milli[shared, None]).argmax(axis=1)
        gpus[shared, fullest] -= asks.milli[shared]
        whole = np.where(asks.milli == WHOLE, asks.gpus, 0)
        gpus[np.arange(most) >= most - whole[:, None]] = 0  # the last are the freest
        return States(np.repeat(self.model, count), self.cpu - asks.cpu, np.sort(gpus, axis=1))
