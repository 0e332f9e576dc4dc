"""Pods are scheduled, on hollow nodes, as kubectl sees it: reasons, taints, affinity, gates, preemption, drains, crashes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from hollow import hollow_nodes, scheduled
from kube import ControlPlane, eventually
from scheduling_space import ZONE, Space, condition, explained, sampan, space_of, spread

NODES = 3
HELPLESS, NOBODY = "Preemption is not helpful for scheduling", "No preemption victims found for incoming pod"


@pytest.fixture(scope="module")
def plane(tmp_path_factory) -> Iterator[ControlPlane]:
    flags = ("--zones", "3", "--label", "pool=a")
    with scheduled(tmp_path_factory.mktemp("sched"), NODES, *flags, low=-10, high=1000) as made:
        never = {"metadata": {"name": "never"}, "value": 1000, "preemptionPolicy": "Never"}
        made.json("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", never)
        yield made


@pytest.fixture
def space(plane) -> Iterator[Space]:
    """A namespace of its own; its pods are gone at the end, so that the next test finds the nodes empty."""
    with space_of(plane) as found:
        yield found


def test_pods_are_spread_run_and_end(space):
    names = [f"p{number}" for number in range(6)]
    for name in names:
        space.pod(name)
    space.ready(*names)
    assert sorted(space.node(name) for name in names) == sorted(2 * [f"hollow-{number}" for number in range(NODES)])
    [event] = space.events("p0", "Scheduled")
    assert event["message"] == f"Successfully assigned {space.name}/p0 to {space.node('p0')}"
    assert (event["type"], event["reportingComponent"], event["action"]) == ("Normal", "default-scheduler", "Binding")
    assert condition(space.get("p0"), "PodScheduled")["status"] == "True"
    assert "default-scheduler  Successfully assigned" in space.k("describe pod p0")
    assert "1/1" in space.k("get pod p0 -o wide")
    assert "10.128." in space.k("get pod p0 -o wide")
    space.k("delete pod p0 --timeout=10s")
    assert "not found" in space.k("get pod p0", check=False)


def test_describe_says_why_not(space):
    plane = space.plane
    plane.kubectl("taint", "nodes", "hollow-0", "dedicated=gpu:NoSchedule")
    try:
        space.pod("big", "5")
        space.pod("wrong", nodeSelector={"pool": "b"})
        expected = (
            "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. "
            f"preemption: 0/3 nodes are available: 3 {HELPLESS}. "
            "The smallest change that would fit: on hollow-1, ask for 1 cpu less."
        )
        assert space.refusal("big") == expected
        assert expected in space.k("describe pod big")
        assert (explained(space, "pod/big").stdout, explained(space, "pod/big").returncode) == (f"{expected}\n", 1)
        told = condition(space.get("big"), "PodScheduled")
        assert (told["status"], told["reason"], told["message"]) == ("False", "Unschedulable", expected)
        assert space.refusal("wrong") == (
            "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 node(s) didn't match Pod's node "
            f"affinity/selector. preemption: 0/3 nodes are available: 3 {HELPLESS}. The smallest change that would fit: "
            "on hollow-1, let the pod's node affinity or selector match it."
        )
    finally:
        plane.kubectl("taint", "nodes", "hollow-0", "dedicated-")
    plane.kubectl("label", "nodes", "hollow-2", "pool=b", "--overwrite")
    try:
        space.ready("wrong")  # it was given another turn
        assert space.node("wrong") == "hollow-2"
    finally:
        plane.kubectl("label", "nodes", "hollow-2", "pool=a", "--overwrite")


def test_explain(space):
    space.pod("here")
    space.ready("here")
    assert explained(space, "pod/here").stdout == f"{space.name}/here is on {space.node('here')}.\n"
    space.pod("gated", schedulingGates=[{"name": "example.com/wait"}])
    assert "scheduling gates: example.com/wait" in explained(space, "pod/gated").stdout
    missing = explained(space, "pod/gone")
    assert (missing.returncode, missing.stderr) == (
        1,
        f'sampan: pods "gone" not found in {space.name}, or it has ended\n',
    )


WHATIF = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {disk: fast}
      containers: [{name: c, image: i, resources: {limits: {cpu: "3"}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: vip}
spec:
  priorityClassName: high
  nodeSelector: {kubernetes.io/hostname: hollow-0}
  containers: [{name: c, image: i, resources: {requests: {cpu: "3"}}}]
"""
NODE = """
---
apiVersion: v1
kind: Node
metadata: {name: new, labels: {disk: fast}}
status: {allocatable: {cpu: "4", memory: 8Gi, pods: "10"}}
"""


