"""Custom resources in two versions between which a real webhook converts, over HTTPS."""

from __future__ import annotations

import json

import pytest

from kube import free_port
from webhook import webhook_server

MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture(scope="module")
def hooks(tmp_path_factory):
    with webhook_server(tmp_path_factory.mktemp("hooks")) as server:
        yield server


def converted(request):
    """v1 has spec.host and spec.port; v2 has spec.address."""
    made = []
    for obj in request["objects"]:
        after = json.loads(json.dumps(obj))
        spec = after.get("spec") or {}
        if request["desiredAPIVersion"].endswith("/v2"):
            after["spec"] = {"address": f"{spec['host']}:{spec['port']}"}
        else:
            host, _, port = spec["address"].partition(":")
            after["spec"] = {"host": host, "port": port}
        after["apiVersion"] = request["desiredAPIVersion"]
        made.append(after)
    return {"convertedObjects": made, "result": {"status": "Success"}}


class Kind:
    """A definition of two versions, v1 stored."""

    def __init__(self, plane, namespace, config):
        self.plane, self.group, self.namespace = plane, f"{namespace}.example.org", namespace
        self.name = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/buoys.{self.group}"
        text = {"type": "string"}
        fields = {"v1": {"host": text, "port": text}, "v2": {"address": text}}
        versions = [
            {
                "name": version, "served": True, "storage": version == "v1",
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": fields[version]}}}},
            }
            for version in ("v1", "v2")
        ]  # fmt: skip
        plane.json("POST", self.name.rpartition("/")[0], {
            "metadata": {"name": f"buoys.{self.group}"},
            "spec": {
                "group": self.group, "scope": "Namespaced", "names": {"plural": "buoys", "kind": "Buoy"},
                "versions": versions,
                "conversion": {"strategy": "Webhook",
                               "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": config}},
            },
        })  # fmt: skip
        plane.kubectl("wait", "--for=condition=Established", f"crd/buoys.{self.group}", "--timeout=10s")

    def path(self, version, name=""):
        return f"/apis/{self.group}/{version}/namespaces/{self.namespace}/buoys" + (f"/{name}" if name else "")

    def body(self, version, name, **spec):
        return {"apiVersion": f"{self.group}/{version}", "kind": "Buoy", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def buoys(plane, namespace, hooks):
    hooks.on(f"/{namespace}", converted)
    kind = Kind(plane, namespace, hooks.config(f"/{namespace}"))
    yield kind
    plane.json("DELETE", kind.name)


def test_what_is_written_in_one_version_is_read_in_the_other(plane, buoys):
    made = plane.json("POST", buoys.path("v2"), buoys.body("v2", "one", address="sea:7"))
    assert made["spec"] == {"address": "sea:7"}
    assert made["apiVersion"].endswith("/v2")
    stored = plane.json("GET", buoys.path("v1", "one"))
    assert stored["spec"] == {"host": "sea", "port": "7"}
    assert stored["metadata"]["uid"] == made["metadata"]["uid"]
    shown = plane.kubectl("-n", buoys.namespace, "get", f"buoys.v2.{buoys.group}", "one", "-o", "jsonpath={.spec}")
    assert json.loads(shown) == {"address": "sea:7"}


def test_changes_and_lists(plane, buoys, hooks):
    for index in range(3):
        plane.json("POST", buoys.path("v1"), buoys.body("v1", f"b{index}", host="sea", port=str(index)))
    plane.json("PATCH", buoys.path("v2", "b1"), {"spec": {"address": "lake:9"}}, headers=MERGE)
    assert plane.json("GET", buoys.path("v1", "b1"))["spec"] == {"host": "lake", "port": "9"}
    before = len(hooks.asked[f"/{buoys.namespace}"])
    listed = plane.json("GET", buoys.path("v2"))["items"]
    assert [item["spec"]["address"] for item in listed] == ["sea:0", "lake:9", "sea:2"]
    assert len(hooks.asked[f"/{buoys.namespace}"]) == before + 1  # a list is one question


def test_watches(plane, buoys):
    plane.json("POST", buoys.path("v1"), buoys.body("v1", "one", host="sea", port="1"))
    _, raw = plane.call("GET", f"{buoys.path('v2')}?watch=1&resourceVersion=0&timeoutSeconds=1")
    [event] = [json.loads(line) for line in raw.splitlines()]
    assert (event["type"], event["object"]["spec"]) == ("ADDED", {"address": "sea:1"})


def test_server_side_apply_in_both_versions(plane, buoys):
    for version, spec in (("v1", {"host": "sea", "port": "1"}), ("v2", {"address": "sea:2"})):
        body = buoys.body(version, "one", **spec)
        plane.kubectl(
            "-n", buoys.namespace, "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(body)
        )
    assert plane.json("GET", buoys.path("v1", "one"))["spec"] == {"host": "sea", "port": "2"}


def test_the_webhook_may_change_labels_but_not_who_an_object_is(plane, buoys, hooks):
    def renaming(request):
        answer = converted(request)
        for obj in answer["convertedObjects"]:
            obj["metadata"] = {**obj["metadata"], "labels": {"was": "converted"}, "uid": "other", "name": "other"}
        return answer

    made = plane.json("POST", buoys.path("v1"), buoys.body("v1", "one", host="sea", port="1"))
    hooks.on(f"/{buoys.namespace}", renaming)
    found = plane.json("GET", buoys.path("v2", "one"))
    assert found["metadata"]["labels"] == {"was": "converted"}
    assert (found["metadata"]["name"], found["metadata"]["uid"]) == ("one", made["metadata"]["uid"])
    hooks.on(f"/{buoys.namespace}", converted)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda _: {"result": {"status": "Failed", "message": "the sea is rough"}}, "the sea is rough"),
        (lambda _: {"result": {"status": "Success"}, "convertedObjects": []}, "it returned other objects than were asked for"),
        (lambda request: {"result": {"status": "Success"}, "convertedObjects": request["objects"]}, "it returned an object that is no Buoy of "),
        (lambda request: {**converted(request), "uid": "other"}, "it returned other objects than were asked for"),
    ],
    ids=["failed", "none", "same", "uid"],
)  # fmt: skip
def test_answers_that_are_none(plane, buoys, hooks, answer, why):
    plane.json("POST", buoys.path("v1"), buoys.body("v1", "one", host="sea", port="1"))
    hooks.on(f"/{buoys.namespace}", answer)
    refused = plane.refused("GET", buoys.path("v2", "one"))
    assert refused["code"] == 500
    assert f"conversion webhook for {buoys.group}/v1, Kind=Buoy failed: {why}" in refused["message"]
    assert plane.json("GET", buoys.path("v1", "one"))["spec"] == {"host": "sea", "port": "1"}  # needs no conversion
    hooks.on(f"/{buoys.namespace}", converted)


def test_a_webhook_that_is_not_there(plane, namespace):
    kind = Kind(plane, namespace, {"url": f"https://127.0.0.1:{free_port()}/x"})
    plane.json("POST", kind.path("v1"), kind.body("v1", "one", host="sea", port="1"))
    message = plane.refused("GET", kind.path("v2", "one"))["message"]
    assert f"conversion webhook for {kind.group}/v1, Kind=Buoy failed: Post " in message
    plane.json("DELETE", kind.name)
