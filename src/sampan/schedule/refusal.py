"""Refusal: why a pod was not placed, rule by rule, with how many nodes each rule keeps it from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sampan.schedule.plugin import Filter
from sampan.schedule.view import Nodes


class Refusal(NamedTuple):
    """`counts`: (plugin's reason, nodes); a node counts for the first filter that it fails, for each of its reasons."""

    nodes: int
    counts: tuple[tuple[str, int], ...] = ()
    note: str = ""  # a reason that is not about nodes

    def message(self) -> str:
        """Return the sentence that an event has. Spec: kube-scheduler's FitError."""
        if self.note:
            return self.note
        if not self.nodes:
            return "no nodes available to schedule pods"
        reasons = ", ".join(sorted(f"{count} {reason}" for reason, count in self.counts))
        return f"0/{self.nodes} nodes are available: {reasons}."


def refusal(nodes: Nodes, filters: list[Filter]) -> Refusal:
    """Return why each of all nodes fails the filters."""
    left = np.ones(len(nodes), np.bool_)
    counts: dict[str, int] = {}
    for rule in filters:
        mask = rule.passes(nodes)
        if mask is None:
            continue
        for reason, fails in rule.reasons(nodes):
            count = int(np.count_nonzero(fails & left & ~mask))
            if count:
                counts[reason] = counts.get(reason, 0) + count
        left &= mask
    return Refusal(len(nodes), tuple(counts.items()))
