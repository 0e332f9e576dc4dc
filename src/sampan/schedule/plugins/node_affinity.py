"""NodeAffinity: the node selector and the required terms hold; preferred terms give points.

Spec: kube-scheduler NodeAffinity; PodSpec nodeSelector, affinity.nodeAffinity.
"""

from __future__ import annotations

import numpy as np

from sampan.kube.selector import Requirement
from sampan.schedule.arrays import Floats, Mask, Rows
from sampan.schedule.ask import Ask
from sampan.schedule.plugin import Normal, Reach
from sampan.schedule.rules import FixedFilter, FixedScore
from sampan.schedule.shape import NodeTerm, Shape
from sampan.schedule.snapshot import Snapshot

REASON = "node(s) didn't match Pod's node affinity/selector"


class NodeAffinity:
    name = "NodeAffinity"
    reach = Reach.FIXED

    def prefilter(self, ask: Ask, snapshot: Snapshot) -> FixedFilter | None:
        mask = eligible(snapshot, ask.shape)
        return None if mask is None else FixedFilter(mask, REASON)

    def candidates(self, ask: Ask, snapshot: Snapshot) -> Rows | None:
        """Return the rows that the terms name, when each of them names some."""
        terms = ask.shape.node_terms
        if terms is None:
            return None
        named = [snapshot.labels.named(term) for term in terms]
        if any(rows is None for rows in named):
            return None
        rows = sorted({row for rows in named for row in rows or ()})
        return np.array([row for row in rows if _holds_at(snapshot, row, ask.shape)], np.intp)

    def prescore(self, ask: Ask, snapshot: Snapshot) -> FixedScore | None:
        wishes = ask.shape.preferred_nodes
        if not wishes:
            return None

        def make() -> Floats:
            raw = np.zeros(len(snapshot.nodes))
            for weight, term in wishes:
                raw += weight * snapshot.labels.term(term)
            return raw

        return FixedScore(snapshot.kept(("preferred nodes", wishes), make), Normal.SHARE)


def eligible(snapshot: Snapshot, shape: Shape) -> Mask | None:
    """Return which nodes selector and required terms hold for, [nodes]; None when a shape asks for neither."""
    if not shape.node_selector and shape.node_terms is None:
        return None

    def make() -> Mask:
        found = snapshot.labels.all_of(_selector(shape))
        return found if shape.node_terms is None else found & snapshot.labels.any_of(shape.node_terms)

    return snapshot.kept(("eligible", shape.node_selector, shape.node_terms), make)


def _holds_at(snapshot: Snapshot, row: int, shape: Shape) -> bool:
    labels = snapshot.labels
    selected = not shape.node_selector or labels.holds_at(row, NodeTerm(_selector(shape)))
    return selected and any(labels.holds_at(row, term) for term in shape.node_terms or ())


def _selector(shape: Shape) -> tuple[Requirement, ...]:
    return tuple(Requirement(key, "In", (value,)) for key, value in shape.node_selector)
