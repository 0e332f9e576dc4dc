"""Tokens that end with what they are bound to, by kubectl create token and TokenReview.

Spec: Kubernetes "Managing Service Accounts", "Bound service account token volume mechanism"; authentication.k8s.io/v1.
"""

from __future__ import annotations

import base64
import json

import pytest

from kube import eventually

REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


def claims(token: str) -> dict:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def review(plane, token: str, **spec) -> dict:
    return plane.json("POST", REVIEWS, {"spec": {"token": token, **spec}})["status"]


def works(plane, token: str) -> bool:
    """Return what a review says now; requests may be let through for some seconds longer, as who asked is remembered."""
    return review(plane, token).get("authenticated", False)


@pytest.fixture
def robot(plane, namespace):
    """Return how to make a token of an account, by kubectl."""
    plane.kubectl("-n", namespace, "create", "serviceaccount", "robot")

    def make(*flags: str) -> str:
        return plane.kubectl("-n", namespace, "create", "token", "robot", *flags).strip()

    return make


def pod(name: str) -> dict:
    spec = {"serviceAccountName": "robot", "containers": [{"name": "c", "image": "i"}]}
    return {"metadata": {"name": name}, "spec": spec}


def test_a_token_says_whose_it_is_and_for_how_long(plane, namespace, robot) -> None:
    said = claims(robot("--duration=20m", "--audience=vault"))
    assert said["aud"] == ["vault"]
    assert said["exp"] - said["iat"] == 1200
    assert said["sub"] == f"system:serviceaccount:{namespace}:robot"
    assert said["kubernetes.io"]["serviceaccount"]["name"] == "robot"
    assert claims(robot())["exp"] - claims(robot())["iat"] == pytest.approx(3600, abs=2)


def test_a_review_says_who_the_bearer_is(plane, namespace, robot) -> None:
    uid = plane.json("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/robot")["metadata"]["uid"]
    found = review(plane, robot())
    assert found["authenticated"] is True
    assert found["audiences"] == ["https://kubernetes.default.svc.cluster.local"]
    user = found["user"]
    assert (user["username"], user["uid"]) == (f"system:serviceaccount:{namespace}:robot", uid)
    assert user["groups"] == ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
    assert set(user["extra"]) == {"authentication.kubernetes.io/credential-id"}
    bad = review(plane, robot()[:-3] + "AAA")
    assert not bad.get("authenticated")
    assert "invalid bearer token" in bad["error"]


def test_a_token_ends_with_its_secret(plane, namespace, robot) -> None:
    plane.kubectl("-n", namespace, "create", "secret", "generic", "lock", "--from-literal=a=1")
    token = robot("--bound-object-kind=Secret", "--bound-object-name=lock")
    assert claims(token)["kubernetes.io"]["secret"]["name"] == "lock"
    assert plane.call("GET", "/api", token=token)[0] == 200
    assert set(review(plane, token)["user"]["extra"]) == {"authentication.kubernetes.io/credential-id"}
    plane.kubectl("-n", namespace, "delete", "secret", "lock")
    assert not works(plane, token)
    remembered_s = 10  # as in Kubernetes
    eventually(lambda: plane.call("GET", "/api", token=token)[0] == 401, remembered_s + 1)
    plane.kubectl("-n", namespace, "create", "secret", "generic", "lock", "--from-literal=a=1")
    assert not works(plane, token), "one of the same name is another one"


