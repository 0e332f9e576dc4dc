"""InterPodAffinity: beside these pods, away from those; and what pods that are there already say about the new one.

Spec: kube-scheduler InterPodAffinity; PodSpec affinity.podAffinity, affinity.podAntiAffinity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sampan.schedule.arrays import Floats, Ints, Mask
from sampan.schedule.ask import Ask
from sampan.schedule.labels import Domains
from sampan.schedule.plugin import Filter, Normal, Reach
from sampan.schedule.rules import AllOf, NobodyHere
from sampan.schedule.shape import Shape
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.tally import DomainSums, Tally
from sampan.schedule.terms import Term
from sampan.schedule.view import Nodes

AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules"


@dataclass(frozen=True)
class InterPodAffinity:
    """`ignore_others`: preferences of pods that are there already do not count."""

    ignore_others: bool = False
    name: ClassVar = "InterPodAffinity"
    reach: ClassVar = Reach.CLUSTER

    def prefilter(self, ask: Ask, snapshot: Snapshot) -> Filter | None:
        shape = ask.shape
        parts: list[Filter] = [Beside(shape, snapshot)] if shape.affinity else []
        for term in shape.anti_affinity:
            own = int(snapshot.matches(term, shape))
            parts.append(_away(snapshot, snapshot.matching(term), term.topology, own, ANTI_AFFINITY))
        for said in snapshot.terms.all:
            if said.keeps_away and snapshot.matches(said.term, shape):
                tally = _saying(snapshot, said)
                parts.append(_away(snapshot, tally, said.term.topology, said.weigh(shape), EXISTING))
        return AllOf(parts) if len(parts) > 1 else parts[0] if parts else None

    def prescore(self, ask: Ask, snapshot: Snapshot) -> Preferred | None:
        shape = ask.shape
        parts = [
            (weight, snapshot.matching(term).by(term.topology, snapshot.domains(term.topology)))
            for weight, term in shape.preferred_pods
        ]
        if not self.ignore_others:
            for said in snapshot.terms.all:
                if not said.keeps_away and snapshot.matches(said.term, shape):
                    topology = said.term.topology
                    parts.append((1, _saying(snapshot, said).by(topology, snapshot.domains(topology))))
        return Preferred(parts) if parts else None


def _saying(snapshot: Snapshot, said: Term) -> Tally:
    return snapshot.tally(("saying", said), said.weigh)


def _away(snapshot: Snapshot, tally: Tally, topology: str, own: int, reason: str) -> Filter:
    domains = snapshot.domains(topology)
    if not domains.single:
        return Away(tally.by(topology, domains), reason)
    with_label = domains.slot < domains.size
    return NobodyHere(tally, own, reason, None if with_label.all() else with_label)


class Away:
    """None of the pods is in the node's domain."""

    reach = Reach.DOMAIN
    foresees = False

    def __init__(self, sums: DomainSums, reason: str) -> None:
        self._sums = sums
        self._reason = reason

    def passes(self, nodes: Nodes) -> Mask | None:
        free = self._sums.values == 0
        return None if free.all() else free.take(nodes.pick(self._sums.domains.slot))

    def reasons(self, nodes: Nodes) -> Sequence[tuple[str, Mask]]:
        found = self.passes(nodes)
        return [(self._reason, np.zeros(len(nodes), np.bool_) if found is None else ~found)]


class Beside:
    """For each term, a pod that matches all the terms is in the node's domain; or the ask is the first of such pods."""

    reach = Reach.CLUSTER  # the first one opens every domain to itself, and closes all but its own
    foresees = False

    def __init__(self, shape: Shape, snapshot: Snapshot) -> None:
        terms = shape.affinity

        def matches_all(other: Shape) -> int:
            return int(all(snapshot.matches(term, other) for term in terms))

        tally = snapshot.tally(("matching all", terms), matches_all)
        topologies = sorted({term.topology for term in terms})
        self._sums = [tally.by(topology, snapshot.domains(topology)) for topology in topologies]
        self._own = bool(matches_all(shape))

    def passes(self, nodes: Nodes) -> Mask | None:
        first = self._own and not any(sums.values.any() for sums in self._sums)
        found: Mask | None = None
        for sums in self._sums:
            opens = np.ones(len(sums.values), np.bool_) if first else sums.values > 0
            opens[-1] = False
            mask = opens.take(nodes.pick(sums.domains.slot))
            found = mask if found is None else found & mask
        return found

    def reasons(self, nodes: Nodes) -> Sequence[tuple[str, Mask]]:
        found = self.passes(nodes)
        return [(AFFINITY, np.zeros(len(nodes), np.bool_) if found is None else ~found)]


class Preferred:
    """The weights of the pods in the node's domains, its own wishes' and theirs."""

    reach = Reach.CLUSTER
    foresees = False
    normal: Normal | None = Normal.SPAN

    def __init__(self, parts: Sequence[tuple[int, DomainSums]]) -> None:
        self._topologies: dict[int, tuple[Domains, list[tuple[int, DomainSums]]]] = {}
        for weight, sums in parts:
            _, members = self._topologies.setdefault(id(sums.domains), (sums.domains, []))
            members.append((weight, sums))

    def points(self, nodes: Nodes) -> Floats:
        found = np.zeros(len(nodes))
        for domains, members in self._topologies.values():
            values: Ints = sum((sums.values * weight for weight, sums in members[1:]), _first(members))
            found += values.take(nodes.pick(domains.slot))
        return found

    def counted(self) -> Mask | None:
        return None


def _first(members: Sequence[tuple[int, DomainSums]]) -> Ints:
    weight, sums = members[0]
    return sums.values * weight
