"""Classes, drivers and attachments of volumes: defaults, refusals, what stays as it is."""

from __future__ import annotations

from typing import Any

import pytest

from sampan.kube.kinds.storage import STRATEGIES
from unit.kube.kinds.edits import GONE, changes, defaulted, edited, faults

CLASS: Any = {"metadata": {"name": "fast"}, "provisioner": "e.io/disk", "parameters": {"type": "ssd"}}
ATTACHMENT: Any = {
    "metadata": {"name": "a"},
    "spec": {"attacher": "csi.e.io", "nodeName": "n1", "source": {"persistentVolumeName": "pv1"}},
}
NODE: Any = {
    "metadata": {"name": "n1"},
    "spec": {
        "drivers": [{"name": "csi.e.io", "nodeID": "1", "topologyKeys": ["e.io/zone"], "allocatable": {"count": 5}}]
    },
}
DRIVER: Any = {"metadata": {"name": "csi.e.io"}, "spec": {}}
EITHER = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


def test_class_defaults() -> None:
    made = defaulted(STRATEGIES["StorageClass"], CLASS)
    assert (made["reclaimPolicy"], made["volumeBindingMode"]) == ("Delete", "Immediate")


def test_driver_defaults() -> None:
    assert defaulted(STRATEGIES["CSIDriver"], DRIVER)["spec"] == {
        "attachRequired": True,
        "podInfoOnMount": False,
        "storageCapacity": False,
        "fsGroupPolicy": "ReadWriteOnceWithFSType",
        "requiresRepublish": False,
        "seLinuxMount": False,
        "volumeLifecycleModes": ["Persistent"],
    }


@pytest.mark.parametrize(
    ("kind", "obj", "path", "value", "wrong"),
    [
        ("StorageClass", CLASS, "provisioner", "", "provisioner: Required value"),
        (
            "StorageClass",
            CLASS,
            "reclaimPolicy",
            "Recycle",
            'reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"',
        ),
        (
            "StorageClass",
            CLASS,
            "volumeBindingMode",
            "Late",
            'volumeBindingMode: Unsupported value: "Late": supported values: "Immediate", "WaitForFirstConsumer"',
        ),
        ("StorageClass", CLASS, "parameters", {"": "x"}, 'parameters: Invalid value: "": field can not be empty.'),
        (
            "StorageClass",
            CLASS,
            "parameters",
            {"a": "x" * 300_000},
            "parameters: Too long: may not be more than 262144 bytes",
        ),
        (
            "StorageClass",
            CLASS,
            "allowedTopologies",
            [{"matchLabelExpressions": [{"key": "zone", "values": []}]}],
            "allowedTopologies[0].matchLabelExpressions[0].values: Required value",
        ),
        (
            "CSIDriver",
            DRIVER,
            "spec.tokenRequests",
            [{"audience": "a"}, {"audience": "a"}],
            'spec.tokenRequests[1].audience: Duplicate value: "a"',
        ),
        (
            "CSIDriver",
            DRIVER,
            "spec.tokenRequests",
            [{"audience": "a", "expirationSeconds": 60}],
            "spec.tokenRequests[0].expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes",
        ),
        (
            "CSIDriver",
            DRIVER,
            "spec.fsGroupPolicy",
            "All",
            'spec.fsGroupPolicy: Unsupported value: "All": supported values: "File", "None", "ReadWriteOnceWithFSType"',
        ),
        ("CSINode", NODE, "spec.drivers.0.nodeID", "", "spec.drivers[0].nodeID: Required value"),
        (
            "CSINode",
            NODE,
            "spec.drivers.1",
            NODE["spec"]["drivers"][0],
            'spec.drivers[1].name: Duplicate value: "csi.e.io"',
        ),
        (
            "CSINode",
            NODE,
            "spec.drivers.0.allocatable.count",
            -1,
            "spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
        ),
        ("VolumeAttachment", ATTACHMENT, "spec.attacher", "", "spec.attacher: Required value"),
        ("VolumeAttachment", ATTACHMENT, "spec.source", {}, f"spec.source: Required value: {EITHER}"),
        ("VolumeAttachment", ATTACHMENT, "spec.source.inlineVolumeSpec", {}, f"spec.source: Forbidden: {EITHER}"),
        (
            "CSIStorageCapacity",
            {"storageClassName": "fast", "capacity": "1Gi"},
            "capacity",
            "-1Gi",
            'capacity: Invalid value: "-1Gi": must be greater than or equal to 0',
        ),
        (
            "VolumeAttributesClass",
            {"driverName": "csi.e.io", "parameters": {"iops": "1"}},
            "parameters",
            GONE,
            "parameters: Required value: must contain at least one key/value pair",
        ),
    ],
)
def test_refused(kind: str, obj: Any, path: str, value: Any, wrong: str) -> None:
    assert faults(STRATEGIES[kind], obj) == []
    assert faults(STRATEGIES[kind], edited(obj, path, value)) == [wrong]


@pytest.mark.parametrize(
    ("kind", "obj", "path", "value", "wrong"),
    [
        ("StorageClass", CLASS, "allowVolumeExpansion", True, None),
        (
            "StorageClass",
            CLASS,
            "provisioner",
            "e.io/x",
            "provisioner: Forbidden: updates to provisioner are forbidden.",
        ),
        ("StorageClass", CLASS, "parameters", {}, "parameters: Forbidden: updates to parameters are forbidden."),
        (
            "StorageClass",
            CLASS,
            "reclaimPolicy",
            "Retain",
            "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.",
        ),
        (
            "StorageClass",
            CLASS,
            "volumeBindingMode",
            "WaitForFirstConsumer",
            'volumeBindingMode: Invalid value: "WaitForFirstConsumer": field is immutable',
        ),
        (
            "CSIDriver",
            DRIVER,
            "spec.attachRequired",
            False,
            "spec.attachRequired: Invalid value: false: field is immutable",
        ),
        ("CSIDriver", DRIVER, "spec.requiresRepublish", True, None),
        ("CSINode", NODE, "spec.drivers", [], None),
    ],
)
def test_changes(kind: str, obj: Any, path: str, value: Any, wrong: str | None) -> None:
    assert changes(STRATEGIES[kind], obj, path, value) == ([wrong] if wrong else [])


def test_what_is_attached_stays() -> None:
    [wrong] = changes(STRATEGIES["VolumeAttachment"], ATTACHMENT, "spec.nodeName", "n2")
    assert wrong.startswith("spec: Invalid value: {")
    assert wrong.endswith("field is immutable")
    [wrong] = changes(STRATEGIES["CSINode"], NODE, "spec.drivers.0.nodeID", "2")
    assert wrong.startswith("CSINodeDriver: Invalid value: {")


def test_errors_of_attaching_are_short() -> None:
    new = {"status": {"attachError": {"message": "x" * 2000}}}
    [fault] = STRATEGIES["VolumeAttachment"].validate_status(new, {})
    assert str(fault) == "status.attachError.message: Too long: may not be more than 1024 bytes"
