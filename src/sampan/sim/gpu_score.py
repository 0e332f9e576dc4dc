"""GpuScore: a policy for GPUs as a score of the core; what it said of a node's state is kept, for all shapes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np

from sampan.schedule.arrays import Floats, Mask
from sampan.schedule.ask import Ask
from sampan.schedule.node import Node
from sampan.schedule.plugin import Normal, Reach
from sampan.schedule.profile import FILTERS, Profile
from sampan.schedule.shape import Shape
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.view import Nodes
from sampan.sim.gpu import Asks, States, Workload, models_of
from sampan.sim.gpu_policy import POLICIES, Policy


def profile(name: str, nodes: Iterable[Node], workload: Workload) -> Profile:
    """Return the core's profile of a policy of POLICIES, for pods of a workload's shapes on such nodes."""
    models = models_of(nodes)
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
