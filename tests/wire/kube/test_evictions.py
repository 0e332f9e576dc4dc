"""Evictions against budgets, and bindings: what is done to a pod once, whoever asks at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

BUDGETS = "/apis/policy/v1/namespaces/{}/poddisruptionbudgets"
MERGE = {"Content-Type": "application/merge-patch+json"}


def make_pod(plane, namespace: str, name: str, *, node: str = "n", ready: bool = True, phase: str = "Running") -> dict:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    spec = {"containers": [{"name": "c", "image": "i"}], **({"nodeName": node} if node else {})}
    plane.json("POST", pods, {"metadata": {"name": name, "labels": {"app": "x"}}, "spec": spec})
    said = [{"type": "Ready", "status": "True" if ready else "False"}]
    state = {"status": {"phase": phase, "conditions": said}}
    return plane.json("PATCH", f"{pods}/{name}/status", state, headers=MERGE)


def make_budget(plane, namespace: str, policy: str = "", **status: int) -> str:
    path = BUDGETS.format(namespace)
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}}
    spec |= {"unhealthyPodEvictionPolicy": policy} if policy else {}
    plane.json("POST", path, {"metadata": {"name": "b"}, "spec": spec})
    said = {
        "observedGeneration": 1,
        "disruptionsAllowed": 0,
        "currentHealthy": 1,
        "desiredHealthy": 1,
        "expectedPods": 1,
    }
    plane.json("PATCH", f"{path}/b/status", {"status": {**said, **status}}, headers=MERGE)
    return f"{path}/b"


def evict(plane, namespace: str, name: str, **body) -> int:
    return plane.call("POST", f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", body)[0]


def test_many_evict_at_once_and_the_budget_is_spent_exactly(plane, namespace) -> None:
    names = [f"p{number}" for number in range(12)]
    for name in names:
        make_pod(plane, namespace, name)
    budget = make_budget(plane, namespace, disruptionsAllowed=8)
    with ThreadPoolExecutor(12) as threads:
        codes = list(threads.map(lambda name: evict(plane, namespace, name), names))
    assert sorted(codes) == [201] * 8 + [429] * 4
    state = plane.json("GET", budget)["status"]
    assert (state["disruptionsAllowed"], len(state["disruptedPods"])) == (0, 8)
    [said] = state["conditions"]
    assert (said["type"], said["status"], said["reason"]) == ("DisruptionAllowed", "False", "InsufficientPods")


@pytest.mark.parametrize(
    ("policy", "ready", "status", "code"),
    [
        ("", True, {}, 429),
        ("", False, {}, 201),
        ("", False, {"desiredHealthy": 2}, 429),
        ("", False, {"desiredHealthy": 0}, 429),
        ("IfHealthyBudget", False, {"desiredHealthy": 2}, 429),
        ("AlwaysAllow", False, {"desiredHealthy": 2}, 201),
        ("AlwaysAllow", True, {"desiredHealthy": 2}, 429),
    ],
)
def test_a_pod_that_is_not_ready_goes_as_the_budget_says(plane, namespace, policy, ready, status, code) -> None:
    make_pod(plane, namespace, "p", ready=ready)
    make_budget(plane, namespace, policy, **status)
    assert evict(plane, namespace, "p") == code


def test_an_eviction_is_of_the_pod_it_names(plane, namespace) -> None:
    pod = make_pod(plane, namespace, "p")
    assert evict(plane, namespace, "p", metadata={"name": "q"}) == 400
    assert evict(plane, namespace, "p", deleteOptions={"preconditions": {"uid": "other"}}) == 409
    assert evict(plane, namespace, "p", deleteOptions={"dryRun": ["All"]}) == 201
    assert not plane.json("GET", f"/api/v1/namespaces/{namespace}/pods/p")["metadata"].get("deletionTimestamp")
    assert evict(plane, namespace, "p", deleteOptions={"preconditions": {"uid": pod["metadata"]["uid"]}}) == 201


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"target": {"name": "n"}}, 201),
        ({"metadata": {"name": "q"}, "target": {"name": "n"}}, 400),
        ({"target": {"kind": "Pod", "name": "n"}}, 422),
        ({"target": {"kind": "Node"}}, 422),
        ({"metadata": {"uid": "of-another"}, "target": {"name": "n"}}, 409),
        ({"metadata": {"resourceVersion": "1"}, "target": {"name": "n"}}, 409),
    ],
)
def test_a_binding_is_of_the_pod_that_was_meant(plane, namespace, body, code) -> None:
    make_pod(plane, namespace, "p", node="", phase="Pending")
    path = f"/api/v1/namespaces/{namespace}/pods/p"
    assert plane.call("POST", f"{path}/binding", body)[0] == code
    assert plane.json("GET", path)["spec"].get("nodeName", "") == ("n" if code == 201 else "")


def test_bindings_bind_too_and_nothing_is_kept_of_them(plane, namespace) -> None:
    make_pod(plane, namespace, "p", node="", phase="Pending")
    path = f"/api/v1/namespaces/{namespace}/bindings"
    made = plane.json("POST", path, {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}})
    assert (made["kind"], made["status"]) == ("Status", "Success")
    assert plane.json("GET", f"/api/v1/namespaces/{namespace}/pods/p")["spec"]["nodeName"] == "n"
    assert plane.refused("POST", path, {"metadata": {"name": "none"}, "target": {"name": "n"}})["code"] == 404
    assert plane.refused("POST", path, {"target": {"name": "n"}})["code"] == 422


def test_a_scale_takes_the_patches_there_are(plane, namespace) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    deployment = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    plane.json("POST", path, deployment)
    code, _ = plane.call("PATCH", f"{path}/d/scale", {"spec": {"replicas": 3}}, headers={"Content-Type": "text/plain"})
    assert code == 415
    assert plane.json("PATCH", f"{path}/d/scale", {"spec": {"replicas": 3}}, headers=MERGE)["spec"]["replicas"] == 3
