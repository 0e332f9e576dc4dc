"""allocate: one cycle: what is free now, offered to whose turn it is.

Nodes are gone through in order of their names, twice: first for roles that have less than they are guaranteed, then for all. On each
node the frameworks are gone through in the order of their shares (shares.py); each gets all that is left of the node and
that its role may still get (quota.py), unless that is below the minimum, or a filter keeps it away. No resource is in two offers.

Spec: Mesos hierarchical allocator.
"""

from __future__ import annotations

import numpy as np

from sampan.schedule.arrays import Ints, Mask
from sampan.schedule.offers import stale
from sampan.schedule.offers.framework import Capability, Subscription
from sampan.schedule.offers.offer import Cycle, Offer, Parts, Reserved
from sampan.schedule.offers.quota import Account, Quota, consumption
from sampan.schedule.offers.role import lineage
from sampan.schedule.offers.shares import Branch, Shares, first
from sampan.schedule.offers.state import State
from sampan.schedule.offers.vector import Vector, least, minus, plus, within


def allocate(state: State, now_s: float) -> Cycle:
    """Rescind what is no longer valid, then offer what is free. The state counts the offers from now on.

    The same state and time give the same offers, whatever order nodes and frameworks came in.
    """
    state.settle()
    state.filters.expire(now_s)
    rescinded = stale.rescind(state, now_s)
    turn = _Turn(state, now_s)
    if turn.quota.tight:
        turn.guarantees()
    turn.everybody()
    turn.count()
    return Cycle(turn.offers, rescinded)


