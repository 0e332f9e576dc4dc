"""A pod that must be alone in a zone has the one of lower priority evicted that is on another node there."""

from __future__ import annotations

from hollow import hollow_nodes
from kube import control_plane, eventually

ZONE = "topology.kubernetes.io/zone"
PODS = "/api/v1/namespaces/default/pods"


def test_the_victim_is_on_another_node(tmp_path):
    with control_plane(tmp_path, scheduler=True) as plane, hollow_nodes(plane, 2, "--zones", "1"):
        eventually(lambda: plane.call("GET", "/api/v1/namespaces/default/serviceaccounts/default")[0] == 200)
        high = {"metadata": {"name": "high"}, "value": 1000}
        plane.json("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", high)
        container = {"name": "c", "image": "i"}
        low = {"containers": [container], "nodeName": "hollow-1", "terminationGracePeriodSeconds": 0}
        plane.json("POST", PODS, {"metadata": {"name": "low", "labels": {"app": "x"}}, "spec": low})
        plane.kubectl("wait", "--for=condition=Ready", "pod/low", "--timeout=10s")
        plane.kubectl("cordon", "hollow-1")
        term = {"labelSelector": {"matchLabels": {"app": "x"}}, "topologyKey": ZONE}
        apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        spec = {"containers": [container], "affinity": apart, "priorityClassName": "high"}
        plane.json("POST", PODS, {"metadata": {"name": "vip"}, "spec": spec})
        plane.kubectl("wait", "--for=condition=Ready", "pod/vip", "--timeout=15s")
        assert plane.json("GET", f"{PODS}/vip")["spec"]["nodeName"] == "hollow-0"
        assert plane.call("GET", f"{PODS}/low")[0] == 404
        said = plane.kubectl("get", "events")
        assert "Preempted by pod" in said
        assert "didn't match pod anti-affinity rules" in said
