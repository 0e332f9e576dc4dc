"""What random requests found, each as one request: bodies of wrong types, too deep, or damaged get a 4xx that says why."""

from __future__ import annotations

import json

import pytest

from sampan.kube import protobuf

APPLY, JSON_PATCH, MERGE = "application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


@pytest.fixture
def made(plane, namespace):
    """Paths of a config map and a deployment that are there."""
    plane.json("POST", f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "c"}, "data": {"a": "b"}})
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    deployment = {
        "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
    }
    plane.json("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment)
    return {
        "configmap": f"/api/v1/namespaces/{namespace}/configmaps/c",
        "deployment": f"/apis/apps/v1/namespaces/{namespace}/deployments/d",
        "pods": f"/api/v1/namespaces/{namespace}/pods",
    }


def patched(plane, path, media, body):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return plane.refused("PATCH", f"{path}?fieldManager=x", raw, headers={"Content-Type": media})


def deep(depth: int, inner: str = "1") -> str:
    return '{"a":' * depth + inner + "}" * depth


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("configmap", {"metadata": {"finalizers": 1e308}}),
        ("configmap", {"data": {"a": {"b": "c"}}}),
        ("deployment", {"spec": {"template": {"spec": {"containers": [{"name": "c", "volumeMounts": 7}]}}}}),
        ("deployment", {"spec": {"template": {"spec": {"volumes": [{"name": "v", "projected": {"sources": 1.5}}]}}}}),
        ("deployment", {"spec": {"template": {"spec": {"containers": "x"}}}}),
    ],
)
@pytest.mark.parametrize("there", [True, False])
def test_an_applied_configuration_of_wrong_types(plane, made, kind, config, there):
    path = made[kind] if there else made[kind] + "-new"
    about = {"configmap": ("v1", "ConfigMap"), "deployment": ("apps/v1", "Deployment")}[kind]
    refused = patched(plane, path, APPLY, {"apiVersion": about[0], "kind": about[1], **config})
    assert refused["code"] == 400
    assert refused["message"].startswith("failed to create typed patch object (")


def test_what_is_applied_is_kept_in_its_canonical_form(plane, namespace):
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": 0.5, "memory": "1024Mi"}}}
    config = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [container]}}
    path = f"/api/v1/namespaces/{namespace}/pods/p?fieldManager=x"
    applied = plane.json("PATCH", path, config, headers={"Content-Type": APPLY})
    assert applied["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}
    again = plane.json("PATCH", path, config, headers={"Content-Type": APPLY})
    assert again["metadata"]["resourceVersion"] == applied["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        (b'[{"op":"remove","path":""}]', 422),
        (b'[{"op":"remove","path":""},{"op":"remove","path":""}]', 422),
        (b'[{"op":"move","from":"","path":"/x"}]', 422),
        (b'[{"op":"add","path":"/data/a","value":"\xdd\xdd"}]', 400),
        (('[{"op":"add","path":"/data","value":' + deep(900) + "}]").encode(), 400),
        (
            json.dumps(
                [
                    {"op": "add", "path": "/x", "value": json.loads(deep(90, "{}"))},
                    *({"op": "copy", "from": "/x", "path": "/x" + "/a" * 90} for _ in range(2)),
                ]
            ).encode(),
            400,
        ),
    ],
)
def test_json_patches(plane, made, operations, code):
    assert patched(plane, made["configmap"], JSON_PATCH, operations)["code"] == code


@pytest.mark.parametrize("media", [STRATEGIC, MERGE])
def test_deep_patches(plane, made, media):
    assert "nested too deeply" in patched(plane, made["configmap"], media, deep(600).encode())["message"]


@pytest.mark.parametrize("depth", [201, 600, 60_000])
def test_deep_objects(plane, namespace, depth):
    refused = plane.refused("POST", f"/api/v1/namespaces/{namespace}/configmaps", deep(depth).encode())
    assert refused["code"] == 400


