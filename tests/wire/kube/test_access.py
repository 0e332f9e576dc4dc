"""Access over the wire: certificates, tokens, impersonation, roles, reviews, and what must not get through."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl

import pytest

AUTHZ, AUTHN = "/apis/authorization.k8s.io/v1", "/apis/authentication.k8s.io/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def as_user(name: str, *groups: str) -> dict[str, str]:
    """Return the headers by which the tests' user, who may do everything, asks as another one."""
    return {"Impersonate-User": name, **({"Impersonate-Group": ",".join(groups)} if groups else {})}


def account(plane, namespace: str, name: str = "default") -> None:
    """Make a service account unless there is one: the default one comes by itself, in a while."""
    made = plane.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
    assert made[0] in (201, 409), made


def account_token(plane, namespace: str, name: str = "default", **spec) -> str:
    account(plane, namespace, name)
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    return plane.json("POST", path, {"spec": spec})["status"]["token"]


def test_who_am_i(plane) -> None:
    text = plane.kubectl("auth", "whoami", "-o", "json")
    info = json.loads(text)["status"]["userInfo"]
    assert (info["username"], info["groups"]) == ("kubernetes-admin", ["system:masters", "system:authenticated"])
    assert info["extra"]["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")


def test_an_account_has_the_rights_it_is_given(plane, namespace) -> None:
    plane.kubectl("-n", namespace, "create", "serviceaccount", "robot")
    token = plane.kubectl("-n", namespace, "create", "token", "robot").strip()
    refused = plane.refused("GET", f"/api/v1/namespaces/{namespace}/pods", token=token)
    assert refused["message"] == (
        f'pods is forbidden: User "system:serviceaccount:{namespace}:robot" cannot list resource "pods" in API group "" '
        f'in the namespace "{namespace}"'
    )
    plane.kubectl(
        "-n", namespace, "create", "rolebinding", "v", "--clusterrole=view", f"--serviceaccount={namespace}:robot"
    )
    assert plane.json("GET", f"/api/v1/namespaces/{namespace}/pods", token=token)["items"] == []
    assert plane.call("GET", "/api/v1/pods", token=token)[0] == 403
    assert plane.call("GET", f"/api/v1/namespaces/{namespace}/secrets", token=token)[0] == 403
    assert plane.call("POST", f"/api/v1/namespaces/{namespace}/configmaps", {}, token=token)[0] == 403
    me = plane.json("POST", f"{AUTHN}/selfsubjectreviews", {}, token=token)["status"]["userInfo"]
    assert me["username"] == f"system:serviceaccount:{namespace}:robot"
    assert set(me["groups"]) == {
        "system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated",
    }  # fmt: skip


def test_a_token_ends_with_its_account_and_its_pod(plane, namespace) -> None:
    plane.kubectl("-n", namespace, "create", "serviceaccount", "gone")
    pod = {
        "metadata": {"name": "p"},
        "spec": {"serviceAccountName": "gone", "containers": [{"name": "c", "image": "i"}]},
    }
    plane.json("POST", f"/api/v1/namespaces/{namespace}/pods", pod)
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "p"}
    of_pod = account_token(plane, namespace, "gone", boundObjectRef=bound)
    of_account = account_token(plane, namespace, "gone")
    other = account_token(plane, namespace, "gone", audiences=["vault"])

    def review(token: str, **spec) -> dict:
        return plane.json("POST", f"{AUTHN}/tokenreviews", {"spec": {"token": token, **spec}})["status"]

    found = review(of_pod)
    assert found["authenticated"]
    assert found["user"]["extra"]["authentication.kubernetes.io/pod-name"] == ["p"]
    assert review(of_account)["authenticated"]
    assert not review(other).get("authenticated")
    assert review(other, audiences=["vault", "else"])["audiences"] == ["vault"]
    assert not review(of_account, audiences=["vault"]).get("authenticated")
    assert plane.call("GET", "/api", token=other)[0] == 401
    plane.json("DELETE", f"/api/v1/namespaces/{namespace}/pods/p", {"gracePeriodSeconds": 0})
    assert not review(of_pod).get("authenticated")
    plane.json("DELETE", f"/api/v1/namespaces/{namespace}/serviceaccounts/gone")
    assert not review(of_account).get("authenticated")
    assert plane.call("GET", "/api", token=of_account)[0] == 401


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"spec": {"expirationSeconds": 5}}, 422),
        ({"spec": {"expirationSeconds": "5"}}, 400),
        ({"spec": "x"}, 400),
        ({"spec": {"audiences": 1}}, 400),
        ({"spec": {"boundObjectRef": {"kind": "Pod", "name": "not-there"}}}, 404),
        ({"spec": {"boundObjectRef": {"kind": "Deployment", "name": "x"}}}, 400),
        ([], 400),
    ],
)
def test_a_token_request_that_is_none(plane, namespace, body, code) -> None:
    account(plane, namespace)
    assert plane.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token", body)[0] == code


