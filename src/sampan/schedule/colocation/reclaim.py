"""Reclaimed capacity: what latency-critical pods asked for and will not use, as resources that best-effort pods ask for.

A best-effort pod asks for `sampan.dev/batch-cpu` (millicores) and `sampan.dev/batch-memory` (bytes), extended resources as any other,
and for no cpu and memory. A node has of them what is reclaimed there now, so the usual rules place such pods, and see their room
shrink and grow.

Spec: Kubernetes extended resources: a name with a prefix, whole numbers, not overcommitted.
"""

from __future__ import annotations

import msgspec
import numpy as np

from sampan.schedule.arrays import Ints
from sampan.schedule.colocation.columns import Columns
from sampan.schedule.colocation.policy import Policy
from sampan.schedule.node import Node
from sampan.schedule.plugins.resources_fit import NodeResourcesFit
from sampan.schedule.profile import DEFAULT, Profile
from sampan.schedule.shape import Amounts, amounts

BATCH_CPU, BATCH_MEMORY = "sampan.dev/batch-cpu", "sampan.dev/batch-memory"
_NAMES = frozenset((BATCH_CPU, BATCH_MEMORY))

_FIT = NodeResourcesFit(weights=(("cpu", 1), ("memory", 1), (BATCH_CPU, 1), (BATCH_MEMORY, 1)))
COLOCATED = Profile(
    DEFAULT.filters, tuple((_FIT if plugin.name == _FIT.name else plugin, weight) for plugin, weight in DEFAULT.scores)
)
"""The usual rules, and what is reclaimed counts, too: a rise of use on one node shall meet few best-effort pods."""


def reclaimed(has: Columns, estimate: Columns, policy: Policy) -> Columns:
    """Return what each node has, less a margin, less what latency-critical pods are estimated to use; 0 where nothing is left.

    What best-effort pods use beyond their requests may be counted with the estimate: it is not there for others.
    """
    return Columns(
        _left(has.cpu, estimate.cpu, policy.cpu_margin), _left(has.memory, estimate.memory, policy.memory_margin)
    )


def settled(known: Columns, found: Columns, has: Columns, policy: Policy) -> Columns:
    """Return what to publish: less at once, more only by more than a step, so that nodes do not change all the time."""
    return Columns(
        *(
            np.where((new < old) | (new - old > policy.step * whole), new, old)
            for old, new, whole in zip(known, found, has, strict=True)
        )
    )


def offering(node: Node, cpu_milli: int, memory_bytes: int) -> Node:
    """Return the node with so much reclaimed, in place of what it had of that."""
    others = {name: amount for name, amount in node.allocatable if name not in _NAMES}
    return msgspec.structs.replace(
        node, allocatable=amounts(others | {BATCH_CPU: cpu_milli, BATCH_MEMORY: memory_bytes})
    )


def best_effort(requests: Amounts) -> Amounts:
    """Return requests with cpu and memory asked of what is reclaimed."""
    names = {"cpu": BATCH_CPU, "memory": BATCH_MEMORY}
    return amounts({names.get(name, name): amount for name, amount in requests})


def _left(has: Ints, estimate: Ints, margin: float) -> Ints:
    kept = np.ceil(has * margin).astype(np.int64)
    found: Ints = np.maximum(has - kept - estimate, 0)
    return found
