"""Supply: what one cycle can offer, and who may be offered which nodes at all."""

from __future__ import annotations

import numpy as np

from sampan.schedule.arrays import Ints, Mask
from sampan.schedule.offers.framework import Capability, Subscription
from sampan.schedule.offers.offer import Parts, Reserved
from sampan.schedule.offers.role import lineage
from sampan.schedule.offers.state import State
from sampan.schedule.offers.vector import Vector, minus, plus


class Supply:
    """`free`: what belongs to no one, by row; `whole`: rows of which nobody had a part and nothing is set apart.

    `most`: the most that could be offered of each node, firm ones, then revocable ones, [2 * dimensions][nodes].
    """

    def __init__(self, state: State) -> None:
        self._state = state
        columns = bare(state)
        self.available: Vector = tuple(int(column.sum()) for column in columns)
        self.free: list[Vector] = list(zip(*[column.tolist() for column in columns], strict=True))
        self.reserved: dict[int, dict[str, Vector]] = {}
        self.revocable: dict[int, Vector] = {}
        self._find_apart()
        self.whole = bytearray(b"\1" * len(self.free))
        self.most = self._most(columns)

    def _find_apart(self) -> None:
        rows, is_open = self._state.snapshot.rows, self._state.open
        for node, by_role in self._state.reservations.by_node.items():
            row = rows.get(node)
            if row is not None and is_open[row]:
                idle = {role: _positive(holding.free()) for role, holding in sorted(by_role.items())}
                found = {role: amounts for role, amounts in idle.items() if any(amounts)}
                if found:
                    self.reserved[row] = found
        for node, holding in self._state.revocable.items():
            row = rows.get(node)
            if row is not None and is_open[row] and any(amounts := _positive(holding.free())):
                self.revocable[row] = amounts

    def _most(self, columns: list[Ints]) -> Ints:
        size = len(columns)
        most = np.zeros((2 * size, len(self.free)), np.int64)
        most[:size] = columns
        for row, by_role in self.reserved.items():
            self.whole[row] = 0
            for amounts in by_role.values():
                most[:size, row] += amounts
        for row, amounts in self.revocable.items():
            self.whole[row] = 0
            most[size:, row] = amounts
        return most

    def enough(self) -> Mask:
        """Return which nodes have as much as an offer must have, [nodes]."""
        size = len(self.most) // 2
        total = self.most[:size] + self.most[size:]
        found: Mask = np.asarray(total.any(axis=0))
        if self._state.minimum:
            alternatives = [(total >= np.array([minimum]).T).all(axis=0) for minimum in self._state.minimum]
            found &= np.logical_or.reduce(alternatives)
        return found

    def suits(self, width: int) -> Mask:
        """Return which subscriptions may be offered which nodes, filters and quotas aside, [nodes, width]."""
        state = self._state
        found = np.zeros((len(self.free), width), np.bool_)
        scarce, far = _scarce(state), _far(state)
        for one in state.known():
            if one.wants:
                found[:, one.number] = _suits(state, one, scarce, far)
        return found

    def parts(self, row: int, one: Subscription, amounts: Vector) -> Parts:
        """Return what a subscription can be offered of a node, with `amounts` of what belongs to no one."""
        reserved: Reserved = ()
        if by_role := self.reserved.get(row):
            reserved = tuple((role, by_role[role]) for role in lineage(one.role) if role in by_role)
        revocable: Vector = ()
        if row in self.revocable and Capability.REVOCABLE_RESOURCES in one.framework.capabilities:
            revocable = self.revocable[row]
        return Parts(amounts, reserved, revocable)

    def take(self, row: int, parts: Parts) -> None:
        self.free[row] = minus(self.free[row], parts.bare)
        self.whole[row] = 0
        for role, _ in parts.reserved:
            del self.reserved[row][role]
        if parts.revocable:
            del self.revocable[row]

    def is_apart(self, row: int) -> bool:
        """Return whether something of a node is reserved or revocable, and not offered yet."""
        return bool(self.reserved.get(row)) or row in self.revocable

    def is_apart_for(self, row: int, role: str) -> bool:
        """Return whether frameworks of a role may have something of that."""
        reserved = self.reserved.get(row, ())
        return row in self.revocable or any(one in reserved for one in lineage(role))

    def is_left(self, row: int) -> bool:
        return any(self.free[row]) or self.is_apart(row)


def bare(state: State) -> list[Ints]:
    """Return what can be offered of each node and belongs to no one, [dimensions] of [nodes]."""
    free = state.dimensions.free(state.snapshot)
    left = zip(free, state.offered, strict=True)
    return [np.where(state.open, np.maximum(column - out, 0), 0) for column, out in left]


def capacity(state: State) -> Vector:
    """Return what shares are parts of: all that the cluster has, what it lends among it."""
    found = tuple(int(column.sum()) for column in state.dimensions.has(state.snapshot))
    for node, holding in state.revocable.items():
        if node in state.snapshot.rows:
            found = plus(found, holding.total)
    return found


def _scarce(state: State) -> Mask:
    found = np.zeros(len(state.snapshot.nodes), np.bool_)
    for name, column in zip(state.dimensions.names, state.dimensions.has(state.snapshot), strict=True):
        if name in state.rules.scarce:
            found |= column > 0
    return found


def _far(state: State) -> Mask:
    home = state.rules.region
    if not home:
        return np.zeros(len(state.snapshot.nodes), np.bool_)
    domains = state.snapshot.domains(state.rules.region_label)
    here = [value == home for value in domains.values]
    return ~np.array([*here, True], np.bool_)[domains.slot]


def _suits(state: State, one: Subscription, scarce: Mask, far: Mask) -> Mask:
    found = state.open
    if Capability.GPU_RESOURCES not in one.framework.capabilities:
        found = found & ~scarce
    if Capability.REGION_AWARE not in one.framework.capabilities:
        found = found & ~far
    if one.framework.nodes:
        found = found & state.snapshot.labels.all_of(one.framework.nodes)
    return found


def _positive(amounts: Vector) -> Vector:
    return tuple([max(amount, 0) for amount in amounts])
