"""Pod and Node objects in the core's words."""

from __future__ import annotations

from sampan.control.scheduling.nodes import limits, node
from sampan.control.scheduling.pods import image, requests, seen, shape
from sampan.control.scheduling.volumes import UNBOUND, Volumes, claim, storage_class, volume
from sampan.kube.selector import Requirement
from sampan.schedule.claimable import ClaimableVolumes
from sampan.schedule.node import Taint
from sampan.schedule.shape import Attachment, HostPort, NodeTerm, PodTerm, Shape, Spread, Toleration

GI = 1 << 30


def asks(**resources: str) -> dict:
    return {"resources": {"requests": resources}}


def pod(spec: dict | None = None, **more) -> dict:
    meta = {"namespace": "n", "name": "p", "uid": "u", "labels": {"app": "web"}}
    return {"metadata": meta, "spec": {"containers": [{"image": "nginx"}], **(spec or {})}, **more}


def test_requests_are_the_most_that_is_needed_at_a_time():
    spec = {
        "containers": [asks(cpu="500m", memory="1Gi"), asks(cpu="1")],
        "initContainers": [asks(cpu="2"), {**asks(cpu="250m"), "restartPolicy": "Always"}, asks(memory="3Gi")],
    }
    # the sidecar runs beside the containers and beside the last of those that come before
    assert requests(spec) == {"cpu": 2000, "memory": 3 * GI}
    assert requests({**spec, "resources": {"requests": {"cpu": "4"}}}) == {"cpu": 4000, "memory": 3 * GI}
    assert requests({**spec, "overhead": {"cpu": "10m"}}) == {"cpu": 2010, "memory": 3 * GI}


def test_what_has_ended_takes_nothing():
    assert seen(pod(status={"phase": "Succeeded"})) is None
    assert seen(pod(status={"phase": "Failed"})) is None


def test_a_pod_in_short():
    found = seen(
        pod(
            {"priority": 7, "preemptionPolicy": "Never", "nodeName": "one", "schedulerName": "mine"},
            status={"phase": "Running", "startTime": "1970-01-01T00:01:00Z", "nominatedNodeName": "two"},
        )
    )
    assert found is not None
    assert (found.pod.key, found.pod.priority, found.pod.may_preempt, found.pod.started_s) == ("n/p", 7, False, 60.0)
    assert (found.node, found.nominated, found.ours, found.uid, found.deleting) == ("one", "two", False, "u", False)


def test_affinity():
    term = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "zone", "matchLabelKeys": ["app", "gone"]}
    anti = {"topologyKey": "host", "namespaceSelector": {}, "labelSelector": {"matchExpressions": []}}
    required, preferred = (
        "requiredDuringSchedulingIgnoredDuringExecution",
        "preferredDuringSchedulingIgnoredDuringExecution",
    )
    ssd = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
    named = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["one"]}]}
    found = shape(
        pod(
            {
                "affinity": {
                    "nodeAffinity": {
                        required: {"nodeSelectorTerms": [ssd, named]},
                        preferred: [{"weight": 3, "preference": ssd}],
                    },
                    "podAffinity": {required: [term]},
                    "podAntiAffinity": {required: [anti], preferred: [{"weight": 5, "podAffinityTerm": term}]},
                }
            }
        )
    )
    on_ssd = NodeTerm((Requirement("disk", "In", ("ssd",)),))
    assert found.node_terms == (on_ssd, NodeTerm((), (Requirement("metadata.name", "In", ("one",)),)))
    assert found.preferred_nodes == ((3, on_ssd),)
    near = PodTerm(topology="zone", selector=(Requirement("app", "In", ("db",)),), namespaces=("n",))
    assert found.affinity == (near,)
    assert found.anti_affinity == (PodTerm(topology="host", selector=(), namespace_selector=()),)
    assert found.preferred_pods == ((-5, near),)


def test_the_rest_of_a_shape():
    constraint = {"topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "ScheduleAnyway", "matchLabelKeys": ["app"]}
    found = shape(
        pod(
            {
                "containers": [
                    {"image": "r/x/nginx", "ports": [{"hostPort": 80, "containerPort": 80}, {"containerPort": 1}]}
                ],
                "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3}],
                "topologySpreadConstraints": [{**constraint, "labelSelector": {}, "nodeTaintsPolicy": "Honor"}],
                "schedulingGates": [{"name": "a/b"}],
                "overhead": {"memory": "1Gi"},
                "nodeSelector": {"disk": "ssd"},
            }
        )
    )
    assert found.ports == (HostPort(80),)
    assert found.images == ("r/x/nginx:latest",)
    assert found.tolerations == (Toleration(key="k", operator="Exists", effect="NoExecute"),)
    web = (Requirement("app", "In", ("web",)),)
    assert found.spread == (Spread(topology="zone", max_skew=2, selector=web, hard=False, honor_taints=True),)
    assert (found.gates, found.requests, found.node_selector) == (("a/b",), (("memory", GI),), (("disk", "ssd"),))
    assert image("localhost:5000/x") == "localhost:5000/x:latest"
    assert image("x:1") == "x:1"


def test_an_operator_nobody_knows_matches_nothing():
    term = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Near"}]}]}
    found = shape(pod({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}}}))
    assert not any(part.matches({"a": "1"}) for each in found.node_terms or () for part in each.labels)


