"""Pods of a manifest are what a server would make of them."""

from __future__ import annotations

import pytest

from sampan.base.errors import InvalidArgument
from sampan.cmd.sched import judged
from sampan.control.scheduling import manifest
from sampan.control.scheduling.cluster import Cluster
from sampan.control.scheduling.pods import Seen
from sampan.schedule.node import Node
from sampan.schedule.shape import HostPort, amounts, pairs


def read(*documents: dict, runtimes: dict[str, dict] | None = None, **priorities: int) -> list[Seen]:
    return manifest.read(documents, "n", manifest.Classes({"": 0, **priorities}, runtimes or {})).pods


def pod(container: dict, **spec) -> dict:
    return {"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", **container}], **spec}}


def test_limits_are_requests_where_none_are_named():
    [found] = read(pod({"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}}))
    assert found.pod.shape.requests == (("cpu", 500), ("memory", 1 << 30))
    [found] = read(pod({"resources": {"limits": {"cpu": 1}, "requests": None}}))
    assert found.pod.shape.requests == (("cpu", 1000),)


def test_ports_of_a_pod_on_the_hosts_network_are_the_hosts():
    [found] = read(pod({"ports": [{"containerPort": 80}]}, hostNetwork=True))
    assert found.pod.shape.ports == (HostPort(80),)


def test_a_runtime_class_gives_overhead_and_nodes():
    vm = {
        "handler": "kata",
        "overhead": {"podFixed": {"cpu": "250m", "devices.kubevirt.io/kvm": "1"}},
        "scheduling": {"nodeSelector": {"vm": "yes"}, "tolerations": [{"key": "vm", "operator": "Exists"}]},
    }
    wish = pod({"resources": {"requests": {"cpu": "1"}}}, runtimeClassName="vm", nodeSelector={"disk": "ssd"})
    [found] = read(wish, runtimes={"vm": vm})
    assert found.pod.shape.requests == (("cpu", 1250), ("devices.kubevirt.io/kvm", 1))
    assert found.pod.shape.node_selector == (("disk", "ssd"), ("vm", "yes"))
    assert [one.key for one in found.pod.shape.tolerations] == ["vm"]
    with pytest.raises(InvalidArgument, match='RuntimeClass "vm" not found'):
        read(wish)
    with pytest.raises(InvalidArgument, match=r"pod p: conflict: .*nodeSelector\[disk\] = hdd"):
        read(wish, runtimes={"vm": {"handler": "kata", "scheduling": {"nodeSelector": {"disk": "hdd"}}}})


def test_a_template_makes_as_many_as_it_says():
    made = {"spec": {"containers": [{"name": "c"}], "priorityClassName": "high"}}
    found = read({"kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": 2, "template": made}}, high=7)
    assert [(one.pod.key, one.pod.priority) for one in found] == [("n/d-0", 7), ("n/d-1", 7)]


def test_what_has_no_pods_is_passed_over_beside_what_has():
    job = {"template": {"spec": {"containers": [{"name": "c"}]}}, "parallelism": 2}
    cron = {"kind": "CronJob", "metadata": {"name": "nightly"}, "spec": {"jobTemplate": {"spec": job}}}
    made = {**pod({}), "metadata": {"generateName": "w-"}}
    found = read({"kind": "Service"}, made, dict(made, metadata={"generateName": "w-"}), cron)
    assert [one.pod.key for one in found] == ["n/w-1", "n/w-2", "n/nightly-0", "n/nightly-1"]


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (pod({"resources": {"requests": "all"}}), "pod p: "),
        (pod({}, priorityClassName="none"), 'no PriorityClass with name "none" was found'),
        ({"kind": "Service"}, "Service: there is nothing to place"),
        ({"kind": "DaemonSet"}, "DaemonSet: "),
    ],
)
def test_what_cannot_be_read_is_told(document, why):
    with pytest.raises(InvalidArgument, match=why):
        read(document)


def placed(*documents: dict) -> list[str]:
    """Return where the pods of a manifest go on three nodes of which the first is the emptiest by far."""
    cluster = Cluster()
    for name, cpu in (("a", 100_000), ("b", 10_000), ("c", 10_000)):
        room = amounts({"cpu": cpu, "memory": cpu << 20, "pods": 100})
        cluster.node(name, Node(name=name, allocatable=room, labels=pairs({"kubernetes.io/hostname": name})))
    wanted = manifest.read(documents, "n", manifest.Classes({"": 0}, {}))
    return sorted(one.node for one in judged(cluster, wanted))


WEB = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": 1}}}]},
}


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "StatefulSet", "ReplicationController"])
def test_the_pods_of_a_set_are_spread_as_its_controller_would_have_them(kind):
    selector = {"app": "web"} if kind == "ReplicationController" else {"matchLabels": {"app": "web"}}
    made = {"kind": kind, "metadata": {"name": "w"}, "spec": {"replicas": 3, "template": WEB, "selector": selector}}
    assert placed(made) == ["a", "b", "c"]


def test_the_pods_of_a_service_in_the_manifest_are_spread():
    job = {"kind": "Job", "metadata": {"name": "j"}, "spec": {"parallelism": 3, "template": WEB}}
    assert placed(job) == ["a", "a", "a"]
    service = {"kind": "Service", "metadata": {"name": "w"}, "spec": {"selector": {"app": "web"}}}
    assert placed(job, service) == ["a", "b", "c"]
