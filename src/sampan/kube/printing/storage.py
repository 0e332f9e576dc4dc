"""Rows of storage.k8s.io."""

from __future__ import annotations

from typing import Any

from sampan.kube.object import Object, at
from sampan.kube.printing.cell import AGE, NAME, NONE, UNSET, age, name, printer
from sampan.kube.reading import flag, items, shown, text, words
from sampan.kube.strategy import Column, Printer

_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


def is_default(storage_class: Object) -> bool:
    """Return whether claims that name no class get this one."""
    return any(text(storage_class, "metadata", "annotations", key) == "true" for key in _DEFAULT)


def _storage_class(obj: Object, now_s: float) -> list[Any]:
    return [
        f"{name(obj)} (default)" if is_default(obj) else name(obj),
        text(obj, "provisioner"),
        text(obj, "reclaimPolicy", missing="Delete"),
        text(obj, "volumeBindingMode", missing="Immediate"),
        flag(obj, "allowVolumeExpansion"),
        age(obj, now_s),
    ]


def _csi_driver(obj: Object) -> list[Any]:
    requests = at(obj, "spec", "tokenRequests")
    audiences = [text(each, "audience") for each in items(obj, "spec", "tokenRequests")]
    return [
        flag(obj, "spec", "attachRequired", missing=True),
        flag(obj, "spec", "podInfoOnMount"),
        flag(obj, "spec", "storageCapacity"),
        UNSET if requests is None else ",".join(audiences),
        flag(obj, "spec", "requiresRepublish"),
        ",".join(words(obj, "spec", "volumeLifecycleModes")) or NONE,
    ]


def _capacity(obj: Object, _now_s: float) -> list[Any]:
    return [name(obj), text(obj, "storageClassName"), shown(obj.get("capacity"), UNSET)]


STORAGE_CLASS = Printer(
    (
        NAME,
        Column("Provisioner", description="What makes volumes of the class."),
        Column("ReclaimPolicy", description="What happens to a volume when its claim is gone."),
        Column("VolumeBindingMode", description="When volumes are made and bound."),
        Column("AllowVolumeExpansion", description="Whether claims may grow."),
        AGE,
    ),
    _storage_class,
)
VOLUME_ATTRIBUTES_CLASS = printer(
    Column("DriverName", description="The driver that it is for."),
    cells=lambda obj: [text(obj, "driverName")],
)
VOLUME_ATTACHMENT = printer(
    Column("Attacher", format="name", description="The driver that attaches it."),
    Column("PV", description="The volume."),
    Column("Node", description="The node that it is attached to."),
    Column("Attached", "boolean", description="Whether it is attached."),
    cells=lambda obj: [
        text(obj, "spec", "attacher"),
        text(obj, "spec", "source", "persistentVolumeName"),
        text(obj, "spec", "nodeName"),
        flag(obj, "status", "attached"),
    ],
)
CSI_NODE = printer(
    Column("Drivers", "integer", description="How many drivers run on the node."),
    cells=lambda obj: [len(items(obj, "spec", "drivers"))],
)
CSI_DRIVER = printer(
    Column("AttachRequired", "boolean", description="Whether volumes must be attached."),
    Column("PodInfoOnMount", "boolean", description="Whether it is told which pod mounts."),
    Column("StorageCapacity", "boolean", description="Whether it tells how much room there is."),
    Column("TokenRequests", description="The audiences of tokens that it is given."),
    Column("RequiresRepublish", "boolean", description="Whether volumes are published again and again."),
    Column("Modes", description="Persistent, Ephemeral or both."),
    cells=_csi_driver,
)
CSI_STORAGE_CAPACITY = Printer(
    (
        NAME,
        Column("StorageClassName", description="The storage class that it is about."),
        Column("Capacity", description="How much room there is."),
    ),
    _capacity,
)
