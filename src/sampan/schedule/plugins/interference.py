"""Interference: with a pod, at most so many pods of a sort on its node; what the new pod says, and what those there say.

Spec: none in Kubernetes; of the co-location rules (A, B, k) of cluster traces: with A present at most k of B, of A itself k + 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from sampan.schedule.arrays import Ints, Mask
from sampan.schedule.ask import Ask
from sampan.schedule.plugin import Filter, Reach
from sampan.schedule.rules import AllOf
from sampan.schedule.shape import AtMost, Shape
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.tally import Tally
from sampan.schedule.view import Nodes

OWN = "node(s) had more pods than the pod allows beside it"
EXISTING = "node(s) had pods that allow no more such pods beside them"


class Interference:
    name: ClassVar = "Interference"
    reach: ClassVar = Reach.NODE

    def prefilter(self, ask: Ask, snapshot: Snapshot) -> Filter | None:
        shape = ask.shape
        parts: list[Filter] = [Beside(snapshot, rule, shape) for rule in shape.at_most]
        parts += [Among(snapshot, rule) for rule in snapshot.terms.limits if snapshot.matches(rule.pods, shape)]
        return AllOf(parts) if parts else None


class Beside:
    """No more pods of the sort are there than the ask allows beside it."""

    reach = Reach.NODE
    foresees = True

    def __init__(self, snapshot: Snapshot, rule: AtMost, shape: Shape) -> None:
        self._tally = snapshot.matching(rule.pods)
        self._most = rule.most
        self._own = int(snapshot.matches(rule.pods, shape))

    def passes(self, nodes: Nodes) -> Mask | None:
        there: Ints = nodes.pick(self._tally.counts)
        if nodes.more is not None and self._own:
            there = there + nodes.more
        found: Mask = there <= self._most
        return found

    def reasons(self, nodes: Nodes) -> Sequence[tuple[str, Mask]]:
        found = self.passes(nodes)
        return [(OWN, np.zeros(len(nodes), np.bool_) if found is None else ~found)]


class Among:
    """The pods there that say a rule allow one more of the sort, which the ask is of."""

    reach = Reach.NODE
    foresees = True

    def __init__(self, snapshot: Snapshot, rule: AtMost) -> None:
        def saying(*, of_the_sort: bool) -> Tally:
            def weigh(shape: Shape) -> int:
                return int(rule in shape.at_most and snapshot.matches(rule.pods, shape) is of_the_sort)

            return snapshot.tally(("saying at most", rule, of_the_sort), weigh)

        self._tally = snapshot.matching(rule.pods)
        self._most = rule.most
        self._others = saying(of_the_sort=False)
        self._themselves = saying(of_the_sort=True)  # of the sort, and they do not count against themselves

    def passes(self, nodes: Nodes) -> Mask | None:
        if not self._others.total and not self._themselves.total:
            return None
        there: Ints = nodes.pick(self._tally.counts)
        if nodes.more is not None:
            there = there + nodes.more
        found: Mask = (there < self._most) | (nodes.pick(self._others.counts) == 0)
        found &= (there <= self._most) | (nodes.pick(self._themselves.counts) == 0)
        return found

    def reasons(self, nodes: Nodes) -> Sequence[tuple[str, Mask]]:
        found = self.passes(nodes)
        return [(EXISTING, np.zeros(len(nodes), np.bool_) if found is None else ~found)]