def _unsigned(claims: dict) -> str:
    def part(value: dict) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


def test_tokens_that_are_not_good(plane, namespace) -> None:
    good = account_token(plane, namespace)
    head, claims, signature = good.split(".")
    told = json.loads(base64.urlsafe_b64decode(claims + "=="))
    bad = [
        _unsigned(told), f"{head}.{claims}.", f"{head}.{claims}.{signature[:-4]}AAAA", f"{head}.{claims}", "x", "a.b.c",
        f"{good}x", "....", "é", _unsigned({"iss": told["iss"]}),
    ]  # fmt: skip
    for token in bad:
        code, raw = plane.call(
            "GET", "/api", token="", headers={"Authorization": f"Bearer {token}".encode().decode("latin-1")}
        )
        assert (code, json.loads(raw)["reason"]) == (401, "Unauthorized"), token
    for header in ("Basic YTpi", "Bearer", "Bearer ", good, "bearer"):
        assert plane.call("GET", "/api", token="", headers={"Authorization": header})[0] == 401, header
    assert plane.call("GET", "/api", token="", headers={"Authorization": f"bearer  {good}"})[0] == 200


def test_the_anonymous_reach_health_and_version(plane) -> None:
    for path in ("/healthz", "/livez", "/readyz", "/version"):
        assert plane.call("GET", path, token="")[0] == 200, path
    for path in ("/api", "/apis", "/openapi/v3", "/metrics", "/", "/api/v1/namespaces", "/livez/ping", "/nonsense"):
        refused = plane.refused("GET", path, token="")
        assert (refused["code"], refused["reason"]) == (403, "Forbidden"), path
        assert 'User "system:anonymous" cannot' in refused["message"]


TRICKS = [
    ("GET", "//api/v1/secrets"), ("GET", "/api//v1/secrets"), ("GET", "/api/v1//secrets"), ("GET", "/api/v1/./secrets"),
    ("GET", "/version/../api/v1/secrets"), ("GET", "/version/%2e%2e/api/v1/secrets"), ("GET", "/api/v1/%2e/secrets"),
    ("GET", "/healthz/..%2fapi/v1/secrets"), ("GET", "/api/v1/secrets;a=b"), ("GET", "/API/V1/secrets"),
    ("GET", "/api/v1/SECRETS"), ("GET", "/api/v1/secrets/"), ("GET", "/%61pi/v1/secrets"), ("GET", "/api/v1/secrets%00"),
    ("GET", "/api/v1/secrets%2f"), ("GET", "/livez//../api/v1/secrets"), ("GET", "/api/v1/watch/secrets"),
    ("HEAD", "/api/v1/secrets"), ("OPTIONS", "/api/v1/secrets"), ("TRACE", "/api/v1/secrets"),
    ("GET", "/version?x=/../api/v1/secrets"), ("POST", "/version"), ("GET", "\\api\\v1\\secrets"),
    ("GET", "http://localhost/api/v1/secrets"), ("GET", "/api/v1/namespaces/default/secrets/../secrets"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), TRICKS)