def test_whatif(space, tmp_path):
    space.pod("low", "2", nodeSelector={"kubernetes.io/hostname": "hollow-0"}, priorityClassName="low")
    space.ready("low")
    (tmp_path / "manifest").write_text(WHATIF)
    asked = sampan(space, "sched", "whatif", "-f", str(tmp_path / "manifest"), "-n", space.name)
    lines = [line.split() for line in asked.stdout.splitlines()]
    assert lines[:4] == [
        ["POD", "NODE", "EVICTS"],
        [f"{space.name}/web-0", "<none>", "<none>"],
        [f"{space.name}/web-1", "<none>", "<none>"],
        [f"{space.name}/vip", "hollow-0", f"{space.name}/low"],
    ]
    assert f"{space.name}/web-0: 0/3 nodes are available: 3 node(s) didn't match Pod's node affinity" in asked.stdout
    assert asked.returncode == 1
    (tmp_path / "manifest").write_text(WHATIF + NODE)
    asked = sampan(space, "sched", "whatif", "-f", str(tmp_path / "manifest"), "-n", space.name)
    assert [f"{space.name}/web-0", "new", "<none>"] in [line.split() for line in asked.stdout.splitlines()]
    assert "1 Insufficient cpu" in asked.stdout  # there is room for one on the new node
    assert "not found" in space.k("get pod vip", check=False)
    assert space.node("low") == "hollow-0"


def test_whatif_counts_pods_that_name_their_node(space, tmp_path):
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}]}\n"
    made = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n  nodeName: %s\n  nodeSelector: {kubernetes.io/hostname: hollow-1}\n"
    made += "  containers: [{name: c, image: i, resources: {requests: {cpu: '3'}}}]\n"
    (tmp_path / "manifest").write_text(service + made % ("after", "''") + made % ("there", "hollow-1"))
    asked = sampan(space, "sched", "whatif", "-f", str(tmp_path / "manifest"), "-n", space.name)
    lines = [line.split() for line in asked.stdout.splitlines()]
    assert lines[1:3] == [[f"{space.name}/after", "<none>", "<none>"], [f"{space.name}/there", "hollow-1", "<none>"]]
    assert "1 Insufficient cpu" in asked.stdout


def test_what_is_said_again_is_counted(space):
    def count(name):
        [event] = space.events(name, "FailedScheduling")
        return (event.get("series") or {}).get("count")

    space.pod("big", "5")
    space.refusal("big")
    space.plane.kubectl("label", "nodes", "hollow-1", "turn=t0", "--overwrite")  # something that may help
    eventually(lambda: count("big") == 2)
    space.plane.kubectl("label", "nodes", "hollow-1", "turn=t1", "--overwrite")
    time.sleep(2.5)
    assert count("big") == 2, "a count is told once a minute at most"
    space.plane.kubectl("label", "nodes", "hollow-1", "turn-")


def test_taints_and_tolerations(space):
    for number in range(NODES):
        space.plane.kubectl("taint", "nodes", f"hollow-{number}", "a=b:NoSchedule")
    try:
        space.pod("may", tolerations=[{"key": "a", "operator": "Exists"}])
        space.pod("not")
        space.ready("may")
        assert "3 node(s) had untolerated taint(s)" in space.refusal("not")
    finally:
        for number in range(NODES):
            space.plane.kubectl("taint", "nodes", f"hollow-{number}", "a-")
    space.ready("not")


def test_affinity_and_anti_affinity(space):
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    own = {"labelSelector": {"matchLabels": {"set": "s"}}, "topologyKey": "kubernetes.io/hostname"}
    apart = {"podAntiAffinity": {required: [own]}}
    for number in range(NODES + 1):
        space.pod(f"a{number}", labels={"set": "s"}, affinity=apart)
    space.ready(*[f"a{number}" for number in range(NODES)])
    assert len({space.node(f"a{number}") for number in range(NODES)}) == NODES
    assert "3 node(s) didn't match pod anti-affinity rules" in space.refusal(f"a{NODES}")
    beside = {"labelSelector": {"matchLabels": {"app": "a1"}}, "topologyKey": ZONE}
    space.pod("b", affinity={"podAffinity": {required: [beside]}})
    space.ready("b")
    assert space.node("b") == space.node("a1")
    space.k("delete pod a0 --timeout=10s")
    space.ready(f"a{NODES}")


