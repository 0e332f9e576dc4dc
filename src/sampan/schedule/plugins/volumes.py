"""Volumes: where they can be reached, how many a node can attach, which are left for claims, and those that only one pod may use.

Spec: kube-scheduler VolumeBinding, NodeVolumeLimits, VolumeRestrictions (ReadWriteOncePod).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sampan.schedule.arrays import Ints, Mask, Rows
from sampan.schedule.ask import Ask
from sampan.schedule.claimable import FreeVolume
from sampan.schedule.plugin import Reach
from sampan.schedule.rules import FixedFilter
from sampan.schedule.shape import Attachment, UnboundClaim
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.tally import Tally
from sampan.schedule.view import Nodes

ELSEWHERE = "node(s) didn't match PersistentVolume's node affinity"
NONE_LEFT = "node(s) didn't find available persistent volumes to bind"
TOO_MANY = "node(s) exceed max volume count"
IN_USE = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"


class VolumeRestrictions:
    name = "VolumeRestrictions"
    reach = Reach.CLUSTER

    def prefilter(self, ask: Ask, snapshot: Snapshot) -> Unused | None:
        def users(volume: str) -> Tally:
            return snapshot.tally(("exclusive", volume), lambda shape: int(volume in shape.exclusive))

        return Unused([users(volume) for volume in ask.shape.exclusive]) if ask.shape.exclusive else None


class NodeVolumeLimits:
    name = "NodeVolumeLimits"
    reach = Reach.NODE

    def prefilter(self, ask: Ask, snapshot: Snapshot) -> Attachable | None:
        return Attachable(ask, snapshot) if ask.shape.attachments else None


class VolumeBinding:
    """Volumes that claims are bound to."""

    name = "VolumeBinding"
    reach = Reach.FIXED

    def prefilter(self, ask: Ask, snapshot: Snapshot) -> FixedFilter | None:
        volumes = ask.shape.volume_terms
        if not volumes:
            return None

        def make() -> Mask:
            found = np.ones(len(snapshot.nodes), np.bool_)
            for terms in volumes:
                found &= snapshot.labels.any_of(terms)
            return found

        return FixedFilter(snapshot.kept(("volumes", volumes), make), ELSEWHERE)


class VolumeMatching:
    """The other half of kube-scheduler's VolumeBinding: claims that are bound when their pod has a node."""

    name = "VolumeMatching"
    reach = Reach.CLUSTER

    def prefilter(self, ask: Ask, snapshot: Snapshot) -> Matched | None:
        return Matched(ask.shape.unbound, snapshot) if ask.shape.unbound else None


class Matched:
    """For each claim there is a volume of its own that the node can reach, or somebody makes one there. Evictions are no help."""

    reach = Reach.CLUSTER
    foresees = False

    def __init__(self, claims: Sequence[UnboundClaim], snapshot: Snapshot) -> None:
        self._claims = claims
        self._snapshot = snapshot
        self._mask: Mask = np.zeros(0, np.bool_)
        self._as_of = -1

    def passes(self, nodes: Nodes) -> Mask:
        version = self._snapshot.volumes.version
        if version != self._as_of:
            if nodes.rows is not None and len(nodes) == 1:
                return np.array([not self.lacking(int(nodes.rows[0]))], np.bool_)
            self._mask, self._as_of = self._everywhere(), version
        return nodes.pick(self._mask)

    def reasons(self, nodes: Nodes) -> Sequence[tuple[str, Mask]]:
        return [(NONE_LEFT, ~self.passes(nodes))]

    def lacking(self, row: int) -> Sequence[UnboundClaim]:
        """Return the claims that no volume is left for on a row."""
        return self._snapshot.volumes_on(row, self._claims).lacking

    def _everywhere(self) -> Mask:
        """Return where there are enough, [nodes].

        Volumes that the same claims may have are as good as each other, and no more of them count than there are claims: nodes
        that have equally many of each sort are alike, and one of them is looked at.
        """
        size, most = len(self._snapshot.nodes), len(self._claims)
        alike = np.zeros(size, np.intp)
        for column in self._columns():
            alike = np.unique(alike * (most + 1) + np.minimum(column, most), return_inverse=True)[1].reshape(size)
        _, rows = np.unique(alike, return_index=True)
        enough = np.array([not self.lacking(row) for row in rows.tolist()], np.bool_)
        return enough[alike]

    def _columns(self) -> Iterator[Ints]:
        """Yield what nodes differ by: how many volumes they reach of those that the same claims may have, and where some are made."""
        snapshot = self._snapshot
        size = len(snapshot.nodes)
        of_claims: dict[FreeVolume, int] = {}
        for place, claim in enumerate(self._claims):
            for volume in snapshot.volumes.candidates(claim):
                of_claims[volume] = of_claims.get(volume, 0) | 1 << place
            if claim.made_on:
                yield snapshot.labels.any_of(claim.made_on).astype(np.int64)
        sorts: dict[int, list[Rows]] = {}
        for volume, claims in of_claims.items():
            sorts.setdefault(claims, []).append(snapshot.reached(volume).rows)
        for rows in sorts.values():
            yield np.bincount(np.concatenate(rows), minlength=size)


class Unused:
    """Nobody in the cluster uses the volumes."""

    reach = Reach.CLUSTER
    foresees = False

    def __init__(self, users: Sequence[Tally]) -> None:
        self._users = users

    def passes(self, nodes: Nodes) -> Mask | None:
        if not any(tally.total for tally in self._users):
            return None
        return np.zeros(len(nodes), np.bool_)

    def reasons(self, nodes: Nodes) -> Sequence[tuple[str, Mask]]:
        return [(IN_USE, np.full(len(nodes), any(tally.total for tally in self._users)))]


class Attachable:
    """Volumes that are not yet attached there are not too many. Pods of one ask share theirs: where one fits, more do."""

    reach = Reach.NODE
    foresees = True

    def __init__(self, ask: Ask, snapshot: Snapshot) -> None:
        self._attachments = snapshot.attachments
        self._drivers: dict[str, list[Attachment]] = {}
        for volume in sorted(set(ask.shape.attachments), key=lambda volume: (volume.driver, volume.volume)):
            self._drivers.setdefault(volume.driver, []).append(volume)

    def passes(self, nodes: Nodes) -> Mask:
        found = np.ones(len(nodes), np.bool_)
        for driver, volumes in self._drivers.items():
            new = nodes.pick(self._new(volumes, len(nodes.snapshot.nodes)))
            # Where nothing new is attached, a limit that was lowered below what is attached does no harm.
            found &= (new == 0) | (nodes.pick(self._attachments.column(driver)) >= new)
        return found

    def reasons(self, nodes: Nodes) -> Sequence[tuple[str, Mask]]:
        return [(TOO_MANY, ~self.passes(nodes))]

    def _new(self, volumes: Sequence[Attachment], size: int) -> Ints:
        new = np.full(size, len(volumes), np.int64)
        for volume in volumes:
            for row in self._attachments.users(volume):
                new[row] -= 1
        return new
