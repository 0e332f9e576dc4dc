"""`sampan sched rebalance` on hollow nodes: what it proposes it does not do, and what it does kubectl sees."""

from __future__ import annotations

import itertools
import subprocess
import threading
from collections.abc import Iterator

import pytest

from hollow import scheduled
from kube import ROOT, ControlPlane, eventually

NODES = [f"hollow-{number}" for number in range(3)]


@pytest.fixture(scope="module")
def plane(tmp_path_factory) -> Iterator[ControlPlane]:
    with scheduled(tmp_path_factory.mktemp("rebalance"), 3) as made:
        yield made


class ReplicaSet(threading.Thread):
    """Makes pods anew that are gone, as its controller would."""

    def __init__(self, plane: ControlPlane, name: str, cpus: list[str], nodes: list[str], **spec) -> None:
        super().__init__()
        self.plane, self.name, self.cpus, self.spec = plane, name, cpus, spec
        self.numbers = itertools.count()
        self.done = threading.Event()
        template = {"metadata": {"labels": {"set": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        body = {"selector": {"matchLabels": {"set": name}}, "replicas": len(cpus), "template": template}
        path = "/apis/apps/v1/namespaces/default/replicasets"
        made = plane.json("POST", path, {"metadata": {"name": name}, "spec": body})
        self.owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "controller": True}
        self.owner["uid"] = made["metadata"]["uid"]
        for cpu, node in zip(cpus, nodes, strict=True):
            self.make(cpu, nodeName=node)
        eventually(lambda: all(ready(pod) for pod in self.pods()) and len(self.pods()) == len(cpus))
        self.start()

    def make(self, cpu: str, **more) -> None:
        name = f"{self.name}-{next(self.numbers)}"
        container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}
        meta = {"name": name, "labels": {"set": self.name}, "ownerReferences": [self.owner]}
        spec = {"terminationGracePeriodSeconds": 1, "containers": [container], **self.spec, **more}
        self.plane.json("POST", "/api/v1/namespaces/default/pods", {"metadata": meta, "spec": spec})

    def pods(self) -> list[dict]:
        path = f"/api/v1/namespaces/default/pods?labelSelector=set%3D{self.name}"
        return self.plane.json("GET", path)["items"]

    def places(self) -> list[str]:
        return sorted(pod["spec"].get("nodeName", "") for pod in self.pods())

    def run(self) -> None:
        while not self.done.wait(0.05):
            there = [pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] for pod in self.pods()]
            for cpu in self.cpus:
                if cpu in there:
                    there.remove(cpu)
                else:
                    self.make(cpu)

    def end(self) -> None:
        self.done.set()
        self.join()
        self.plane.kubectl("delete", "replicaset", self.name, "--cascade=orphan", "--timeout=20s")
        self.plane.kubectl("delete", "pods", "-l", f"set={self.name}", "--timeout=20s")


@pytest.fixture
def sets(plane) -> Iterator[list[ReplicaSet]]:
    made: list[ReplicaSet] = []
    yield made
    for one in made:
        one.end()
    plane.kubectl("uncordon", *NODES)


def ready(pod: dict) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))


def rebalance(plane: ControlPlane, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    argv = [str(ROOT / ".venv/bin/sampan"), "sched", "rebalance", *words, "--kubeconfig", str(plane.kubeconfig)]
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=60, check=False)


def cordoned(plane: ControlPlane) -> list[str]:
    found = plane.json("GET", "/api/v1/nodes")["items"]
    return sorted(node["metadata"]["name"] for node in found if node["spec"].get("unschedulable"))


def test_a_drain_is_proposed_and_then_done(plane, sets):
    sets.append(ReplicaSet(plane, "web", ["1", "2"], ["hollow-0", "hollow-0"]))
    plane.kubectl("run", "alone", "--image=i", "--overrides", '{"spec":{"nodeName":"hollow-0"}}')
    try:
        said = rebalance(plane, "--drain", "hollow-0")
        assert said.returncode == 1, said.stderr
        assert "default/web-1   hollow-0" in said.stdout
        assert "hollow-0 is drained" in said.stdout
        assert "default/alone stays: it has no controller that would make it anew" in said.stdout
        assert sets[0].places() == ["hollow-0", "hollow-0"]
        assert cordoned(plane) == []
    finally:
        plane.kubectl("delete", "pod", "alone", "--timeout=20s")
    done = rebalance(plane, "--drain", "hollow-0", "--apply")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hollow-0" not in sets[0].places()
    assert "" not in sets[0].places()
    assert cordoned(plane) == ["hollow-0"]
    assert "SchedulingDisabled" in plane.kubectl("get", "node", "hollow-0")
    again = rebalance(plane, "--drain", "hollow-0", "--apply")
    assert (again.returncode, again.stdout) == (0, "There is nothing to move.\n")


def test_defragmenting_frees_a_node_and_leaves_no_cordon(plane, sets):
    sets.append(ReplicaSet(plane, "small", ["1", "2"], ["hollow-0", "hollow-1"]))
    said = rebalance(plane, "--defragment")
    assert "hollow-0 is free" in said.stdout, said.stderr
    assert rebalance(plane, "--defragment", "--budget", "0").stdout == "There is nothing to move.\n"
    done = rebalance(plane, "--defragment", "--apply")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sets[0].places() == ["hollow-1", "hollow-1"]
    assert cordoned(plane) == []


