"""TaintToleration and NodeUnschedulable: only pods that tolerate a node's taints run there.

Spec: kube-scheduler TaintToleration, NodeUnschedulable; "Taints and Tolerations".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from sampan.schedule.arrays import Floats, Mask
from sampan.schedule.ask import Ask
from sampan.schedule.node import NO_EXECUTE, NO_SCHEDULE, PREFER_NO_SCHEDULE, UNSCHEDULABLE_TAINT, Taint
from sampan.schedule.plugin import Normal, Reach
from sampan.schedule.rules import FixedFilter, FixedScore
from sampan.schedule.shape import Toleration
from sampan.schedule.snapshot import Snapshot

UNSCHEDULABLE = "node(s) were unschedulable"
UNTOLERATED = "node(s) had untolerated taint(s)"
_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,18}")


class NodeUnschedulable:
    name = "NodeUnschedulable"
    reach = Reach.FIXED

    def prefilter(self, ask: Ask, snapshot: Snapshot) -> FixedFilter | None:
        mask = schedulable(snapshot, ask.shape.tolerations)
        return None if mask is None else FixedFilter(mask, UNSCHEDULABLE)


class TaintToleration:
    name = "TaintToleration"
    reach = Reach.FIXED

    def prefilter(self, ask: Ask, snapshot: Snapshot) -> FixedFilter | None:
        mask = untainted(snapshot, ask.shape.tolerations)
        return None if mask is None else FixedFilter(mask, UNTOLERATED)

    def prescore(self, ask: Ask, snapshot: Snapshot) -> FixedScore | None:
        """The fewer taints of the mild sort that the pod does not tolerate, the better."""
        mild = [toleration for toleration in ask.shape.tolerations if toleration.effect in ("", PREFER_NO_SCHEDULE)]
        key = ("mild taints", tuple(mild))
        raw = snapshot.kept(key, lambda: _counts(snapshot, (PREFER_NO_SCHEDULE,), mild))
        return None if raw is None else FixedScore(raw, Normal.REVERSED)


def tolerated(tolerations: Sequence[Toleration], taint: Taint) -> bool:
    """Return whether one of the tolerations is for the taint."""
    return any(
        toleration.effect in ("", taint.effect)
        and (toleration.key == taint.key or (not toleration.key and toleration.operator == "Exists"))
        and _meets(toleration, taint.value)
        for toleration in tolerations
    )


def _meets(toleration: Toleration, value: str) -> bool:
    """Return whether a toleration's operator holds for the value of a taint; none that compares holds for what is no number."""
    if toleration.operator not in ("Gt", "Lt"):
        return toleration.operator == "Exists" or toleration.value == value
    if not (_NUMBER.fullmatch(value) and _NUMBER.fullmatch(toleration.value)):
        return False
    found, limit = int(value), int(toleration.value)
    return max(abs(found), abs(limit)) < 1 << 63 and (found > limit if toleration.operator == "Gt" else found < limit)


def schedulable(snapshot: Snapshot, tolerations: Sequence[Toleration]) -> Mask | None:
    """Return which nodes are not cordoned, [nodes]; None: all of them, or such pods do not mind."""
    if tolerated(tolerations, Taint(UNSCHEDULABLE_TAINT)):
        return None
    is_open = snapshot.kept(
        "schedulable", lambda: np.array([not node.unschedulable for node in snapshot.nodes], np.bool_)
    )
    return None if is_open.all() else is_open


def untainted(snapshot: Snapshot, tolerations: Sequence[Toleration]) -> Mask | None:
    """Return which nodes have no taint that keeps such pods away, [nodes]; None: all of them."""

    def make() -> Mask | None:
        counts = _counts(snapshot, (NO_SCHEDULE, NO_EXECUTE), tolerations)
        return None if counts is None else counts == 0

    return snapshot.kept(("untainted", tuple(tolerations)), make)


def _counts(snapshot: Snapshot, effects: Sequence[str], tolerations: Sequence[Toleration]) -> Floats | None:
    """Return how many taints of these effects are not tolerated, [nodes]; None: nowhere one."""
    found: Floats | None = None
    for taint, rows in snapshot.kept("taints", _tainted(snapshot)).items():
        if taint.effect in effects and not tolerated(tolerations, taint):
            found = np.zeros(len(snapshot.nodes)) if found is None else found
            found[rows] += 1
    return found


def _tainted(snapshot: Snapshot) -> Callable[[], dict[Taint, list[int]]]:
    def make() -> dict[Taint, list[int]]:
        found: dict[Taint, list[int]] = {}
        for row, node in enumerate(snapshot.nodes):
            for taint in set(node.taints):
                found.setdefault(taint, []).append(row)
        return found

    return make
