"""Policy: the numbers that co-location goes by, all in one place."""

from __future__ import annotations

import msgspec

from sampan.base.errors import InvalidArgument


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Shares are parts of 1, of what the node has unless it says otherwise.

    Raises:
        InvalidArgument: a number is out of its range, or two are in the wrong order.
    """

    # How use is estimated. Memory is not compressible: what it was is forgotten slowly, and nearly all of it counts.
    cpu_half_life_s: float = 1800.0
    cpu_percentile: float = 0.95
    memory_half_life_s: float = 86_400.0
    memory_percentile: float = 0.99
    cpu_safety: float = 0.10  # on top of a percentile, as a part of it, up to what the pod asks for
    memory_safety: float = 0.05
    warm_up_s: float = 1800.0  # so long a pod counts with what it asks for

    # What is reclaimed.
    cpu_margin: float = 0.10
    memory_margin: float = 0.05
    step: float = 0.02  # reclaimed capacity rises only by more than this

    # CPU on the node.
    cpu_headroom: float = 0.10  # beyond what latency-critical pods use now
    raise_by: float = 0.10  # the ceiling rises by no more than this at once
    hold_s: float = 300.0  # and so long after it fell it does not rise; nor come pods to a node that evicted some
    starved: float = 0.3  # part of what best-effort pods ask for: below it they starve
    fed: float = 0.6  # and those that stay after an eviction have this
    patience_s: float = 900.0  # so long they may starve

    # Memory on the node.
    memory_tight: float = 0.90  # from here on best-effort pods are held to what they asked for
    memory_short: float = 0.98  # above it they are evicted,
    memory_relief: float = 0.95  # until no more than this is in use

    def __post_init__(self) -> None:
        for name in ("cpu_half_life_s", "memory_half_life_s", "raise_by"):
            self._demand(getattr(self, name) > 0, f"{name} is above 0")
        for name in ("cpu_percentile", "memory_percentile"):
            self._demand(0 < getattr(self, name) <= 1, f"{name} is above 0 and at most 1")
        for name in ("cpu_safety", "memory_safety", "warm_up_s", "step", "hold_s", "patience_s"):
            self._demand(getattr(self, name) >= 0, f"{name} is not below 0")
        for name in ("cpu_margin", "memory_margin", "cpu_headroom"):
            self._demand(0 <= getattr(self, name) < 1, f"{name} is at least 0 and below 1")
        self._demand(0 <= self.starved <= self.fed <= 1, "0 <= starved <= fed <= 1")
        marks = self.memory_tight <= self.memory_relief <= self.memory_short <= 1
        self._demand(self.memory_tight >= 0 and marks, "0 <= memory_tight <= memory_relief <= memory_short <= 1")

    def _demand(self, holds: bool, rule: str) -> None:
        if not holds:
            raise InvalidArgument(f"a co-location policy needs {rule}: change one of its numbers")