def test_a_node():
    found = node(
        {
            "metadata": {"name": "one", "labels": {"b": "2", "a": "1"}},
            "spec": {"unschedulable": True, "taints": [{"key": "k", "effect": "NoExecute"}]},
            "status": {
                "capacity": {"cpu": "8"},
                "allocatable": {"cpu": "7500m", "memory": "1Gi", "pods": "110"},
                "images": [{"names": ["x:1", "x@sha256:0"], "sizeBytes": 5}],
            },
        }
    )
    assert found.allocatable == (("cpu", 7500), ("memory", GI), ("pods", 110))
    assert (found.labels, found.unschedulable, found.taints) == (
        (("a", "1"), ("b", "2")),
        True,
        (Taint("k", "", "NoExecute"),),
    )
    assert found.images == (("x:1", 5), ("x@sha256:0", 5))
    assert limits({"spec": {"drivers": [{"name": "d", "allocatable": {"count": 3}}, {"name": "e"}]}}) == (("d", 3),)


def test_volumes():
    known, plain = Volumes(ClaimableVolumes()), Shape(namespace="n")
    assert known.wanted(plain, ["c"]).fault == 'persistentvolumeclaim "c" not found'
    bound = {"spec": {"volumeName": "v", "accessModes": ["ReadWriteOncePod"]}, "status": {"phase": "Bound"}}
    known.claims["n", "c"] = claim(bound)
    assert known.wanted(plain, ["c"]).fault == 'persistentvolume "v" not found'
    zone = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
    spec = {"csi": {"driver": "d", "volumeHandle": "h"}, "nodeAffinity": {"required": {"nodeSelectorTerms": [zone]}}}
    known.volumes["v"] = volume({"spec": spec})
    wanted = known.wanted(plain, ["c"]).shape
    assert wanted.volume_terms == ((NodeTerm((Requirement("zone", "In", ("a",)),)),),)
    assert (wanted.attachments, wanted.exclusive) == ((Attachment("d", "h"),), ("n/c",))
    known.claims["n", "c"] = claim({"spec": {"storageClassName": "s"}})
    assert known.wanted(plain, ["c"]).fault == UNBOUND
    known.classes["s"] = storage_class({"provisioner": "d", "volumeBindingMode": "WaitForFirstConsumer"})
    assert known.wanted(plain, ["c"]) == (plain, "", ("c",))
    selected = {"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "one"}}}
    known.claims["n", "c"] = claim({"spec": {"storageClassName": "s"}, **selected})
    assert known.wanted(plain, ["c"]).shape.volume_terms == (
        (NodeTerm((), (Requirement("metadata.name", "In", ("one",)),)),),
    )


def test_sidecars_and_images_of_all_sorts():
    once, sidecar = {"image": "once", "ports": [{"hostPort": 1}]}, {"image": "side", "ports": [{"hostPort": 2}]}
    spec = {
        "initContainers": [once, {**sidecar, "restartPolicy": "Always"}],
        "containers": [{"image": "side"}],
        "volumes": [{"name": "v", "image": {"reference": "data:1"}}, {"name": "w", "emptyDir": {}}],
    }
    found = shape(pod(spec))
    assert found.ports == (HostPort(2),), "an init container that ends holds no port"
    assert found.images == ("data:1", "once:latest", "side:latest", "side:latest")


def test_a_pod_that_is_being_deleted_is_ending():
    there = pod({"nodeName": "one"})
    assert not shape(there).ending
    there["metadata"]["deletionTimestamp"] = "1970-01-01T00:01:00Z"
    assert shape(there).ending


def test_claims_on_devices_are_refused_in_words():
    found = seen(pod({"resourceClaims": [{"name": "gpu", "resourceClaimName": "one"}]}))
    assert found is not None
    assert found.fault.startswith("spec.resourceClaims: ")


def test_keys_that_narrow_a_selector_that_names_them():
    """Kubernetes' own example of mismatchLabelKeys: away from the pods of every other tenant."""
    named = {"matchExpressions": [{"key": "app", "operator": "Exists"}]}
    required = "requiredDuringSchedulingIgnoredDuringExecution"

    def away(selector: dict) -> object:
        term = {"labelSelector": selector, "topologyKey": "zone", "mismatchLabelKeys": ["app"]}
        return shape(pod({"affinity": {"podAntiAffinity": {required: [term]}}})).anti_affinity[0].selector

    exists, other = Requirement("app", "Exists"), Requirement("app", "NotIn", ("web",))
    assert away(named) == (exists, other)
    merged = {"matchExpressions": [*named["matchExpressions"], {"key": "app", "operator": "NotIn", "values": ["web"]}]}
    assert away(merged) == (exists, other)