def test_as_deep_as_allowed(plane, namespace):
    answer = plane.json("POST", f"/api/v1/namespaces/{namespace}/configmaps", b'{"metadata":{"name":"x"},"x":' + deep(199).encode() + b"}")  # fmt: skip
    assert answer["metadata"]["name"] == "x"


@pytest.mark.parametrize(
    "body", [{"metadata": 1.5}, {"spec": "x"}, {"spec": {"replicas": "3"}}, {"spec": {"replicas": 2**40}}]
)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_scales(plane, made, method, body):
    media = {"Content-Type": "application/json" if method == "PUT" else MERGE}
    refused = plane.refused(method, f"{made['deployment']}/scale", body, headers=media)
    assert refused["code"] == 400
    assert "cannot be handled as a Scale" in refused["message"]


@pytest.mark.parametrize(
    "body", [{"metadata": []}, {"metadata": {"annotations": 1}}, {"target": []}, {"target": {"name": 1}}]
)
def test_binds(plane, made, body):
    plane.json("POST", made["pods"], {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    assert plane.refused("POST", f"{made['pods']}/p/binding", body)["code"] == 400


@pytest.mark.parametrize("body", [{"deleteOptions": 1}, {"deleteOptions": {"dryRun": "All"}}, {"metadata": ""}])
def test_evictions(plane, made, body):
    plane.json("POST", made["pods"], {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    assert plane.refused("POST", f"{made['pods']}/p/eviction", body)["code"] == 400


def test_a_pod_put_back_without_its_spec(plane, made):
    plane.json("POST", made["pods"], {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    refused = plane.refused("PUT", f"{made['pods']}/p", {"metadata": {"name": "p"}})
    assert refused["code"] == 422
    assert "spec.containers: Required value" in refused["message"]


def envelope(raw: bytes) -> bytes:
    """A ConfigMap's envelope around any bytes."""
    about = b"\x0a\x0f" + b"\x0a\x02v1\x12\x09ConfigMap"
    return protobuf.MAGIC + about + b"\x12" + bytes([len(raw)]) + raw


@pytest.mark.parametrize(
    "body",
    [
        protobuf.MAGIC + b"\x08\x01",  # a number where the kind should be
        protobuf.MAGIC + b"\x10\xff\xff\xff\xff\xff\x01",  # a number where the object should be: no buffer of that size
        envelope(b"\x0a\x06\x42\x04\x0a\x02xx"),  # a time whose seconds are bytes
        envelope(b"\x0a\x0c\x42\x0a\x08" + b"\xff" * 7 + b"\x7f"),  # a time after year 9999
    ],
)
def test_damaged_protobuf(plane, namespace, body):
    media = {"Content-Type": "application/vnd.kubernetes.protobuf"}
    assert plane.refused("POST", f"/api/v1/namespaces/{namespace}/configmaps", body, headers=media)["code"] == 400


def test_what_is_only_done_in_one_namespace(plane):
    assert plane.refused("POST", "/api/v1/configmaps", {"metadata": {"name": "x"}})["code"] == 405
    assert plane.refused("DELETE", "/apis/apps/v1/deployments")["code"] == 405


def test_a_deletion_that_is_only_tried(plane, namespace):
    base = f"/api/v1/namespaces/{namespace}/configmaps"
    plane.json("POST", base, {"metadata": {"name": "x"}})
    plane.json("DELETE", f"{base}/x", {"dryRun": ["All"]})
    plane.json("DELETE", base, {"dryRun": ["All"]})
    assert plane.json("GET", f"{base}/x")["metadata"]["name"] == "x"
    assert plane.refused("DELETE", f"{base}/x", {"dryRun": ["Some"]})["code"] == 422
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    pods = f"/api/v1/namespaces/{namespace}/pods"
    plane.json("POST", pods, pod)
    plane.json("POST", f"{pods}/p/eviction", {"deleteOptions": {"dryRun": ["All"]}})
    assert plane.json("GET", f"{pods}/p")["metadata"]["name"] == "p"
