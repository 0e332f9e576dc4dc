"""What was decided is looked at again when it is carried out: the cluster changed, the API refused, the scheduler was killed."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from hollow import scheduled
from kube import ControlPlane, eventually
from scheduling_space import HOST, Space, explained, space_of, spread

LOWS = ["low0", "low1"]
RELEASE = 'patch pod {} --type=merge -p {{"metadata":{{"finalizers":null}}}}'
HOLD = 'patch pod {} --type=merge -p {{"metadata":{{"finalizers":["example.com/look"]}}}}'


@pytest.fixture(scope="module")
def plane(tmp_path_factory) -> Iterator[ControlPlane]:
    with scheduled(tmp_path_factory.mktemp("commit"), 2, low=-10, high=1000) as made:
        yield made


@pytest.fixture
def space(plane) -> Iterator[Space]:
    with space_of(plane) as found:
        yield found


def waits_for_victims(space: Space) -> str:
    """Fill both nodes, make a pod that evicts one of the pods there, whose end is held up; return its nominated node."""
    for name in LOWS:
        space.pod(name, "3", priorityClassName="low")
    space.ready(*LOWS)
    for name in LOWS:
        space.k(HOLD.format(name))
    space.pod("vip", "3", priorityClassName="high")
    node = eventually(lambda: space.get("vip")["status"].get("nominatedNodeName"))
    eventually(lambda: any("deletionTimestamp" in space.get(name)["metadata"] for name in LOWS))
    return node


def let_go_of_volume(space, storage_class):
    """Take away claim `data`, its volume and their class: nobody else lets go of them yet."""
    for kind, name in (("pvc", "data"), ("pv", space.name)):
        space.k(f'patch {kind} {name} --type=merge -p {{"metadata":{{"finalizers":null}}}}')
        space.k(f"delete {kind} {name} --wait=false")
    space.plane.kubectl("delete", "storageclass", storage_class)


def test_a_node_that_was_cordoned_meanwhile_is_not_taken(space):
    node = waits_for_victims(space)
    space.plane.kubectl("cordon", node)
    try:
        for name in LOWS:
            space.k(RELEASE.format(name))
        eventually(lambda: space.node("vip"))
        assert space.node("vip") != node
    finally:
        space.plane.kubectl("uncordon", node)
    assert "nominatedNodeName" not in space.get("vip")["status"]
    assert "<none>" in space.k("get pod vip -o wide").splitlines()[1].split()[-2]


def test_a_pod_of_another_scheduler_that_came_meanwhile_counts(space):
    """The pod that waits keeps away from it by anti-affinity, which takes nothing that could run short."""
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    apart = [{"labelSelector": {"matchLabels": {"app": "theirs"}}, "topologyKey": HOST}]
    for name in LOWS:
        space.pod(name, "3", priorityClassName="low")
    space.ready(*LOWS)
    for name in LOWS:
        space.k(HOLD.format(name))
    space.pod("vip", "3", priorityClassName="high", affinity={"podAntiAffinity": {required: apart}})
    node = eventually(lambda: space.get("vip")["status"].get("nominatedNodeName"))
    space.pod("theirs", "100m", schedulerName="mine")
    binding = {"metadata": {"name": "theirs"}, "target": {"kind": "Node", "name": node}}
    space.plane.json("POST", f"{space.path}/theirs/binding", binding)
    for name in LOWS:
        space.k(RELEASE.format(name))
    eventually(lambda: space.node("vip"))
    assert space.node("vip") != node


def test_a_pod_that_waits_for_its_volume_holds_its_place(space):
    claims, maker = f"/api/v1/namespaces/{space.name}/persistentvolumeclaims", "example.com/maker"
    late = {"metadata": {"name": "late"}, "provisioner": maker, "volumeBindingMode": "WaitForFirstConsumer"}
    space.plane.json("POST", "/apis/storage.k8s.io/v1/storageclasses", late)
    modes, capacity, where = ["ReadWriteOnce"], {"storage": "1Gi"}, {HOST: "hollow-0"}
    wish = {"accessModes": modes, "resources": {"requests": capacity}, "storageClassName": "late"}
    space.plane.json("POST", claims, {"metadata": {"name": "data"}, "spec": wish})
    uses = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    space.pod("first", "3", nodeSelector=where, volumes=uses)
    assert f"{maker} was told to make the volume for node hollow-0" in space.refusal("first")
    space.pod("second", "3", nodeSelector=where)
    assert "1 Insufficient cpu" in space.refusal("second")
    on_0 = {"matchExpressions": [{"key": HOST, "operator": "In", "values": ["hollow-0"]}]}
    made = {"capacity": capacity, "accessModes": modes, "storageClassName": "late", "local": {"path": "/d"}}
    made["nodeAffinity"] = {"required": {"nodeSelectorTerms": [on_0]}}
    space.plane.json("POST", "/api/v1/persistentvolumes", {"metadata": {"name": space.name}, "spec": made})
    space.k(f'patch pvc data --type=merge -p {{"spec":{{"volumeName":"{space.name}"}}}}')
    try:
        space.k('patch pvc data --type=merge --subresource=status -p {"status":{"phase":"Bound"}}')
        space.ready("first")
        assert space.node("first") == "hollow-0"
        assert not space.node("second")
    finally:
        space.k("delete pod first second --timeout=10s")
        let_go_of_volume(space, "late")


def test_a_volume_that_is_there_is_claimed_and_its_pod_goes_to_it(space):
    by = {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}
    space.plane.json("POST", "/apis/storage.k8s.io/v1/storageclasses", {"metadata": {"name": "local"}, **by})
    wish = {"accessModes": ["ReadWriteOnce"], "storageClassName": "local"}
    claims = f"/api/v1/namespaces/{space.name}/persistentvolumeclaims"
    asks = {**wish, "resources": {"requests": {"storage": "1Gi"}}}
    space.plane.json("POST", claims, {"metadata": {"name": "data"}, "spec": asks})
    on_1 = {"matchExpressions": [{"key": HOST, "operator": "In", "values": ["hollow-1"]}]}
    has = {**wish, "capacity": {"storage": "2Gi"}, "local": {"path": "/d"}}
    has["nodeAffinity"] = {"required": {"nodeSelectorTerms": [on_1]}}
    space.plane.json("POST", "/api/v1/persistentvolumes", {"metadata": {"name": space.name}, "spec": has})
    space.pod("p", volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}])
    try:
        assert "2 node(s) didn't find available persistent volumes to bind" in space.refusal("p")
        space.k(f'patch pv {space.name} --type=merge --subresource=status -p {{"status":{{"phase":"Available"}}}}')
        waits = f"persistentvolumeclaim data: is to be bound to volume {space.name}"
        eventually(lambda: space.refusal("p") == waits)
        assert explained(space, "pod/p").stdout == f"{space.name}/p waits: {waits}.\n"
        claimed = space.plane.json("GET", f"/api/v1/persistentvolumes/{space.name}")["spec"]["claimRef"]
        assert (claimed["namespace"], claimed["name"]) == (space.name, "data")
        # what a volume controller does then
        space.k(f'patch pvc data --type=merge -p {{"spec":{{"volumeName":"{space.name}"}}}}')
        space.k('patch pvc data --type=merge --subresource=status -p {"status":{"phase":"Bound"}}')
        space.ready("p")
        assert space.node("p") == "hollow-1"
    finally:
        space.k("delete pod p --timeout=10s")
        let_go_of_volume(space, "local")


def test_a_domain_that_goes_lets_pods_in(space):
    even = spread(HOST, "g")
    taint = {"key": "gone", "effect": "NoSchedule"}
    empty = {"metadata": {"name": "empty", "labels": {HOST: "empty"}}, "spec": {"taints": [taint]}}
    space.plane.json("POST", "/api/v1/nodes", empty)
    for number in range(3):
        space.pod(f"g{number}", labels={"set": "g"}, topologySpreadConstraints=[even])
    assert "2 node(s) didn't match pod topology spread constraints" in space.refusal("g2")
    space.plane.kubectl("delete", "node", "empty")
    space.ready("g2")


def test_evictions_that_are_refused_are_told_and_not_asked_for_without_end(space):
    group, kinds = "/apis/admissionregistration.k8s.io/v1", "validatingadmissionpolic"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["pods"]}
    message = "it is kept"
    policy = {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": {"matchLabels": {"team": space.name}}},
        "validations": [{"expression": "oldObject.metadata.name == 'vip'", "message": message}],
    }
    binding = {"policyName": space.name, "validationActions": ["Deny"]}
    for name in LOWS:
        space.pod(name, "3", priorityClassName="low")
    space.ready(*LOWS)
    space.plane.json("POST", f"{group}/{kinds}ies", {"metadata": {"name": space.name}, "spec": policy})
    space.plane.json("POST", f"{group}/{kinds}ybindings", {"metadata": {"name": space.name}, "spec": binding})
    try:
        eventually(lambda: message in space.k("delete pod low0 --wait=false --dry-run=server", check=False))
        before = attempts(space.plane)
        space.pod("vip", "3", priorityClassName="high")
        eventually(lambda: any("no room could be made on hollow-" in told for told in notes(space, "vip")))
        assert any(message in told for told in notes(space, "vip"))
        time.sleep(2.5)
        assert "nominatedNodeName" not in space.get("vip")["status"], "no room is made for it now"
        assert attempts(space.plane) - before <= 4, "a turn at once, then after one second and two"
    finally:
        space.plane.kubectl("delete", "validatingadmissionpolicybinding", space.name)
        space.plane.kubectl("delete", "validatingadmissionpolicy", space.name)
    space.ready("vip")


def notes(space: Space, name: str) -> list[str]:
    return [event["message"] for event in space.events(name, "FailedScheduling")]


def attempts(plane: ControlPlane) -> int:
    text = plane.call("GET", "/metrics")[1].decode()
    lines = [line for line in text.splitlines() if line.startswith("scheduler_schedule_attempts_total{")]
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines)


def test_room_that_is_being_made_is_kept_by_the_next_scheduler(tmp_path_factory):
    with scheduled(tmp_path_factory.mktemp("kept"), 2, low=-10, high=1000) as plane, space_of(plane) as space:
        node = waits_for_victims(space)
        plane.restart()
        space.pod("early", "3", priorityClassName="low")
        assert "2 Insufficient cpu" in space.refusal("early")
        for turn, seconds in enumerate((1.2, 2.2, 0.3)):  # what waits backs off, each time for longer
            plane.kubectl("label", "nodes", "hollow-0", f"turn=t{turn}", "--overwrite")
            time.sleep(seconds)
        for name in LOWS:
            space.k(RELEASE.format(name))
        space.pod("late", "3", priorityClassName="low")
        space.ready("vip")
        assert space.node("vip") == node
        assert not space.node("late")
        assert not space.node("early")
        assert len([name for name in LOWS if plane.call("GET", f"{space.path}/{name}")[0] == 200]) == 1
        assert sum(len(space.events(name, "Preempted")) for name in LOWS) == 1, "nobody is evicted a second time"
