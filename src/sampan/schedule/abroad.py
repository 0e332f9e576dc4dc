"""abroad: victims on other nodes, where what is in the way of a pod is the pods of a whole domain.

Looked for only where no node can be had by evicting its own pods. In the way are pods of lower priority that the pod's required anti-affinity
means or that mean it by theirs, and those that a hard topology spread of it counts; of these, the ones in a node's own domains. If the
pod fits there without all of them, they are taken back one by one as long as it still does, in kube-scheduler's order
(victims.py), so nobody goes in vain. Nodes are compared as they are when their own pods go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from sampan.schedule import victims
from sampan.schedule.plugin import Reach
from sampan.schedule.pod import Pod
from sampan.schedule.pods import ABSENT
from sampan.schedule.shape import Shape, matches
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.standing import Standing
from sampan.schedule.victims import Placed, Victims

_MOST = 256
"""Pods in the way of one node; where there are more, it is not looked at."""

Domain = tuple[str, int]
"""Topology, and the number of a domain of it."""


class _InTheWay(NamedTuple):
    placed: Placed
    row: int
    domains: tuple[Domain, ...]


def ways(snapshot: Snapshot, standing: Standing, pod: Pod) -> list[tuple[victims.Cost, int, Victims]]:
    """Return (cost, row, who must go for it), the one that costs least first; empty where that does not help."""
    if all(rule.reach <= Reach.NODE for rule in standing.filters):
        return []
    found = list(_in_the_way(snapshot, standing.ask.shape))
    lower: dict[Domain, list[_InTheWay]] = {}
    for one in found:
        for domain in one.domains if one.placed[0].priority < pod.priority else ():
            lower.setdefault(domain, []).append(one)
    if not lower:
        return []
    choices: list[tuple[victims.Cost, int, Victims]] = []
    for row in _rows(snapshot, standing, found):
        domains = ((topology, int(snapshot.domains(topology).slot[row])) for topology, _ in lower)
        way = {one.placed[0].key: one.placed for domain in sorted(set(domains)) for one in lower.get(domain, ())}
        if 0 < len(way) <= _MOST:
            gone = victims.by_trial(snapshot, standing, row, list(way.values()))
            if gone is not None:
                choices.append((gone.cost(), row, gone))
    return sorted(choices, key=lambda way: way[:2])


def _in_the_way(snapshot: Snapshot, shape: Shape) -> Iterator[_InTheWay]:
    """Yield the pods of any priority that rules may hold against a shape, with the domains in which they do."""
    topologies: dict[int, tuple[str, ...]] = {}
    for ask in snapshot.asks:
        met = _topologies(snapshot, shape, ask.shape)
        if met:
            topologies[ask.number] = met
    table = snapshot.pods
    size = len(table.pods)
    here = np.isin(table.asks[:size], list(topologies)) & (table.rows[:size] != ABSENT)
    for slot in np.flatnonzero(here).tolist():
        other, row, number = table.pods[slot], int(table.rows[slot]), int(table.asks[slot])
        domains = ((topology, snapshot.domains(topology)) for topology in topologies[number])
        where = tuple((topology, int(of.slot[row])) for topology, of in domains if of.slot[row] < of.size)
        if other is not None:
            yield _InTheWay((other, snapshot.asks[number]), row, where)


def _topologies(snapshot: Snapshot, shape: Shape, other: Shape) -> tuple[str, ...]:
    """Return the topologies in whose domains pods of another shape may be in the way of one of this shape."""
    found = {term.topology for term in shape.anti_affinity if snapshot.matches(term, other)}
    found |= {term.topology for term in other.anti_affinity if snapshot.matches(term, shape)}
    if other.namespace == shape.namespace and not other.ending:
        labels = dict(other.labels)
        found |= {spread.topology for spread in shape.spread if spread.hard and matches(spread.selector, labels)}
    return tuple(sorted(found))


def _rows(snapshot: Snapshot, standing: Standing, found: Sequence[_InTheWay]) -> Iterator[int]:
    """Yield the nodes to look at, in order. Those that pass every rule of their own are alike where their domains are.

    Not so a node with a pod on it that is in the way there and nowhere else, and one that lacks something which such a pod may free.
    """
    alone = {one.row for one in found if any(snapshot.domains(topology).single for topology, _ in one.domains)}
    with_pods = {one.row for one in found}
    shape = standing.ask.shape
    terms = [term.topology for term in (*shape.affinity, *shape.anti_affinity)]
    told = [said.term.topology for said in snapshot.terms.all if said.keeps_away]
    named = sorted({*terms, *told, *(spread.topology for spread in shape.spread if spread.hard)})
    whole = {term.topology for term in shape.affinity}
    passes = standing.near()
    possible = standing.possible()
    alike: set[tuple[int, ...]] = set()
    for row in np.flatnonzero(possible).tolist():
        if row in alone or (row in with_pods and not passes[row]):
            yield row
        elif passes[row]:
            domains = ((topology, snapshot.domains(topology)) for topology in named)
            look = tuple(
                int(of.slot[row]) if not of.single or topology in whole else int(of.slot[row] < of.size)
                for topology, of in domains
            )
            if look not in alike:
                alike.add(look)
                yield row
