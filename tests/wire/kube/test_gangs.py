"""Gangs through the live scheduler: the pods of a PodGroup are bound together, or none is, and what is lacking is said."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from hollow import hollow_nodes, scheduled
from kube import ROOT, ControlPlane, eventually

GROUPS = "/apis/scheduling.k8s.io/v1beta1/namespaces/default/podgroups"
PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture(scope="module")
def plane(tmp_path_factory) -> Iterator[ControlPlane]:
    with scheduled(tmp_path_factory.mktemp("gangs"), 2, low=-10, high=1000) as made:
        yield made


@pytest.fixture(autouse=True)
def _clean(plane) -> Iterator[None]:
    yield
    plane.kubectl("delete", "pods", "--all", "--timeout=20s")
    plane.kubectl("delete", "podgroups", "--all")


def group(plane: ControlPlane, name: str, policy: dict) -> None:
    plane.json("POST", GROUPS, {"metadata": {"name": name}, "spec": {"schedulingPolicy": policy}})


def member(plane: ControlPlane, name: str, of: str, cpu: str = "3", **spec) -> None:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}
    body = {
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "schedulingGroup": {"podGroupName": of},
        **spec,
    }
    plane.json("POST", PODS, {"metadata": {"name": name}, "spec": body})


def node(plane: ControlPlane, name: str) -> str:
    return plane.json("GET", f"{PODS}/{name}")["spec"].get("nodeName", "")


def refusal(plane: ControlPlane, name: str) -> str:
    path = f"/api/v1/namespaces/default/events?fieldSelector=involvedObject.name={name}"
    found = [one for one in plane.json("GET", path)["items"] if one["reason"] == "FailedScheduling"]
    return found[-1]["message"] if found else ""


def test_all_are_bound_or_none_and_what_is_lacking_is_said(plane):
    group(plane, "g", {"gang": {"minCount": 3}})
    member(plane, "g0", "g")
    eventually(lambda: refusal(plane, "g0") == "gang default/g: 1 of at least 3 pods are there")
    member(plane, "g1", "g")
    eventually(lambda: refusal(plane, "g1") == "gang default/g: 2 of at least 3 pods are there")
    member(plane, "g2", "g")  # the nodes have room for two of them
    eventually(
        lambda: refusal(plane, "g2").startswith("gang default/g: 2 of at least 3 pods fit: 0/2 nodes are available")
    )
    member(plane, "other", "g", "1", schedulingGroup=None)
    plane.kubectl("wait", "--for=condition=Ready", "pod/other", "--timeout=10s")
    assert [node(plane, f"g{number}") for number in range(3)] == ["", "", ""]
    said = explained(plane, "g0")
    assert said.returncode == 1
    assert said.stdout.startswith("gang default/g: 2 of at least 3 pods fit")
    assert "Gang" in plane.kubectl("get", "podgroup", "g")
    with hollow_nodes(plane, 1, "--prefix", "more"):
        plane.kubectl("wait", "--for=condition=Ready", "pod/g0", "pod/g1", "pod/g2", "--timeout=15s")
        assert len({node(plane, f"g{number}") for number in range(3)}) == 3
        plane.kubectl("delete", "pods", "--all", "--timeout=20s")


def explained(plane: ControlPlane, name: str) -> subprocess.CompletedProcess[str]:
    argv = [str(ROOT / ".venv/bin/sampan"), "explain", f"pod/{name}", "--kubeconfig", str(plane.kubeconfig)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)


def test_one_that_is_made_anew_joins_those_that_run(plane):
    group(plane, "g", {"gang": {"minCount": 2}})
    for name in ("a", "b"):
        member(plane, name, "g")
    plane.kubectl("wait", "--for=condition=Ready", "pod/a", "pod/b", "--timeout=10s")
    plane.kubectl("delete", "pod", "a", "--timeout=20s")
    member(plane, "c", "g")
    plane.kubectl("wait", "--for=condition=Ready", "pod/c", "--timeout=10s")


def test_a_group_may_come_late_and_need_less(plane):
    member(plane, "early", "late", "1")
    eventually(lambda: refusal(plane, "early") == "gang default/late: there is no such PodGroup")
    group(plane, "late", {"gang": {"minCount": 2}})
    time.sleep(0.3)
    assert not node(plane, "early")
    less = '{"spec":{"schedulingPolicy":{"gang":{"minCount":1}}}}'
    plane.kubectl("patch", "podgroup", "late", "--type=merge", "-p", less)
    plane.kubectl("wait", "--for=condition=Ready", "pod/early", "--timeout=10s")


def test_a_basic_group_holds_nobody(plane):
    group(plane, "basic", {"basic": {}})
    member(plane, "alone", "basic", "1")
    plane.kubectl("wait", "--for=condition=Ready", "pod/alone", "--timeout=10s")


def test_gated_ones_are_not_there_yet(plane):
    group(plane, "g", {"gang": {"minCount": 2}})
    member(plane, "open", "g", "1")
    member(plane, "gated", "g", "1", schedulingGates=[{"name": "example.com/wait"}])
    eventually(lambda: refusal(plane, "open") == "gang default/g: 1 of at least 2 pods are there")
    assert not node(plane, "open")
    plane.kubectl("patch", "pod", "gated", "--type=merge", "-p", '{"spec":{"schedulingGates":null}}')
    plane.kubectl("wait", "--for=condition=Ready", "pod/open", "pod/gated", "--timeout=10s")


def test_none_is_bound_before_room_is_there_for_all_even_by_the_next_scheduler(plane):
    member(plane, "low", "", "3", schedulingGroup=None, priorityClassName="low")
    plane.kubectl("wait", "--for=condition=Ready", "pod/low", "--timeout=10s")
    plane.kubectl("patch", "pod", "low", "--type=merge", "-p", '{"metadata":{"finalizers":["example.com/look"]}}')
    group(plane, "g", {"gang": {"minCount": 2}})
    names = ["g0", "g1"]
    for name in names:
        member(plane, name, "g", priorityClassName="high")
    eventually(lambda: "deletionTimestamp" in plane.json("GET", f"{PODS}/low")["metadata"])
    nominated = {name: plane.json("GET", f"{PODS}/{name}")["status"]["nominatedNodeName"] for name in names}
    assert sorted(nominated.values()) == ["hollow-0", "hollow-1"]
    eventually(
        lambda: any("gang default/g: room is made for 1 of its 2 pods" in refusal(plane, name) for name in names)
    )
    time.sleep(0.3)
    assert [node(plane, name) for name in names] == ["", ""]
    plane.restart()
    member(plane, "late", "g", "1", priorityClassName="high")
    eventually(lambda: refusal(plane, "late"))
    time.sleep(0.3)
    assert [node(plane, name) for name in [*names, "late"]] == ["", "", ""]
    plane.kubectl("patch", "pod", "low", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    plane.kubectl("wait", "--for=condition=Ready", *(f"pod/{name}" for name in [*names, "late"]), "--timeout=15s")
    assert {name: node(plane, name) for name in names} == nominated
    events = plane.json("GET", "/api/v1/namespaces/default/events")["items"]
    assert [one["involvedObject"]["name"] for one in events if one["reason"] == "Preempted"] == ["low"]