def test_no_spelling_of_a_path_leads_in(plane, method, path) -> None:
    code, raw = plane.call(method, path, token="")
    assert code in (400, 403, 404, 405) or (path.startswith("/version?") and b"gitVersion" in raw), (code, raw[:200])
    assert b"SecretList" not in raw


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Remote-User": "root", "X-Remote-Group": "system:masters"},
        {"X-HTTP-Method-Override": "GET"},
        {"X-Forwarded-User": "admin"},
        {"X-Original-URL": "/version"},
        {"Cookie": "token=of-the-tests"},
        {"Impersonate-User": "kubernetes-admin", "Impersonate-Group": "system:masters"},
        {"Impersonate-Group": "system:masters"},
        {"Impersonate-Extra-Scopes": "all"},
        {"Impersonate-Uid": "1"},
        {"impersonate-": "x"},
    ],
)
def test_no_header_makes_somebody_of_the_anonymous(plane, headers) -> None:
    code, raw = plane.call("GET", "/api/v1/secrets", token="", headers=headers)
    assert code in (400, 403), raw
    assert json.loads(raw)["kind"] == "Status"


def test_impersonation_takes_rights_for_each_part(plane, namespace) -> None:
    name = f"imp-{namespace}"
    rules = [
        {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["bob"]},
        {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["groups"], "resourceNames": ["devs"]},
        {"verbs": ["impersonate"], "apiGroups": ["authentication.k8s.io"], "resources": ["userextras/scopes"],
         "resourceNames": ["one"]},
    ]  # fmt: skip
    plane.json("POST", f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": rules})
    plane.kubectl(
        "create", "clusterrolebinding", name, f"--clusterrole={name}", f"--serviceaccount={namespace}:default"
    )
    token = account_token(plane, namespace)

    def me(**headers: str) -> tuple[int, dict]:
        named = {f"Impersonate-{key.replace('_', '-')}": value for key, value in headers.items()}
        code, raw = plane.call("POST", f"{AUTHN}/selfsubjectreviews", {}, token=token, headers=named)
        return code, json.loads(raw)

    code, answer = me(User="bob", Group="devs", Extra_Scopes="one")
    assert code == 201
    info = answer["status"]["userInfo"]
    assert info == {"username": "bob", "groups": ["devs", "system:authenticated"], "extra": {"scopes": ["one"]}}
    for headers in ({"User": "alice"}, {"User": "bob", "Group": "system:masters"}, {"User": "bob", "Group": "devs, x"},
                    {"User": "bob", "Extra_Scopes": "two"}, {"User": "bob", "Extra_Other": "one"},
                    {"User": "bob", "Uid": "5"}, {"User": f"system:serviceaccount:{namespace}:default"}):  # fmt: skip
        code, answer = me(**headers)
        assert (code, answer["reason"]) == (403, "Forbidden"), headers
        assert "cannot impersonate resource" in answer["message"]
    anonymous = plane.refused("POST", f"{AUTHN}/selfsubjectreviews", {}, headers=as_user("system:anonymous"))
    assert 'User "system:anonymous" cannot create' in anonymous["message"]


def test_kubectl_asks_what_somebody_may(plane, namespace) -> None:
    plane.kubectl("-n", namespace, "create", "rolebinding", "e", "--clusterrole=edit", "--user=ann")
    assert plane.kubectl("auth", "can-i", "create", "deployments", "--as=ann", "-n", namespace).strip() == "yes"
    assert "no" in plane.kubectl("auth", "can-i", "create", "roles", "--as=ann", "-n", namespace, check=False)
    assert "no" in plane.kubectl("auth", "can-i", "list", "nodes", "--as=ann", check=False)
    listed = plane.kubectl("auth", "can-i", "--list", "--as=ann", "-n", namespace)
    assert "deployments.apps" in listed
    assert "selfsubjectaccessreviews.authorization.k8s.io" in listed
    wanted = {"user": "ann", "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": namespace}}
    state = plane.json("POST", f"{AUTHZ}/subjectaccessreviews", {"spec": wanted})["status"]
    assert state == {
        "allowed": True,
        "reason": f'RBAC: allowed by RoleBinding "e/{namespace}" of ClusterRole "edit" to User "ann"',
    }
    local = f"{AUTHZ}/namespaces/{namespace}/localsubjectaccessreviews"
    assert plane.json("POST", local, {"spec": wanted})["status"]["allowed"]
    wrong = {**wanted, "resourceAttributes": {**wanted["resourceAttributes"], "namespace": "default"}}
    assert plane.refused("POST", local, {"spec": wrong})["code"] == 422
    path = {"groups": ["system:unauthenticated"], "nonResourceAttributes": {"verb": "get", "path": "/version"}}
    assert plane.json("POST", f"{AUTHZ}/subjectaccessreviews", {"spec": path})["status"]["allowed"]
    for spec in (
        {},
        {"user": "x"},
        {"resourceAttributes": {}},
        {**wanted, **path},
        "x",
        {"user": 1},
        {**wanted, "extra": 3},
    ):
        assert plane.call("POST", f"{AUTHZ}/subjectaccessreviews", {"spec": spec})[0] in (400, 422), spec


