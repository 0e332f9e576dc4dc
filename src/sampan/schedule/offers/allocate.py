"""allocate: one cycle: what is free now, offered to whose turn it is.

Nodes are gone through in order of their names, twice: first for roles that have less than they are guaranteed, then for all. Of
each node the one whose turn it is (shares.py) gets all that is left and that its role may still get (quota.py), unless that is
below the minimum, or a filter keeps it away; then whose turn it is now, until nobody can have anything of it.

Spec: Mesos hierarchical allocator.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sampan.schedule.arrays import Mask
from sampan.schedule.offers import stale
from sampan.schedule.offers.framework import Subscription
from sampan.schedule.offers.offer import Cycle, Offer, Parts
from sampan.schedule.offers.quota import Account, Quota, consumption
from sampan.schedule.offers.role import lineage
from sampan.schedule.offers.shares import Branch, Shares
from sampan.schedule.offers.state import State
from sampan.schedule.offers.supply import Supply, capacity
from sampan.schedule.offers.vector import Vector, least, minus, within

_new = tuple.__new__
"""Makes a NamedTuple in half the time: there are thousands a cycle."""


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
    """Who may have what is reserved: their roles, and the bits of their frameworks."""

    roles: frozenset[str]
    bits: int


class _Turn:
    def __init__(self, state: State) -> None:
        self._state = state
        self._supply = supply = Supply(state)
        self._quota = Quota(state.roles, consumption(state.owned()), supply.available)
        self._shares = Shares(state.known(), state.roles.weights, capacity(state))
        self._width = width = max(len(state.subscriptions), 1)
        blocked, self._others = state.filters.block(width, state.rows, supply.most)
        self._ready = _by_row(supply.suits(width) & ~blocked & supply.enough()[:, np.newaxis])
        """Who may be offered which node, by row: bits of their numbers; rows that nobody may be offered left out."""
        self._closed: set[str] = set()  # roles that can get nothing any more that belongs to no one
        self._known_heirs: dict[tuple[str, ...], _Heirs] = {}
        self._to: list[Subscription] = []  # of each offer: who gets it,
        self._of: list[int] = []  # the row it is of,
        self._parts: list[Parts] = []  # and what of it
        self._apart: list[int] = []  # which of them have something that is reserved or revocable

    def guarantees(self) -> None:
        """Give roles what they are guaranteed."""
        relief = {one.role: self._quota.relief(self._quota.path(one.role)) for one in self._state.known()}
        needy = {role for role, amounts in relief.items() if any(amounts)}
        among, count = self._shares.bits(needy), len(needy)
        for row, ready in self._ready.items():
            if len(needy) < count:
                among, count = self._shares.bits(needy), len(needy)
            if not needy:
                return
            who = ready & among
            if who and (not self._supply.whole[row] or self._give_promised(row, who, needy)):
                self._serve(row, who, needy)

    def _give_promised(self, row: int, who: int, needy: set[str]) -> bool:
        """Offer a whole node to whose turn it is, as far as its role lacks it; returns whether others are to be asked."""
        leaf = self._shares.first(who)
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
        self._give(row, leaf, one, parts)
        self._satisfy(needy, path)
        return amounts != left and any(map(min, self._supply.free[row], self._quota.needed))

    def everybody(self) -> None:
        """Give what is left."""
        quota, shares = self._quota, self._shares
        supply, free, whole = self._supply, self._supply.free, self._supply.whole
        to, of, offered = self._to, self._of, self._parts
        paths = {one: quota.path(one.role) for one, _ in shares.leaves}
        for row, ready in self._ready.items():
            if whole[row]:
                leaf = shares.first(ready & shares.open)
                if leaf is None or (one := leaf.subscription) is None:
                    continue
                left, path = free[row], paths[one]
                bound = path or quota.tight
                if not bound or quota.surely_allows(path, left):  # then what `_give` does, in fewer steps
                    to.append(one)
                    of.append(row)
                    offered.append(_new(Parts, (left, (), ())))
                    if bound:
                        quota.take(path, left)
                    shares.give(leaf, left)
                    continue
            elif row in supply.reserved and self._give_reserved(row, ready):
                continue
            if supply.is_left(row):
                self._serve(row, ready)

    def _give_reserved(self, row: int, ready: int) -> bool:
        """Offer all that belongs to no one of a node on which something is reserved; returns whether that was all of it."""
        supply, quota = self._supply, self._quota
        left = supply.free[row]
        heirs = self._heirs(tuple(supply.reserved[row]))
        if row in supply.revocable or not heirs.roles.isdisjoint(self._closed):
            return False
        leaf = self._shares.first(ready & self._shares.open)
        if leaf is None or (one := leaf.subscription) is None or not any(left):
            return False
        parts = supply.parts(row, one, left)
        if not (quota.surely_allows(quota.path(one.role), left) and self._is_enough(parts.total())):
            return False
        if self._others.blocks(row * self._width + one.number, parts):
            return False
        self._give(row, leaf, one, parts)
        if supply.is_apart(row):
            self._serve(row, ready & self._heirs(tuple(supply.reserved[row])).bits)
        return True

    def _serve(self, row: int, who: int, needy: set[str] | None = None) -> None:
        """Offer a node to whose turn it is of `who`, until nothing is left. `needy`: only to these roles, what they lack."""
        refused: set[str] = set()  # roles that can get nothing of this node
        while self._offer(row, who, refused, needy):
            if needy is not None and not any(map(min, self._supply.free[row], self._quota.needed)):
                return
            if not any(self._supply.free[row]):
                if not self._supply.is_apart(row):
                    return
                if needy is None and row not in self._supply.revocable:
                    who &= self._heirs(tuple(self._supply.reserved[row])).bits

    def _offer(self, row: int, who: int, refused: set[str], needy: set[str] | None) -> bool:
        """Make one offer; returns whether somebody could have it."""
        supply, base = self._supply, row * self._width
        lent = row in supply.revocable  # which not all frameworks of a role may have
        role, parts = "", None
        for leaf in self._shares.order(who if supply.is_apart(row) else who & self._shares.open):
            one = leaf.subscription
            if one is None or one.role in refused:
                continue
            if lent or one.role != role:
                role, parts = one.role, self._portion(row, one, promised_only=needy is not None)
                if parts is None and not lent:
                    refused.add(role)
            if parts is None or self._others.blocks(base + one.number, parts):
                continue
            self._give(row, leaf, one, parts)
            if needy is not None:
                self._satisfy(needy, self._quota.path(role))
            return True
        return False

    def _portion(self, row: int, one: Subscription, *, promised_only: bool) -> Parts | None:
        """Return what a subscription may have of a node, None where it is nothing or below the minimum; then its role may be closed.

        `promised_only`: None, too, where its role lacks nothing of it that it is guaranteed.
        """
        quota, supply, role = self._quota, self._supply, one.role
        free = supply.free[row]
        if (role in self._closed or not any(free)) and not supply.is_apart_for(row, role):
            return None
        path = quota.path(role)
        relief = quota.relief(path)
        if promised_only and not any(map(min, free, relief)):
            return None
        most = free
        if path or quota.tight:
            most = quota.most(path, relief, promised_only=promised_only)
        amounts = least(free, most)
        parts = supply.parts(row, one, amounts)
        if self._is_enough(parts.total()) and (not promised_only or any(map(min, amounts, relief))):
            return parts
        if most is not free and not promised_only and not (role in self._closed or self._is_enough(most)):
            self._closed.add(role)
            self._shares.close(role)
        return None

    def _heirs(self, reserved: tuple[str, ...]) -> _Heirs:
        found = self._known_heirs.get(reserved)
        if found is None:
            roles = frozenset(
                one.role for one in self._state.known() if not set(lineage(one.role)).isdisjoint(reserved)
            )
            found = self._known_heirs[reserved] = _Heirs(roles, self._shares.bits(roles))
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

    def _give(self, row: int, leaf: Branch, one: Subscription, parts: Parts) -> None:
        if parts.reserved or parts.revocable:
            self._apart.append(len(self._to))
        self._to.append(one)
        self._of.append(row)
        self._parts.append(parts)
        self._supply.take(row, parts)
        self._quota.take(self._quota.path(one.role), parts.bare)
        self._shares.give(leaf, parts.total())

    def made(self, now_s: float) -> list[Offer]:
        """Return the offers, and let the state know of them."""
        state, nodes = self._state, self._state.snapshot.nodes
        ids = state.next_ids(len(self._to))
        offers = [
            _new(Offer, (number, one.framework.id, one.role, nodes[row].name, parts, now_s))
            for number, one, row, parts in zip(ids, self._to, self._of, self._parts, strict=True)
        ]
        if not offers:
            return offers
        state.offers.update(zip(ids, offers, strict=True))
        self._count()
        for one, leaf in self._shares.leaves:
            gained = minus(leaf.held, one.held)
            one.gain(gained, gained)
        for place in self._apart:
            state.lend_apart(offers[place].node, offers[place].parts)
            self._to[place].bare = minus(self._to[place].bare, offers[place].parts.apart())
        return offers

    def _count(self) -> None:
        """Count what of nodes is offered: all of those that are whole to the end, of others what the offers say."""
        supply, rows = self._supply, np.array(self._of, np.intp)
        whole = np.frombuffer(supply.whole, np.bool_)[rows]
        in_parts = np.flatnonzero(~whole)
        amounts = np.array([self._parts[place].bare for place in in_parts.tolist()], np.int64)
        for dimension, column in enumerate(self._state.offered):
            column[rows[whole]] += supply.most[dimension, rows[whole]]
            if len(amounts):
                np.add.at(column, rows[in_parts], amounts[:, dimension])


def _by_row(ready: Mask) -> dict[int, int]:
    """Return the bits of each row of [nodes, width] that has any."""
    packed = np.packbits(ready, axis=1, bitorder="little")
    lines = (
        packed.view(f"S{packed.shape[1]}").ravel().tolist()
    )  # without the zeros at their ends, which change no number
    return {row: int.from_bytes(line, "little") for row, line in enumerate(lines) if line}
