"""Strategic merge by the schema of built-in kinds."""

import pytest

from sampan.kube.patch import strategic
from sampan.kube.schema import builtin
from sampan.kube.status import ApiError

SPEC = builtin.definition("io.k8s.api.core.v1.PodSpec")
SERVICE = builtin.definition("io.k8s.api.core.v1.ServiceSpec")
META = builtin.definition("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
DEPLOYMENT = builtin.definition("io.k8s.api.apps.v1.DeploymentSpec")

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
    "an item is replaced": (
        SPEC,
        {"containers": [{"name": "a", "image": "1", "args": ["x"]}]},
        {"containers": [{"$patch": "replace", "name": "a", "image": "2"}]},
        {"containers": [{"name": "a", "image": "2"}]},
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
    ("node", "patch"),
    [
        (SPEC, {"containers": [{"image": "no key"}]}),
        (SPEC, {"containers": ["no map"]}),
        (META, {"$patch": "unknown"}),
        (META, {"$setElementOrder/finalizers": "no list"}),
        (DEPLOYMENT, {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}}),
    ],
)
def test_patches_at_odds_with_themselves(node, patch):
    with pytest.raises(ApiError) as refused:
        strategic.apply(node, {"containers": [{"name": "a"}], "strategy": {}}, patch)
    assert refused.value.code == 400
