"""Victims: which best-effort pods go, so that enough is freed and nobody goes for nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec


class BatchPod(msgspec.Struct, frozen=True, kw_only=True):
    """A best-effort pod that runs on a node. `cpu_milli` and `memory_bytes` are what it asked for."""

    key: str
    cpu_milli: int
    memory_bytes: int
    memory_used_bytes: int
    memory_limit_bytes: int | None = None  # None: what it asked for
    priority: int = 0
    started_s: float = 0.0

    @property
    def over_bytes(self) -> int:
        """By how much more memory is used than was asked for."""
        return max(self.memory_used_bytes - self.memory_bytes, 0)


def victims(pods: Sequence[BatchPod], needed: int, freed: Callable[[BatchPod], int]) -> list[BatchPod]:
    """Return who goes so that `needed` is freed; everybody where that is too little.

    First come the lowest priority, then who is most over what it asked for, then the newest. Then, from the last to the first,
    those are spared without whom enough is freed still: of what is returned, nobody could stay.
    """
    order = sorted(pods, key=lambda pod: (pod.priority, -pod.over_bytes, -pod.started_s, pod.key))
    chosen: list[BatchPod] = []
    total = 0
    for pod in order:
        if total >= needed:
            break
        chosen.append(pod)
        total += freed(pod)
    for pod in reversed(chosen.copy()):
        if total - freed(pod) >= needed:
            chosen.remove(pod)
            total -= freed(pod)
    return chosen
