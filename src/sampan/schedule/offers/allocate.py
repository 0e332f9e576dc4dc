"""allocate: one cycle: what is free now, offered to whose turn it is.

Nodes are gone through in order of their names, twice: first for roles that have less than they are guaranteed, then for all. Of
each node the one whose turn it is (shares.py) gets all that is left and that its role may still get (quota.py), unless that is
below the minimum, or a filter keeps it away; then whose turn it is now, until nobody can have anything of it.

Spec: Mesos hierarchical allocator.
"""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

import numpy as np

from sampan.schedule.offers import stale
from sampan.schedule.offers.framework import Subscription
from sampan.schedule.offers.offer import Cycle, Offer, Parts
from sampan.schedule.offers.quota import Account, Quota, consumption
from sampan.schedule.offers.role import lineage
from sampan.schedule.offers.shares import Branch, Shares, first
from sampan.schedule.offers.state import State
from sampan.schedule.offers.supply import Supply, capacity
from sampan.schedule.offers.vector import Vector, least, plus, within


def allocate(state: State, now_s: float) -> Cycle:
    """Rescind what is no longer valid, then offer what is free. The state counts the offers from now on.

    The same state and time give the same offers, whatever order nodes came in.
    """
    state.settle()
    state.filters.expire(now_s)
    rescinded = stale.rescind(state, now_s)
    turn = _Turn(state)
    turn.guarantees()
    turn.everybody()
    return Cycle(turn.made(now_s), rescinded)


class _Heirs(NamedTuple):
    """Who may have what is reserved: their roles, and what leads to them."""

    roles: frozenset[str]
    branches: set[Branch]


