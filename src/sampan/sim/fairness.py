"""Fairness: which owner (a user, a queue, a class) got how much of what it wanted.

Amounts are dominant shares: the largest part of the cluster's capacity, over all resources, that a pod asks for. An owner gets
what runs and wants that and what waits, both over time. Jain's index of got/wanted over the n owners that want something is
(sum x)^2 / (n sum x^2): 1 where all are served alike, 1/n where one alone is served.
"""

from __future__ import annotations

from collections.abc import Mapping

from sampan.schedule.shape import Shape
from sampan.sim.span import Portions

_GRAIN = 2.0**-40
"""Shares are multiples of it: what is added and taken away again adds up to nothing, exactly."""


class Fairness:
    """Follows what owners get and want. Times are those of the simulation."""

    def __init__(self, capacity: Mapping[str, int]) -> None:
        self._capacity = dict(capacity)
        self._shares: dict[Shape, float] = {}
        self._owners: dict[str, _Owner] = {}

    def share(self, shape: Shape) -> float:
        """Return the dominant share of one pod."""
        found = self._shares.get(shape)
        if found is None:
            parts = (amount / self._capacity[name] for name, amount in shape.requests if self._capacity.get(name))
            found = self._shares[shape] = round(max(parts, default=0.0) / _GRAIN) * _GRAIN
        return found

    def change(self, owner: str, now_s: float, running: float, waiting: float) -> None:
        """Let an owner's shares grow by these from now on."""
        found = self._owners.get(owner)
        if found is None:
            found = self._owners[owner] = _Owner(now_s)
        found.pass_until(now_s)
        found.running += running
        found.waiting += waiting

    def portions(self, now_s: float) -> Portions:
        """Return what was got and wanted since the last call, of those who wanted something."""
        found = {}
        for name, owner in self._owners.items():
            owner.pass_until(now_s)
            if owner.wanted:
                found[name] = owner.got, owner.wanted
            owner.got = owner.wanted = 0.0
        return found


class _Owner:
    __slots__ = ("at_s", "got", "running", "waiting", "wanted")

    def __init__(self, now_s: float) -> None:
        self.at_s = now_s
        self.running = self.waiting = 0.0
        self.got = self.wanted = 0.0

    def pass_until(self, now_s: float) -> None:
        passed_s = now_s - self.at_s
        if passed_s > 0:
            self.got += self.running * passed_s
            self.wanted += (self.running + self.waiting) * passed_s
            self.at_s = now_s


def jain(portions: Portions) -> float:
    """Return Jain's index of got/wanted; 1 where nobody wants or gets anything."""
    parts = [got / wanted for got, wanted in portions.values()]
    squares = sum(part * part for part in parts)
    return sum(parts) ** 2 / (len(parts) * squares) if squares else 1.0
