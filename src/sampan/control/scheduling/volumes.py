"""The volumes that pods claim: where they can be reached, and what keeps a pod from being placed at all. Pure.

Claims and volumes are known by what is read here. A claim that waits for its first consumer is part of what its pod asks for:
a volume that is there and free, or one that its class's provisioner makes.

Spec: "Persistent Volumes", "Volume binding mode"; kube-scheduler VolumeBinding, VolumeZone, VolumeRestrictions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from sampan.control.scheduling import pods
from sampan.control.scheduling.pods import node_term
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.quantity import NANO
from sampan.kube.quota import billionths
from sampan.kube.reading import items, mapping, text, words
from sampan.kube.selector import Requirement
from sampan.schedule.claimable import ClaimableVolumes, FreeVolume
from sampan.schedule.shape import Attachment, NodeTerm, Selector, Shape, UnboundClaim, VolumeWish, pairs

_ZONES = (
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
_NOBODY = ("", "kubernetes.io/no-provisioner")
_CLASS = "volume.beta.kubernetes.io/storage-class"
SELECTED_NODE = "volume.kubernetes.io/selected-node"


class Claim(msgspec.Struct, frozen=True):
    volume: str
    storage_class: str
    exclusive: bool  # one pod only
    deleting: bool
    bound: bool
    selected: str = ""  # the node that it waits for
    unbound: UnboundClaim | None = None  # what it asks for until it names a volume


class Volume(msgspec.Struct, frozen=True):
    """`terms`: one of each tuple holds on a node that can reach it. `free`: as claims may be bound to it; None: they may not."""

    terms: tuple[tuple[NodeTerm, ...], ...]
    attachment: Attachment | None
    free: FreeVolume | None = None


class StorageClass(msgspec.Struct, frozen=True):
    waits: bool  # for a pod that uses the claim
    provisioner: str
    terms: tuple[NodeTerm, ...]


class Wanted(NamedTuple):
    """A pod's shape with its volumes; `fault`: why it can run nowhere; `to_select`: claims that wait for a node."""

    shape: Shape
    fault: str = ""
    to_select: tuple[str, ...] = ()


class Volumes:
    """`claimable`: the volumes that claims may be bound to."""

    def __init__(self, claimable: ClaimableVolumes) -> None:
        self._claimable = claimable
        self.claims: dict[tuple[str, str], Claim] = {}
        self.volumes: dict[str, Volume] = {}
        self.classes: dict[str, StorageClass] = {}

    def wanted(self, shape: Shape, names: Iterable[str]) -> Wanted:
        """Return a pod's shape with the volumes of its claims."""
        terms: list[tuple[NodeTerm, ...]] = []
        attachments: list[Attachment] = []
        exclusive: list[str] = []
        unbound: list[UnboundClaim] = []
        to_select: list[str] = []
        for name in dict.fromkeys(names):
            claim = self.claims.get((shape.namespace, name))
            if claim is None:
                return Wanted(shape, f'persistentvolumeclaim "{name}" not found')
            if claim.deleting:
                return Wanted(shape, f'persistentvolumeclaim "{name}" is being deleted')
            if claim.exclusive:
                exclusive.append(f"{shape.namespace}/{name}")
            if not claim.bound:
                kind = self.classes.get(claim.storage_class)
                if kind is None or not kind.waits or claim.unbound is None:
                    return Wanted(shape, UNBOUND)
                to_select.append(name)
                is_made = kind.provisioner not in _NOBODY
                if claim.selected and is_made:
                    terms.append((NodeTerm((), (Requirement("metadata.name", "In", (claim.selected,)),)),))
                elif not is_made:
                    unbound.append(claim.unbound)
                elif kind.terms or self._claimable.any_for(claim.unbound):
                    unbound.append(msgspec.structs.replace(claim.unbound, made_on=kind.terms))
                continue
            volume = self.volumes.get(claim.volume)
            if volume is None:
                return Wanted(shape, f'persistentvolume "{claim.volume}" not found')
            terms += volume.terms
            if volume.attachment is not None:
                attachments.append(volume.attachment)
        changed = msgspec.structs.replace(
            shape,
            volume_terms=tuple(terms),
            unbound=tuple(unbound),
            attachments=tuple(attachments),
            exclusive=tuple(exclusive),
        )
        return Wanted(changed, "", tuple(to_select))

    def awaited(self, namespace: str, names: Iterable[str], node: str, given: Mapping[str, str]) -> str:
        """Return for what a pod waits that has a node, and claims that wait for it. `given`: volumes that are there, by claim."""
        makers: dict[str, list[str]] = {}
        told: list[str] = []
        for name in names:
            kind = self.classes.get(self.claims[namespace, name].storage_class)
            if volume := given.get(f"{namespace}/{name}"):
                told.append(f"persistentvolumeclaim {name}: is to be bound to volume {volume}")
            elif kind is not None:
                makers.setdefault(kind.provisioner, []).append(name)
        for maker, claims in sorted(makers.items()):
            told.append(
                f"persistentvolumeclaim {', '.join(claims)}: {maker} was told to make the volume for node {node}"
            )
        return "; ".join(told)


