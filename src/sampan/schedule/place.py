"""place: pods in the order of their turn in, placements, evictions and reasons out.

What is placed is assumed on the snapshot at once, so that the next pod sees it. Whoever cannot carry a placement out takes
the pod off the snapshot again and gives it another turn; that is all there is to an optimistic commit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from sampan.schedule import batch
from sampan.schedule.plugin import PluginFailed
from sampan.schedule.pod import Gang, Pod
from sampan.schedule.pods import ABSENT
from sampan.schedule.preemption import Eviction, Preemption
from sampan.schedule.profile import DEFAULT, Profile
from sampan.schedule.refusal import Refusal
from sampan.schedule.shape import Shape
from sampan.schedule.snapshot import Lifted, Snapshot
from sampan.schedule.standing import Standing
from sampan.schedule.view import Nodes

_KEPT = 512  # standings; each holds a few arrays of [nodes]
_AT_ONCE = 4096


class Outcome(NamedTuple):
    """`placements`: node by pod; `evictions` come before the placement they are for; `reasons`: of those not placed.

    A pod that a plugin failed on is not placed.
    """

    placements: dict[str, str]
    evictions: list[Eviction]
    reasons: dict[str, Refusal]


def place(snapshot: Snapshot, pods: Sequence[Pod], profile: Profile = DEFAULT) -> Outcome:
    """Place pods, in this order. For more than one call on a snapshot, keep a `Scheduler`: it remembers scores."""
    return Scheduler(snapshot, profile).place(pods)


class Scheduler:
    """One profile over one snapshot."""

    def __init__(self, snapshot: Snapshot, profile: Profile = DEFAULT) -> None:
        self.snapshot = snapshot
        self._profile = profile
        self._standings: OrderedDict[Shape, Standing] = OrderedDict()
        self._preemption = Preemption(snapshot, self.standing)
        self._evicts = True
        self._lifted: list[Lifted] = []  # what a gang evicted, until it is known whether it runs

    def place(self, pods: Sequence[Pod], *, evicts: bool = True) -> Outcome:
        """Place pods, in this order; a gang when its first pod has its turn. Their keys differ, and none is placed yet.

        `evicts`: those that may evict others do; False: none does.
        """
        self.snapshot.settle()
        self._evicts = evicts
        outcome = Outcome({}, [], {})
        for turn in _turns(pods):
            gang = turn[0].gang
            if gang is None:
                self._run(turn, outcome)
            else:
                self._gang(gang, turn, outcome)
            self._lifted.clear()
        return outcome

    def still_fits(self, key: str) -> bool:
        """Return whether a pod that was placed would be let onto its node now; the snapshot is as it was.

        Raises:
            PluginFailed
        """
        snapshot = self.snapshot
        snapshot.settle()
        position = snapshot.touches.position
        lifted = snapshot.lift(key)
        try:
            if lifted.row == ABSENT:
                return False
            ask = snapshot.ask(lifted.pod.shape)
            here = Nodes(snapshot, ask, np.array([lifted.row], np.intp))
            rules = (plugin.prefilter(ask, snapshot) for plugin in self._profile.filters)
            masks = (rule.passes(here) for rule in rules if rule is not None)
            return all(mask is None or bool(mask[0]) for mask in masks)
        finally:
            snapshot.put_back(lifted)
            snapshot.touches.rewind(position)

    def standing(self, shape: Shape) -> Standing:
        """Return how a shape stands with the nodes; remembered, the oldest forgotten."""
        found = self._standings.get(shape)
        if found is None:
            found = Standing(self.snapshot, self.snapshot.ask(shape), self._profile)
            if found.rows is not None:
                return found  # a shape for few nodes costs little, and there may be one for each node
            self._standings[shape] = found
            if len(self._standings) > _KEPT:
                self._standings.popitem(last=False)
        else:
            self._standings.move_to_end(shape)
        return found

    def _run(self, pods: Sequence[Pod], outcome: Outcome) -> None:
        """Place pods of one shape."""
        if pods[0].shape.gates:
            outcome.reasons.update((pod.key, _gated(pod.shape)) for pod in pods)
            return
        start, end = 0, len(pods)
        try:
            standing = self.standing(pods[0].shape)
            while start < end:
                if end - start > 1:
                    standing.refresh()
                    if standing.foreseen:
                        start = self._batch(standing, pods, start, outcome)
                        if start == end:
                            return
                self._one(standing, pods[start], outcome)
                start += 1
        except PluginFailed as error:
            refused = Refusal(len(self.snapshot.nodes), note=str(error))
            outcome.reasons.update((pod.key, refused) for pod in pods[start:])

    def _batch(self, standing: Standing, pods: Sequence[Pod], start: int, outcome: Outcome) -> int:
        """Place from `start` on what can be placed at once; returns the first that was not."""
        rows = batch.choose(standing, min(len(pods) - start, _AT_ONCE))
        if rows:
            some = pods[start : start + len(rows)]
            self.snapshot.assume_all(some, np.array(rows, np.intp), standing.ask)
            nodes = self.snapshot.nodes
            outcome.placements.update((pod.key, nodes[row].name) for pod, row in zip(some, rows, strict=True))
        return start + len(rows)

    def _one(self, standing: Standing, pod: Pod, outcome: Outcome) -> None:
        row = standing.best()
        if row < 0:
            plan = self._preemption.plan(standing, pod) if self._evicts else None
            if plan is None:
                outcome.reasons[pod.key] = standing.why()
                return
            row = plan.row
            for victim in plan.victims:
                lifted = self.snapshot.evict(victim.key)
                self._lifted.append(lifted)
                outcome.placements.pop(victim.key, None)
                outcome.evictions.append(Eviction(victim, self.snapshot.nodes[lifted.row].name, pod.key))
        self.snapshot.assume(pod, row, standing.ask)
        outcome.placements[pod.key] = self.snapshot.nodes[row].name

    def _gang(self, gang: Gang, pods: Sequence[Pod], outcome: Outcome) -> None:
        """Place a gang's pods, or, when fewer fit than it needs, none, as if nothing had been tried."""
        wished = {pod.key for pod in pods}
        trial, budgets, self._lifted = Outcome({}, [], {}), self.snapshot.budgets, []
        for turn in _alike(pods):
            self._run(turn, trial)
        if len(trial.placements) < gang.least:
            for key in trial.placements:
                self.snapshot.remove(key)
            for lifted in reversed(self._lifted):
                if lifted.pod.key not in wished:
                    self.snapshot.put_back(lifted)
            self.snapshot.budgets = budgets
            why = next(iter(trial.reasons.values())).message() if trial.reasons else "no more of them wait"
            note = f"gang {gang.name}: {len(trial.placements)} of at least {gang.least} pods fit: {why}"
            outcome.reasons.update((pod.key, Refusal(len(self.snapshot.nodes), note=note)) for pod in pods)
            return
        for eviction in trial.evictions:
            outcome.placements.pop(eviction.pod.key, None)  # it had its turn before
        outcome.placements.update(trial.placements)
        outcome.evictions.extend(trial.evictions)
        outcome.reasons.update(trial.reasons)


def _turns(pods: Sequence[Pod]) -> Iterator[Sequence[Pod]]:
    """Return pods that are placed together: gangs, and pods of one shape that follow each other."""
    if all(pod.gang is None for pod in pods):
        yield from _alike(pods)
        return
    gangs: dict[Gang, list[Pod]] = {}
    for pod in pods:
        if pod.gang is not None:
            gangs.setdefault(pod.gang, []).append(pod)
    for gang, group in groupby(pods, key=lambda pod: pod.gang):
        if gang is None:
            yield from _alike(list(group))
        elif gang in gangs:
            yield gangs.pop(gang)


def _alike(pods: Sequence[Pod]) -> Iterator[Sequence[Pod]]:
    """Return runs of pods of one shape."""
    start, count = 0, len(pods)
    while start < count:
        shape, end = pods[start].shape, start + 1
        while end < count and (pods[end].shape is shape or pods[end].shape == shape):
            end += 1
        yield pods[start:end]
        start = end


def _gated(shape: Shape) -> Refusal:
    return Refusal(0, note=f"waiting for scheduling gates: {list(shape.gates)}".replace("'", '"'))
