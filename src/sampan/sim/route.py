"""Route: from one placement to another by moves, each of which fits at its moment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sampan.base.errors import Exhausted
from sampan.sim.floor import Floor
from sampan.sim.packing import TOLERANCE, Ints, Packing


class Move(NamedTuple):
    instance: int
    machine: int


def nearest(packing: Packing, placement: Ints) -> Ints:
    """Return the placement with instances of the same app exchanged so that as many as can be stay where the start has them."""
    goal = np.full(len(packing.app), -1, np.int64)
    machines = len(packing.machine_cpu)
    wanted, number = np.unique(packing.app[placement >= 0] * machines + placement[placement >= 0], return_counts=True)
    left = dict(zip(wanted.tolist(), number.tolist(), strict=True))
    for instance in np.flatnonzero(packing.start >= 0).tolist():
        key = int(packing.app[instance]) * machines + int(packing.start[instance])
        if left.get(key, 0):
            left[key] -= 1
            goal[instance] = packing.start[instance]
    free: dict[int, list[int]] = {}
    for key, count in left.items():
        free.setdefault(key // machines, []).extend([key % machines] * count)
    for instance in np.flatnonzero(goal < 0).tolist():
        homes = free.get(int(packing.app[instance]))
        if homes:
            goal[instance] = homes.pop()
    return goal


def route(packing: Packing, goal: Ints) -> list[Move]:
    """Return moves that lead from the packing's start to the goal.

    An instance goes straight to its goal as soon as it fits there. Where all wait for each other, one steps aside: to a
    machine with room that is as empty as any, and goes on from there.

    Raises:
        Exhausted: some wait for each other, and nothing that is in the way has a place to step aside to.
    """
    yard = _Yard(packing)
    moves: list[Move] = []
    waiting = np.flatnonzero(yard.where != goal).tolist()
    while waiting:
        still = []
        for instance in waiting:
            if yard.fits(instance, int(goal[instance])):
                moves.append(yard.move(instance, int(goal[instance])))
            else:
                still.append(instance)
        if len(still) == len(waiting):
            moves.append(_aside(yard, still, goal))
        waiting = still
    return moves


def _aside(yard: _Yard, waiting: list[int], goal: Ints) -> Move:
    """Move one that waits from the machine that most wait for."""
    crowd = np.bincount(goal[waiting], minlength=len(yard.count))
    inside = [instance for instance in waiting if yard.where[instance] >= 0]
    inside.sort(key=lambda instance: -int(crowd[yard.where[instance]]))
    quiet = np.argsort(yard.count + crowd, kind="stable")
    for instance in inside:
        for machine in quiet.tolist():
            if machine != yard.where[instance] and yard.fits(instance, machine):
                return yard.move(instance, machine)
    raise Exhausted(f"{len(waiting)} instances wait for each other and none can step aside")


class _Yard:
    """The machines with exact sums, one move at a time."""

    def __init__(self, packing: Packing) -> None:
        self.where = packing.start.copy()
        self._app = packing.app
        self._rows = np.column_stack([packing.cpu, packing.memory, packing.scalars])
        self._room = np.column_stack(
            [
                np.repeat(packing.machine_cpu[:, None], packing.cpu.shape[1], axis=1),
                np.repeat(packing.machine_memory[:, None], packing.memory.shape[1], axis=1),
                packing.machine_scalars,
            ]
        )
        self._used = packing.used(self.where, self._rows)
        floor = Floor(packing)
        floor.load(self.where)
        self._rules, self._slots, self._none = floor.rules, floor.slots, floor.none
        self.count = floor.count

    def fits(self, instance: int, machine: int) -> bool:
        """Tell whether the instance may come to the machine now."""
        app = self._app[instance]
        if (self._used[machine] + self._rows[app] > self._room[machine] + TOLERANCE / 2).any():
            return False
        if self.count[machine] == self._slots.shape[1]:
            return False
        return bool(self._rules.allowed(np.array([app]), self._slots[machine][None])[0])

    def move(self, instance: int, machine: int) -> Move:
        """Move the instance, which fits."""
        app, old = self._app[instance], self.where[instance]
        if old >= 0:
            self._used[old] -= self._rows[app]
            slot = int(np.flatnonzero(self._slots[old] == app)[0])
            last = self.count[old] - 1
            self._slots[old, slot] = self._slots[old, last]
            self._slots[old, last] = self._none
            self.count[old] = last
        self._used[machine] += self._rows[app]
        self._slots[machine, self.count[machine]] = app
        self.count[machine] += 1
        self.where[instance] = machine
        return Move(instance, machine)