def test_room_is_made_for_a_pod_that_waits(plane, sets):
    sets.append(ReplicaSet(plane, "spread", ["1", "2", "2"], NODES))
    plane.kubectl("run", "big", "--image=i", "--overrides", BIG)
    try:
        eventually(lambda: "Insufficient cpu" in plane.kubectl("describe", "pod", "big"))
        said = rebalance(plane, "--room-for", "big")
        assert "makes room for default/big" in said.stdout, said.stderr
        done = rebalance(plane, "--room-for", "big", "--apply")
        assert done.returncode == 0, done.stdout + done.stderr
        plane.kubectl("wait", "--for=condition=Ready", "pod/big", "--timeout=15s")
        assert "hollow-0" in plane.kubectl("get", "pod", "big", "-o", "wide")
    finally:
        plane.kubectl("delete", "pod", "big", "--timeout=20s")


BIG = '{"spec":{"containers":[{"name":"big","image":"i","resources":{"requests":{"cpu":"4"}}}]}}'


def test_a_node_is_relieved_and_a_budget_holds(plane, sets):
    sets.append(ReplicaSet(plane, "busy", ["1", "2"], ["hollow-0", "hollow-0"]))
    use = "NAME CPU\nhollow-0 3600m\nhollow-1 100m\nhollow-2 100m\n"
    said = rebalance(plane, "--use", "-", stdin=use)
    assert "hollow-0 from 90% to 60%" in said.stdout, said.stderr
    budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    spec = {"minAvailable": 2, "selector": {"matchLabels": {"set": "busy"}}}
    plane.json("POST", budgets, {"metadata": {"name": "b"}, "spec": spec})
    try:
        held = rebalance(plane, "--use", "-", "--apply", stdin=use)
        assert held.returncode == 1
        assert "stays: its disruption budget allows no more disruptions now" in held.stdout
        assert sets[0].places() == ["hollow-0", "hollow-0"]
    finally:
        plane.kubectl("delete", "pdb", "b")
    done = rebalance(plane, "--use", "-", "--apply", stdin=use)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(set(sets[0].places())) == 2
    assert cordoned(plane) == []


def test_a_budget_that_the_server_refuses_is_told_and_the_rest_goes(plane, sets):
    sets.append(ReplicaSet(plane, "kept", ["1"], ["hollow-0"]))
    sets.append(ReplicaSet(plane, "goes", ["1"], ["hollow-0"]))
    budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"set": "kept"}}}
    plane.json("POST", budgets, {"metadata": {"name": "b"}, "spec": spec})
    stale = {
        "status": {
            "observedGeneration": 0,
            "disruptionsAllowed": 1,
            "currentHealthy": 1,
            "desiredHealthy": 1,
            "expectedPods": 1,
        }
    }
    plane.json("PATCH", f"{budgets}/b/status", stale, headers={"Content-Type": "application/merge-patch+json"})
    try:
        done = rebalance(plane, "--drain", "hollow-0", "--apply")
        assert done.returncode == 1, done.stderr
        assert "default/kept-0 stays on hollow-0: it was not evicted: " in done.stdout
        assert "violate the pod's disruption budget" in done.stdout
        assert sets[0].places() == ["hollow-0"]
        assert "hollow-0" not in sets[1].places()
    finally:
        plane.kubectl("delete", "pdb", "b")


def test_the_cordon_of_a_run_that_was_killed_goes_with_the_next(plane):
    plane.kubectl("cordon", "hollow-2", "hollow-1")
    plane.kubectl("annotate", "node", "hollow-2", "sampan.dev/cordoned-by-rebalance=true")
    try:
        assert rebalance(plane, "--defragment", "--apply").stdout == "There is nothing to move.\n"
        assert cordoned(plane) == ["hollow-1"]
        assert "cordoned-by-rebalance" not in plane.kubectl("get", "node", "hollow-2", "-o", "yaml")
    finally:
        plane.kubectl("uncordon", *NODES)


def test_a_replacement_that_does_not_come_is_waited_for_so_long(plane, sets):
    sets.append(ReplicaSet(plane, "lazy", ["1"], ["hollow-0"]))
    sets[0].done.set()
    sets[0].join()
    done = rebalance(plane, "--drain", "hollow-0", "--apply", "--patience", "500ms")
    assert done.returncode == 1
    assert "default/lazy-0 was evicted, and no replacement of it was ready within 0.5 s" in done.stderr


def test_what_is_wrong_is_said(plane):
    assert 'nodes "nowhere" not found' in rebalance(plane, "--drain", "nowhere").stderr
    assert "no line NODE CPU" in rebalance(plane, "--use", "-", stdin="hollow-0 lots\n").stderr
    assert "give one of them" in rebalance(plane, "--defragment", "--apply", "--dry-run").stderr
    assert rebalance(plane).returncode == 2