def test_a_token_ends_with_its_pod(plane, namespace, robot) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    uid = plane.json("POST", pods, pod("p"))["metadata"]["uid"]
    token = robot("--bound-object-kind=Pod", "--bound-object-name=p", f"--bound-object-uid={uid}")
    extra = review(plane, token)["user"]["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["p"]
    assert extra["authentication.kubernetes.io/pod-uid"] == [uid]
    refused = plane.kubectl(
        "-n", namespace, "create", "token", "robot", "--bound-object-kind=Pod", "--bound-object-name=p",
        "--bound-object-uid=another", check=False,
    )  # fmt: skip
    assert "UID" in refused
    plane.kubectl("-n", namespace, "delete", "pod", "p", "--grace-period=0", "--force")
    assert not works(plane, token)
    plane.json("POST", pods, pod("p"))
    assert not works(plane, token), "one of the same name is another one"


def test_a_pod_that_is_ending_still_has_its_token(plane, namespace, robot) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    plane.json("POST", pods, {**pod("p"), "metadata": {"name": "p", "finalizers": ["test.example/wait"]}})
    token = robot("--bound-object-kind=Pod", "--bound-object-name=p")
    plane.json("DELETE", f"{pods}/p", {"gracePeriodSeconds": 0})
    assert works(plane, token), "for a minute after its deletion is due"
    patch = [{"op": "remove", "path": "/metadata/finalizers"}]
    plane.json("PATCH", f"{pods}/p", patch, headers={"Content-Type": "application/json-patch+json"})
    assert not works(plane, token)


def test_tokens_end_with_their_account(plane, namespace, robot) -> None:
    token = robot()
    assert works(plane, token)
    plane.kubectl("-n", namespace, "delete", "serviceaccount", "robot")
    assert not works(plane, token)
    plane.kubectl("-n", namespace, "create", "serviceaccount", "robot")
    assert not works(plane, token), "one of the same name is another one"


def test_a_token_of_a_node_ends_with_it(plane, namespace, robot) -> None:
    name = f"node-{namespace}"
    plane.json("POST", "/api/v1/nodes", {"metadata": {"name": name}})
    token = robot("--bound-object-kind=Node", f"--bound-object-name={name}")
    extra = review(plane, token)["user"]["extra"]
    assert extra["authentication.kubernetes.io/node-name"] == [name]
    plane.kubectl("delete", "node", name)
    assert not works(plane, token)


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--bound-object-kind=Pod", "--bound-object-name=none"), 'pods "none" not found'),
        (("--bound-object-kind=Secret", "--bound-object-name=none"), 'secrets "none" not found'),
        (("--duration=5m",), "may not specify a duration less than 10 minutes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_bound_is_said(plane, namespace, robot, flags, why) -> None:
    told = plane.kubectl("-n", namespace, "create", "token", "robot", *flags, check=False)
    assert why in told


def test_a_secret_of_the_type_gets_a_token_that_ends_with_it(plane, namespace, robot) -> None:
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "key", "annotations": {"kubernetes.io/service-account.name": "robot"}},
        "type": "kubernetes.io/service-account-token",
    }
    plane.kubectl("-n", namespace, "apply", "-f", "-", stdin=json.dumps(manifest))
    data = eventually(lambda: plane.json("GET", f"{secrets}/key").get("data"))
    token = base64.b64decode(data["token"]).decode()
    assert base64.b64decode(data["namespace"]).decode() == namespace
    assert base64.b64decode(data["ca.crt"]) == (plane.directory / "pki" / "ca.crt").read_bytes()
    said = claims(token)
    assert (said["iss"], said["kubernetes.io/serviceaccount/secret.name"]) == ("kubernetes/serviceaccount", "key")
    assert "exp" not in said
    assert review(plane, token)["user"]["username"] == f"system:serviceaccount:{namespace}:robot"
    assert not review(plane, token, audiences=["vault"]).get("authenticated")
    assert not works(plane, token[:-3] + "AAA")
    plane.kubectl("-n", namespace, "apply", "-f", "-", stdin=json.dumps(manifest))
    assert works(plane, token), "an apply that says nothing of the data keeps it"
    plane.kubectl("-n", namespace, "delete", "secret", "key")
    assert not works(plane, token)
    plane.kubectl("-n", namespace, "apply", "-f", "-", stdin=json.dumps(manifest))
    eventually(lambda: plane.json("GET", f"{secrets}/key").get("data"))
    plane.kubectl("-n", namespace, "delete", "serviceaccount", "robot")
    eventually(lambda: plane.call("GET", f"{secrets}/key")[0] == 404)
    plane.kubectl("-n", namespace, "apply", "-f", "-", stdin=json.dumps(manifest))
    eventually(lambda: plane.call("GET", f"{secrets}/key")[0] == 404)
