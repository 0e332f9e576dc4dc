"""PUT: of a few kinds it makes what is not there, and of a few it has to say which version it replaces."""

from __future__ import annotations

import pytest

LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
BUDGETS = "/apis/policy/v1/namespaces/{}/poddisruptionbudgets"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (LEASES, {"spec": {"holderIdentity": "me"}}),
        ("/api/v1/namespaces/{}/endpoints", {}),
        ("/api/v1/namespaces/{}/events", {}),
        ("/api/v1/namespaces/{}/limitranges", {}),
        ("/api/v1/namespaces/{}/services", {"spec": {"ports": [{"port": 80}]}}),
        ("/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles", {"rules": []}),
    ],
    ids=lambda value: value.rpartition("/")[2] if isinstance(value, str) else "",
)
def test_it_makes_what_is_not_there(plane, namespace, path, body):
    one = f"{path.format(namespace)}/it"
    if path.endswith("events"):
        body = {"involvedObject": {"namespace": namespace}}
    code, _ = plane.call("PUT", f"{one}?dryRun=All", {"metadata": {"name": "it"}, **body})
    assert code == 201
    assert plane.call("GET", one)[0] == 404
    code, _ = plane.call("PUT", one, {"metadata": {"name": "it", "resourceVersion": "7"}, **body})
    assert code == 201
    made = plane.json("GET", one)
    assert made["metadata"]["uid"]
    assert plane.call("PUT", one, made)[0] == 200


def test_what_it_makes_is_no_other_than_it_was_meant_for(plane, namespace):
    one = f"{LEASES.format(namespace)}/it"
    refused = plane.refused("PUT", one, {"metadata": {"name": "it", "uid": "of-another"}})
    assert refused["code"] == 409
    assert "Precondition failed: UID in precondition: of-another" in refused["message"]


def test_who_may_only_update_makes_nothing(plane, namespace):
    plane.kubectl("-n", namespace, "create", "serviceaccount", "robot")
    plane.kubectl("-n", namespace, "create", "role", "robot", "--verb=update", "--resource=leases")
    plane.kubectl(
        "-n", namespace, "create", "rolebinding", "robot", "--role=robot", f"--serviceaccount={namespace}:robot"
    )
    token = plane.kubectl("-n", namespace, "create", "token", "robot").strip()
    refused = plane.refused("PUT", f"{LEASES.format(namespace)}/it", {"metadata": {"name": "it"}}, token=token)
    assert (refused["code"], "cannot create resource" in refused["message"]) == (403, True)


@pytest.mark.parametrize(("path", "body"), [(LEASES, {}), (BUDGETS, {"spec": {"minAvailable": 1}})])
def test_it_names_the_version_that_it_replaces(plane, namespace, path, body):
    made = plane.json("POST", path.format(namespace), {"metadata": {"name": "it"}, **body})
    one = f"{path.format(namespace)}/it"
    refused = plane.refused("PUT", one, {"metadata": {"name": "it"}, **body})
    assert refused["reason"] == "Invalid"
    assert "metadata.resourceVersion: Invalid value: 0: must be specified for an update" in refused["message"]
    labelled = {**made, "metadata": {**made["metadata"], "labels": {"a": "b"}}}
    assert plane.call("PUT", one, labelled)[0] == 200
    merge = {"Content-Type": "application/merge-patch+json"}
    assert plane.call("PATCH", one, {"metadata": {"labels": {"c": "d"}}}, headers=merge)[0] == 200
