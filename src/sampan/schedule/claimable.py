"""Claimable volumes: those that are there for claims to be bound to, and which of them was given to which claim.

A volume is given to a claim when a pod of it is placed, and stays given until all pods of the claim were taken off again; by
then the API says whose it is, or it is free once more.

Spec: kube-scheduler VolumeBinding, component-helpers FindMatchingVolume.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from sampan.schedule.arrays import Rows
from sampan.schedule.labels import NodeLabels
from sampan.schedule.matching import assign
from sampan.schedule.shape import Frozen, NodeTerm, Pairs, UnboundClaim, VolumeWish, matches

_KEPT = 64

ClaimId = tuple[str, str]
"""`namespace/name`, and the uid."""

Given = tuple[tuple[ClaimId, str], ...]
"""The volumes that a pod's claims were given."""


class FreeVolume(Frozen, frozen=True, kw_only=True):
    """A volume that may be claimed. `claim`, `claim_uid`: by whom alone, where that is said; the uid may be left out.

    `reach`: one of each tuple holds on a node that can reach it.
    """

    name: str
    storage_class: str = ""
    size_bytes: int = 0
    access_modes: tuple[str, ...] = ()
    mode: str = "Filesystem"
    attributes_class: str = ""
    labels: Pairs = ()
    reach: tuple[tuple[NodeTerm, ...], ...] = ()
    claim: str = ""
    claim_uid: str = ""


class Reached(NamedTuple):
    """Rows, in order and as a set."""

    rows: Rows
    members: frozenset[int]


class Choice(NamedTuple):
    """`lacking`: claims that no volume is left for and that nobody makes one for there."""

    given: Given
    lacking: tuple[UnboundClaim, ...]


class ClaimableVolumes:
    def __init__(self) -> None:
        self._volumes: dict[str, FreeVolume] = {}
        self._classes: dict[str, dict[str, FreeVolume]] = {}  # those that are anybody's
        self._preset: dict[str, dict[str, FreeVolume]] = {}  # the others, by their claim
        self._fitting: dict[VolumeWish, list[FreeVolume]] = {}  # of those that are anybody's, the smallest first
        self._claims: dict[str, ClaimId] = {}  # by volume: to whom it was given
        self._given: dict[ClaimId, tuple[str, set[str]]] = {}  # what a claim was given, and for which pods
        self._pods: dict[str, Given] = {}
        self.version = 0
        """Moves when a claim may be given something else than before."""

    def put(self, name: str, volume: FreeVolume | None) -> bool:
        """Take in a volume; None: it is gone, or cannot be claimed. Returns whether that is new."""
        before = self._volumes.pop(name, None)
        if volume is not None:
            self._volumes[name] = volume
        if volume == before:
            return False
        if before is not None:
            self._drop(before)
        if volume is not None:
            self._add(volume)
        self.version += 1
        return True

    def _add(self, volume: FreeVolume) -> None:
        if volume.claim:
            self._preset.setdefault(volume.claim, {})[volume.name] = volume
            return
        self._classes.setdefault(volume.storage_class, {})[volume.name] = volume
        for wish, fitting in self._fitting.items():
            if _fits(wish, volume):
                fitting.insert(bisect_left(fitting, _order(volume), key=_order), volume)

    def _drop(self, volume: FreeVolume) -> None:
        group, by = (self._preset, volume.claim) if volume.claim else (self._classes, volume.storage_class)
        del group[by][volume.name]
        if not group[by]:
            del group[by]
        if not volume.claim:
            for wish, fitting in self._fitting.items():
                if _fits(wish, volume):
                    del fitting[bisect_left(fitting, _order(volume), key=_order)]

    def any_for(self, claim: UnboundClaim) -> bool:
        """Return whether there may be a volume for a claim: of its class, or one that names it."""
        return claim.wish.storage_class in self._classes or claim.key in self._preset

    def candidates(self, claim: UnboundClaim) -> Sequence[FreeVolume]:
        """Return what a claim may be given now, the smallest first: what it was given already, else what names it, else all that fits."""
        if (mine := self._given.get((claim.key, claim.uid))) is not None:
            return [self._volumes[mine[0]]] if self.is_for(claim, mine[0]) else []
        named = [one for one in self._preset.get(claim.key, {}).values() if suits(claim, one)]
        found = sorted(named, key=_order) or self._all(claim.wish)
        return [volume for volume in found if volume.name not in self._claims]

    def _all(self, wish: VolumeWish) -> list[FreeVolume]:
        found = self._fitting.get(wish)
        if found is None:
            if len(self._fitting) >= _KEPT:
                del self._fitting[next(iter(self._fitting))]
            group = self._classes.get(wish.storage_class, {}).values()
            found = self._fitting[wish] = sorted((one for one in group if _fits(wish, one)), key=_order)
        return found

    def choose(
        self,
        claims: Sequence[UnboundClaim],
        reached: Callable[[FreeVolume], bool],
        made: Callable[[UnboundClaim], bool],
    ) -> Choice:
        """Return what claims of one pod are given on a node, the smaller first, those last that somebody makes a volume for there.

        `reached`: whether the node can reach a volume; `made`: whether somebody makes one for a claim there.
        """
        spared = [made(claim) for claim in claims]
        order = sorted(range(len(claims)), key=lambda place: (spared[place], claims[place].wish.size_bytes, place))
        found = assign([[one.name for one in self.candidates(claims[place]) if reached(one)] for place in order])
        given, lacking = [], []
        for place, volume in zip(order, found, strict=True):
            claim = claims[place]
            if volume is not None:
                given.append(((claim.key, claim.uid), volume))
            elif not spared[place]:
                lacking.append(claim)
        return Choice(tuple(given), tuple(lacking))

    def is_for(self, claim: UnboundClaim, name: str) -> bool:
        """Return whether a claim may be bound to a volume, whoever it was given to."""
        volume = self._volumes.get(name)
        return volume is not None and suits(claim, volume)

    def take(self, pod: str, given: Given) -> None:
        """Give a pod's claims their volumes."""
        if not given:
            return
        self._pods[pod] = given
        self.version += 1
        for claim, volume in given:
            self._claims[volume] = claim
            self._given.setdefault(claim, (volume, set()))[1].add(pod)

    def give_back(self, pod: str) -> Given:
        """Take back what was given for a pod, unless other pods of the claim are left; returns it."""
        given = self._pods.pop(pod, ())
        self.version += bool(given)
        for claim, volume in given:
            pods = self._given[claim][1]
            pods.discard(pod)
            if not pods:
                del self._given[claim], self._claims[volume]
        return given

    def given(self, pod: str) -> dict[str, str]:
        """Return the volume that each claim of a pod was given, by the claim's `namespace/name`."""
        return {key: volume for (key, _), volume in self._pods.get(pod, ())}


