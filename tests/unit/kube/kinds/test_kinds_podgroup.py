from __future__ import annotations

from typing import Any

from sampan.kube.kinds import podgroup
from sampan.kube.printing.printers import PRINTERS
from unit.kube.kinds.edits import changes, defaulted, edited, faults

GROUP = podgroup.STRATEGIES["PodGroup"]
GANG: Any = {"metadata": {"name": "g"}, "spec": {"schedulingPolicy": {"gang": {"minCount": 3}}}}


def test_a_group_has_one_policy() -> None:
    assert faults(GROUP, GANG) == []
    assert faults(GROUP, edited(GANG, "spec.schedulingPolicy", {"basic": {}})) == []
    assert faults(GROUP, edited(GANG, "spec.schedulingPolicy", {})) == [
        "spec.schedulingPolicy: Required value: must specify one of: `basic`, `gang`"
    ]
    assert len(faults(GROUP, edited(GANG, "spec.schedulingPolicy", {"basic": {}, "gang": {"minCount": 1}}))) == 1
    assert faults(GROUP, edited(GANG, "spec.schedulingPolicy.gang.minCount", 0)) == [
        "spec.schedulingPolicy.gang.minCount: Invalid value: 0: must be greater than or equal to 1"
    ]


def test_only_how_many_it_needs_may_change() -> None:
    assert defaulted(GROUP, GANG)["spec"]["disruptionMode"] == {"single": {}}
    assert changes(GROUP, GANG, "spec.schedulingPolicy.gang.minCount", 4) == []
    assert changes(GROUP, GANG, "spec.priorityClassName", "high") == [
        "spec.priorityClassName: Forbidden: field is immutable"
    ]
    assert changes(GROUP, GANG, "spec.schedulingPolicy", {"basic": {}}) == [
        'spec.schedulingPolicy: Invalid value: ["basic"]: field is immutable'
    ]


def test_rows() -> None:
    printer = PRINTERS["scheduling.k8s.io", "PodGroup"]
    assert printer.cells(GANG, 0)[:3] == ["g", "Gang", 3]
    assert printer.cells({"metadata": {"name": "b"}, "spec": {}}, 0)[1] == "Basic"
