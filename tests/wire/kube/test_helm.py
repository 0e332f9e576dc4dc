"""Unmodified helm: a chart's life, from its making to its end."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def chart(plane, tmp_path):
    plane.run("helm", "create", str(tmp_path / "chart"))
    return str(tmp_path / "chart")


def test_the_life_of_a_release(plane, namespace, chart):
    def h(*words):
        return plane.helm("-n", namespace, *words)

    assert "STATUS: deployed" in h("install", "r", chart)
    assert "STATUS: deployed" in h("status", "r")
    assert json.loads(h("list", "-o", "json"))[0]["name"] == "r"
    assert "REVISION: 2" in h("upgrade", "r", chart, "--set", "replicaCount=2")
    deployment = plane.json("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/r-chart")
    assert deployment["spec"]["replicas"] == 2
    assert [entry["revision"] for entry in json.loads(h("history", "r", "-o", "json"))] == [1, 2]
    assert "Rollback was a success" in h("rollback", "r", "1")
    deployment = plane.json("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/r-chart")
    assert deployment["spec"]["replicas"] == 1
    assert "kind: Deployment" in h("get", "manifest", "r")
    assert "replicaCount: 2" in h("get", "values", "r", "--revision", "2")
    assert 'release "r" uninstalled' in h("uninstall", "r")
    assert plane.json("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments")["items"] == []


def test_a_namespace_made_on_the_way_and_client_side(plane, namespace, chart):
    name = f"{namespace}-new"
    plane.helm("-n", name, "install", "r", chart, "--create-namespace", "--server-side=false")
    plane.helm("-n", name, "upgrade", "r", chart, "--server-side=false", "--set", "replicaCount=3")
    assert plane.json("GET", f"/apis/apps/v1/namespaces/{name}/deployments/r-chart")["spec"]["replicas"] == 3
    plane.helm("-n", name, "uninstall", "r")


def test_wait_sees_a_deployment_become_ready(plane, namespace, chart):
    """No controller runs here: the test says what one would."""
    import threading

    def ready():
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/r-chart"
        while plane.call("GET", path)[0] != 200:
            pass
        found = plane.json("GET", path)
        condition = {"type": "Available", "status": "True", "reason": "x", "message": "x"}
        progressing = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": "x"}
        found["status"] = {
            "observedGeneration": found["metadata"]["generation"], "replicas": 1, "updatedReplicas": 1,
            "readyReplicas": 1, "availableReplicas": 1, "conditions": [condition, progressing],
        }  # fmt: skip
        plane.json("PUT", f"{path}/status", found)

    thread = threading.Thread(target=ready)
    thread.start()
    assert "STATUS: deployed" in plane.helm("-n", namespace, "install", "r", chart, "--wait", "--timeout=30s")
    thread.join()


def test_what_changes_nothing(plane, namespace, chart):
    def h(*words):
        return plane.helm("-n", namespace, *words)

    assert "0 chart(s) failed" in h("lint", chart)
    assert "kind: Deployment" in h("template", "r", chart, "--validate")
    assert "kind: Service" in h("install", "r", chart, "--dry-run=server")
    assert h("list", "-q") == ""
    assert plane.json("GET", f"/api/v1/namespaces/{namespace}/services")["items"] == []


def test_upgrades_that_install_and_values_that_stay(plane, namespace, chart):
    def h(*words):
        return plane.helm("-n", namespace, *words)

    assert "does not exist. Installing it now." in h("upgrade", "--install", "r", chart, "--set", "replicaCount=3")
    h("upgrade", "r", chart, "--reuse-values", "--set", "image.tag=2")
    deployment = plane.json("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/r-chart")
    assert deployment["spec"]["replicas"] == 3
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":2")
    assert "NOTES" in h("get", "all", "r")
    h("uninstall", "r", "--keep-history")
    assert json.loads(h("list", "--uninstalled", "-o", "json"))[0]["status"] == "uninstalled"
    h("uninstall", "r")
