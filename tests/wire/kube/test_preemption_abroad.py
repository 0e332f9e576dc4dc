"""A pod that must be alone in a zone has the one of lower priority evicted that is on another node there."""

from __future__ import annotations

from hollow import scheduled
from scheduling_space import ZONE

PODS = "/api/v1/namespaces/default/pods"


def test_the_victim_is_on_another_node(tmp_path):
    with scheduled(tmp_path, 2, "--zones", "1", high=1000) as plane:
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
