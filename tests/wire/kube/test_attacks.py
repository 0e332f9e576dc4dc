"""Ways around authorization and limits that must lead nowhere."""

from __future__ import annotations

import pytest

RBAC = "/apis/rbac.authorization.k8s.io/v1"
_GROUP = "rbac.authorization.k8s.io"


def as_user(name: str) -> dict[str, str]:
    """Return the headers by which the tests' user, who may do everything, asks as another one."""
    return {"Impersonate-User": name}


def give(plane, namespace: str, user: str, *rules: dict) -> None:
    """Give a user rules in a namespace."""
    role = {"metadata": {"name": user}, "rules": list(rules)}
    plane.json("POST", f"{RBAC}/namespaces/{namespace}/roles", role)
    binding = {
        "metadata": {"name": user},
        "roleRef": {"apiGroup": _GROUP, "kind": "Role", "name": user},
        "subjects": [{"kind": "User", "name": user, "apiGroup": _GROUP}],
    }
    plane.json("POST", f"{RBAC}/namespaces/{namespace}/rolebindings", binding)


def rule(group: str, resource: str, *verbs: str, names: tuple[str, ...] = ()) -> dict:
    out: dict = {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
    return out | ({"resourceNames": list(names)} if names else {})


_ADMINISTRATOR = {
    "metadata": {"name": "takeover"},
    "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"kind": "User", "name": "mallory", "apiGroup": _GROUP}],
}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v1/namespaces/{}/nodes", None),
        ("GET", "/api/v1/watch/namespaces/{}/nodes", None),
        ("GET", "/api/v1/namespaces/{}/nodes?watch=true", None),
        ("GET", "/api/v1/namespaces/{}/namespaces", None),
        ("GET", "/api/v1/namespaces/{}/namespaces/kube-system", None),
        ("PUT", "/api/v1/namespaces/{}/namespaces/kube-system/finalize", {}),
        ("GET", RBAC + "/namespaces/{}/clusterroles/cluster-admin", None),
        ("POST", RBAC + "/namespaces/{}/clusterrolebindings", _ADMINISTRATOR),
        ("DELETE", RBAC + "/namespaces/{}/clusterroles", None),
        ("POST", "/apis/authentication.k8s.io/v1/namespaces/{}/tokenreviews", {"spec": {"token": "x"}}),
        ("POST", "/apis/apiextensions.k8s.io/v1/namespaces/{}/customresourcedefinitions", {}),
    ],
)
def test_who_may_all_in_a_namespace_may_nothing_outside(plane, namespace, method, path, body) -> None:
    """A resource of the cluster has no path through a namespace, where other roles would decide."""
    give(plane, namespace, "mallory", rule("*", "*", "*"))
    refused = plane.refused(method, path.format(namespace), body, headers=as_user("mallory"))
    assert refused["code"] == 404, refused
    assert plane.call("GET", f"{RBAC}/clusterrolebindings/takeover")[0] == 404


def test_a_namespace_is_itself_reached_by_its_own_roles(plane, namespace) -> None:
    give(plane, namespace, "owner", rule("", "namespaces", "get"))
    assert plane.call("GET", f"/api/v1/namespaces/{namespace}", headers=as_user("owner"))[0] == 200
    assert plane.call("GET", "/api/v1/namespaces/default", headers=as_user("owner"))[0] == 403


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_field_selector_names_nothing_but_what_is_read(plane, namespace, method) -> None:
    give(plane, namespace, "one", rule("", "configmaps", "create", "deletecollection", "list", names=("mine",)))
    path = f"/api/v1/namespaces/{namespace}/configmaps?fieldSelector=metadata.name%3Dmine"
    assert plane.call("GET", path, headers=as_user("one"))[0] == 200
    refused = plane.refused(method, path, {"metadata": {"name": "other"}}, headers=as_user("one"))
    assert refused["code"] == 403


_HUGE = "9" * 5000


@pytest.mark.parametrize(
    ("method", "query", "body"),
    [
        ("GET", f"limit={_HUGE}", None),
        ("GET", "limit=--5", None),
        ("GET", f"resourceVersion={_HUGE}", None),
        ("GET", f"resourceVersion={'9' * 40}", None),
        ("GET", f"watch=1&resourceVersion={_HUGE}", None),
        ("GET", f"watch=1&timeoutSeconds={_HUGE}", None),
        ("GET", "watch=1&timeoutSeconds=1e3", None),
        ("DELETE", f"gracePeriodSeconds={_HUGE}", None),
        ("DELETE", "gracePeriodSeconds=-%2D5", None),
        ("DELETE", "", {"gracePeriodSeconds": "1"}),
        ("POST", "", {"metadata": {"name": "x", "resourceVersion": _HUGE}}),
        ("POST", "fieldManager=" + "%C3%A9" * 100, {"metadata": {"name": "x"}}),
    ],
)
def test_a_number_that_is_none_is_the_clients_fault(plane, namespace, method, query, body) -> None:
    refused = plane.refused(method, f"/api/v1/namespaces/{namespace}/configmaps?{query}", body)
    assert refused["code"] in (400, 422, 504), refused


def test_a_grace_without_end_is_a_long_one(plane, namespace) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}}
    plane.json("POST", f"/api/v1/namespaces/{namespace}/pods", pod)
    gone = plane.json("DELETE", f"/api/v1/namespaces/{namespace}/pods/p", {"gracePeriodSeconds": 2**62})
    assert gone["metadata"]["deletionTimestamp"] > "2090"
    plane.json("DELETE", f"/api/v1/namespaces/{namespace}/pods/p", {"gracePeriodSeconds": 0})


def definition(group: str, plural: str, version: str, **annotations: str) -> dict:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "metadata": {"name": f"{plural}.{group}", "annotations": annotations},
        "spec": {
            "group": group,
            "scope": "Cluster",
            "names": {"plural": plural, "kind": "Mine"},
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        },
    }


CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def test_a_definition_does_not_take_what_is_built_in(plane) -> None:
    """It would share its keys: whoever deletes the definition deletes all roles."""
    approved = {"api-approved.kubernetes.io": "unapproved, an attack"}
    name = f"clusterroles.{_GROUP}"
    plane.json("POST", CRDS, definition(_GROUP, "clusterroles", "v9", **approved))
    plane.kubectl("wait", "--for=condition=NamesAccepted=False", f"crd/{name}", "--timeout=10s")
    assert plane.call("GET", f"/apis/{_GROUP}/v9/clusterroles")[0] == 404
    plane.kubectl("delete", "crd", name, "--timeout=10s")
    assert plane.call("GET", f"{RBAC}/clusterroles/cluster-admin")[0] == 200


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (None, 422),
        ("", 422),
        ("because", 422),
        ("unapproved, for a test", 201),
        ("https://github.com/kubernetes/kubernetes/pull/1", 201),
    ],
)
def test_the_groups_of_kubernetes_are_for_what_was_approved(plane, namespace, said, code) -> None:
    annotations = {} if said is None else {"api-approved.kubernetes.io": said}
    made = definition(f"{namespace}.k8s.io", "things", "v1", **annotations)
    assert plane.call("POST", CRDS, made)[0] == code
    plane.call("DELETE", f"{CRDS}/{made['metadata']['name']}")
