"""Waiting: pods that wait, in lines of those that are alike, and which lines are worth a try.

The order is the scheduling queue's (schedule/queue.py): by priority, then by when they came. Pods of one line fit or don't
fit alike, so only its first is asked; and where a pod didn't fit, it won't before something changes. What changes is mostly a
few nodes, and whether a pod can fit on any of those is one comparison for all lines at once. So no pod needs a back-off here,
and a hundred thousand that wait cost no more than their lines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from sampan.schedule.arrays import Ints, Mask, Rows
from sampan.schedule.place import Scheduler
from sampan.schedule.plugin import Reach
from sampan.schedule.resources import CPU
from sampan.schedule.shape import Shape
from sampan.sim.task import Instance

_ANY = -(1 << 62)
"""Less than can be left: what is not asked for may be overdrawn."""


class Line:
    """Pods of one shape and priority, in order. `size`: pods of a gang, which stand one behind another; 0: they are alone."""

    __slots__ = ("fresh", "number", "priority", "shape", "size", "waits")

    def __init__(self, number: int, shape: Shape, priority: int, size: int) -> None:
        self.number = number
        self.shape = shape
        self.priority = priority
        self.size = size
        self.waits: deque[Instance] = deque()
        self.fresh = True  # its first pod has not been asked


class Waiting:
    """`preempts`: pods may evict others, so that a pod can fit where only lower ones leave."""

    def __init__(self, scheduler: Scheduler, *, preempts: bool) -> None:
        self._scheduler = scheduler
        self._snapshot = scheduler.snapshot
        self._preempts = preempts
        self._lines: dict[tuple[Shape, int, int], Line] = {}
        self._slots: list[Line | None] = []
        self._vacant: list[int] = []
        self.newest = 0  # the next one's place among all that wait
        self._asked: Ints = np.full((0, 1), _ANY, np.int64)  # [slots, resources]
        self._priority: Ints = np.zeros(0, np.int64)
        self._always: Mask = np.zeros(0, np.bool_)  # lines whose rules reach beyond a node
        self._seen = -1
        self._epoch = -1
        self._fresh: list[Line] = []

    def __len__(self) -> int:
        """Return how many lines there are."""
        return len(self._lines)

    @property
    def wide(self) -> bool:
        """Whether a pod that was placed may help another that waits."""
        return bool(self._snapshot.terms.all) or bool(self._always.any())

    def instances(self) -> Iterator[Instance]:
        """Return all that wait, line by line."""
        for line in self._lines.values():
            yield from line.waits

    def add(self, instance: Instance) -> None:
        """Let a pod wait behind all others of its priority."""
        task = instance.task
        key = task.shape, task.priority, task.count if task.together else 0
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = self._open(*key)
        instance.entry = self.newest
        self.newest += 1
        line.waits.append(instance)

    def ask_again(self, line: Line) -> None:
        """Count a line as hopeful once more, as its first pod was not asked."""
        line.fresh = True
        self._fresh.append(line)

    def close(self, line: Line) -> None:
        """Forget a line that is empty."""
        del self._lines[line.shape, line.priority, line.size]
        self._slots[line.number] = None
        self._asked[line.number] = np.iinfo(np.int64).max
        self._priority[line.number] = np.iinfo(np.int64).min
        self._always[line.number] = False
        self._vacant.append(line.number)

    def hopeful(self) -> list[Line]:
        """Return the lines whose first pod may fit now and did not when it was asked last, in no order."""
        touches, epoch = self._snapshot.touches, self._snapshot.epoch
        local = epoch == self._epoch and not self._snapshot.terms.all
        rows = touches.since(self._seen) if local else None
        self._seen, self._epoch = touches.position, epoch
        fresh, self._fresh = [line for line in self._fresh if line.fresh], []
        for line in fresh:
            line.fresh = False
        if len(self._lines) == len(fresh):
            return fresh
        if rows is None:
            return list(self._lines.values())
        if not len(rows):
            return fresh
        found = self._may_fit_on(rows)
        for line in fresh:
            found[line.number] = True
        slots = (self._slots[number] for number in np.flatnonzero(found).tolist())
        return [line for line in slots if line is not None]

    def _may_fit_on(self, rows: Rows) -> Mask:
        """Return, for each slot, whether its pods may fit on one of the rows by the amounts that are free, or at all costs."""
        rows = np.unique(rows)
        resources = self._snapshot.resources
        free = resources.block[CPU : len(resources.free)].take(rows, axis=1).max(axis=1)
        width = self._asked.shape[1]
        found: Mask = (self._asked <= free[:width]).all(axis=1)
        found |= self._always
        if self._preempts:
            pods = (pod.priority for row in rows.tolist() for pod, _ in self._snapshot.pods.on(row))
            lowest = min(pods, default=None)
            if lowest is not None:
                found |= self._priority > lowest
        return found

    def room(self, line: Line) -> int:
        """Return how many pods of a line there is room for at most, by the amounts that are free."""
        amounts = [(number, amount) for number, amount in self._demand(line.shape) if amount]
        free = self._snapshot.resources.free
        each = np.min([free[number] // amount for number, amount in amounts], axis=0)
        return int(np.maximum(each, 0).sum())

    def _demand(self, shape: Shape) -> list[tuple[int, int]]:
        """Return (resource, amount): what must be free for a pod."""
        return [(number, amount) for number, amount in self._snapshot.ask(shape).demand if number >= CPU]

    def _open(self, shape: Shape, priority: int, size: int) -> Line:
        number = self._vacant.pop() if self._vacant else self._append()
        line = Line(number, shape, priority, size)
        self._slots[number] = line
        demand = self._demand(shape)
        width = max(resource for resource, _ in demand) - CPU + 1
        if width > self._asked.shape[1]:
            more = np.full((len(self._asked), width - self._asked.shape[1]), _ANY, np.int64)
            self._asked = np.concatenate([self._asked, more], axis=1)
        self._asked[number] = _ANY
        for resource, amount in demand:
            self._asked[number, resource - CPU] = amount
        self._priority[number] = priority
        filters = self._scheduler.standing(shape).filters
        self._always[number] = bool(shape.attachments) or any(rule.reach > Reach.NODE for rule in filters)
        self._fresh.append(line)
        return line

    def _append(self) -> int:
        number = len(self._slots)
        self._slots.append(None)
        if number == len(self._asked):
            more = max(64, number)
            self._asked = np.concatenate([self._asked, np.full((more, self._asked.shape[1]), _ANY, np.int64)])
            self._asked[number:] = np.iinfo(np.int64).max
            self._priority = np.concatenate([self._priority, np.full(more, np.iinfo(np.int64).min)])
            self._always = np.concatenate([self._always, np.zeros(more, np.bool_)])
        return number
