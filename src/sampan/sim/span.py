"""Spans: what some quantities were on average in equal parts of a time whose end is not known beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Portions = dict[str, tuple[float, float]]
"""By owner: (what was got, what was wanted), integrals over time."""


@dataclass
class Span:
    """`sums`: integrals over time, which is `length_s` in all."""

    sums: list[float]
    length_s: float = 0.0
    portions: Portions = field(default_factory=dict)

    def join(self, other: Span) -> None:
        """Take in the span that follows."""
        self.sums = [mine + theirs for mine, theirs in zip(self.sums, other.sums, strict=True)]
        self.length_s += other.length_s
        self.portions = summed(self.portions, other.portions)


class Spans:
    """At most `most` spans, of `first_s` seconds at first: where there would be more, each two become one."""

    def __init__(self, quantities: int, begin_s: float, first_s: float, most: int) -> None:
        self.begin_s = begin_s
        self.span_s = first_s
        self.all: list[Span] = [Span([0.0] * quantities)]
        self._quantities = quantities
        self._most = most
        self._at_s = begin_s
        self.edge_s = begin_s + first_s
        """Where the last span ends."""

    def add(self, until_s: float, values: Sequence[float]) -> None:
        """Let quantities have had these values since the last call; not beyond the edge."""
        passed_s = until_s - self._at_s
        if passed_s > 0:
            last = self.all[-1]
            sums = last.sums
            for number, value in enumerate(values):
                sums[number] += value * passed_s
            last.length_s += passed_s
            self._at_s = until_s

    def begin(self) -> None:
        """Begin the next span, at the edge."""
        if len(self.all) == self._most:
            for first, second in zip(self.all[::2], self.all[1::2], strict=True):
                first.join(second)
            self.all = self.all[::2]
            self.span_s *= 2
        self.all.append(Span([0.0] * self._quantities))
        self.edge_s = self.begin_s + len(self.all) * self.span_s


def summed(first: Portions, second: Mapping[str, tuple[float, float]]) -> Portions:
    """Return the sums by owner."""
    found = dict(first)
    for owner, (got, wanted) in second.items():
        had = found.get(owner, (0.0, 0.0))
        found[owner] = had[0] + got, had[1] + wanted
    return found
