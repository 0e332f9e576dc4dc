"""Preemption: on which node to evict pods of lower priority so that a pod fits.

Of the nodes, the first in this order is taken: fewest violated budgets, lowest highest priority of a victim, no cascade, least
sum of priorities, fewest victims, newest start of the victims of highest priority, smallest name. Where none can be had by evicting
its own pods, victims on other nodes are looked for (abroad.py). kube-scheduler knows neither this nor cascades.

A cascade is when those who come in the victims' stead, all like them, would evict others in turn.

Spec: kube-scheduler DefaultPreemption (pickOneNodeForPreemption); every node is looked at, none is sampled.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import NamedTuple

import numpy as np

from sampan.schedule import abroad, victims
from sampan.schedule.arrays import Rows
from sampan.schedule.plugin import PluginFailed, Reach
from sampan.schedule.pod import Budget, Pod
from sampan.schedule.shape import Shape
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.standing import Standing

_KEPT = 64
_MOST_EQUALS = 16
"""So many nodes are tried for one without a cascade."""

_FEW = 8
"""So many nodes' costs are computed at once; of more, first what they cost at least."""


class Eviction(NamedTuple):
    """`node`: where the pod was; `by`: the key of the pod it makes room for."""

    pod: Pod
    node: str
    by: str


class Plan(NamedTuple):
    """`row`: where the pod fits without its victims, who may be elsewhere."""

    row: int
    victims: tuple[Pod, ...]


class _Way(NamedTuple):
    """To make room on a row. `number`: no two have the same."""

    cost: victims.Cost
    row: int
    number: int
    victims: tuple[Pod, ...]


class Preemption:
    """Remembers, for each ask and priority, what each node would cost, and redoes touched nodes only.

    `standing`: how a shape stands with the nodes of the snapshot.
    """

    def __init__(self, snapshot: Snapshot, standing: Callable[[Shape], Standing]) -> None:
        self._snapshot = snapshot
        self._standing = standing
        self._known: dict[tuple[int, int], NodeCosts] = {}

    def plan(self, standing: Standing, pod: Pod) -> Plan | None:
        """Return the best node and its victims; None when evictions do not help or the pod may not ask for them.

        The snapshot is as it was when it returns.
        """
        if not self._may_evict(pod):
            return None
        first = next(iter(self._equals(standing, pod, 1)), None)
        if first is None or not self._cascades(standing, pod, first):
            return first
        others = self._equals(standing, pod, _MOST_EQUALS)[1:]
        return next((plan for plan in others if not self._cascades(standing, pod, plan)), first)

    def _equals(self, standing: Standing, pod: Pod, most: int) -> list[Plan]:
        """Return the best plan, and those that are like it up to the highest priority of a victim; at most `most`."""
        found = self._costs(standing, pod).equals(most)
        if found:
            return found
        ways = abroad.ways(self._snapshot, standing, pod)
        return [Plan(row, gone.pods) for cost, row, gone in ways[:most] if cost[:2] == ways[0][0][:2]]

    def _may_evict(self, pod: Pod) -> bool:
        lowest = self._snapshot.pods.lowest()
        return pod.may_preempt and lowest is not None and lowest < pod.priority

    def _costs(self, standing: Standing, pod: Pod) -> NodeCosts:
        key = (standing.ask.number, pod.priority)
        found = self._known.get(key)
        if found is None or found.standing is not standing:
            if len(self._known) >= _KEPT:
                del self._known[next(iter(self._known))]
            found = self._known[key] = NodeCosts(self._snapshot, standing, pod.priority)
        return found

    def _cascades(self, standing: Standing, pod: Pod, plan: Plan) -> bool:
        """Try it: the pod is there and its victims come again, one after another."""
        if not any(map(self._may_evict, plan.victims)):
            return False
        snapshot = self._snapshot
        lifted = [snapshot.lift(victim.key) for victim in plan.victims]
        came = [pod.key]
        snapshot.assume(pod, plan.row, standing.ask)
        try:
            for victim in sorted(plan.victims, key=victims.importance):
                stand_in = self._standing(victim.shape)
                row = stand_in.best()
                if row >= 0:
                    snapshot.assume(victim, row, stand_in.ask)
                    came.append(victim.key)
                elif self._may_evict(victim) and self._equals(stand_in, victim, 1):
                    return True
            return False
        except PluginFailed:
            return False  # whom a plugin fails on is not placed
        finally:
            for key in came:
                snapshot.remove(key)
            for one in reversed(lifted):
                snapshot.put_back(one)


