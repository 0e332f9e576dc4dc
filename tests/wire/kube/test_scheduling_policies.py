"""A policy in Python schedules a cluster: in the control process, in a process of its own, and in what asks ahead."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from hollow import hollow_nodes, scheduled
from kube import ROOT, ControlPlane, control_plane, eventually, free_port

PODS = "/api/v1/namespaces/default/pods"
POLICY = """
class Full:
    reason = "node(s) were not for guests"

    def filter(self, pod, nodes):
        if "odd" in pod.labels:
            return nodes.colour("red")
        return (nodes.names != "hollow-0") | (pod.labels.get("guest") != "yes")

    def score(self, pod, nodes):
        return -nodes.free("cpu") / 1000
"""


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "full.py"
    path.write_text(POLICY)
    return path


@pytest.fixture(scope="module")
def plane(tmp_path_factory, policy) -> Iterator[ControlPlane]:
    with scheduled(tmp_path_factory.mktemp("policies"), 3, policy=f"{policy}:Full") as made:
        yield made


def pod(name: str, cpu: str = "1", **labels: str) -> dict:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}
    return {"kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": {"containers": [container]}}


def node(plane: ControlPlane, name: str) -> str:
    return plane.json("GET", f"{PODS}/{name}")["spec"].get("nodeName", "")


def refusal(plane: ControlPlane, name: str) -> str:
    def told() -> list[str]:
        path = f"/api/v1/namespaces/default/events?fieldSelector=involvedObject.name={name}"
        return [one["message"] for one in plane.json("GET", path)["items"] if one["reason"] == "FailedScheduling"]

    return eventually(told)[-1]


def sampan(plane: ControlPlane, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    argv = [str(ROOT / ".venv/bin/sampan"), *words, "--kubeconfig", str(plane.kubeconfig)]
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=30, check=False)


def figures(text: str) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    }


def test_pods_are_where_the_policy_says(plane):
    for name, guest in (("a", "no"), ("b", "yes"), ("c", "no"), ("d", "yes")):
        plane.json("POST", PODS, pod(name, guest=guest))
    plane.kubectl("wait", "--for=condition=Ready", "--timeout=10s", "pod/a", "pod/b", "pod/c", "pod/d")
    assert {name: node(plane, name) for name in "abcd"} == {
        "a": "hollow-0",
        "b": "hollow-1",
        "c": "hollow-0",
        "d": "hollow-1",
    }
    for name, cpu in (("large", "4"), ("second", "2")):
        plane.json("POST", PODS, pod(name, cpu, guest="yes"))
    plane.kubectl("wait", "--for=condition=Ready", "--timeout=10s", "pod/large", "pod/second")
    plane.json("POST", PODS, pod("late", guest="yes"))
    assert "0/3 nodes are available: 1 node(s) were not for guests, 2 Insufficient cpu." in refusal(plane, "late")


def test_a_pod_that_it_fails_on_is_told_and_the_others_go_on(plane):
    plane.json("POST", PODS, pod("odd", odd="yes"))
    plane.json("POST", PODS, pod("after", "100m"))
    assert refusal(plane, "odd").startswith("policy Full: filter failed (full.py:7): AttributeError: ")
    plane.kubectl("wait", "--for=condition=Ready", "--timeout=10s", "pod/after")
    assert "policy Full: filter failed" in plane.kubectl("describe", "pod", "odd")


def test_what_asks_ahead_takes_the_same_policy(plane, policy, tmp_path):
    manifest = tmp_path / "guest.yaml"
    manifest.write_text(
        'apiVersion: v1\nkind: Pod\nmetadata: {name: g, labels: {guest: "yes"}}\nspec: {nodeName: ""}\n'
    )
    told = sampan(plane, "sched", "whatif", "-f", str(manifest), "--policy", f"{policy}:Full")
    assert told.returncode == 0, told.stderr
    assert told.stdout.split()[-2] != "hollow-0"
    plane.json("POST", PODS, pod("waits", odd="yes"))
    refusal(plane, "waits")
    assert "policy Full: filter failed" in sampan(plane, "explain", "pod/waits", "--policy", f"{policy}:Full").stdout
    assert "fits on hollow-" in sampan(plane, "explain", "pod/waits").stdout
    wrong = sampan(plane, "explain", "pod/waits", "--policy", f"{policy}:Fuller")
    assert (wrong.returncode, wrong.stderr) == (1, f"sampan: {policy} has no Fuller: its classes are Full\n")


def test_its_figures_are_on_the_metrics_page(plane):
    plane.json("POST", PODS, pod("counted", "100m"))
    plane.kubectl("wait", "--for=condition=Ready", "--timeout=10s", "pod/counted")
    found = figures(plane.call("GET", "/metrics")[1].decode())
    attempts = 'scheduler_schedule_attempts_total{profile="default-scheduler",result="'
    assert found[f'{attempts}scheduled"}}'] >= 1
    assert found[f'{attempts}error"}}'] == 0
    name = 'scheduler_scheduling_attempt_duration_seconds_bucket{profile="default-scheduler",result="scheduled"'
    assert found[f'{name},le="+Inf"}}'] == found[f'{attempts}scheduled"}}']
    assert found['scheduler_pod_scheduling_sli_duration_seconds_count{attempts="1"}'] >= 1
    assert found['scheduler_pending_pods{queue="active"}'] == 0
    assert "scheduler_preemption_victims_count" in found


def test_without_a_usable_policy_the_api_is_there_and_pods_are_told(tmp_path_factory, policy):
    home = tmp_path_factory.mktemp("unusable")
    with control_plane(home, scheduler=True, scheduler_policy=f"{policy}:Gone") as plane:
        eventually(lambda: plane.call("GET", "/api/v1/namespaces/default/serviceaccounts/default")[0] == 200)
        plane.json("POST", PODS, pod("p"))
        why = f"no pod is placed until the control process is started with a policy that can be used: {policy} has no Gone"
        assert refusal(plane, "p").startswith(why)
        assert why in plane.tail()


def test_a_scheduler_of_its_own(tmp_path_factory, policy):
    with (
        control_plane(tmp_path_factory.mktemp("own")) as plane,
        hollow_nodes(plane, 2),
    ):
        eventually(lambda: plane.call("GET", "/api/v1/namespaces/default/serviceaccounts/default")[0] == 200)
        port = free_port()
        argv = [sys.executable, "-m", "sampan.cmd.scheduler", "--kubeconfig", str(plane.kubeconfig)]
        wrong = subprocess.run(
            [*argv, "--policy", "odd"], capture_output=True, text=True, timeout=30, check=False, cwd=ROOT
        )
        assert (wrong.returncode, wrong.stderr.startswith("sampan: there is no scheduling policy odd:")) == (1, True)
        own = subprocess.Popen(
            [*argv, "--no-leader-election", "--policy", "packing", "--metrics-listen", f"127.0.0.1:{port}"], cwd=ROOT
        )
        try:
            for name in "abc":
                plane.json("POST", PODS, pod(name))
            plane.kubectl("wait", "--for=condition=Ready", "--timeout=20s", "pod/a", "pod/b", "pod/c")
            assert {node(plane, name) for name in "abc"} == {"hollow-0"}
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                found = figures(answer.read().decode())
            assert found['scheduler_schedule_attempts_total{profile="default-scheduler",result="scheduled"}'] == 3
            assert found["process_resident_memory_bytes"] > 1e6
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
                assert answer.read() == b"ok"
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10)
        finally:
            own.terminate()
            assert own.wait(20) == 0
