"""Custom resources by kubectl: made, served in two versions, validated, defaulted, pruned, scaled, and gone with their definition."""

from __future__ import annotations

import json
import re

import pytest

from kube import eventually

CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %(plural)s.boats.example.org}
spec:
  group: boats.example.org
  scope: Namespaced
  names: {plural: %(plural)s, singular: %(plural)sone, kind: %(kind)s, shortNames: [%(plural)ss], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.crew, statusReplicasPath: .status.crew}
    additionalPrinterColumns:
    - {name: Crew, type: integer, jsonPath: .spec.crew}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    selectableFields: [{jsonPath: .spec.harbour}]
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            description: What a boat should be.
            required: [crew]
            properties:
              crew: {type: integer, minimum: 0, maximum: 9}
              harbour: {type: string, default: Canton}
              planks:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [side]
                items:
                  type: object
                  required: [side]
                  properties: {side: {type: string}, wood: {type: string}}
          status: {type: object, properties: {crew: {type: integer}}}
  - name: v1beta1
    served: true
    storage: false
    schema:
      openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""
BOAT = """
apiVersion: boats.example.org/v1
kind: %(kind)s
metadata: {name: junk}
spec: {crew: 3, planks: [{side: left, wood: teak}]}
"""


@pytest.fixture
def names(namespace):
    return {"plural": f"{namespace}s", "kind": namespace.capitalize()}


@pytest.fixture
def k(plane, namespace, names):
    plane.kubectl("apply", "-f", "-", stdin=CRD % names)
    plane.kubectl("wait", "--for=condition=Established", f"crd/{names['plural']}.boats.example.org", "--timeout=10s")

    def run(words, stdin="", check=True):
        argv = words.split() if isinstance(words, str) else words
        return plane.kubectl("-n", namespace, *argv, stdin=stdin, check=check)

    yield run
    plane.kubectl("delete", "crd", f"{names['plural']}.boats.example.org", "--timeout=20s")
    assert plane.refused("GET", f"/apis/boats.example.org/v1/{names['plural']}")["code"] == 404


def path_of(namespace, names, version="v1"):
    return f"/apis/boats.example.org/{version}/namespaces/{namespace}/{names['plural']}"


def test_the_life_of_a_custom_resource(k, plane, namespace, names):
    plural = names["plural"]
    assert ".boats.example.org/junk created" in k("apply -f -", stdin=BOAT % names)
    found = plane.json("GET", f"{path_of(namespace, names)}/junk")
    assert found["spec"]["harbour"] == "Canton"
    assert found["metadata"]["generation"] == 1
    assert re.search(r"NAME +CREW +AGE\njunk +3 +", k(f"get {plural}"))
    assert "junk" in k(f"get {plural}s")
    assert k(f"scale {plural} junk --replicas=5").endswith("scaled\n")
    assert plane.json("GET", f"{path_of(namespace, names)}/junk")["metadata"]["generation"] == 2
    k(["patch", plural, "junk", "--type=merge", "-p", '{"spec":{"harbour":"Macau"}}'])
    assert "junk" in k(f"get {plural} --field-selector=spec.harbour=Macau -o name")
    assert "No resources" in k(f"get {plural} --field-selector=spec.harbour=Canton", check=False)
    k(
        [
            "patch",
            plural,
            "junk",
            "--subresource=status",
            "--type=merge",
            "-p",
            '{"status":{"crew":5},"spec":{"crew":9}}',
        ]
    )
    found = plane.json("GET", f"{path_of(namespace, names)}/junk")
    assert (found["spec"]["crew"], found["status"]["crew"], found["metadata"]["generation"]) == (5, 5, 3)
    explained = k(f"explain {plural}.spec")
    assert "What a boat should be." in explained
    assert "crew" in explained
    assert ".boats.example.org/junk" in k(f"get {plural} -o name")
    k(f"describe {plural} junk")
    assert "deleted" in k(f"delete {plural} junk")


def test_two_versions_are_two_faces(k, plane, namespace, names):
    k("apply -f -", stdin=BOAT % names)
    other = plane.json("GET", f"{path_of(namespace, names, 'v1beta1')}/junk")
    assert other["apiVersion"] == "boats.example.org/v1beta1"
    assert other["spec"]["crew"] == 3
    made = {
        "apiVersion": "boats.example.org/v1beta1",
        "kind": names["kind"],
        "metadata": {"name": "other"},
        "spec": {"crew": 1},
    }
    plane.json("POST", path_of(namespace, names, "v1beta1"), made)
    listed = plane.json("GET", path_of(namespace, names))["items"]
    assert {item["apiVersion"] for item in listed} == {"boats.example.org/v1"}
    _, raw = plane.call("GET", f"{path_of(namespace, names, 'v1beta1')}?watch=1&resourceVersion=0&timeoutSeconds=1")
    events = [json.loads(line) for line in raw.splitlines()]
    assert {event["object"]["apiVersion"] for event in events if event["type"] == "ADDED"} == {
        "boats.example.org/v1beta1"
    }