class _Turn:
    def __init__(self, state: State, now_s: float) -> None:
        self._state = state
        self._now_s = now_s
        self.offers: list[Offer] = []
        self._zero = state.dimensions.zero
        self._width = max(len(state.subscriptions), 1)
        columns = bare(state)
        self._free: list[Vector] = list(zip(*[column.tolist() for column in columns], strict=True))
        self._reserved: dict[int, dict[str, Vector]] = {}
        self._revocable: dict[int, Vector] = {}
        self._find_apart()
        available = tuple(int(column.sum()) for column in columns)
        self.quota = Quota(state.roles, consumption(state.owned()), available)
        self._shares = Shares(state.known(), state.roles.weights, capacity(state))
        most = self._most(columns)
        blocked, self._others = state.filters.block(self._width, state.rows, most)
        ready = self._may_have() & ~blocked
        ready[~self._enough(most)] = False
        self._rows: list[int] = np.flatnonzero(ready.any(axis=1)).tolist()
        self._ready = ready.tobytes()
        self._whole = bytearray(b"\1" * len(self._free))  # nobody had a part of it, and nothing of it is apart
        for row in (*self._reserved, *self._revocable):
            self._whole[row] = 0
        self._given: tuple[list[int], list[int], list[Vector]] = [], [], []
        self._touched: dict[int, Branch] = {}
        self._closed: set[str] = set()  # roles that can get nothing any more that belongs to no one

    # --- what there is

    def _find_apart(self) -> None:
        rows, is_open = self._state.snapshot.rows, self._state.open
        for node, by_role in self._state.reservations.by_node.items():
            row = rows.get(node)
            if row is not None and is_open[row]:
                idle = {role: _positive(holding.free()) for role, holding in sorted(by_role.items())}
                found = {role: amounts for role, amounts in idle.items() if any(amounts)}
                if found:
                    self._reserved[row] = found
        for node, holding in self._state.revocable.items():
            row = rows.get(node)
            if row is not None and is_open[row] and any(amounts := _positive(holding.free())):
                self._revocable[row] = amounts

    def _most(self, columns: list[Ints]) -> Ints:
        """Return the most that could be offered of each node: firm ones, then revocable ones, [2 * dimensions][nodes]."""
        most = np.zeros((2 * len(columns), len(self._free)), np.int64)
        most[: len(columns)] = columns
        for row, by_role in self._reserved.items():
            for amounts in by_role.values():
                most[: len(columns), row] += amounts
        for row, amounts in self._revocable.items():
            most[len(columns) :, row] = amounts
        return most

    def _enough(self, most: Ints) -> Mask:
        """Return which nodes have as much as an offer must have, [nodes]."""
        size = len(self._zero)
        total = most[:size] + most[size:]
        found = np.asarray(total.any(axis=0))
        if self._state.minimum:
            alternatives = [(total >= np.array([minimum]).T).all(axis=0) for minimum in self._state.minimum]
            found &= np.logical_or.reduce(alternatives)
        return found

    def _may_have(self) -> Mask:
        """Return which subscriptions may be offered which nodes at all, [nodes, subscriptions]."""
        state = self._state
        found = np.zeros((len(self._free), self._width), np.bool_)
        scarce, far = scarce_nodes(state), far_nodes(state)
        for one in state.known():
            if one.wants:
                found[:, one.number] = _suits(state, one, scarce, far)
        return found

    # --- who gets it

    def guarantees(self) -> None:
        """Give roles what they are guaranteed."""
        needy = {one.role for one in self._state.known() if any(self.quota.relief(self.quota.path(one.role)))}
        for row in self._rows:
            if not needy:
                return
            self._serve(row, needy)

    def everybody(self) -> None:
        """Give what is left."""
        quota, root, width = self.quota, self._shares.root, self._width
        free, whole, ready = self._free, self._whole, self._ready
        for row in self._rows:
            if whole[row]:
                leaf = first(root, ready, row * width)
                if leaf is None or leaf.subscription is None:
                    continue
                left = free[row]
                path = quota.path(leaf.subscription.role)
                if quota.surely_allows(path, left):
                    self._give(row, leaf, leaf.subscription, Parts(left), left, path)
                    continue
            if self._is_left(row):
                self._serve(row, None)

    def _serve(self, row: int, needy: set[str] | None) -> None:
        """Offer a node to one after another, until nothing is left. `needy`: only to these roles, what they lack."""
        refused: set[str] = set()  # roles that can get nothing of this node
        apart = bool(self._reserved.get(row)) or row in self._revocable
        order = self._shares.order(closed=apart) if needy is None else self._shares.order_of(needy)
        for leaf in order:
            one = leaf.subscription
            if one is None or not self._ready[row * self._width + one.number] or one.role in refused:
                continue
            if needy is not None and one.role not in needy:
                continue
            path = self.quota.path(one.role)
            most = self.quota.most(path, promised_only=needy is not None)
            amounts = least(self._free[row], most)
            if needy is not None and not any(least(amounts, self.quota.relief(path))):
                self._settled(one.role, path, needy)
                continue
            parts = Parts(amounts, self._set_apart(row, one.role), self._lendable(row, one))
            total = parts.total()
            if not self._is_enough(total):
                if row not in self._revocable:  # which not all frameworks of a role may have
                    refused.add(one.role)
                if needy is None and one.role not in self._closed and not self._is_enough(most):
                    self._closed.add(one.role)
                    self._shares.close(one.role)
                continue
            if self._others.blocks(row * self._width + one.number, (*parts.firm(), *(parts.revocable or self._zero))):
                continue
            self._give(row, leaf, one, parts, total, path)
            if needy is not None:
                self._settled(one.role, path, needy)
            if not self._is_left(row):
                return

    def _settled(self, role: str, path: tuple[Account, ...], needy: set[str]) -> None:
        """Take a role off the needy ones once it has all it is guaranteed."""
        if not any(self.quota.relief(path)):
            needy.discard(role)

    def _set_apart(self, row: int, role: str) -> Reserved:
        reserved = self._reserved.get(row)
        if not reserved:
            return ()
        return tuple((one, reserved[one]) for one in lineage(role) if one in reserved)

    def _lendable(self, row: int, one: Subscription) -> Vector:
        if Capability.REVOCABLE_RESOURCES not in one.framework.capabilities:
            return ()
        return self._revocable.get(row, ())

    def _is_enough(self, amounts: Vector) -> bool:
        minimum = self._state.minimum
        return any(amounts) and (not minimum or any(within(one, amounts) for one in minimum))

    def _is_left(self, row: int) -> bool:
        return any(self._free[row]) or bool(self._reserved.get(row)) or row in self._revocable

    def _give(
        self, row: int, leaf: Branch, one: Subscription, parts: Parts, total: Vector, path: tuple[Account, ...]
    ) -> None:
        state = self._state
        node = state.snapshot.nodes[row].name
        self.offers.append(Offer(state.next_id(), one.framework.id, one.role, node, parts, self._now_s))
        bare_ones = parts.bare
        self._free[row] = minus(self._free[row], bare_ones)
        self._whole[row] = 0
        for role, _ in parts.reserved:
            del self._reserved[row][role]
        if parts.revocable:
            del self._revocable[row]
        if path or self.quota.tight:
            self.quota.take(path, bare_ones)
        self._shares.give(leaf, total)
        self._touched[one.number] = leaf
        numbers, rows, vectors = self._given
        numbers.append(one.number)
        rows.append(row)
        vectors.append(bare_ones)

    def count(self) -> None:
        """Let the state know of all offers at once."""
        state = self._state
        if not self.offers:
            return
        numbers, rows, vectors = self._given
        taken = np.array(vectors, np.int64).T
        where, who = np.array(rows, np.intp), np.array(numbers, np.intp)
        for column, amounts in zip(state.offered, taken, strict=True):
            np.add.at(column, where, amounts)
        gained = np.zeros((len(taken), self._width), np.int64)
        for place, amounts in enumerate(taken):
            np.add.at(gained[place], who, amounts)
        for number, leaf in self._touched.items():
            one = leaf.subscription
            if one is not None:
                one.held = leaf.held
                one.bare = plus(one.bare, gained[:, number].tolist())
        for offer in self.offers:
            state.offers[offer.id] = offer
            if offer.parts.reserved or offer.parts.revocable:
                state.lend_apart(offer.node, offer.parts)


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


def scarce_nodes(state: State) -> Mask:
    """Return which nodes have any of the scarce resources, [nodes]."""
    found = np.zeros(len(state.snapshot.nodes), np.bool_)
    for name, column in zip(state.dimensions.names, state.dimensions.has(state.snapshot), strict=True):
        if name in state.rules.scarce:
            found |= column > 0
    return found


def far_nodes(state: State) -> Mask:
    """Return which nodes are in another region than the cluster's own, [nodes]."""
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
