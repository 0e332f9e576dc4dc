"""Terms: what pods that may be there say about others, in the order in which it was met.

A pod's anti-affinity keeps others away, and its preferences draw or push others, so each new pod is held against the
terms of all. The lists only grow: whoever has looked at them goes on where they stopped.
"""

from __future__ import annotations

from typing import NamedTuple

from sampan.schedule.shape import AtMost, PodTerm, Shape


class Term(NamedTuple):
    """`keeps_away`: required anti-affinity; otherwise a preference (required affinity counts as one of weight 1)."""

    term: PodTerm
    keeps_away: bool

    def weigh(self, shape: Shape) -> int:
        """Return how much pods of a shape say by this term."""
        if self.keeps_away:
            return shape.anti_affinity.count(self.term)
        return shape.affinity.count(self.term) + sum(
            weight for weight, term in shape.preferred_pods if term == self.term
        )


class Terms:
    def __init__(self) -> None:
        self.all: list[Term] = []
        self.limits: list[AtMost] = []
        self._known: set[Term | AtMost] = set()

    def register(self, shape: Shape) -> None:
        """Take up the terms of a shape."""
        for term in shape.anti_affinity:
            self._register(Term(term, keeps_away=True))
        for term in shape.affinity:
            self._register(Term(term, keeps_away=False))
        for _, term in shape.preferred_pods:
            self._register(Term(term, keeps_away=False))
        for rule in shape.at_most:
            if rule not in self._known:
                self._known.add(rule)
                self.limits.append(rule)

    def _register(self, term: Term) -> None:
        if term not in self._known:
            self._known.add(term)
            self.all.append(term)