def test_nobody_gives_rights_that_they_lack(plane, namespace) -> None:
    plane.kubectl("-n", namespace, "create", "rolebinding", "a", "--clusterrole=admin", "--user=head")
    told = plane.kubectl("-n", namespace, "create", "role", "r", "--verb=get", "--resource=pods", "--as=head")
    assert "role.rbac.authorization.k8s.io/r created" in told
    refused = plane.kubectl("-n", namespace, "create", "role", "s", "--verb=deletecollection", "--resource=nodes",
                            "--as=head", check=False)  # fmt: skip
    assert "is attempting to grant RBAC permissions not currently held" in refused
    refused = plane.kubectl("-n", namespace, "create", "rolebinding", "c", "--clusterrole=cluster-admin", "--user=head",
                            "--as=head", check=False)  # fmt: skip
    assert "is attempting to grant RBAC permissions not currently held" in refused
    bound = plane.kubectl("-n", namespace, "create", "rolebinding", "c", "--role=r", "--user=x", "--as=head")
    assert "created" in bound
    assert plane.kubectl("auth", "can-i", "get", "pods", "--as=x", "-n", namespace).strip() == "yes"


def test_a_patch_that_creates_is_a_create(plane, namespace) -> None:
    plane.kubectl("-n", namespace, "create", "role", "p", "--verb=get,patch", "--resource=configmaps")
    plane.kubectl("-n", namespace, "create", "rolebinding", "p", "--role=p", "--user=patcher")
    path = f"/api/v1/namespaces/{namespace}/configmaps/c?fieldManager=x&force=true"
    apply = {"Content-Type": "application/apply-patch+yaml", **as_user("patcher")}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
    refused = plane.refused("PATCH", path, body, headers=apply)
    assert 'User "patcher" cannot create resource "configmaps"' in refused["message"]
    plane.json("POST", f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "c"}})
    assert plane.json("PATCH", path, body, headers=apply)["data"] == {"a": "1"}


def test_who_may_read_one_may_list_that_one(plane, namespace) -> None:
    plane.kubectl(
        "-n", namespace, "create", "role", "o", "--verb=get,list,watch", "--resource=configmaps", "--resource-name=c"
    )
    plane.kubectl("-n", namespace, "create", "rolebinding", "o", "--role=o", "--user=one")
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    assert plane.json("GET", f"{path}?fieldSelector=metadata.name%3Dc", headers=as_user("one"))["items"] == []
    for query in (
        "",
        "?fieldSelector=metadata.name%3Dd",
        "?fieldSelector=metadata.name%21%3Dc",
        "?labelSelector=a",
        "?fieldSelector=%3D",
    ):
        assert plane.call("GET", path + query, headers=as_user("one"))[0] == 403, query