def test_an_affinity_waits_for_who_comes_later(space):
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    beside = {"labelSelector": {"matchLabels": {"app": "late"}}, "topologyKey": ZONE}
    space.pod("early", affinity={"podAffinity": {required: [beside]}})
    assert "3 node(s) didn't match pod affinity rules" in space.refusal("early")
    space.pod("late")
    space.ready("late", "early")
    assert space.node("late") == space.node("early")


def test_topology_spread(space):
    for number in range(6):
        space.pod(f"t{number}", labels={"set": "t"}, topologySpreadConstraints=[spread(ZONE, "t")])
    space.ready(*[f"t{number}" for number in range(6)])
    assert sorted(space.node(f"t{number}") for number in range(6)) == sorted(2 * [f"hollow-{n}" for n in range(NODES)])


def test_gates(space):
    space.pod("gated", schedulingGates=[{"name": "example.com/wait"}])
    assert "SchedulingGated" in space.k("get pod gated")
    time.sleep(0.3)
    assert not space.node("gated")
    assert not space.events("gated", "FailedScheduling")
    space.k('patch pod gated --type=merge -p {"spec":{"schedulingGates":null}}')
    space.ready("gated")


def test_other_schedulers_pods_are_left_alone(space):
    space.pod("theirs", schedulerName="mine")
    space.pod("ours")
    space.ready("ours")
    assert not space.node("theirs")
    binding = {"metadata": {"name": "theirs"}, "target": {"kind": "Node", "name": "hollow-0"}}
    space.plane.json("POST", f"{space.path}/theirs/binding", binding)
    space.ready("theirs")


def test_preemption(space):
    for number in range(NODES):
        space.pod(f"low{number}", "3", priorityClassName="low")
    space.ready(*[f"low{number}" for number in range(NODES)])
    space.pod("meek", "3")  # priority 0: above the low ones
    space.ready("meek")
    left = [f"low{number}" for number in range(NODES) if space.plane.call("GET", f"{space.path}/low{number}")[0] == 200]
    assert len(left) == NODES - 1
    assert "Insufficient cpu" in space.refusal("meek")
    [gone] = {f"low{number}" for number in range(NODES)} - set(left)
    [event] = space.events(gone, "Preempted")
    uid = space.get("meek")["metadata"]["uid"]
    assert event["message"] == f"Preempted by pod {uid} on node {space.node('meek')}"
    space.pod("never", "3", priorityClassName="never")
    assert "preemption: not eligible due to preemptionPolicy=Never." in space.refusal("never")


def test_victims_end_with_grace_and_say_why(space):
    finalized = {"finalizers": ["example.com/look"]}
    for number in range(NODES):
        space.pod(f"low{number}", "3", priorityClassName="low")
    space.ready(*[f"low{number}" for number in range(NODES)])
    for number in range(NODES):
        space.k(f"patch pod low{number} --type=merge -p {json.dumps({'metadata': finalized}, separators=(',', ':'))}")
    space.pod("vip", "3", priorityClassName="high")
    eventually(lambda: space.get("vip")["status"].get("nominatedNodeName"))
    node = space.get("vip")["status"]["nominatedNodeName"]

    def victims() -> list[dict]:
        pods = [space.get(f"low{number}") for number in range(NODES)]
        return [pod for pod in pods if condition(pod, "DisruptionTarget")]

    eventually(lambda: victims() and "deletionTimestamp" in victims()[0]["metadata"])
    [victim] = victims()
    told = condition(victim, "DisruptionTarget")
    assert victim["spec"]["nodeName"] == node
    assert (told["status"], told["reason"]) == ("True", "PreemptionByScheduler")
    assert told["message"] == "default-scheduler: preempting to accommodate a higher priority pod"
    assert not space.node("vip")  # it waits for the end of its victim
    space.pod("second", "3", priorityClassName="low")
    assert "Insufficient cpu" in space.refusal("second")  # nobody takes the room that is being made
    for number in range(NODES):
        space.k(f'patch pod low{number} --type=merge -p {{"metadata":{{"finalizers":null}}}}')
    space.ready("vip")
    assert space.node("vip") == node


