"""Pods of every runtime, and one that has a machine to itself, are placed by one scheduler: overhead, devices, nodes of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from hollow import SMALL, hollow_nodes
from kube import ControlPlane, control_plane, eventually

KVM = "devices.kubevirt.io/kvm"
PODS = "/api/v1/namespaces/default/pods"
CLASSES = {
    "runc": {"handler": "runc"},
    "crun": {"handler": "crun", "scheduling": {"nodeSelector": {"crun": "yes"}}},
    "sandboxed": {
        "handler": "runsc",
        "overhead": {"podFixed": {"cpu": "250m", "memory": "64Mi"}},
        "scheduling": {"nodeSelector": {"sandbox": "yes"}, "tolerations": [{"key": "sandbox", "operator": "Exists"}]},
    },
    "vm": {"handler": "kata", "overhead": {"podFixed": {"cpu": "500m", "memory": "160Mi", KVM: "1"}}},
}


@pytest.fixture(scope="module")
def plane(tmp_path_factory) -> Iterator[ControlPlane]:
    """Four nodes of 4 CPU: a plain one, one with crun, a tainted one with a sandbox, and one with room for two machines."""
    with (
        control_plane(tmp_path_factory.mktemp("forms"), scheduler=True) as made,
        hollow_nodes(made, 1, "--prefix", "plain"),
        hollow_nodes(made, 1, "--prefix", "crun", "--label", "crun=yes"),
        hollow_nodes(made, 1, "--prefix", "sandbox", "--label", "sandbox=yes"),
        hollow_nodes(made, 1, "--prefix", "vm", capacity=f"{SMALL},{KVM}=2"),
    ):
        made.kubectl("taint", "nodes", "sandbox-0", "sandbox=yes:NoSchedule")
        for name, about in CLASSES.items():
            made.json("POST", "/apis/node.k8s.io/v1/runtimeclasses", {"metadata": {"name": name}, **about})
        eventually(lambda: made.call("GET", "/api/v1/namespaces/default/serviceaccounts/default")[0] == 200)
        yield made


@pytest.fixture
def space(plane) -> Iterator[ControlPlane]:
    yield plane
    plane.kubectl("delete", "pods", "--all", "--timeout=20s")


def made(plane: ControlPlane, runtime: str, count: int, **meta: dict) -> Counter[str]:
    """Make pods of 1 CPU of a runtime class; return how many are on each node when all had their turn."""
    for number in range(count):
        container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}
        spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
        spec |= {"runtimeClassName": runtime} if runtime in CLASSES else {}
        body = {"metadata": {"name": f"{runtime}{number}", "labels": {"runtime": runtime}, **meta}, "spec": spec}
        plane.json("POST", PODS, body)

    def nodes() -> list[str] | None:
        pods = plane.json("GET", f"{PODS}?labelSelector=runtime={runtime}")["items"]
        turned = all(one["spec"].get("nodeName") or one["status"].get("conditions") for one in pods)
        return [one["spec"].get("nodeName", "") for one in pods] if turned else None

    return Counter(eventually(nodes))


def refusals(plane: ControlPlane) -> str:
    found = plane.json("GET", f"{PODS}")["items"]
    return " ".join(each.get("message", "") for one in found for each in one["status"].get("conditions", []))


def test_runc_is_on_every_node_that_is_not_for_others(space):
    assert made(space, "runc", 13) == {"plain-0": 4, "crun-0": 4, "vm-0": 4, "": 1}


def test_crun_is_where_its_class_says(space):
    assert made(space, "crun", 5) == {"crun-0": 4, "": 1}
    assert "2 node(s) didn't match Pod's node affinity/selector" in refusals(space)


def test_sandboxed_pods_take_their_overhead_and_tolerate_what_their_class_does(space):
    assert made(space, "sandboxed", 4) == {"sandbox-0": 3, "": 1}  # of 1.25 CPU each
    assert "1 Insufficient cpu" in refusals(space)


def test_pods_in_machines_take_kvm_and_their_overhead(space):
    assert made(space, "runc", 1, annotations={}) == {"crun-0": 1}
    assert made(space, "vm", 3) == {"vm-0": 2, "": 1}
    assert f"Insufficient {KVM}" in refusals(space)


def test_a_whole_machine_is_its_own(space):
    assert sum(made(space, "runc", 1).values()) == 1
    alone = {"annotations": {"sampan.dev/at-most": "0 of any in every namespace"}}
    whole = made(space, "whole", 3, **alone)
    assert sorted(whole.items()) == [("", 1), *((name, 1) for name in sorted(whole) if name)]
    assert len(whole) == 3
    beside = made(space, "guest", 8)
    assert not (beside.keys() & whole.keys() - {""})
