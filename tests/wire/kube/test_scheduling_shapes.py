"""What a pod can ask for beside the ordinary, as kubectl sees it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hollow import scheduled
from kube import ControlPlane
from scheduling_space import HOST, ZONE, Space, explained, space_of, spread

ON_0 = {HOST: "hollow-0"}


@pytest.fixture(scope="module")
def plane(tmp_path_factory) -> Iterator[ControlPlane]:
    with scheduled(tmp_path_factory.mktemp("shapes"), 3, "--zones", "3") as made:
        yield made


@pytest.fixture
def space(plane) -> Iterator[Space]:
    with space_of(plane) as found:
        yield found


def test_a_sidecar_holds_its_host_port(space):
    sidecar = {"name": "s", "image": "i", "restartPolicy": "Always", "ports": [{"containerPort": 80, "hostPort": 80}]}
    space.pod("first", initContainers=[sidecar], nodeSelector=ON_0)
    space.ready("first")
    space.pod("second", initContainers=[sidecar], nodeSelector=ON_0)
    assert "1 node(s) didn't have free ports for the requested pod ports" in space.refusal("second")
    once = {**sidecar, "restartPolicy": None}
    space.pod("third", initContainers=[once], nodeSelector=ON_0)
    space.ready("third")


def test_spread_does_not_count_what_is_being_deleted(space):
    even = spread(ZONE, "e", nodeAffinityPolicy="Ignore")
    for number in range(3):
        where = {HOST: f"hollow-{number}"}
        space.pod(f"e{number}", labels={"set": "e"}, topologySpreadConstraints=[even], nodeSelector=where)
    space.ready("e0", "e1", "e2")
    for name in ("e1", "e2"):
        space.k(f'patch pod {name} --type=merge -p {{"metadata":{{"finalizers":["example.com/look"]}}}}')
        space.k(f"delete pod {name} --wait=false")
    try:
        space.pod("more", labels={"set": "e"}, topologySpreadConstraints=[even], nodeSelector=ON_0)
        assert "1 node(s) didn't match pod topology spread constraints" in space.refusal("more")
        space.pod("there", labels={"set": "e"}, topologySpreadConstraints=[even], nodeSelector={HOST: "hollow-1"})
        space.ready("there")
    finally:
        for name in ("e1", "e2"):
            space.k(f'patch pod {name} --type=merge -p {{"metadata":{{"finalizers":null}}}}')


def test_tolerations_that_compare(space):
    space.plane.kubectl("taint", "nodes", "hollow-0", "example.com/level=950:NoSchedule")
    try:
        for name, operator, value in (("above", "Gt", "900"), ("below", "Lt", "900"), ("at", "Gt", "950")):
            toleration = {"key": "example.com/level", "operator": operator, "value": value, "effect": "NoSchedule"}
            space.pod(name, tolerations=[toleration], nodeSelector=ON_0)
        space.ready("above")
        for name in ("below", "at"):
            assert "1 node(s) had untolerated taint(s)" in space.refusal(name)
    finally:
        space.plane.kubectl("taint", "nodes", "hollow-0", "example.com/level-")


def test_claims_on_devices_are_not_passed_over(space):
    space.pod("claims", resourceClaims=[{"name": "gpu", "resourceClaimName": "one"}])
    assert "spec.resourceClaims: this scheduler allocates no devices to claims" in space.refusal("claims")
    space.pod("after")
    space.ready("after")


def test_every_tenant_has_a_zone_of_its_own(space):
    """Kubernetes' own example of matchLabelKeys and mismatchLabelKeys."""
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    beside = {"labelSelector": {}, "matchLabelKeys": ["tenant"], "topologyKey": ZONE}
    exists = {"matchExpressions": [{"key": "tenant", "operator": "Exists"}]}
    apart = {"labelSelector": exists, "mismatchLabelKeys": ["tenant"], "topologyKey": ZONE}
    affinity = {"podAffinity": {required: [beside]}, "podAntiAffinity": {required: [apart]}}
    for number in range(6):
        space.pod(f"t{number}", labels={"tenant": "abc"[number % 3]}, affinity=affinity)
    space.ready(*[f"t{number}" for number in range(6)])
    nodes = [space.node(f"t{number}") for number in range(6)]
    assert nodes[:3] == nodes[3:]
    assert len(set(nodes)) == 3
    space.pod("late", labels={"tenant": "d"}, affinity=affinity)
    assert "3 node(s) didn't match pod anti-affinity rules" in space.refusal("late")


