"""Vector: amounts of the resources that are offered, in one fixed order, and the columns they come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import add, le, sub

import msgspec
import numpy as np

from sampan.schedule.arrays import Ints
from sampan.schedule.devices import WHOLE
from sampan.schedule.shape import Amounts, DeviceAsk, Shape
from sampan.schedule.snapshot import Snapshot

Vector = tuple[int, ...]
"""Amounts by dimension: [dimensions]. Units as in `Shape`; devices are counted whole."""


def plus(one: Iterable[int], other: Iterable[int]) -> Vector:
    return tuple(map(add, one, other))


def minus(one: Iterable[int], other: Iterable[int]) -> Vector:
    return tuple(map(sub, one, other))


def least(one: Iterable[int], other: Iterable[int]) -> Vector:
    return tuple(map(min, one, other))


def within(one: Iterable[int], other: Iterable[int]) -> bool:
    """Return whether `other` has as much of everything."""
    return all(map(le, one, other))


class Dimensions(msgspec.Struct, frozen=True):
    """`names`: the resources that are offered. Those in `kinds` are devices, the others columns of amounts."""

    names: tuple[str, ...] = ("cpu", "memory")
    kinds: frozenset[str] = frozenset()

    @property
    def zero(self) -> Vector:
        return (0,) * len(self.names)

    def vector(self, amounts: Mapping[str, int]) -> Vector:
        """Return amounts by dimension. Raises KeyError for a resource that is not offered."""
        unknown = set(amounts) - set(self.names)
        if unknown:
            raise KeyError(min(unknown))
        return tuple(amounts.get(name, 0) for name in self.names)

    def amounts(self, vector: Sequence[int]) -> Amounts:
        """Return what there is, in order of names."""
        return tuple(sorted((name, amount) for name, amount in zip(self.names, vector, strict=True) if amount))

    def asked(self, shape: Shape) -> Vector:
        """Return what a pod of a shape takes; a share of a device counts as a whole one.

        Raises KeyError for a resource that is not offered.
        """
        totals = {name: amount for name, amount in shape.requests if amount}
        for wish in shape.devices:
            totals[wish.kind] = totals.get(wish.kind, 0) + wish.count
        return self.vector(totals)

    def shape(self, vector: Sequence[int], namespace: str) -> Shape:
        """Return the shape of a pod that takes this and wishes nothing else."""
        has = self.amounts(vector)
        return Shape(
            namespace=namespace,
            requests=tuple((name, amount) for name, amount in has if name not in self.kinds),
            devices=tuple(DeviceAsk(name, amount) for name, amount in has if name in self.kinds),
        )

    def free(self, snapshot: Snapshot) -> list[Ints]:
        """Return what is left on each node, [dimensions] of [nodes]. May be the columns themselves: not to be changed."""
        return [self._free(snapshot, name) for name in self.names]

    def has(self, snapshot: Snapshot) -> list[Ints]:
        """Return what each node has, [dimensions] of [nodes]. Not to be changed."""
        return [self._has(snapshot, name) for name in self.names]

    def _free(self, snapshot: Snapshot, name: str) -> Ints:
        if name not in self.kinds:
            return snapshot.resources.free[snapshot.resources.number(name)]
        devices = snapshot.devices.free.get(name)
        if devices is None:
            return np.zeros(len(snapshot.nodes), np.int64)
        found: Ints = np.count_nonzero(devices == WHOLE, axis=0).astype(np.int64)
        return found

    def _has(self, snapshot: Snapshot, name: str) -> Ints:
        if name not in self.kinds:
            return snapshot.resources.allocatable[snapshot.resources.number(name)]
        devices = snapshot.devices.free.get(name)
        if devices is None:
            return np.zeros(len(snapshot.nodes), np.int64)
        found: Ints = np.count_nonzero(devices >= 0, axis=0).astype(np.int64)
        return found