def claim(obj: Object) -> Claim:
    volume = text(obj, "spec", "volumeName")
    return Claim(
        volume=volume,
        storage_class=_class(obj),
        exclusive="ReadWriteOncePod" in words(obj, "spec", "accessModes"),
        deleting=objects.deleting(obj),
        bound=bool(volume) and text(obj, "status", "phase") == "Bound",
        selected=objects.annotations(obj).get(SELECTED_NODE, ""),
        unbound=None if volume else _unbound(obj),
    )


def _unbound(obj: Object) -> UnboundClaim:
    wish = VolumeWish(
        storage_class=_class(obj),
        size_bytes=_bytes(mapping(obj, "spec", "resources", "requests").get("storage")),
        access_modes=tuple(words(obj, "spec", "accessModes")),
        mode=text(obj, "spec", "volumeMode", missing="Filesystem"),
        attributes_class=text(obj, "spec", "volumeAttributesClassName"),
        selector=_selector(objects.at(obj, "spec", "selector")),
    )
    return UnboundClaim(key=f"{objects.namespace(obj)}/{objects.name(obj)}", uid=objects.uid(obj), wish=wish)


def _selector(given: object) -> Selector:
    found = () if given is None else pods.selector(given)
    return (pods.NOTHING,) if found is None else found


def _bytes(amount: object) -> int:
    return -(-billionths(amount) // NANO)


def _class(obj: Object) -> str:
    return objects.annotations(obj).get(_CLASS) or text(obj, "spec", "storageClassName")


def volume(obj: Object) -> Volume:
    terms: list[tuple[NodeTerm, ...]] = []
    required = mapping(obj, "spec", "nodeAffinity", "required")
    if required:
        terms.append(tuple(map(node_term, items(required, "nodeSelectorTerms"))))
    for key, value in objects.labels(obj).items():
        if key in _ZONES:
            terms.append((NodeTerm((Requirement(key, "In", tuple(value.split("__"))),)),))
    csi = mapping(obj, "spec", "csi")
    driver = text(csi, "driver")
    attachment = Attachment(driver, text(csi, "volumeHandle")) if driver else None
    return Volume(tuple(terms), attachment, _free(obj, tuple(terms)))


def _free(obj: Object, reach: tuple[tuple[NodeTerm, ...], ...]) -> FreeVolume | None:
    """Return a volume as claims may be bound to it: it is Available, or names the claim that may have it."""
    claimed = mapping(obj, "spec", "claimRef")
    if objects.deleting(obj) or (not claimed and text(obj, "status", "phase") != "Available"):
        return None
    return FreeVolume(
        name=objects.name(obj),
        storage_class=_class(obj),
        size_bytes=_bytes(mapping(obj, "spec", "capacity").get("storage")),
        access_modes=tuple(words(obj, "spec", "accessModes")),
        mode=text(obj, "spec", "volumeMode", missing="Filesystem"),
        attributes_class=text(obj, "spec", "volumeAttributesClassName"),
        labels=pairs(objects.labels(obj)),
        reach=reach,
        claim=f"{text(claimed, 'namespace')}/{text(claimed, 'name')}" if claimed else "",
        claim_uid=text(claimed, "uid"),
    )


def storage_class(obj: Object) -> StorageClass:
    terms = tuple(
        NodeTerm(
            tuple(
                Requirement(text(part, "key"), "In", tuple(words(part, "values")))
                for part in items(term, "matchLabelExpressions")
            )
        )
        for term in items(obj, "allowedTopologies")
    )
    return StorageClass(text(obj, "volumeBindingMode") == "WaitForFirstConsumer", text(obj, "provisioner"), terms)
