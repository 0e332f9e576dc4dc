"""Rows of core/v1 but for pods, nodes, services and events, which have files of their own."""

from __future__ import annotations

from typing import Any

from sampan.kube.object import Object, at
from sampan.kube.printing.cell import (
    AGE,
    NAME,
    SELECTOR,
    TEMPLATE,
    UNSET,
    age,
    deleting,
    labels,
    name,
    printer,
    template,
)
from sampan.kube.reading import items, mapping, number, shown, text, words
from sampan.kube.strategy import Column, Printer

_MODES = (("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP"))
_CLASS = "volume.beta.kubernetes.io/storage-class"  # older than spec.storageClassName, and goes before it


def _modes(obj: Object, part: str) -> str:
    """Return the access modes, each once, in the order of what they allow."""
    found = words(obj, part, "accessModes")
    return ",".join(short for mode, short in _MODES if mode in found)


def _class(obj: Object) -> str:
    return text(obj, "metadata", "annotations", _CLASS) or text(obj, "spec", "storageClassName")


def _phase(obj: Object) -> str:
    return "Terminating" if deleting(obj) else text(obj, "status", "phase")


def _persistent_volume(obj: Object, now_s: float) -> list[Any]:
    claim = at(obj, "spec", "claimRef")
    return [
        name(obj),
        shown(at(obj, "spec", "capacity", "storage"), "0"),
        _modes(obj, "spec"),
        text(obj, "spec", "persistentVolumeReclaimPolicy"),
        _phase(obj),
        f"{text(claim, 'namespace')}/{text(claim, 'name')}" if isinstance(claim, dict) else "",
        _class(obj),
        text(obj, "spec", "volumeAttributesClassName", missing=UNSET),
        text(obj, "status", "reason"),
        age(obj, now_s),
        text(obj, "spec", "volumeMode", missing=UNSET),
    ]


def _persistent_volume_claim(obj: Object, now_s: float) -> list[Any]:
    volume = text(obj, "spec", "volumeName")
    return [
        name(obj),
        _phase(obj),
        volume,
        shown(at(obj, "status", "capacity", "storage"), "0") if volume else "",
        _modes(obj, "status") if volume else "",
        _class(obj),
        text(obj, "spec", "volumeAttributesClassName", missing=UNSET),
        age(obj, now_s),
        text(obj, "spec", "volumeMode", missing=UNSET),
    ]


def _resource_quota(obj: Object) -> list[Any]:
    """Return `request` and `limit`: used and hard of each resource."""
    used = mapping(obj, "status", "used")
    parts: tuple[list[str], list[str]] = ([], [])
    for resource, hard in sorted(mapping(obj, "status", "hard").items()):
        parts[resource.startswith("limits.")].append(f"{resource}: {shown(used.get(resource), '0')}/{shown(hard, '0')}")
    return [", ".join(part) for part in parts]


def _component_status(obj: Object, _now_s: float) -> list[Any]:
    healthy = next((each for each in items(obj, "conditions") if each.get("type") == "Healthy"), None)
    if healthy is None:
        return [name(obj), "Unknown", "", ""]
    status = "Healthy" if healthy.get("status") == "True" else "Unhealthy"
    return [name(obj), status, text(healthy, "message"), text(healthy, "error")]


def _replication_controller(obj: Object, now_s: float) -> list[Any]:
    return [
        name(obj),
        number(obj, "spec", "replicas"),
        number(obj, "status", "replicas"),
        number(obj, "status", "readyReplicas"),
        age(obj, now_s),
        *template(at(obj, "spec", "template", "spec")),
        labels(at(obj, "spec", "selector")),
    ]


def _pod_template(obj: Object, _now_s: float) -> list[Any]:
    template_labels = labels(at(obj, "template", "metadata", "labels"))
    return [name(obj), *template(at(obj, "template", "spec")), template_labels]


NAMESPACE = printer(
    Column("Status", description="Active or Terminating."),
    cells=lambda obj: [text(obj, "status", "phase")],
)
SECRET = printer(
    Column("Type", description="What the data is for."),
    Column("Data", description="How many entries there are."),
    cells=lambda obj: [text(obj, "type"), len(mapping(obj, "data"))],
)
CONFIG_MAP = printer(
    Column("Data", description="How many entries there are."),
    cells=lambda obj: [len(mapping(obj, "data")) + len(mapping(obj, "binaryData"))],
)
PERSISTENT_VOLUME = Printer(
    (
        NAME,
        Column("Capacity", description="How much it holds."),
        Column("Access Modes", description="All ways in which it can be mounted."),
        Column("Reclaim Policy", description="What happens to it when its claim is gone."),
        Column("Status", description="Available, Bound, Released or Failed."),
        Column("Claim", description="The claim that it is bound to."),
        Column("StorageClass", description="Its storage class."),
        Column("VolumeAttributesClass", description="Its volume attributes class."),
        Column("Reason", description="Why it failed."),
        AGE,
        Column("VolumeMode", description="Filesystem or Block.", priority=1),
    ),
    _persistent_volume,
)
PERSISTENT_VOLUME_CLAIM = Printer(
    (
        NAME,
        Column("Status", description="Pending, Bound or Lost."),
        Column("Volume", description="The volume that it is bound to."),
        Column("Capacity", description="How much the volume holds."),
        Column("Access Modes", description="The ways in which the volume can be mounted."),
        Column("StorageClass", description="Its storage class."),
        Column("VolumeAttributesClass", description="Its volume attributes class."),
        AGE,
        Column("VolumeMode", description="Filesystem or Block.", priority=1),
    ),
    _persistent_volume_claim,
)
RESOURCE_QUOTA = printer(
    Column("Request", description="Used and hard of what is requested or counted."),
    Column("Limit", description="Used and hard of limits."),
    cells=_resource_quota,
)
COMPONENT_STATUS = Printer(
    (
        NAME,
        Column("Status", description="Healthy, Unhealthy or Unknown."),
        Column("Message", description="What the component says."),
        Column("Error", description="What went wrong."),
    ),
    _component_status,
)
REPLICATION_CONTROLLER = Printer(
    (
        NAME,
        Column("Desired", "integer", description="Pods that are wanted."),
        Column("Current", "integer", description="Pods that there are."),
        Column("Ready", "integer", description="Pods that are ready."),
        AGE,
        *TEMPLATE,
        SELECTOR,
    ),
    _replication_controller,
)
POD_TEMPLATE = Printer(
    (
        NAME,
        Column("Containers", description="Names of each container in the template."),
        Column("Images", description="Images referenced by each container in the template."),
        Column("Pod Labels", description="The labels of the template."),
    ),
    _pod_template,
)
