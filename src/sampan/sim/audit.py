"""Audit: what is wrong with a placement and what it costs, counted slowly, one machine and one number after another.

Written apart from everything that searches, so that the two can be compared. All hard limits are looked at.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sampan.sim.packing import TOLERANCE, Ints, Packing


class Audit(NamedTuple):
    """What was found. `broken` has a sentence for each broken limit, `missing` counts the instances without a machine."""

    cost: float
    broken: list[str]
    missing: int


def audit(packing: Packing, placement: Ints) -> Audit:
    """Return the cost and every broken limit of a placement."""
    tenants: dict[int, list[int]] = {}
    apps = packing.app.tolist()
    for app, machine in zip(apps, placement.tolist(), strict=True):
        if machine >= 0:
            tenants.setdefault(machine, []).append(app)
    curves = Curves(packing)
    broken = [text for machine in sorted(tenants) for text in curves.broken(machine, tenants[machine])]
    cost = math.fsum(curves.cost(machine, found) for machine, found in tenants.items())
    return Audit(cost, broken, sum(1 for machine in placement.tolist() if machine < 0))


def replay(packing: Packing, moves: Iterable[tuple[int, int]]) -> tuple[list[int], list[str]]:
    """Return the placement after moves (instance, machine) from the packing's start, and every limit that one broke.

    A move takes the instance away, then it must fit on its new machine as that is at that moment.
    """
    where = packing.start.tolist()
    apps = packing.app.tolist()
    tenants: dict[int, list[int]] = {}
    for instance, machine in enumerate(where):
        if machine >= 0:
            tenants.setdefault(machine, []).append(apps[instance])
    curves = Curves(packing)
    broken: list[str] = []
    for number, (instance, machine) in enumerate(moves):
        if where[instance] >= 0:
            tenants[where[instance]].remove(apps[instance])
        where[instance] = machine
        tenants.setdefault(machine, []).append(apps[instance])
        broken += [f"move {number}: {text}" for text in curves.broken(machine, tenants[machine])]
    return where, broken


class Curves:
    """A packing's numbers as lists."""

    def __init__(self, packing: Packing) -> None:
        self._cpu = packing.cpu.tolist()
        self._memory = packing.memory.tolist()
        self._scalars = packing.scalars.tolist()
        self._has_cpu = packing.machine_cpu.tolist()
        self._has_memory = packing.machine_memory.tolist()
        self._has_scalars = packing.machine_scalars.tolist()
        self._rules: dict[int, list[tuple[int, int]]] = {}
        for a, b, k in packing.rules.tolist():
            self._rules.setdefault(a, []).append((b, k))

    def cost(self, machine: int, apps: Sequence[int]) -> float:
        """Return what a machine costs that holds instances of these apps."""
        if not apps:
            return 0.0
        used = _sums([self._cpu[app] for app in apps])
        shares = [point / self._has_cpu[machine] for point in used]
        return sum(1 + 10 * (math.exp(max(0.0, share - 0.5)) - 1) for share in shares) / len(shares)

    def broken(self, machine: int, apps: Sequence[int]) -> list[str]:
        """Return a sentence for each limit that instances of these apps break together."""
        found = []
        if max(_sums([self._cpu[app] for app in apps])) > self._has_cpu[machine] + TOLERANCE:
            found.append(f"machine {machine} has too little CPU")
        if max(_sums([self._memory[app] for app in apps])) > self._has_memory[machine] + TOLERANCE:
            found.append(f"machine {machine} has too little memory")
        scalars = zip(_sums([self._scalars[app] for app in apps]), self._has_scalars[machine], strict=True)
        found += [
            f"machine {machine} has too little of {n}"
            for n, (used, has) in enumerate(scalars)
            if used > has + TOLERANCE
        ]
        count = Counter(apps)
        for a in count:
            for b, k in self._rules.get(a, ()):
                if count.get(b, 0) > (k + 1 if a == b else k):
                    found.append(f"machine {machine} has {count[b]} of {b} beside {a}: {k} may be")
        return found


def _sums(rows: Sequence[Sequence[float]]) -> list[float]:
    return [math.fsum(column) for column in zip(*rows, strict=True)]