def test_drain_moves_what_is_made_anew(space):
    names = [f"d{number}" for number in range(NODES)]
    for name in names:
        space.pod(name)
    space.ready(*names)
    space.plane.kubectl("drain", "hollow-1", "--force", "--timeout=20s")
    try:
        space.pod("after")
        space.pod("only", nodeSelector={"kubernetes.io/hostname": "hollow-1"})
        space.ready("after")
        assert space.node("after") != "hollow-1"
        assert "1 node(s) were unschedulable" in space.refusal("only")
        assert "on hollow-1, uncordon it." in space.refusal("only")
    finally:
        space.plane.kubectl("uncordon", "hollow-1")
    space.ready("only")


def test_a_claim_that_is_not_bound_is_waited_for(space):
    claims = f"/api/v1/namespaces/{space.name}/persistentvolumeclaims"
    space.pod("v", volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}])
    assert space.refusal("v") == (
        '0/3 nodes are available: persistentvolumeclaim "data" not found. '
        f"preemption: 0/3 nodes are available: 3 {HELPLESS}."
    )
    capacity, modes = {"storage": "1Gi"}, ["ReadWriteOnce"]
    term = {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["zone-2"]}]}
    affinity = {"required": {"nodeSelectorTerms": [term]}}
    volume = f"v-{space.name}"
    spec = {"capacity": capacity, "accessModes": modes, "nodeAffinity": affinity, "local": {"path": "/d"}}
    space.plane.json("POST", "/api/v1/persistentvolumes", {"metadata": {"name": volume}, "spec": spec})
    wish = {"accessModes": modes, "resources": {"requests": capacity}, "volumeName": volume, "storageClassName": ""}
    claim = space.plane.json("POST", claims, {"metadata": {"name": "data"}, "spec": wish})
    eventually(lambda: "unbound immediate PersistentVolumeClaims" in space.refusal("v"))
    claim["status"] = {"phase": "Bound", "accessModes": modes, "capacity": capacity}
    space.plane.json("PUT", f"{claims}/data/status", claim)
    space.ready("v")
    assert space.node("v") == "hollow-2"
    for kind, name in (("pvc", "data"), ("pv", volume)):  # nobody else lets go of them yet
        space.k(f'patch {kind} {name} --type=merge -p {{"metadata":{{"finalizers":null}}}}')
        space.k(f"delete {kind} {name} --wait=false")


def test_a_killed_control_process_goes_on(tmp_path_factory):
    with scheduled(tmp_path_factory.mktemp("crash"), 2) as plane:
        space = Space(plane, "default")
        for number in range(40):
            space.pod(f"p{number}")
        plane.restart()  # in the midst of it
        space.pod("big", "5")
        plane.kubectl("wait", "--for=condition=Ready", "pod", "--timeout=20s", *[f"p{n}" for n in range(40)])
        nodes = [space.node(f"p{number}") for number in range(40)]
        assert set(nodes) == {"hollow-0", "hollow-1"}
        assert "2 Insufficient cpu" in space.refusal("big")


def test_hollow_nodes_leave_nothing(plane):
    with hollow_nodes(plane, 2, "--prefix", "passing", "--start-delay", "200ms", "--end-after", "100ms") as process:
        lease = plane.json("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/passing-1")
        assert lease["spec"]["holderIdentity"] == "passing-1"
        assert "Ready" in plane.kubectl("get", "node", "passing-0")
        space = Space(plane, "default")
        eventually(lambda: plane.call("GET", "/api/v1/namespaces/default/serviceaccounts/default")[0] == 200)
        space.pod("once", nodeSelector={"kubernetes.io/hostname": "passing-0"}, restartPolicy="Never")
        eventually(lambda: space.get("once")["status"]["phase"] == "Succeeded")
        space.pod("stays", nodeSelector={"kubernetes.io/hostname": "passing-0"})
        space.ready("stays")
        process.terminate()
        assert process.wait(30) == 0
    assert "NotFound" in plane.kubectl("get", "node", "passing-0", check=False)
    assert "NotFound" in plane.kubectl("-n", "kube-node-lease", "get", "lease", "passing-0", check=False)
    assert "NotFound" in plane.kubectl("get", "pod", "stays", check=False)
