"""Victims: which pods of one node must go so that a pod of higher priority fits there.

All pods of lower priority are thought away; if the pod then fits, they are taken back one by one as long as it still fits:
first those whose budget would be violated, the more important first. Spec: kube-scheduler SelectVictimsOnNode. That is done by
amounts alone first; where no budget is concerned a cheaper set is looked for besides, as that way of choosing misses some. Only where
the pod does not fit even so, as another rule holds something against it, it is tried with all rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, combinations
from math import comb
from typing import NamedTuple

import numpy as np

from sampan.schedule.arrays import Floats, Ints, Mask, Rows
from sampan.schedule.ask import Ask
from sampan.schedule.plugin import Reach
from sampan.schedule.plugins.resources_fit import Fit
from sampan.schedule.pod import Budget, Pod, covers
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.standing import Standing

_LIFT = 1 << 31
"""Added to each priority of a sum, so that of negative ones fewer are better too. Spec: pickOneNodeForPreemption."""

_MOST_WAYS = 400
"""Sets of victims that are looked at on a node."""

Cost = tuple[int, int, int, int, float]
"""(violations, highest priority, sum of priorities, victims, minus the start of the first of the highest): less is better."""

Placed = tuple[Pod, Ask]


class Victims(NamedTuple):
    """`violations`: how many of the pods their budgets do not allow to go."""

    pods: tuple[Pod, ...]
    violations: int

    def cost(self) -> Cost:
        """Return what is compared between nodes."""
        highest = max(pod.priority for pod in self.pods)
        start_s = min(pod.started_s for pod in self.pods if pod.priority == highest)
        total = sum(pod.priority + _LIFT for pod in self.pods)
        return self.violations, highest, total, len(self.pods), -start_s


class Bounds(NamedTuple):
    """What making room on nodes costs at least, [nodes], sorted by cost and row: the lowest priority, how many, the newest start."""

    rows: Rows
    lowest: Ints
    fewest: Ints
    newest: Floats

    def at(self, place: int) -> tuple[Cost, int]:
        """Return (cost, row)."""
        low, few = int(self.lowest[place]), int(self.fewest[place])
        return (0, low, few * (low + _LIFT), few, -float(self.newest[place])), int(self.rows[place])


def on_row(snapshot: Snapshot, standing: Standing, row: int, priority: int) -> Victims | None:
    """Return who must go from a row for a pod of the standing's ask; None where it does not fit even so, or fits as it is."""
    lower = [(pod, snapshot.asks[ask]) for pod, ask in snapshot.pods.on(row) if pod.priority < priority]
    if not lower:
        return None
    lower.sort(key=lambda placed: importance(placed[0]))
    violating, rest = _by_budget(lower, snapshot.budgets)
    order = [*violating, *rest]
    needs = _needs(snapshot, standing, row)
    gone = _by_amounts(needs, order)
    if gone and not any(covers(budget, pod) for budget in snapshot.budgets for pod, _ in lower):
        gone = _cheaper(needs, lower, gone)
    only_amounts = all(rule.reach is Reach.FIXED or isinstance(rule, Fit) for rule in standing.filters)
    if not only_amounts and not (gone and _helps(snapshot, standing, row, gone)):
        gone = _by_trial(snapshot, standing, row, order)
    if not gone:
        return None
    keys = {pod.key for pod, _ in violating}
    return Victims(tuple(gone), sum(pod.key in keys for pod in gone))


