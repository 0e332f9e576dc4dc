"""size: how much of a machine a pod is."""

from __future__ import annotations

from sampan.schedule.ask import Ask
from sampan.schedule.pod import Pod
from sampan.schedule.resources import SCORED_CPU, SCORED_MEMORY
from sampan.schedule.snapshot import Snapshot


def size(snapshot: Snapshot, pod: Pod) -> float:
    """Return the largest part that a pod takes of what the largest machine has of anything."""
    ask: Ask = snapshot.ask(pod.shape)
    parts = [
        amount / most
        for number, amount in ask.demand
        if number not in (SCORED_CPU, SCORED_MEMORY) and (most := int(snapshot.resources.allocatable[number].max()))
    ]
    return max(parts, default=0.0)
