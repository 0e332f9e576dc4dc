"""Waiting: pods that wait, in lines of those that are alike, and which lines are worth a try.

The order is the scheduling queue's (schedule/queue.py): by priority, then by when they came. Pods of one line fit or don't
fit alike, so only its first is asked; and where a pod didn't fit, it won't before something changes. What changes is mostly a
few nodes, and whether a pod can fit on any of those is one comparison for all lines at once. So no pod needs a back-off here,
and a hundred thousand that wait cost no more than their lines.
"""

from __future__ import annotations

import heapq
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


_EXACT = 64
"""So many nodes are looked at one by one; of more, whether the best of each amount would be enough."""

_MOST_KNOWN = 4096
"""Shapes of which it is remembered what they ask for."""


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


Turn = tuple[int, int, Line]
"""(minus the priority, the entry of the line's first pod, the line): less comes first. No two have the same entry."""


class Waiting:
    """`preempts`: pods may evict others, so that a pod can fit where only lower ones leave."""

    def __init__(self, scheduler: Scheduler, *, preempts: bool) -> None:
        self.newest = 0  # the next one's place among all that wait
        self._scheduler = scheduler
        self._snapshot = scheduler.snapshot
        self._preempts = preempts
        self._lines: dict[tuple[Shape, int, int], Line] = {}
        self._slots: list[Line | None] = []
        self._vacant: list[int] = []
        self._fresh: list[Line] = []
        self._known: dict[Shape, tuple[Ints, bool]] = {}
        self._asked: Ints = np.full((0, 1), _ANY, np.int64)  # [slots, resources]
        self._priority: Ints = np.zeros(0, np.int64)
        self._always: Mask = np.zeros(0, np.bool_)  # lines whose rules reach beyond a node
        self._round = (-1, -1)  # epoch and position of the touches, when the last round began
        self._before = (-1, -1)  # the same of the round before
        self._hope: Mask | None = None  # by slot; None: of all
        self._hope_at = -1

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

    # --- hope

    def hopeful(self) -> list[Line]:
        """Begin a round: return the lines whose first pod may fit now and did not in the round before, in no order."""
        self._before, self._round = self._round, (self._snapshot.epoch, self._snapshot.touches.position)
        self._hope_at = -1
        fresh, self._fresh = [line for line in self._fresh if line.fresh], []
        if len(self._lines) == len(fresh) or (self._before == self._round and not self.wide):
            return fresh
        others = [line for line in self.more() if not line.fresh]
        return others + fresh

    def more(self) -> list[Line]:
        """Return the lines whose first pod may fit by what has happened since the round before, this round's evictions too."""
        hopes = self._hopes()
        if hopes is None:
            return list(self._lines.values())
        slots = (self._slots[number] for number in np.flatnonzero(hopes).tolist())
        return [line for line in slots if line is not None]

    def still(self, turns: list[Turn]) -> list[Turn]:
        """Return, as a heap, those of a round's turns that may still fit: what others hoped for may be taken."""
        hopes = self._hopes() if turns else None
        if hopes is not None:
            turns = [turn for turn in turns if turn[2].fresh or hopes[turn[2].number]]
            heapq.heapify(turns)
        return turns

    def may_fit(self, line: Line) -> bool:
        """Return whether it is worth to ask a line's first pod."""
        hopes = None if line.fresh else self._hopes()
        return hopes is None or bool(hopes[line.number])

    def _hopes(self) -> Mask | None:
        """Return, for each slot, whether its pods may fit on a node that was touched since the round before; None: all may."""
        touches = self._snapshot.touches
        if self._hope_at != touches.position:
            self._hope_at = touches.position
            epoch, position = self._before
            local = epoch == self._snapshot.epoch and not self._snapshot.terms.all
            rows = touches.since(position) if local else None
            if rows is not None and len(rows) > _EXACT:
                rows = np.unique(rows)
            self._hope = None if rows is None else self._may_fit_on(rows)
        return self._hope

    def _may_fit_on(self, rows: Rows) -> Mask:
        """Return, for each slot, whether its pods may fit on one of the rows by the amounts that are free, or at all costs."""
        resources, width = self._snapshot.resources, self._asked.shape[1]
        free = resources.block[CPU : CPU + width].take(rows, axis=1)
        found: Mask = self._always.copy()
        if 0 < len(rows) <= _EXACT:
            found |= np.logical_or.reduce(np.logical_and.reduce(self._asked[:, :, None] <= free, axis=1), axis=1)
        elif len(rows):
            found |= np.logical_and.reduce(self._asked <= free.max(axis=1), axis=1)
        lowest = self._snapshot.pods.lowest()
        if self._preempts and lowest is not None and (self._priority > lowest).any():
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
        line = self._slots[number] = Line(number, shape, priority, size)
        asked, always = self._known.get(shape) or self._learn(shape)
        self._asked[number, : len(asked)] = asked
        self._asked[number, len(asked) :] = _ANY
        self._priority[number] = priority
        self._always[number] = always
        self._fresh.append(line)
        return line

    def _learn(self, shape: Shape) -> tuple[Ints, bool]:
        """Return what must be free of each resource, and whether a shape's rules reach beyond a node; from now on known."""
        demand = self._demand(shape)
        asked = np.full(max(resource for resource, _ in demand) - CPU + 1, _ANY, np.int64)
        for resource, amount in demand:
            asked[resource - CPU] = amount
        if len(asked) > self._asked.shape[1]:
            more = np.full((len(self._asked), len(asked) - self._asked.shape[1]), _ANY, np.int64)
            self._asked = np.concatenate([self._asked, more], axis=1)
        filters = self._scheduler.standing(shape).filters
        always = bool(shape.attachments) or any(rule.reach > Reach.NODE for rule in filters)
        if len(self._known) == _MOST_KNOWN:
            self._known.clear()
        self._known[shape] = asked, always
        return asked, always

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
