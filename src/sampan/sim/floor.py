"""Floor: the machines while a packing is worked on, as columns that thousands of changes a second can be tried on.

The parts of the cost that depend on one machine are kept as *heat*: e^(share of CPU - 0.5) at each point, in float32. An
instance that comes multiplies it by its *growth*, e^(its share), so a change is tried by products and a maximum, with no
exponential. What must fit is kept in int32 in units so small that every sum is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sampan.base.errors import InvalidArgument
from sampan.sim.interference import Interference
from sampan.sim.packing import CALM, Floats, Ints, Packing

F4 = NDArray[np.float32]
SLOTS = 64
"""Instances a machine may hold while a packing is worked on."""
FULL = np.float32(np.exp(1 - CALM) * (1 + 1e-6))
"""The heat of a machine whose CPU is used up, with room for rounding: whoever ends a search checks exactly."""


class Floor:
    """Machines with the apps of their instances in slots. Instances of one app are the same.

    The app number `none` stands for an empty slot, with nothing in each of its curves.
    """

    def __init__(self, packing: Packing) -> None:
        self.packing = packing
        apps, points = packing.cpu.shape
        machines = len(packing.machine_cpu)
        self.none = apps
        self.kind = packing.kind
        first = np.unique(packing.kind, return_index=True)[1]
        self.sizes = packing.machine_cpu[first]
        self.rules = Interference(packing.rules, apps)
        nothing = np.zeros((1, points))
        self.cpu = np.concatenate([packing.cpu, nothing])
        self.growth: F4 = np.exp(self.cpu / self.sizes[:, None, None]).astype(np.float32)  # (kinds, apps + 1, points)
        needs = np.column_stack([packing.memory, packing.scalars])
        room = np.column_stack([np.repeat(packing.machine_memory[:, None], points, axis=1), packing.machine_scalars])
        needs = np.concatenate([needs, np.zeros((1, needs.shape[1]))])
        self.needs, self.room = _exact(needs, room[first])  # (apps + 1, columns), (kinds, columns)
        self.needed = np.zeros((machines, needs.shape[1]), np.int32)
        self.slots = np.full((machines, SLOTS), apps, np.int16 if apps < (1 << 15) else np.int32)
        self.home = np.zeros(self.slots.shape, bool)  # slots whose instance is where it was loaded
        self.count = np.zeros(machines, np.int64)
        self.heat: F4 = np.full((machines, points), np.exp(-CALM), np.float32)
        self.burn: F4 = np.full(machines, points, np.float32)  # sum over the points of max(1, heat)

    def load(self, placement: Ints) -> None:
        """Put every placed instance where it is."""
        placed = np.flatnonzero(placement >= 0)
        placed = placed[np.argsort(placement[placed], kind="stable")]
        machines = placement[placed]
        self.count[:] = np.bincount(machines, minlength=len(self.count))
        if self.count.max(initial=0) > SLOTS:
            raise InvalidArgument(f"a machine holds more than {SLOTS} instances")
        starts = np.cumsum(self.count) - self.count
        self.slots[:] = self.none
        self.slots[machines, np.arange(len(placed)) - starts[machines]] = self.packing.app[placed]
        self.home[:] = self.slots != self.none
        self.needed[:] = np.round(self.sums(self.needs)).astype(np.int32)
        self.refresh()

    def sums(self, rows: NDArray[np.floating] | NDArray[np.integer]) -> Floats:
        """Return the exact sums (machines, columns) of the rows of the apps in the slots."""
        total = np.zeros((len(self.count), rows.shape[1]))
        for slot in range(int(self.count.max(initial=0))):
            total += rows[self.slots[:, slot]]
        return total

    def refresh(self) -> None:
        """Take away the rounding that products of float32 gather."""
        shares = self.sums(self.cpu) / self.packing.machine_cpu[:, None]
        self.heat[:] = np.exp(shares - CALM)
        self.burn[:] = np.maximum(self.heat, 1).sum(axis=1)

    def add(self, machines: Ints, app: int) -> None:
        """Put an instance of the app on each of these machines, which are not equal and which it fits on."""
        self.slots[machines, self.count[machines]] = app
        self.count[machines] += 1
        self.needed[machines] += self.needs[app]

    def fits(self, machines: Ints, app: int) -> NDArray[np.bool_]:
        """Return for each machine whether an instance of the app may join what it has, all but CPU considered."""
        fits: NDArray[np.bool_] = (self.needed[machines] + self.needs[app] <= self.room[self.kind[machines]]).all(
            axis=1
        )
        fits &= self.count[machines] < SLOTS
        met = np.flatnonzero(fits)
        fits[met] = self.rules.allowed(np.full(len(met), app), self.slots[machines[met]])
        return fits

    def placement(self) -> Ints:
        """Return where each instance is: those of one app get its machines in order, the rest of them -1."""
        machines, slots = np.nonzero(self.slots != self.none)
        apps = self.slots[machines, slots].astype(np.int64)
        order = np.argsort(apps, kind="stable")
        machines, held = machines[order], np.bincount(apps, minlength=self.none)
        instances = np.argsort(self.packing.app, kind="stable")
        number = np.bincount(self.packing.app, minlength=self.none)
        rank = np.arange(len(instances)) - (np.cumsum(number) - number)[self.packing.app[instances]]
        has = rank < held[self.packing.app[instances]]
        placement = np.full(len(instances), -1, np.int64)
        placement[instances[has]] = machines
        return placement


def _exact(needs: Floats, room: Floats) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return both in whole units, column by column: the smallest of 1, 1/1000 and 1/1,000,000 that all values are multiples of.

    Raises:
        InvalidArgument: a value has more than six decimals, or is too large beside its smallest part.
    """
    whole_needs, whole_room = np.empty(needs.shape, np.int32), np.empty(room.shape, np.int32)
    for column in range(needs.shape[1]):
        values = np.concatenate([needs[:, column], room[:, column]])
        unit = next(
            (unit for unit in (1.0, 1e3, 1e6) if np.allclose(values * unit, np.round(values * unit), 0, 1e-4)), None
        )
        if unit is None or values.max() * unit * 2 > np.iinfo(np.int32).max:
            raise InvalidArgument("capacities and uses must be multiples of 0.000001 and at most 1,000")
        whole_needs[:, column] = np.round(needs[:, column] * unit)
        whole_room[:, column] = np.round(room[:, column] * unit)
    return whole_needs, whole_room
