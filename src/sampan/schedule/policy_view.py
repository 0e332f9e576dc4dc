"""What a policy in Python is shown: the pod that asks, and nodes as columns. Nothing of it can be changed.

A column is a numpy array of one value a node, [nodes]. CPU is in millicores, memory and storage in bytes, other resources as
they are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from sampan.schedule.arrays import Floats, Ints
from sampan.schedule.shape import Shape
from sampan.schedule.view import Nodes

T = TypeVar("T", bound=np.generic)
Texts = npt.NDArray[np.str_]


class PolicyPod:
    """The pod that asks. `shape` holds all that it asks for, as the core knows it."""

    __slots__ = ("_requests", "labels", "namespace", "shape")

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.namespace = shape.namespace
        self.labels: Mapping[str, str] = dict(shape.labels)
        self._requests = dict(shape.requests)

    def request(self, resource: str) -> int:
        """Return how much of a resource the pod asks for, 0 for none."""
        return self._requests.get(resource, 0)


class PolicyNodes:
    """The nodes that a policy is asked about; perhaps not all, and perhaps one more than once."""

    __slots__ = ("_nodes",)

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def names(self) -> Texts:
        snapshot = self._nodes.snapshot
        column = snapshot.kept("policy names", lambda: np.array([node.name for node in snapshot.nodes], np.str_))
        return _fixed(self._nodes.pick(column))

    def label(self, key: str) -> Texts:
        """Return the value of a label, "" where a node has none."""
        snapshot = self._nodes.snapshot
        domains = snapshot.domains(key)
        column = snapshot.kept(("policy label", key), lambda: np.array([*domains.values, ""], np.str_)[domains.slot])
        return _fixed(self._nodes.pick(column))

    def allocatable(self, resource: str) -> Ints:
        """Return what pods can have of a resource, 0 where there is none."""
        resources = self._nodes.snapshot.resources
        return _fixed(self._nodes.pick(resources.allocatable[resources.number(resource)]))

    def free(self, resource: str) -> Ints:
        """Return what is left of a resource before the pod is placed; `pods` is one: how many more may run."""
        return _fixed(self._nodes.free(self._nodes.snapshot.resources.number(resource)))

    def left(self, resource: str) -> Floats:
        """Return the part of a resource that would be left with the pod there: 1 all of it, below 0 too little.

        It is 0 where the node has none.
        """
        return _fixed(self._nodes.left(self._nodes.snapshot.resources.number(resource)))

    def pods(self, labels: Mapping[str, str] | None = None, namespace: str | None = None) -> Ints:
        """Return how many pods are there: with all of these labels, in this namespace; any where not given."""
        wanted = frozenset((labels or {}).items())

        def weigh(shape: Shape) -> int:
            return int(namespace in (None, shape.namespace) and wanted.issubset(shape.labels))

        tally = self._nodes.snapshot.tally(("policy pods", wanted, namespace), weigh)
        found = self._nodes.pick(tally.counts)
        more = self._nodes.more
        return _fixed(found if more is None else found + more * weigh(self._nodes.ask.shape))

    def devices(self, kind: str) -> Ints:
        """Return how many thousandths are free of each device of a kind, [devices, nodes]; -1 where a node has fewer devices."""
        column = self._nodes.snapshot.devices.free.get(kind)
        if column is None:
            return np.zeros((0, len(self)), np.int64)
        return _fixed(column if self._nodes.rows is None else column.take(self._nodes.rows, axis=1))


def _fixed(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    found = column.view()
    found.flags.writeable = False
    return found