def test_what_the_schema_refuses(k, plane, namespace, names):
    path, kind = path_of(namespace, names), names["kind"]

    def refused(spec):
        body = {"apiVersion": "boats.example.org/v1", "kind": kind, "metadata": {"name": "bad"}, "spec": spec}
        return plane.refused("POST", f"{path}?fieldValidation=Strict", body)["message"]

    assert "spec.crew: Invalid value: 10: spec.crew in body should be less than or equal to 9" in refused({"crew": 10})
    assert "spec.crew: Required value" in refused({})
    assert 'must be of type integer: "string"' in refused({"crew": "three"})
    assert 'strict decoding error: unknown field "spec.sails"' in refused({"crew": 1, "sails": 2})
    assert "Duplicate value" in refused({"crew": 1, "planks": [{"side": "a"}, {"side": "a"}]})
    body = {"metadata": {"name": "pruned"}, "spec": {"crew": 1, "sails": 2}}
    assert "sails" not in plane.json("POST", path, body)["spec"]


def test_server_side_apply_merges_by_the_schema(k, plane, namespace, names):
    config = BOAT % names
    k("apply --server-side -f -", stdin=config)
    right = config.replace("side: left, wood: teak", "side: right, wood: pine")
    k("apply --server-side --field-manager=other -f -", stdin=right)
    planks = plane.json("GET", f"{path_of(namespace, names)}/junk")["spec"]["planks"]
    assert {plank["side"]: plank["wood"] for plank in planks} == {"left": "teak", "right": "pine"}
    refused = k(
        "apply --server-side --field-manager=third -f -", stdin=config.replace("crew: 3", "crew: 4"), check=False
    )
    assert ".spec.crew" in refused


def test_owners_of_custom_kinds(k, plane, namespace, names):
    k("apply -f -", stdin=BOAT % names)
    owner = plane.json("GET", f"{path_of(namespace, names)}/junk")
    reference = {
        "apiVersion": "boats.example.org/v1",
        "kind": names["kind"],
        "name": "junk",
        "uid": owner["metadata"]["uid"],
    }
    plane.json(
        "POST",
        f"/api/v1/namespaces/{namespace}/configmaps",
        {"metadata": {"name": "cargo", "ownerReferences": [reference]}},
    )
    k(f"delete {names['plural']} junk")
    k("wait configmap/cargo --for=delete --timeout=20s")


def test_what_was_right_once_stays_until_it_is_changed(k, plane, namespace, names):
    """A definition that has become stricter does not stop changes of what it did not judge before."""
    k("apply -f -", stdin=BOAT % names)
    crd = f"{names['plural']}.boats.example.org"
    stricter = (
        (CRD % names)
        .replace("maximum: 9", "maximum: 2")
        .replace(
            "side: {type: string}, wood: {type: string}", "side: {type: string}, wood: {type: string, pattern: '^p'}"
        )
    )
    plane.kubectl("apply", "-f", "-", stdin=stricter)
    k(f"label {names['plural']} junk seen=yes")
    k(["patch", names["plural"], "junk", "--type=merge", "-p", '{"spec":{"harbour":"Macau"}}'])
    more = {"spec": {"planks": [{"side": "left", "wood": "teak"}, {"side": "right", "wood": "pine"}]}}
    k(["patch", names["plural"], "junk", "--type=merge", "-p", json.dumps(more)])
    refused = k(["patch", names["plural"], "junk", "--type=merge", "-p", '{"spec":{"crew":4}}'], check=False)
    assert "spec.crew in body should be less than or equal to 2" in refused
    refused = k(f"scale {names['plural']} junk --replicas=7", check=False)
    assert "spec.crew in body should be less than or equal to 2" in refused
    assert crd in plane.kubectl("get", "crd", crd)


def test_a_default_that_comes_later_is_there_when_objects_are_read(k, plane, namespace, names):
    k("apply -f -", stdin=BOAT % names)
    path, crd = path_of(namespace, names), f"{names['plural']}.boats.example.org"
    first = plane.json("GET", f"{path}/junk")
    text = (CRD % names).replace("harbour: {type: string, default: Canton}", "sails: {type: integer, default: 2}")
    plane.kubectl("apply", "-f", "-", stdin=text.replace(".spec.harbour", ".spec.crew"))
    found = eventually(lambda: (got := plane.json("GET", f"{path}/junk"))["spec"].get("sails") and got)
    assert found["spec"]["sails"] == 2
    assert found["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert plane.json("GET", path)["items"][0]["spec"]["sails"] == 2
    _, raw = plane.call("GET", f"{path}?watch=1&timeoutSeconds=1")
    assert json.loads(raw.splitlines()[0])["object"]["spec"]["sails"] == 2
    k(f"label {names['plural']} junk seen=yes")
    assert plane.json("GET", f"{path}/junk")["spec"]["sails"] == 2
    assert crd in plane.kubectl("get", "crd", crd)
