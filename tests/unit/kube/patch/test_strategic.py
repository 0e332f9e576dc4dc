"""Strategic merge by the schema of built-in kinds."""

import pytest

from sampan.kube.patch import strategic
from sampan.kube.schema import builtin
from sampan.kube.status import ApiError

SPEC = builtin.definition("io.k8s.api.core.v1.PodSpec")
SERVICE = builtin.definition("io.k8s.api.core.v1.ServiceSpec")
META = builtin.definition("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
DEPLOYMENT = builtin.definition("io.k8s.api.apps.v1.DeploymentSpec")
CRD_SCHEMA = builtin.definition(
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps",
)

CASES = {
    "maps are merged": (
        META,
        {"labels": {"a": "1", "b": "2"}},
        {"labels": {"b": "3", "c": "4"}},
        {"labels": {"a": "1", "b": "3", "c": "4"}},
    ),
    "null takes out": (META, {"labels": {"a": "1", "b": "2"}}, {"labels": {"b": None}}, {"labels": {"a": "1"}}),
    "lists of objects are merged by their key": (
        SPEC,
        {"containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "2"}]},
        {"containers": [{"name": "b", "image": "3"}, {"name": "c", "image": "4"}]},
        {
            "containers": [
                {"name": "a", "image": "1", "args": ["x"]},
                {"name": "b", "image": "3"},
                {"name": "c", "image": "4"},
            ]
        },
    ),
    "an item is deleted": (
        SPEC,
        {"containers": [{"name": "a"}, {"name": "b"}]},
        {"containers": [{"$patch": "delete", "name": "a"}]},
        {"containers": [{"name": "b"}]},
    ),
    "an item that says replace replaces the list, and is no part of it": (
        SPEC,
        {"containers": [{"name": "a", "image": "1"}, {"name": "b"}]},
        {"containers": [{"$patch": "replace", "name": "a", "image": "2"}, {"name": "c"}]},
        {"containers": [{"name": "c"}]},
    ),
    "what the patch names comes in its order": (
        SPEC,
        {"containers": [{"name": "x"}, {"name": "a"}, {"name": "b"}]},
        {"containers": [{"name": "b", "image": "1"}, {"name": "a"}]},
        {"containers": [{"name": "x"}, {"name": "b", "image": "1"}, {"name": "a"}]},
    ),
    "directives about what is not there are dropped": (
        SPEC,
        {},
        {
            "nodeSelector": {"$patch": "replace", "a": "b"},
            "containers": [{"name": "a"}, {"name": "b", "$patch": "delete"}],
        },
        {"containers": [{"name": "a"}]},
    ),
    "a new item loses its directives and nulls": (
        SPEC,
        {"volumes": []},
        {"volumes": [{"name": "v", "$retainKeys": ["name", "secret"], "secret": {"optional": None}, "emptyDir": None}]},
        {"volumes": [{"name": "v", "secret": {}}]},
    ),
    "fields that only look like directives are fields": (
        CRD_SCHEMA,
        {"properties": {"a": {"type": "string"}}},
        {"$schema": "x", "properties": {"a": {"$ref": "y"}}},
        {"$schema": "x", "properties": {"a": {"type": "string", "$ref": "y"}}},
    ),
    "what no schema knows is merged": (
        SPEC,
        {"unknown": {"a": 1, "list": [1]}},
        {"unknown": {"b": 2, "list": [2]}},
        {"unknown": {"a": 1, "b": 2, "list": [2]}},
    ),
    "one and true are two": (
        META,
        {"finalizers": [1]},
        {"$deleteFromPrimitiveList/finalizers": [True]},
        {"finalizers": [1]},
    ),
    "a list is replaced": (
        SPEC,
        {"containers": [{"name": "a"}, {"name": "b"}]},
        {"containers": [{"$patch": "replace"}, {"name": "c"}]},
        {"containers": [{"name": "c"}]},
    ),
    "a map is replaced": (
        META,
        {"labels": {"a": "1"}},
        {"labels": {"$patch": "replace", "b": "2"}},
        {"labels": {"b": "2"}},
    ),
    "a map is deleted": (META, {"labels": {"a": "1"}}, {"labels": {"$patch": "delete"}}, {"labels": {}}),
    "the order is set": (
        SPEC,
        {"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}]},
        {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}, {"name": "b"}]},
        {"containers": [{"name": "c"}, {"name": "a"}, {"name": "b"}]},
    ),
    "what the order does not name keeps its place": (
        SPEC,
        {"containers": [{"name": "x"}, {"name": "a"}, {"name": "b"}]},
        {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "a", "image": "1"}]},
        {"containers": [{"name": "x"}, {"name": "b"}, {"name": "a", "image": "1"}]},
    ),
    "lists of scalars are sets where the schema says so": (
        META,
        {"finalizers": ["a", "b"]},
        {"finalizers": ["b", "c"]},
        {"finalizers": ["a", "b", "c"]},
    ),
    "scalars are taken out of a set": (
        META,
        {"finalizers": ["a", "b"]},
        {"$deleteFromPrimitiveList/finalizers": ["a"]},
        {"finalizers": ["b"]},
    ),
    "other lists are replaced": (
        SPEC,
        {"containers": [{"name": "a", "args": ["x", "y"]}]},
        {"containers": [{"name": "a", "args": ["z"]}]},
        {"containers": [{"name": "a", "args": ["z"]}]},
    ),
    "only some keys are retained": (
        DEPLOYMENT,
        {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}},
        {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}},
        {"strategy": {"type": "Recreate"}},
    ),
    "ports of a service are merged by port": (
        SERVICE,
        {"ports": [{"port": 80, "targetPort": 1}, {"port": 443}]},
        {"ports": [{"port": 80, "targetPort": 2}]},
        {"ports": [{"port": 80, "targetPort": 2}, {"port": 443}]},
    ),
    "a volume's source is exchanged": (
        SPEC,
        {"volumes": [{"name": "v", "emptyDir": {}}]},
        {"volumes": [{"$retainKeys": ["name", "hostPath"], "name": "v", "hostPath": {"path": "/x"}}]},
        {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_cases(case):
    node, before, patch, after = CASES[case]
    kept = repr((before, patch))
    assert strategic.apply(node, before, patch) == after
    assert repr((before, patch)) == kept


@pytest.mark.parametrize(
    ("node", "patch", "message"),
    [
        (SPEC, {"containers": [{"image": "x"}]}, "map: map[image:x] does not contain declared merge key: name"),
        (SPEC, {"containers": ["no map"]}, "list element types are not identical: [[map[name:a]] [no map]]"),
        (SPEC, {"containers": [["list"]]}, "lists of lists are not supported"),
        (SPEC, {"containers": [{"$patch": "x", "name": "a"}]}, "unknown patch type: x in map: map[$patch:x name:a]"),
        (
            META,
            {"$patch": None, "a": [1, True, None]},
            "unknown patch type: <nil> in map: map[$patch:<nil> a:[1 true <nil>]]",
        ),
        (META, {"$setElementOrder/finalizers": "x"}, "invalid patch format of setElementOrder list"),
        (SPEC, {"$setElementOrder/containers": [1]}, "expected a map[string]interface {}, but received 1"),
        (META, {"$deleteFromPrimitiveList/finalizers": {}}, "invalid patch format of primitive list"),
        (
            DEPLOYMENT,
            {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}},
            "invalid patch format of retainKeys",
        ),
        (DEPLOYMENT, {"strategy": {"$retainKeys": "type"}}, "invalid patch format of retainKeys"),
    ],
)
def test_patches_at_odds_with_themselves(node, patch, message):
    with pytest.raises(ApiError) as refused:
        strategic.apply(node, {"containers": [{"name": "a"}], "strategy": {}}, patch)
    assert (refused.value.code, str(refused.value)) == (400, message)


def test_nothing_of_the_patch_is_in_the_result():
    """A patch is applied again when another writer was faster; defaults must not have been written into it."""
    patch = {"containers": [{"name": "a", "args": ["x"], "ports": [{"containerPort": 1}]}], "nodeSelector": {"a": "b"}}
    for target in ({}, {"containers": [{"name": "a", "args": []}]}):
        found = strategic.apply(SPEC, target, patch)
        found["containers"][0]["args"].append("changed")
        found["containers"][0]["ports"][0]["protocol"] = "TCP"
        found["nodeSelector"]["c"] = "d"
    assert patch == {
        "containers": [{"name": "a", "args": ["x"], "ports": [{"containerPort": 1}]}],
        "nodeSelector": {"a": "b"},
    }
