"""PodTopologySpread: the pods of a set are spread over the domains of a topology.

Spec: kube-scheduler PodTopologySpread; PodSpec topologySpreadConstraints. Domains are those of the nodes that the inclusion
policies let in and that have all the labels the constraints name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from sampan.schedule.arrays import Floats, Mask
from sampan.schedule.ask import Ask
from sampan.schedule.labels import Domains
from sampan.schedule.plugin import Normal, Reach
from sampan.schedule.plugins.node_affinity import eligible
from sampan.schedule.plugins.taint_toleration import schedulable, untainted
from sampan.schedule.shape import Shape, Spread, matches
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.tally import DomainSums
from sampan.schedule.view import Nodes

SKEWED = "node(s) didn't match pod topology spread constraints"
UNLABELLED = "node(s) didn't match pod topology spread constraints (missing required label)"


class PodTopologySpread:
    """`defaults`: the constraints of pods that name none count too."""

    name = "PodTopologySpread"
    reach = Reach.CLUSTER

    def __init__(self, *, defaults: bool = True) -> None:
        self._defaults = defaults

    def prefilter(self, ask: Ask, snapshot: Snapshot) -> Evenly | None:
        hard = [spread for spread in ask.shape.spread if spread.hard]
        return Evenly(ask.shape, hard, snapshot) if hard else None

    def prescore(self, ask: Ask, snapshot: Snapshot) -> Emptiest | None:
        if ask.shape.spread_is_default and not self._defaults:
            return None
        soft = [spread for spread in ask.shape.spread if not spread.hard]
        return Emptiest(ask.shape, soft, snapshot) if soft else None


class Evenly:
    """With the pod, its domain would have at most `max_skew` more than the emptiest one."""

    reach = Reach.CLUSTER
    foresees = False

    def __init__(self, shape: Shape, spreads: Sequence[Spread], snapshot: Snapshot) -> None:
        labelled = _labelled(snapshot, spreads)
        self._spreads = spreads
        self._parts: list[tuple[DomainSums, Mask | None, int, bool]] = []
        for spread in spreads:
            of = _included(snapshot, shape, spread, labelled)
            sums = _sums(snapshot, shape, spread, of)
            present = sums.domains.present(np.ones(len(snapshot.nodes), np.bool_) if of is None else of)
            room = spread.max_skew - int(matches(spread.selector, dict(shape.labels)))
            from_zero = int(present.sum()) < spread.min_domains
            every = bool(present[:-1].all())
            self._parts.append((sums, None if every else present, room, from_zero))

    def passes(self, nodes: Nodes) -> Mask | None:
        found: Mask | None = None
        for sums, present, room, from_zero in self._parts:
            opens = sums.values <= _least(sums, present, from_zero) + room
            opens[-1] = False
            mask = opens.take(nodes.pick(sums.domains.slot))
            found = mask if found is None else found & mask
        return found

    def skews(self, row: int) -> Iterator[tuple[str, int]]:
        """Yield the topology and the skew that a pod on a row would make, of each constraint that does not allow it."""
        for spread, (sums, present, room, from_zero) in zip(self._spreads, self._parts, strict=True):
            more = int(sums.values[sums.domains.slot[row]]) - _least(sums, present, from_zero) - room
            if more > 0:
                yield spread.topology, spread.max_skew + more

    def reasons(self, nodes: Nodes) -> Sequence[tuple[str, Mask]]:
        passed = self.passes(nodes)
        unlabelled = np.zeros(len(nodes), np.bool_)
        for sums, *_ in self._parts:
            unlabelled |= nodes.pick(sums.domains.slot) == sums.domains.size
        fails = np.zeros(len(nodes), np.bool_) if passed is None else ~passed
        return [(SKEWED, fails & ~unlabelled), (UNLABELLED, unlabelled)]


def _least(sums: DomainSums, present: Mask | None, from_zero: bool) -> int:
    """Return how many pods of the set the emptiest domain has."""
    among = sums.values[:-1] if present is None else sums.values[present]
    return 0 if from_zero or not len(among) else int(among.min())


class Emptiest:
    """The fewer pods of the set in the node's domains, the better; a topology of many domains weighs more."""

    reach = Reach.CLUSTER
    foresees = False
    normal: Normal | None = Normal.EVEN

    def __init__(self, shape: Shape, spreads: Sequence[Spread], snapshot: Snapshot) -> None:
        labelled = None if shape.spread_is_default else _labelled(snapshot, spreads)
        self._labelled = labelled
        self._parts = [
            (_sums(snapshot, shape, spread, _included(snapshot, shape, spread, labelled)), float(spread.max_skew - 1))
            for spread in spreads
        ]

    def counted(self) -> Mask | None:
        return self._labelled

    def points(self, nodes: Nodes) -> Floats:
        seen = np.ones(len(nodes.snapshot.nodes), np.bool_) if nodes.passed is None else nodes.passed
        if self._labelled is not None:
            seen = seen & self._labelled
        found = np.zeros(len(nodes))
        for sums, start in self._parts:
            weight = math.log(_size(sums.domains, seen) + 2)
            values = sums.values.astype(np.float64) * weight + start
            values[-1] = 0.0
            found += values.take(nodes.pick(sums.domains.slot))
        return found


def _size(domains: Domains, seen: Mask) -> int:
    """Return how many domains the nodes have that passed."""
    return int(np.count_nonzero(seen)) if domains.single else int(domains.present(seen).sum())


def _labelled(snapshot: Snapshot, spreads: Sequence[Spread]) -> Mask | None:
    """Return which nodes have all the labels, [nodes]; None: all of them."""
    found = np.ones(len(snapshot.nodes), np.bool_)
    for spread in spreads:
        domains = snapshot.domains(spread.topology)
        found &= domains.slot < domains.size
    return None if found.all() else found


def _included(snapshot: Snapshot, shape: Shape, spread: Spread, labelled: Mask | None) -> Mask | None:
    """Return which nodes' pods count, [nodes]; None: all of them."""
    masks = [
        labelled,
        eligible(snapshot, shape) if spread.honor_affinity else None,
        untainted(snapshot, shape.tolerations) if spread.honor_taints else None,
        schedulable(snapshot, shape.tolerations) if spread.honor_taints else None,  # a cordon is a taint
    ]
    present = [mask for mask in masks if mask is not None]
    return np.logical_and.reduce(present) if present else None


def _sums(snapshot: Snapshot, shape: Shape, spread: Spread, of: Mask | None) -> DomainSums:
    namespace, selector = shape.namespace, spread.selector

    def member(other: Shape) -> int:
        return int(other.namespace == namespace and not other.ending and matches(selector, dict(other.labels)))

    name = None if of is None else of.tobytes()
    tally = snapshot.tally(("spread", namespace, selector), member)
    return tally.by(spread.topology, snapshot.domains(spread.topology), of, name)
