"""Roles: a tree of names (`a/b` is below `a`), each with a weight and a quota. Spec: Mesos roles, weights, quota.

A role that nobody configured has weight 1, no guarantee and no limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from sampan.base.errors import InvalidArgument
from sampan.schedule.offers.vector import Dimensions

Bounds = dict[int, int]
"""Amounts of some dimensions."""


class Roles:
    """`weights`, `guarantees`, `limits`: by role, where they were set."""

    def __init__(self, dimensions: Dimensions) -> None:
        self.weights: dict[str, float] = {}
        self.guarantees: dict[str, Bounds] = {}
        self.limits: dict[str, Bounds] = {}
        self._places = {name: place for place, name in enumerate(dimensions.names)}

    def set_weight(self, role: str, weight: float) -> None:
        """Give a role its weight among its siblings. Raises InvalidArgument where it is not above 0."""
        check(role)
        if not weight > 0:
            raise InvalidArgument(f"weight of role {role}: {weight} is not above 0")
        self.weights[role] = weight

    def set_quota(self, role: str, guarantee: Mapping[str, int], limit: Mapping[str, int]) -> None:
        """Give a role its quota in place of the one it had; two empty mappings take it away.

        Raises InvalidArgument, and changes nothing, where a guarantee is above its limit, or where guarantees of children
        are together above their parent's.
        """
        check(role)
        if role == "*":
            raise InvalidArgument("role * cannot have a quota")
        promised, most = self._bounds(guarantee), self._bounds(limit)
        for name, place in self._places.items():
            if place in promised and promised[place] > most.get(place, promised[place]):
                raise InvalidArgument(f"quota of role {role}: the guarantee of {name} is above its limit")
        before = self.guarantees.get(role)
        _put(self.guarantees, role, promised)
        wrong = next((one for one in (role, parent(role)) if one and not self._covers_children(one)), None)
        if wrong is not None:
            _put(self.guarantees, role, before or {})
            raise InvalidArgument(f"quota of role {role}: the children of {wrong} are guaranteed more than it is")
        _put(self.limits, role, most)

    def _bounds(self, amounts: Mapping[str, int]) -> Bounds:
        unknown = sorted(set(amounts) - set(self._places))
        if unknown or any(amount < 0 for amount in amounts.values()):
            raise InvalidArgument(f"quota: {unknown[0] if unknown else 'an amount'} cannot be promised")
        return {self._places[name]: amount for name, amount in amounts.items()}

    def _covers_children(self, role: str) -> bool:
        below = [bounds for name, bounds in self.guarantees.items() if parent(name) == role]
        own = self.guarantees.get(role, {})
        return all(
            sum(bounds.get(place, 0) for bounds in below) <= own.get(place, 0) for place in self._places.values()
        )


def _put(where: dict[str, Bounds], role: str, bounds: Bounds) -> None:
    if bounds:
        where[role] = bounds
    else:
        where.pop(role, None)


def parent(role: str) -> str:
    """Return the role above, empty where there is none."""
    return role.rpartition("/")[0]


@lru_cache(maxsize=4096)
def lineage(role: str) -> tuple[str, ...]:
    """Return a role and all above it, the topmost first."""
    parts = role.split("/")
    return tuple("/".join(parts[: count + 1]) for count in range(len(parts)))


def with_ancestors(roles: Iterable[str]) -> list[str]:
    """Return roles and all above them, parents before their children, in order of names."""
    return sorted({one for role in roles for one in lineage(role)}, key=lambda role: role.split("/"))


def check(role: str) -> None:
    """Raise InvalidArgument where a name cannot be a role's. Spec: Mesos roles, "Invalid role names"."""
    if role == "*":
        return
    for part in role.split("/"):
        if part in ("", ".", "..", "*") or part.startswith("-") or any(letter.isspace() for letter in part):
            raise InvalidArgument(f"{role!r} is not a role's name")
