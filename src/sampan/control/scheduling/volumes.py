"""The volumes that pods claim: where they can be reached, and what keeps a pod from being placed at all. Pure.

Claims and volumes are known by what is read here; a claim that waits for its first consumer binds no node yet.

Spec: "Persistent Volumes", "Volume binding mode"; kube-scheduler VolumeBinding, VolumeZone, VolumeRestrictions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from sampan.control.scheduling.pods import node_term
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.reading import items, mapping, text, words
from sampan.kube.selector import Requirement
from sampan.schedule.shape import Attachment, NodeTerm, Shape

_ZONES = (
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
_NOBODY = "kubernetes.io/no-provisioner"
_NOT_MATCHED = "waits for a volume that nobody makes, and volumes are not matched with claims here: bind it to one"
SELECTED_NODE = "volume.kubernetes.io/selected-node"


class Claim(msgspec.Struct, frozen=True):
    volume: str
    storage_class: str
    exclusive: bool  # one pod only
    deleting: bool
    bound: bool
    selected: str = ""  # the node that it waits for


class Volume(msgspec.Struct, frozen=True):
    """`terms`: one of each tuple holds on a node that can reach it."""

    terms: tuple[tuple[NodeTerm, ...], ...]
    attachment: Attachment | None


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
    def __init__(self) -> None:
        self.claims: dict[tuple[str, str], Claim] = {}
        self.volumes: dict[str, Volume] = {}
        self.classes: dict[str, StorageClass] = {}

    def wanted(self, shape: Shape, names: Iterable[str]) -> Wanted:
        """Return a pod's shape with the volumes of its claims."""
        terms: list[tuple[NodeTerm, ...]] = []
        attachments: list[Attachment] = []
        exclusive: list[str] = []
        to_select: list[str] = []
        for name in names:
            claim = self.claims.get((shape.namespace, name))
            if claim is None:
                return Wanted(shape, f'persistentvolumeclaim "{name}" not found')
            if claim.deleting:
                return Wanted(shape, f'persistentvolumeclaim "{name}" is being deleted')
            if claim.exclusive:
                exclusive.append(f"{shape.namespace}/{name}")
            if not claim.bound:
                kind = self.classes.get(claim.storage_class)
                if kind is None or not kind.waits or claim.volume:
                    return Wanted(shape, UNBOUND)
                if kind.provisioner == _NOBODY:
                    return Wanted(shape, f'persistentvolumeclaim "{name}" {_NOT_MATCHED}')
                to_select.append(name)
                if claim.selected:
                    terms.append((NodeTerm((), (Requirement("metadata.name", "In", (claim.selected,)),)),))
                elif kind.terms:
                    terms.append(kind.terms)
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
            attachments=tuple(attachments),
            exclusive=tuple(exclusive),
        )
        return Wanted(changed, "", tuple(to_select))

    def awaited(self, namespace: str, names: Iterable[str], node: str) -> str:
        """Return for what a pod waits that has a node, and claims that wait for it."""
        classes = [self.classes.get(self.claims[namespace, name].storage_class) for name in names]
        makers = sorted({kind.provisioner for kind in classes if kind is not None})
        return (
            f"persistentvolumeclaim {', '.join(names)}: {', '.join(makers)} was told to make the volume for node {node}"
        )


def claim(obj: Object) -> Claim:
    volume = text(obj, "spec", "volumeName")
    return Claim(
        volume=volume,
        storage_class=text(obj, "spec", "storageClassName"),
        exclusive="ReadWriteOncePod" in words(obj, "spec", "accessModes"),
        deleting=objects.deleting(obj),
        bound=bool(volume) and text(obj, "status", "phase") == "Bound",
        selected=objects.annotations(obj).get(SELECTED_NODE, ""),
    )


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
    return Volume(tuple(terms), Attachment(driver, text(csi, "volumeHandle")) if driver else None)


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
