"""Greedy: a first placement, the largest instances first, each where its curve fits the others' best."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sampan.base.errors import Exhausted
from sampan.sim.floor import F4, Floor
from sampan.sim.packing import CALM, Floats, Ints, Packing

_BLOCK = 64
"""Apps that are ranked together: each machine takes at most one instance of a block."""
_PART = 256
"""Machines that are looked at together when the best have no room."""
_MEMORY = 0.5
"""The weight of memory beside CPU."""
_SHARP = 6.0
"""How much a machine's busiest points count beyond its others: pressure is the sum over the points of e^(6 x share)."""
_ENOUGH = 0.9
"""A share of CPU that the first placement keeps below where it can."""


def fill(floor: Floor, opened: Ints, left: Ints) -> None:
    """Put `left` (apps,) instances of each app onto the opened machines, the least rise of pressure first.

    Machines that are not opened serve only what fits on no opened one.

    Raises:
        Exhausted: an instance fits nowhere.
    """
    spare = np.setdiff1d(np.arange(len(floor.count)), opened)
    apps = np.flatnonzero(left)
    apps = apps[np.argsort(-_size(floor.packing)[apps], kind="stable")]
    pressure, rise = _pressures(floor)
    limit = np.float32(np.exp(_SHARP * _ENOUGH))
    weight = np.ones(pressure.shape[1], np.float32)
    weight[-1] = _MEMORY * (len(weight) - 1)
    groups = [(opened[floor.kind[opened] == kind], kind) for kind in range(len(floor.sizes))]
    ordered = np.concatenate([machines for machines, _ in groups])
    for block in (apps[low : low + _BLOCK] for low in range(0, len(apps), _BLOCK)):
        ranks = np.concatenate([pressure[machines] @ (rise[kind, block] * weight).T for machines, kind in groups])
        for column, app in enumerate(block):
            number = int(left[app])
            for candidates in _candidates(ranks[:, column], number):
                machines = ordered[candidates]
                warm = pressure[machines] * (rise[floor.kind[machines], app] + 1)
                good = (warm[:, :-1].max(axis=1) < limit) & floor.fits(machines, int(app))
                taken = candidates[good][:number]
                machines = ordered[taken]
                floor.add(machines, int(app))
                pressure[machines] *= rise[floor.kind[machines], app] + 1
                ranks[taken] = np.inf
                number -= len(taken)
                if not number:
                    break
            if number:
                machines = _spill(floor, np.concatenate([ordered, spare]), int(app), number)
                np.multiply.at(pressure, machines, rise[floor.kind[machines], app] + 1)
    floor.refresh()


def _size(packing: Packing) -> Floats:
    """Return each app's largest share of the machine that has most of it."""
    cpu = packing.cpu.max(axis=1) / packing.machine_cpu.max()
    memory = packing.memory.max(axis=1) / packing.machine_memory.max()
    scalars = packing.scalars / np.maximum(packing.machine_scalars.max(axis=0), 1)
    size: Floats = np.maximum(np.maximum(cpu, memory), scalars.max(axis=1, initial=0) / 2)
    return size


def _pressures(floor: Floor) -> tuple[F4, F4]:
    """Return the pressure (machines, points + 1) and what it is multiplied by, less 1, (kinds, apps + 1, points + 1).

    The last column is the memory's largest share. It counts less than a share of CPU: it may be used up.
    """
    packing = floor.packing
    points = packing.cpu.shape[1]
    first = np.unique(packing.kind, return_index=True)[1]
    most = np.append(packing.memory.max(axis=1), 0)
    memory = most / packing.machine_memory[first][:, None] * CALM  # (kinds, apps + 1)
    rise = np.concatenate([floor.cpu / floor.sizes[:, None, None], memory[:, :, None]], axis=2)
    held = floor.needed[:, :points].max(axis=1) / floor.room[floor.kind, 0] * CALM
    use = np.column_stack([floor.sums(floor.cpu) / packing.machine_cpu[:, None], held])
    return np.exp(_SHARP * use).astype(np.float32), np.expm1(_SHARP * rise).astype(np.float32)


def _candidates(ranks: F4, number: int) -> Iterator[Ints]:
    """Yield rows by rank: a few of the best, then all others in parts."""
    wanted = 2 * number + 16
    if wanted < len(ranks):
        best = np.argpartition(ranks, wanted)[:wanted]
        yield best[np.argsort(ranks[best], kind="stable")]
    else:
        wanted = 0
    order = np.argsort(ranks, kind="stable")
    for low in range(wanted, len(order), _PART):
        yield order[low : low + _PART]


def _spill(floor: Floor, machines: Ints, app: int, number: int) -> Ints:
    """Put instances wherever they fit, CPU up to its capacity; returns the machines, one an instance."""
    found: list[Ints] = []
    while number:
        use = floor.sums(floor.cpu)[machines]
        room = (use + floor.cpu[app] <= floor.packing.machine_cpu[machines, None]).all(axis=1)
        taken = machines[room & floor.fits(machines, app)][:number]
        if not len(taken):
            raise Exhausted(f"{number} instances of the app in row {app} fit on no machine")
        floor.add(taken, app)
        found.append(taken)
        number -= len(taken)
    return np.concatenate(found)
