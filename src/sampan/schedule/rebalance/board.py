"""Board: moves tried out on the snapshot, one after another, each checked by the core's filters; all undone at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from sampan.schedule.arrays import NOWHERE, Mask
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Budget, Pod, covers
from sampan.schedule.rebalance.proposal import DISRUPTED, NO_MORE, NODE_FULL, Limits, Move, Proposal
from sampan.schedule.refusal import refusal
from sampan.schedule.resources import SCORED_CPU, SCORED_MEMORY
from sampan.schedule.rules import FixedFilter
from sampan.schedule.snapshot import Lifted
from sampan.schedule.view import Nodes

Step = tuple[str, int]
"""(pod, row where it goes)."""


class _Made(NamedTuple):
    lifted: Lifted
    row: int
    budgets: tuple[Budget, ...]  # before


class Board:
    """A context. A pod moves once at most. `closed`: rows that nobody is moved to, [nodes]; may be changed."""

    def __init__(self, scheduler: Scheduler, limits: Limits) -> None:
        self.scheduler = scheduler
        self.snapshot = scheduler.snapshot
        self.snapshot.settle()
        self.closed: Mask = np.zeros(len(self.snapshot.nodes), np.bool_)
        self._limits = limits
        self._made: list[_Made] = []
        counted = (SCORED_CPU, SCORED_MEMORY)
        columns = enumerate(self.snapshot.resources.allocatable)
        self._most = {number: int(column.max(initial=0)) for number, column in columns if number not in counted}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.back_to(0)

    def __len__(self) -> int:
        return len(self._made)

    @property
    def steps(self) -> list[Step]:
        return [(made.lifted.pod.key, made.row) for made in self._made]

    def proposal(self, moves: Sequence[Move], left: Mapping[str, str], *, reached: bool) -> Proposal:
        """Return moves as a proposal that keeps off the closed rows."""
        closed = tuple(self.snapshot.nodes[row].name for row in np.flatnonzero(self.closed).tolist())
        return Proposal(tuple(moves), dict(left), reached, closed)

    def on(self, row: int) -> list[Pod]:
        """Return the pods on a row, in order of their keys."""
        return sorted((pod for pod, _ in self.snapshot.pods.on(row)), key=lambda pod: pod.key)

    def size(self, pod: Pod) -> float:
        """Return the largest part that a pod takes of what the largest machine has of anything."""
        demand = self.snapshot.ask(pod.shape).demand
        return max((amount / self._most[number] for number, amount in demand if self._most.get(number)), default=0.0)

    def short(self, pod: Pod, row: int) -> dict[int, int]:
        """Return how much of each resource is not free on a row that a pod asks for."""
        free, demand = self.snapshot.resources.free, self.snapshot.ask(pod.shape).demand
        lacks = ((number, amount - int(free[number][row])) for number, amount in demand if number in self._most)
        return {number: lack for number, lack in lacks if lack > 0}

    def stays(self, pod: Pod) -> str:
        """Return why a pod may not move; empty: it may."""
        if fixed := self._limits.fixed.get(pod.key):
            return fixed
        if any(made.lifted.pod.key == pod.key for made in self._made):
            return "it has been moved already"
        if any(one.allowed <= 0 and covers(one, pod) for one in self.snapshot.budgets):
            return DISRUPTED
        if len(self._made) >= self._limits.moves:
            return NO_MORE
        row = self.snapshot.pods.rows[self.snapshot.pods.slots[pod.key]]
        if sum(made.lifted.row == row for made in self._made) >= self._limits.off_one_node:
            return NODE_FULL
        return ""

    def targets(self, pod: Pod) -> list[int]:
        """Return the rows where a pod fits once it is gone where it is, the best by the profile first."""
        lifted = self.snapshot.lift(pod.key)
        standing = self.scheduler.standing(pod.shape)
        totals = standing.totals()
        rows = np.arange(len(self.snapshot.nodes)) if standing.rows is None else standing.rows
        self.snapshot.put_back(lifted)
        open_ = (totals > NOWHERE) & ~self.closed[rows] & (rows != lifted.row)
        rows, totals = rows[open_], totals[open_]
        found: list[int] = rows[np.lexsort((rows, -totals))].tolist()
        return found

    def refused(self, pod: Pod) -> str:
        """Return why there is no row for a pod."""
        lifted = self.snapshot.lift(pod.key)
        standing = self.scheduler.standing(pod.shape)
        standing.refresh()
        away = self.closed.copy()
        away[lifted.row] = True
        rules = [FixedFilter(~away, "node(s) are not to be moved to"), *standing.filters]
        said = refusal(Nodes(self.snapshot, standing.ask), rules).message()
        self.snapshot.put_back(lifted)
        return said

    def move(self, key: str, row: int) -> bool:
        """Move a pod, if it fits there when it is gone where it is."""
        budgets = self.snapshot.budgets
        lifted = self.snapshot.evict(key)
        standing = self.scheduler.standing(lifted.pod.shape)
        standing.refresh()
        if not standing.fits(row):
            self.snapshot.put_back(lifted)
            self.snapshot.budgets = budgets
            return False
        self.snapshot.assume(lifted.pod, row, standing.ask)
        self._made.append(_Made(lifted, row, budgets))
        return True

    def back_to(self, count: int) -> None:
        """Undo all moves but the first ones."""
        while len(self._made) > count:
            made = self._made.pop()
            self.snapshot.remove(made.lifted.pod.key)
            self.snapshot.put_back(made.lifted)
            self.snapshot.budgets = made.budgets

    def replay(self, steps: Sequence[Step]) -> bool:
        """Make just these moves, from the beginning, if all are legal in this order; else all is as before."""
        old = self.steps
        self.back_to(0)
        if all(self.move(*step) for step in steps):
            return True
        self.back_to(0)
        for step in old:
            self.move(*step)
        return False

    def told(self, number: int, why: str, gains: str) -> Move:
        made, nodes = self._made[number], self.snapshot.nodes
        return Move(made.lifted.pod.key, nodes[made.lifted.row].name, nodes[made.row].name, why, gains)
