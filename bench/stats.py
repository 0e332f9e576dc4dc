"""Stats: medians, percentiles and ratios of samples. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def median(samples: Sequence[float]) -> float:
    """Return the middle sample, or the mean of the two middle ones."""
    ordered = sorted(samples)
    middle, odd = divmod(len(ordered), 2)
    return ordered[middle] if odd else (ordered[middle - 1] + ordered[middle]) / 2


def percentile(samples: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile: with fewer than 100 samples the 99th is the largest one."""
    ordered = sorted(samples)
    rank = math.ceil(percent / 100 * len(ordered))
    return ordered[max(rank, 1) - 1]


def ratio(value: float, peer_value: float | None) -> float | None:
    """Return value / peer_value; None where there is no peer to divide by."""
    return value / peer_value if peer_value else None


def rounds(sides: Sequence[T], runs: int) -> Iterator[tuple[int, T]]:
    """Yield (round, side), each side once a round. Every second round goes backwards, so that nobody is always first."""
    for number in range(runs):
        for side in sides if number % 2 == 0 else list(reversed(sides)):
            yield number, side
