"""Quota: what each role may still get within one cycle, so that guarantees of others and limits hold.

A role needs what it is guaranteed and has not got; where its children need more than that, they say how much. The sum over the
tree must stay free (the headroom). `own` is what a role needs beyond its children; so what a role can be given without
using up headroom is the sum of `own` over it and all above it: its relief.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import le, sub

from sampan.schedule.offers.role import Bounds, Roles, lineage, with_ancestors
from sampan.schedule.offers.vector import Vector, minus, plus

UNBOUNDED = 1 << 62


class Account:
    """One role's. `below`: what its children need; `promises`: whether it or one below it is guaranteed anything."""

    __slots__ = ("below", "consumed", "guarantee", "limit", "own", "promised", "promises")

    def __init__(self, guarantee: Vector, limit: Bounds, consumed: Vector) -> None:
        self.guarantee = guarantee
        self.limit = limit
        self.consumed = consumed
        self.below: Vector = (0,) * len(consumed)
        self.own: Vector = self.below
        self.promises = any(guarantee)
        self.promised = [place for place, amount in enumerate(guarantee) if amount]

    def settle(self) -> None:
        lacks = map(sub, map(sub, self.guarantee, self.consumed), self.below)
        self.own = tuple([max(0, amount) for amount in lacks])

    @property
    def needs(self) -> Vector:
        return plus(self.own, self.below)


class Quota:
    """`consumed`: by role, what it and those below it have; `available`: what is free and belongs to no one."""

    def __init__(self, roles: Roles, consumed: Mapping[str, Vector], available: Vector) -> None:
        self._zero: Vector = (0,) * len(available)
        bounded = with_ancestors([*roles.guarantees, *roles.limits])
        self._accounts: dict[str, Account] = {}
        for role in bounded:
            promised = roles.guarantees.get(role, {})
            guarantee = tuple(promised.get(place, 0) for place in range(len(available)))
            self._accounts[role] = Account(guarantee, roles.limits.get(role, {}), consumed.get(role, self._zero))
        self._paths: dict[str, tuple[Account, ...]] = {}
        needed = self._zero
        for role in reversed(bounded):
            account = self._accounts[role]
            account.settle()
            above = self._accounts.get(role.rpartition("/")[0])
            if above is None:
                needed = plus(needed, account.needs)
            else:
                above.below = plus(above.below, account.needs)
                above.promises |= account.promises
        self.spare = minus(available, needed)
        """What is free beyond the headroom, below 0 where guarantees cannot be met."""
        self.needed = needed
        """What roles are guaranteed and have not got, all together."""
        self.tight = any(needed)
        """Whether anybody needs headroom: where not, `spare` bounds nobody and is not kept up. What is given only ends it."""

    def path(self, role: str) -> tuple[Account, ...]:
        """Return the accounts of a role and of those above it, the topmost first; empty where no quota concerns it."""
        found = self._paths.get(role)
        if found is None:
            found = tuple(self._accounts[one] for one in lineage(role) if one in self._accounts)
            self._paths[role] = found
        return found

    def relief(self, path: tuple[Account, ...]) -> Vector:
        """Return what a role may get of the headroom: what it is guaranteed and has not got."""
        if not path:
            return self._zero
        found = path[0].own
        for account in path[1:]:
            found = plus(found, account.own)
        return found

    def most(self, path: tuple[Account, ...], relief: Vector, *, promised_only: bool) -> Vector:
        """Return the most that a role may get. `promised_only`: of what it is guaranteed some of, no more than it lacks."""
        if self.tight:
            found = [own + max(0, spare) for spare, own in zip(self.spare, relief, strict=True)]
        else:
            found = [UNBOUNDED] * len(relief)
        for account in path:
            for place, limit in account.limit.items():
                room = limit - account.consumed[place]
                if room < found[place]:
                    found[place] = max(0, room)
            if promised_only:
                for place in account.promised:
                    found[place] = min(found[place], relief[place])
        return tuple(found)

    def surely_allows(self, path: tuple[Account, ...], amounts: Vector) -> bool:
        """Return whether a role may get all of this; False also where that is not seen at a glance."""
        if self.tight and not all(map(le, amounts, self.spare)):
            return False
        for account in path:
            consumed = account.consumed
            for place, limit in account.limit.items():
                if consumed[place] + amounts[place] > limit:
                    return False
        return True

    def take(self, path: tuple[Account, ...], amounts: Vector) -> None:
        """Count what a role is given; with negative amounts, what is taken from it."""
        if not self.tight and min(amounts) >= 0:  # nobody lacks anything, nor will
            for account in path:
                account.consumed = plus(account.consumed, amounts)
            return
        if self.tight:
            self.spare = minus(self.spare, amounts)
        change = self._zero
        for account in reversed(path):
            account.consumed = plus(account.consumed, amounts)
            if account.promises and (any(account.own) or any(account.below) or min(amounts) < 0):
                own = account.own
                if any(change):
                    account.below = plus(account.below, change)
                account.settle()
                change = plus(change, minus(account.own, own))
        if self.tight and any(change):
            self.spare = minus(self.spare, change)
            self.needed = plus(self.needed, change)
            self.tight = any(self.needed)


def consumption(own: Iterable[tuple[str, Vector]]) -> dict[str, Vector]:
    """Return what each role and those below it have, of (role, what it has itself)."""
    found: dict[str, Vector] = {}
    for role, amounts in own:
        for one in lineage(role):
            found[one] = plus(found[one], amounts) if one in found else amounts
    return found