class NodeCosts:
    """What making room for one ask at one priority costs on each node; computed where it may be the least."""

    def __init__(self, snapshot: Snapshot, standing: Standing, priority: int) -> None:
        self.standing = standing
        self._snapshot = snapshot
        self._priority = priority
        self._known: dict[int, _Way | None] = {}  # by row; None: there is no way
        self._heap: list[_Way] = []  # of those that are known, and some that no longer hold
        self._numbers = count()
        self._others: victims.Bounds | None = None  # of rows that were not known then
        self._next = 0  # of the others
        self._seen = -1
        self._as_of: tuple[int, int, tuple[Budget, ...]] = (-1, -1, ())

    def equals(self, most: int) -> list[Plan]:
        """Return plans, the one that costs least first, and those that are like it up to the highest priority of a victim.

        At most `most`; none when no eviction makes room anywhere.
        """
        self._refresh()
        found: list[_Way] = []
        while len(found) < most and (one := self._pop()) is not None:
            found.append(one)
            if one.cost[:2] != found[0].cost[:2]:
                break
        for one in found:
            heapq.heappush(self._heap, one)
        return [Plan(one.row, one.victims) for one in found if one.cost[:2] == found[0].cost[:2]]

    def _pop(self) -> _Way | None:
        """Take the way that costs least off the heap, once no other node can cost less."""
        heap, known = self._heap, self._known
        while True:
            while heap and known.get(heap[0].row) is not heap[0]:
                heapq.heappop(heap)
            other = self._other()
            if other is None or (heap and heap[0][:2] < other):
                return heapq.heappop(heap) if heap else None
            self._compute(other[1])

    def _other(self) -> tuple[victims.Cost, int] | None:
        """Return what a node costs at least whose cost is not known, the least of all those, and its row."""
        if self._others is None:
            return None
        rows = self._others.rows
        while self._next < len(rows) and int(rows[self._next]) in self._known:
            self._next += 1
        return self._others.at(self._next) if self._next < len(rows) else None

    def _compute(self, row: int) -> None:
        found = victims.on_row(self._snapshot, self.standing, row, self._priority)
        way = self._known[row] = None if found is None else _Way(found.cost(), row, next(self._numbers), found.pods)
        if way is not None:
            heapq.heappush(self._heap, way)

    def _refresh(self) -> None:
        """Forget what rows cost that were touched; all of them where what happened elsewhere may matter."""
        touches = self._snapshot.touches
        as_of = self._snapshot.epoch, self._snapshot.volumes.version, self._snapshot.budgets
        touched = touches.since(self._seen) if self._seen >= 0 and as_of == self._as_of else None
        local = all(rule.reach <= Reach.NODE for rule in self.standing.filters)
        if touched is None or (len(touched) and not local):
            self._known, self._heap, self._others = {}, [], None
            self._forget(np.arange(len(self._snapshot.nodes)))
        else:
            self._forget(np.unique(touched))
        self._seen, self._as_of = touches.position, as_of

    def _forget(self, rows: Rows) -> None:
        known, possible = self._known, self.standing.possible()
        for row in rows.tolist():
            known.pop(row, None)
        again = rows[possible[rows]]
        if len(again) > _FEW:
            possible[list(known)] = False
            self._others = victims.at_least(self._snapshot, self.standing, np.flatnonzero(possible), self._priority)
            self._next = 0
            self._heap = [way for way in known.values() if way is not None]
            heapq.heapify(self._heap)
        else:
            for row in again.tolist():
                self._compute(row)