def suits(claim: UnboundClaim, volume: FreeVolume) -> bool:
    """Return whether a claim may be bound to a volume. One that names the claim need not have its labels and access modes."""
    if volume.claim:
        named = volume.claim == claim.key and volume.claim_uid in ("", claim.uid)
        return named and _is_enough(claim.wish, volume)
    return _fits(claim.wish, volume)


def _fits(wish: VolumeWish, volume: FreeVolume) -> bool:
    modes = set(wish.access_modes) <= set(volume.access_modes)
    return modes and _is_enough(wish, volume) and matches(wish.selector, dict(volume.labels))


def _is_enough(wish: VolumeWish, volume: FreeVolume) -> bool:
    return volume.size_bytes >= wish.size_bytes and (wish.storage_class, wish.mode, wish.attributes_class) == (
        volume.storage_class,
        volume.mode,
        volume.attributes_class,
    )


def _order(volume: FreeVolume) -> tuple[int, str]:
    return volume.size_bytes, volume.name


def reached(labels: NodeLabels, reach: Sequence[Sequence[NodeTerm]], size: int) -> Reached:
    """Return the rows, of `size`, where one of each terms holds."""
    rows: Rows = np.arange(size)
    for place, terms in enumerate(reach):
        found = np.unique(np.concatenate([_rows(labels, term) for term in terms] or [np.zeros(0, np.intp)]))
        rows = np.intersect1d(rows, found, assume_unique=True) if place else found
    return Reached(rows, frozenset(rows.tolist()))


def _rows(labels: NodeLabels, term: NodeTerm) -> Rows:
    """Return the rows where a term holds. A volume of one node names it by label: there are as many such terms as nodes."""
    first = next((one for one in term.labels if one.operator == "In"), None)
    if first is None:
        return np.flatnonzero(labels.term(term))
    domains = labels.domains(first.key)
    slots = [bisect_left(domains.values, value) for value in first.values]
    there = [
        slot for slot, value in zip(slots, first.values, strict=True) if domains.values[slot : slot + 1] == (value,)
    ]
    rows = np.flatnonzero(np.isin(domains.slot, there))
    if len(term.labels) == 1 and not term.fields:
        return rows
    return np.array([row for row in rows.tolist() if labels.holds_at(row, term)], np.intp)
