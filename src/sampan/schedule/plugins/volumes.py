"""Volumes: where they can be reached, how many a node can attach, and those that only one pod may use.

Spec: kube-scheduler VolumeBinding (node affinity of bound volumes), NodeVolumeLimits, VolumeRestrictions (ReadWriteOncePod).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sampan.schedule.arrays import Ints, Mask
from sampan.schedule.ask import Ask
from sampan.schedule.plugin import Reach
from sampan.schedule.rules import FixedFilter
from sampan.schedule.shape import Attachment
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.tally import Tally
from sampan.schedule.view import Nodes

ELSEWHERE = "node(s) didn't match PersistentVolume's node affinity"
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
