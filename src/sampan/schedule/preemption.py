"""Preemption: on which node to evict pods of lower priority so that a pod fits.

Of the nodes, the first in this order is taken: fewest violated budgets, lowest highest priority of a victim, least sum of
priorities, fewest victims, newest start of the victims of highest priority, smallest name. Where none can be had by evicting its own
pods, victims on other nodes are looked for (abroad.py); kube-scheduler does not.

Spec: kube-scheduler DefaultPreemption (pickOneNodeForPreemption); every node is looked at, none is sampled.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from sampan.schedule import abroad, victims
from sampan.schedule.plugin import Reach
from sampan.schedule.pod import Budget, Pod
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.standing import Standing

_KEPT = 64


class Eviction(NamedTuple):
    """`node`: where the pod was; `by`: the key of the pod it makes room for."""

    pod: Pod
    node: str
    by: str


class Plan(NamedTuple):
    """`row`: where the pod fits without its victims, who may be elsewhere."""

    row: int
    victims: tuple[Pod, ...]


class Preemption:
    """Remembers, for each ask and priority, what each node would cost, and redoes touched nodes only."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._known: dict[tuple[int, int], NodeCosts] = {}

    def plan(self, standing: Standing, pod: Pod) -> Plan | None:
        """Return the best node and its victims; None when evictions do not help or the pod may not ask for them.

        The snapshot is as it was when it returns.
        """
        lowest = self._snapshot.pods.lowest()
        if not pod.may_preempt or lowest is None or lowest >= pod.priority:
            return None
        key = (standing.ask.number, pod.priority)
        costs = self._known.get(key)
        if costs is None or costs.standing is not standing:
            if len(self._known) >= _KEPT:
                del self._known[next(iter(self._known))]
            costs = self._known[key] = NodeCosts(self._snapshot, standing, pod.priority)
        row = costs.best()
        if row is None:
            found = abroad.best(self._snapshot, standing, pod)
            return None if found is None else Plan(found[0], found[1].pods)
        here = victims.on_row(self._snapshot, standing, row, pod.priority)
        return None if here is None else Plan(row, here.pods)


class NodeCosts:
    """What making room for one ask at one priority costs on each node."""

    def __init__(self, snapshot: Snapshot, standing: Standing, priority: int) -> None:
        self.standing = standing
        self._snapshot = snapshot
        self._priority = priority
        self._heap: list[tuple[victims.Cost, int, int]] = []  # cost, row, version of the row
        self._versions: list[int] = []
        self._seen = -1
        self._as_of: tuple[int, tuple[Budget, ...]] = (-1, ())

    def best(self) -> int | None:
        """Return the row that costs least, None when no eviction makes room anywhere."""
        self._refresh()
        heap, versions = self._heap, self._versions
        while heap and versions[heap[0][1]] != heap[0][2]:
            heapq.heappop(heap)
        return heap[0][1] if heap else None

    def _refresh(self) -> None:
        """Redo the rows that were touched; all of them where what happened elsewhere may matter."""
        touches = self._snapshot.touches
        as_of = self._snapshot.epoch, self._snapshot.budgets
        touched = touches.since(self._seen) if self._seen >= 0 and as_of == self._as_of else None
        local = all(rule.reach <= Reach.NODE for rule in self.standing.filters)
        if touched is None or (len(touched) and not local):
            self._heap = []
            self._versions = [0] * len(self._snapshot.nodes)
            self._redo(range(len(self._snapshot.nodes)))
        else:
            self._redo(np.unique(touched).tolist())
        self._seen, self._as_of = touches.position, as_of

    def _redo(self, rows: Iterable[int]) -> None:
        possible = self.standing.possible()
        for row in rows:
            self._versions[row] += 1
            if possible[row]:
                found = victims.on_row(self._snapshot, self.standing, row, self._priority)
                if found is not None:
                    heapq.heappush(self._heap, (found.cost(), row, self._versions[row]))
