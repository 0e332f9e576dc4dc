"""Pod: one wish to run, with what tells it from its twins."""

from __future__ import annotations

import msgspec

from sampan.schedule.shape import Selector, Shape, matches


class Gang(msgspec.Struct, frozen=True):
    """Pods that run together or not at all: at least `least` of those of the same name."""

    name: str
    least: int


class Pod(msgspec.Struct, frozen=True, gc=False):
    """`key` is unique in the cluster (`namespace/name`); `started_s` is a time in seconds, any clock's.

    Before it runs, `started_s` is when it came into the queue.
    """

    key: str
    shape: Shape
    priority: int = 0
    started_s: float = 0.0
    may_preempt: bool = True
    gang: Gang | None = None


class Budget(msgspec.Struct, frozen=True):
    """At most `allowed` of the pods that `selector` matches may be disrupted now. Spec: policy/v1 PodDisruptionBudget."""

    namespace: str
    selector: Selector
    allowed: int


def covers(budget: Budget, pod: Pod) -> bool:
    """Return whether a budget counts the pod."""
    return budget.namespace == pod.shape.namespace and matches(budget.selector, dict(pod.shape.labels))