def at_least(snapshot: Snapshot, standing: Standing, rows: Rows, priority: int) -> Bounds:
    """Return bounds below what `on_row` finds, of those of the rows, which differ, where enough can come free.

    For many rows at once: from the amounts alone follows how many must go, and at best they are of the row's lowest priority.
    """
    table, count = snapshot.pods, len(rows)
    place = np.full(len(snapshot.nodes), -1, np.intp)
    place[rows] = np.arange(count)
    lower = table.below(priority)
    lower = lower[place[table.rows[lower]] >= 0]
    at = place[table.rows[lower]]
    asks, which = np.unique(table.asks[lower], return_inverse=True)
    enough: Mask = np.bincount(at, minlength=count) > 0
    fewest: Ints = np.ones(count, np.int64)
    for number, amount in _asked(standing):
        each = np.array([snapshot.asks[ask].amounts.get(number, 0) for ask in asks.tolist()], np.int64)[which]
        total, largest = np.zeros(count, np.int64), np.zeros(count, np.int64)
        np.add.at(total, at, each)
        np.maximum.at(largest, at, each)
        need = amount - snapshot.resources.free[number].take(rows)
        enough &= need <= total
        short = enough & (need > 0)
        fewest[short] = np.maximum(fewest[short], -(-need[short] // largest[short]))
    lowest, newest = np.full(count, np.iinfo(np.int64).max), np.full(count, -np.inf)
    np.minimum.at(lowest, at, table.priority[lower])
    np.maximum.at(newest, at, table.started_s[lower])
    order = np.lexsort((rows, -newest, fewest, lowest))
    order = order[enough[order]]
    return Bounds(rows[order], lowest[order], fewest[order], newest[order])


def by_trial(snapshot: Snapshot, standing: Standing, row: int, lower: list[Placed]) -> Victims | None:
    """Return who of these pods, wherever they are, must go so that the standing's ask fits on a row; None where that is no help."""
    lower.sort(key=lambda placed: importance(placed[0]))
    violating, rest = _by_budget(lower, snapshot.budgets)
    gone = _by_trial(snapshot, standing, row, [*violating, *rest])
    keys = {pod.key for pod, _ in violating}
    return Victims(tuple(gone), sum(pod.key in keys for pod in gone)) if gone else None


def importance(pod: Pod) -> tuple[int, float, str]:
    """Return what pods are sorted by, the more important first."""
    return -pod.priority, pod.started_s, pod.key


def _by_budget(pods: Sequence[Placed], budgets: Sequence[Budget]) -> tuple[list[Placed], list[Placed]]:
    """Return (those that their budgets do not allow to go, the rest), when they go in this order."""
    if not budgets:
        return [], list(pods)
    allowed = [budget.allowed for budget in budgets]
    violating: list[Placed] = []
    rest: list[Placed] = []
    for placed in pods:
        violates = False
        for place, budget in enumerate(budgets):
            if covers(budget, placed[0]):
                allowed[place] -= 1
                violates |= allowed[place] < 0
        (violating if violates else rest).append(placed)
    return violating, rest


def _needs(snapshot: Snapshot, standing: Standing, row: int) -> dict[int, int]:
    """Return how much must come free of each resource that the ask takes; negative where there is more than enough."""
    free = snapshot.resources.free
    return {number: amount - int(free[number][row]) for number, amount in _asked(standing)}


def _asked(standing: Standing) -> list[tuple[int, int]]:
    return [asked for rule in standing.filters if isinstance(rule, Fit) for asked in rule.demand]


def _by_amounts(needs: Mapping[int, int], order: Sequence[Placed]) -> list[Pod]:
    """Choose by arithmetic alone: only resources are in the way."""
    spare = {number: -need for number, need in needs.items()}
    for _, ask in order:
        for number in spare:
            spare[number] += ask.amounts.get(number, 0)
    if any(amount < 0 for amount in spare.values()):
        return []
    gone: list[Pod] = []
    for pod, ask in order:
        back = {number: amount - ask.amounts.get(number, 0) for number, amount in spare.items()}
        if all(amount >= 0 for amount in back.values()):
            spare = back
        else:
            gone.append(pod)
    return gone


def _cheaper(needs: Mapping[int, int], lower: Sequence[Placed], gone: list[Pod]) -> list[Pod]:
    """Return the pods that cost least of all that free enough; `gone` when there are too many ways to look at.

    No way has a lower highest priority than `gone` has: those who are in it at the top could not be spared.
    """
    highest = max(pod.priority for pod in gone)
    among = [placed for placed in lower if placed[0].priority <= highest]
    short = [(number, need) for number, need in needs.items() if need > 0]
    tried = 0
    for size in range(max(_at_least(among, number, need) for number, need in short), len(gone) + 1):
        tried += comb(len(among), size)
        if tried > _MOST_WAYS:
            return gone
        ways = [
            [pod for pod, _ in way]
            for way in combinations(among, size)
            if all(sum(ask.amounts.get(number, 0) for _, ask in way) >= need for number, need in short)
        ]
        if ways:
            return min(ways, key=lambda pods: (Victims(tuple(pods), 0).cost(), [pod.key for pod in pods]))
    return gone


def _at_least(among: Sequence[Placed], number: int, need: int) -> int:
    """Return how many pods must go at least so that as much comes free of a resource."""
    largest = sorted((ask.amounts.get(number, 0) for _, ask in among), reverse=True)
    return next(count for count, freed in enumerate(accumulate(largest), 1) if freed >= need)


def _helps(snapshot: Snapshot, standing: Standing, row: int, gone: Sequence[Pod]) -> bool:
    """Return whether the ask fits on a row when these go; the snapshot is as it was when this returns."""
    position = snapshot.touches.position
    lifted = [snapshot.lift(pod.key) for pod in gone]
    try:
        return standing.fits(row)
    finally:
        for one in lifted:
            snapshot.put_back(one)
        snapshot.touches.rewind(position)


def _by_trial(snapshot: Snapshot, standing: Standing, row: int, order: Sequence[Placed]) -> list[Pod]:
    """Choose by taking the pods off the snapshot and putting them back; it is as it was when this returns."""
    position = snapshot.touches.position
    lifted = [snapshot.lift(pod.key) for pod, _ in order]
    gone: list[Pod] = []
    try:
        if standing.fits(row):
            for one in lifted:
                snapshot.put_back(one)
                if not standing.fits(row):
                    snapshot.lift(one.pod.key)
                    gone.append(one.pod)
    finally:
        for one in lifted:
            if one.pod.key not in snapshot.pods:
                snapshot.put_back(one)
        snapshot.touches.rewind(position)
    return gone