def test_a_bootstrap_token_is_somebody(plane) -> None:
    def encoded(**data: str) -> dict:
        return {key.replace("_", "-"): base64.b64encode(value.encode()).decode() for key, value in data.items()}

    data = encoded(token_id="abcdef", token_secret="0123456789abcdef", usage_bootstrap_authentication="true",
                   auth_extra_groups="system:bootstrappers:machines")  # fmt: skip
    secret = {"metadata": {"name": "bootstrap-token-abcdef"}, "type": "bootstrap.kubernetes.io/token", "data": data}
    plane.json("POST", "/api/v1/namespaces/kube-system/secrets", secret)
    me = plane.json("POST", f"{AUTHN}/selfsubjectreviews", {}, token="abcdef.0123456789abcdef")["status"]["userInfo"]
    assert me == {
        "username": "system:bootstrap:abcdef",
        "groups": ["system:bootstrappers", "system:bootstrappers:machines", "system:authenticated"],
    }
    assert plane.call("GET", "/api", token="abcdef.0123456789abcdeX")[0] == 401
    assert plane.call("GET", "/api", token="abcdeg.0123456789abcdef")[0] == 401


def _over_tls(plane, context: ssl.SSLContext, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPSConnection("127.0.0.1", plane.port, context=context, timeout=10)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_certificates(plane) -> None:
    pki = plane.directory / "pki"
    nobody = plane.tls()
    assert _over_tls(plane, nobody, "/api/v1/secrets")[0] == 403
    assert _over_tls(plane, nobody, "/version")[0] == 200
    admin = plane.tls()
    admin.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    assert _over_tls(plane, admin, "/api/v1/secrets")[0] == 200
    assert _over_tls(plane, admin, "/api/v1/secrets", {"Authorization": "Bearer x"})[0] == 200
    server = plane.tls()
    server.load_cert_chain(pki / "server.crt", pki / "server.key")
    with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):  # a server's certificate makes no client
        _over_tls(plane, server, "/version")


def test_others_can_judge_our_tokens(plane, namespace):
    import jwt

    token = account_token(plane, namespace, audiences=["boat"])
    told = plane.json("GET", "/.well-known/openid-configuration")
    assert told["jwks_uri"] == f"https://127.0.0.1:{plane.port}/openid/v1/jwks"
    [key] = plane.json("GET", "/openid/v1/jwks")["keys"]
    assert jwt.get_unverified_header(token)["kid"] == key["kid"]
    claims = jwt.decode(token, jwt.PyJWK(key).key, ["ES256"], audience="boat", issuer=told["issuer"])
    assert claims["sub"] == f"system:serviceaccount:{namespace}:default"
    # any service account may read them, and nobody from outside
    own = account_token(plane, namespace)
    assert plane.call("GET", "/openid/v1/jwks", token=own)[0] == 200
    assert plane.call("GET", "/openid/v1/jwks", token="")[0] in (401, 403)


@pytest.mark.parametrize(("token", "code"), [("", 403), ("not-good", 401)])
def test_who_may_not_write_is_not_listened_to(plane, namespace, token, code) -> None:
    """Told after a part of a large body; the rest is never waited for."""
    head = f"POST /api/v1/namespaces/{namespace}/configmaps HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n"
    head += f"Authorization: Bearer {token}\r\n\r\n" if token else "\r\n"
    with socket.create_connection(("127.0.0.1", plane.plain), timeout=10) as client:
        client.sendall(head.encode() + b" " * 100_000)
        assert client.recv(65536).startswith(f"HTTP/1.1 {code} ".encode())