def test_spread_that_honours_taints_leaves_cordoned_nodes_out(space):
    even = spread(ZONE, "c", nodeTaintsPolicy="Honor")
    space.plane.kubectl("cordon", "hollow-2")
    try:
        for number in range(4):
            space.pod(f"c{number}", labels={"set": "c"}, topologySpreadConstraints=[even])
        space.ready(*[f"c{number}" for number in range(4)])
        assert sorted(space.node(f"c{number}") for number in range(4)) == [
            "hollow-0",
            "hollow-0",
            "hollow-1",
            "hollow-1",
        ]
    finally:
        space.plane.kubectl("uncordon", "hollow-2")


def test_the_pods_of_a_service_are_spread_though_one_node_is_emptier(space):
    for number in (1, 2):
        space.pod(f"large{number}", "2", nodeSelector={HOST: f"hollow-{number}"})
    space.ready("large1", "large2")
    for number in range(3):
        space.pod(f"alone{number}", labels={"set": "alone"})
        space.pod(f"web{number}", labels={"set": "web"}, schedulingGates=[{"name": "example.com/later"}])
    space.ready(*[f"alone{number}" for number in range(3)])
    assert {space.node(f"alone{number}") for number in range(3)} == {"hollow-0"}
    # the Service comes when its pods wait already
    service = {"metadata": {"name": "web"}, "spec": {"selector": {"set": "web"}, "ports": [{"port": 80}]}}
    space.plane.json("POST", f"/api/v1/namespaces/{space.name}/services", service)
    for number in range(3):
        space.k(f'patch pod web{number} --type=merge -p {{"spec":{{"schedulingGates":null}}}}')
    space.ready(*[f"web{number}" for number in range(3)])
    assert sorted(space.node(f"web{number}") for number in range(3)) == ["hollow-0", "hollow-1", "hollow-2"]


def test_claims_that_wait_for_their_pod(space):
    claims = f"/api/v1/namespaces/{space.name}/persistentvolumeclaims"
    for name, maker in (("made", "example.com/maker"), ("local", "kubernetes.io/no-provisioner")):
        late = {"metadata": {"name": name}, "provisioner": maker, "volumeBindingMode": "WaitForFirstConsumer"}
        space.plane.json("POST", "/apis/storage.k8s.io/v1/storageclasses", late)
        wish = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": name,
        }
        space.plane.json("POST", claims, {"metadata": {"name": name}, "spec": wish})
        space.pod(name, volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": name}}], nodeSelector=ON_0)
    try:
        told = "persistentvolumeclaim made: example.com/maker was told to make the volume for node hollow-0"
        assert space.refusal("made") == told
        assert explained(space, "pod/made").stdout == f"{space.name}/made waits: {told}.\n"
        claim = space.plane.json("GET", f"{claims}/made")
        assert claim["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == "hollow-0"
        refused = space.refusal("local")
        assert (
            "0/3 nodes are available: 1 node(s) didn't find available persistent volumes to bind, 2 node(s)" in refused
        )
        wish = "make a volume of class local and 1Gi or more for claim"
        assert f"on hollow-0, {wish} {space.name}/local available that it can reach." in refused
    finally:
        for name in ("made", "local"):
            space.k(f"delete pod {name} --timeout=10s")
            space.k(f'patch pvc {name} --type=merge -p {{"metadata":{{"finalizers":null}}}}')
            space.plane.kubectl("delete", "storageclass", name)
