"""Owners that cannot be found where they would have to be; and the end of a namespace with much in it."""

from __future__ import annotations

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kube import eventually

CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"


@pytest.fixture
def names(plane, namespace):
    """Priority classes of this test."""
    made = [f"{namespace}-kept", f"{namespace}-dropped"]
    yield made
    for name in made:
        plane.call("DELETE", f"{CLASSES}/{name}")


def test_what_is_in_no_namespace_is_not_collected_for_an_owner_in_one(plane, namespace, names) -> None:
    kept, dropped = names
    owner = plane.json("POST", f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "owner"}})
    of_namespace = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    of_cluster = {"apiVersion": "v1", "kind": "Node", "name": "never-was", "uid": "of-nobody"}
    for name, reference in ((kept, of_namespace), (dropped, of_cluster)):
        plane.json("POST", CLASSES, {"metadata": {"name": name, "ownerReferences": [reference]}, "value": 1})
    eventually(lambda: plane.call("GET", f"{CLASSES}/{dropped}")[0] == 404)
    assert plane.call("GET", f"{CLASSES}/{kept}")[0] == 200


def fill(plane, path: str, names: range) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", plane.plain, timeout=30)
    headers = {"Authorization": f"Bearer {plane.token}", "Content-Type": "application/json"}
    for number in names:
        connection.request("POST", path, json.dumps({"metadata": {"name": f"c{number}"}}), headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 201
    connection.close()


@pytest.mark.parametrize("way", ["namespace", "collection"])
def test_much_is_deleted_while_others_are_answered(plane, namespace, way) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda first: fill(plane, path, range(first, 3000, 4)), range(4)))
        deleting = threads.submit(plane.json, "DELETE", path if way == "collection" else path.rpartition("/")[0])
        slowest = 0.0
        while not deleting.done() or (way == "namespace" and plane.call("GET", path.rpartition("/")[0])[0] == 200):
            began = time.monotonic()
            assert plane.call("GET", "/api/v1/namespaces/default")[0] == 200
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.01)
    assert slowest < 1.0
    assert [item["metadata"]["name"] for item in plane.json("GET", path)["items"]] in ([], ["kube-root-ca.crt"])


@pytest.mark.parametrize("kind", ["job", "replicationcontroller"])
def test_pods_of_old_kinds_stay_where_a_deletion_says_nothing(plane, namespace, kind) -> None:
    """As they did before there was a garbage collector; kubectl always says what should become of them."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    pod = {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never" if kind == "job" else "Always"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod}
    group, version = ("apis/batch/v1", "batch/v1") if kind == "job" else ("api/v1", "v1")
    path = f"/{group}/namespaces/{namespace}/{kind}s"
    for name, asked, stays in (("quiet", None, True), ("said", {"propagationPolicy": "Background"}, False)):
        owner = plane.json("POST", path, {"metadata": {"name": name}, "spec": {"template": template}})
        about = {"apiVersion": version, "kind": owner["kind"], "name": name, "uid": owner["metadata"]["uid"]}
        plane.json("POST", pods, {"metadata": {"name": name, "ownerReferences": [about]}, "spec": pod})
        code, headers, _ = plane.exchange("DELETE", f"{path}/{name}", asked)
        assert code == 200
        assert ("child pods are preserved by default" in headers.get("Warning", "")) is (stays and kind == "job")
        eventually(lambda: plane.call("GET", f"{path}/{name}")[0] == 404)  # noqa: B023
        if stays:
            assert "ownerReferences" not in plane.json("GET", f"{pods}/{name}")["metadata"]
        else:
            eventually(lambda: plane.call("GET", f"{pods}/{name}")[0] == 404)  # noqa: B023