class _Turn:
    def __init__(self, state: State) -> None:
        self._state = state
        self._supply = supply = Supply(state)
        self._quota = Quota(state.roles, consumption(state.owned()), supply.available)
        self._shares = Shares(state.known(), state.roles.weights, capacity(state))
        self._width = width = max(len(state.subscriptions), 1)
        blocked, self._others = state.filters.block(width, state.rows, supply.most)
        ready = supply.suits(width) & ~blocked & supply.enough()[:, np.newaxis]
        self._rows: list[int] = np.flatnonzero(ready.any(axis=1)).tolist()
        self._ready = ready.tobytes()
        """Who may be offered which node: row times width plus number."""
        self._closed: set[str] = set()  # roles that can get nothing any more that belongs to no one
        self._known_heirs: dict[tuple[str, ...], _Heirs] = {}
        self._given: list[tuple[Subscription, int, Parts]] = []
        self._apart: list[int] = []  # which of them have something that is reserved or revocable

    def guarantees(self) -> None:
        """Give roles what they are guaranteed."""
        relief = {one.role: self._quota.relief(self._quota.path(one.role)) for one in self._state.known()}
        needy = {role for role, amounts in relief.items() if any(amounts)}
        among, count = self._shares.above(needy), len(needy)
        for row in self._rows:
            if len(needy) < count:
                among, count = self._shares.above(needy), len(needy)
            if not needy:
                return
            if not self._supply.whole[row] or self._give_promised(row, needy, among):
                self._serve(row, needy, among)

    def _give_promised(self, row: int, needy: set[str], among: set[Branch]) -> bool:
        """Offer a whole node to whose turn it is, as far as its role lacks it; returns whether others are to be asked."""
        leaf = first(self._shares.root, self._ready, row * self._width, among)
        if leaf is None or (one := leaf.subscription) is None:
            return False
        left = self._supply.free[row]
        path = self._quota.path(one.role)
        relief = self._quota.relief(path)
        amounts = least(left, self._quota.most(path, relief, promised_only=True))
        if not any(map(min, amounts, relief)) or not self._is_enough(amounts):
            return True
        parts = Parts(amounts)
        if amounts != left and self._others.blocks(row * self._width + one.number, parts):
            return True
        self._give(row, leaf, one, parts, amounts, path)
        self._satisfy(needy, path)
        return amounts != left and any(map(min, self._supply.free[row], self._quota.needed))

    def everybody(self) -> None:
        """Give what is left."""
        quota, shares, width, ready = self._quota, self._shares, self._width, self._ready
        supply, free, whole, given = self._supply, self._supply.free, self._supply.whole, self._given
        root, paths = shares.root, {one: quota.path(one.role) for one, _ in shares.leaves}
        for row in self._rows:
            if whole[row]:
                leaf = first(root, ready, row * width)
                if leaf is None or (one := leaf.subscription) is None:
                    continue
                left, path = free[row], paths[one]
                if not path and not quota.tight:
                    given.append((one, row, Parts(left)))
                    shares.give(leaf, left)
                    continue
                if quota.surely_allows(path, left):
                    given.append((one, row, Parts(left)))
                    quota.take(path, left)
                    shares.give(leaf, left)
                    continue
            elif row in supply.reserved and self._give_reserved(row):
                continue
            if supply.is_left(row):
                self._serve(row)

    def _give_reserved(self, row: int) -> bool:
        """Offer all that belongs to no one of a node on which something is reserved; returns whether that was all of it."""
        supply, quota = self._supply, self._quota
        left = supply.free[row]
        if row in supply.revocable or not self._heirs(tuple(supply.reserved[row])).roles.isdisjoint(self._closed):
            return False
        leaf = first(self._shares.root, self._ready, row * self._width)
        if leaf is None or (one := leaf.subscription) is None or not any(left):
            return False
        path = quota.path(one.role)
        parts = supply.parts(row, one, left)
        total = parts.total()
        if not (quota.surely_allows(path, left) and self._is_enough(total)):
            return False
        if self._others.blocks(row * self._width + one.number, parts):
            return False
        self._give(row, leaf, one, parts, total, path)
        if supply.is_apart(row):
            self._serve(row, among=self._heirs(tuple(supply.reserved[row])).branches)
        return True

    def _serve(self, row: int, needy: set[str] | None = None, among: set[Branch] | None = None) -> None:
        """Offer a node to whose turn it is, until nothing is left. `needy`: only to these roles, what they lack."""
        refused: set[str] = set()  # roles that can get nothing of this node
        while self._offer(row, refused, needy, among):
            if needy is not None and not any(map(min, self._supply.free[row], self._quota.needed)):
                return
            if not any(self._supply.free[row]):
                if not self._supply.is_apart(row):
                    return
                if needy is None and row not in self._supply.revocable:
                    among = self._heirs(tuple(self._supply.reserved[row])).branches

    def _offer(self, row: int, refused: set[str], needy: set[str] | None, among: set[Branch] | None) -> bool:
        """Make one offer; returns whether somebody could have it."""
        quota, supply = self._quota, self._supply
        base, free = row * self._width, supply.free[row]
        none = not any(free)
        for leaf in self._shares.order(among, closed=needy is not None or supply.is_apart(row)):
            one = leaf.subscription
            if one is None or not self._ready[base + one.number] or one.role in refused:
                continue
            if (none or one.role in self._closed) and not supply.is_apart_for(row, one.role):
                refused.add(one.role)
                continue
            path = quota.path(one.role)
            relief = quota.relief(path)
            if needy is not None and not any(map(min, free, relief)):
                refused.add(one.role)
                continue
            most = free
            if path or quota.tight:
                most = quota.most(path, relief, promised_only=needy is not None)
            amounts = least(free, most)
            parts = supply.parts(row, one, amounts)
            total = parts.total() if parts.reserved or parts.revocable else amounts
            if (needy is not None and not any(map(min, amounts, relief))) or not self._is_enough(total):
                if row not in supply.revocable:  # which not all frameworks of a role may have
                    refused.add(one.role)
                if most is not free and needy is None and not (one.role in self._closed or self._is_enough(most)):
                    self._closed.add(one.role)
                    self._shares.close(one.role)
                continue
            if self._others.blocks(base + one.number, parts):
                continue
            self._give(row, leaf, one, parts, total, path)
            if needy is not None:
                self._satisfy(needy, path)
            return True
        return False

    def _heirs(self, reserved: tuple[str, ...]) -> _Heirs:
        found = self._known_heirs.get(reserved)
        if found is None:
            roles = frozenset(
                one.role for one in self._state.known() if not set(lineage(one.role)).isdisjoint(reserved)
            )
            found = self._known_heirs[reserved] = _Heirs(roles, self._shares.above(roles))
        return found

    def _satisfy(self, needy: set[str], path: tuple[Account, ...]) -> None:
        """Take the roles off the needy ones that have all they are guaranteed now."""
        for account in path:
            if any(account.own):
                return
        needy -= {role for role in needy if not any(self._quota.relief(self._quota.path(role)))}

    def _is_enough(self, amounts: Vector) -> bool:
        minimum = self._state.minimum
        for one in minimum:
            if within(one, amounts):
                return any(amounts)
        return not minimum and any(amounts)

    def _give(
        self, row: int, leaf: Branch, one: Subscription, parts: Parts, total: Vector, path: tuple[Account, ...]
    ) -> None:
        if parts.reserved or parts.revocable:
            self._apart.append(len(self._given))
        self._given.append((one, row, parts))
        self._supply.take(row, parts)
        self._quota.take(path, parts.bare)
        self._shares.give(leaf, total)

    def made(self, now_s: float) -> list[Offer]:
        """Return the offers, and let the state know of them."""
        state, nodes, given = self._state, self._state.snapshot.nodes, self._given
        ids = state.next_ids(len(given))
        offers = [
            Offer(number, one.framework.id, one.role, nodes[row].name, parts, now_s)
            for number, (one, row, parts) in zip(ids, given, strict=True)
        ]
        if not offers:
            return offers
        state.offers.update(zip(ids, offers, strict=True))
        for place in self._apart:
            state.lend_apart(offers[place].node, offers[place].parts)
        size = len(state.offered)
        flat = chain.from_iterable([parts.bare for _, _, parts in given])
        taken = np.fromiter(flat, np.int64, size * len(given)).reshape(len(given), size)
        rows = np.array([row for _, row, _ in given], np.intp)
        for column, amounts in zip(state.offered, taken.T, strict=True):
            np.add.at(column, rows, amounts)
        gained = np.zeros((self._width, size), np.int64)
        np.add.at(gained, [one.number for one, _, _ in given], taken)
        for one, leaf in self._shares.leaves:
            one.held = leaf.held
            one.bare = plus(one.bare, gained[one.number].tolist())
        return offers
