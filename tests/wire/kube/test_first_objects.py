"""What a cluster has from its first start, as kubectl shows it; and who its controllers are."""

from __future__ import annotations

import base64
import json
import time

import pytest

from kube import ControlPlane, control_plane, eventually
from sampan.cmd.bootstrap_objects import CONTROLLERS

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Metadata
"""
FINALIZER = "networking.k8s.io/service-cidr-finalizer"


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    with control_plane(tmp_path_factory.mktemp("first"), audit=POLICY) as plane:
        yield plane


def items(plane: ControlPlane, path: str) -> dict[str, dict]:
    return {obj["metadata"]["name"]: obj for obj in plane.json("GET", path)["items"]}


def test_each_group_version_has_an_api_service(own) -> None:
    groups = own.json("GET", "/apis")["groups"]
    served = {f"{version['version']}.{group['name']}" for group in groups for version in group["versions"]}
    wanted = {"v1.", *served} - {"v1.apiregistration.k8s.io"}

    def available() -> bool:
        lines = own.kubectl("get", "apiservices", "--no-headers").splitlines()
        return {words[0] for words in map(str.split, lines) if words[1:3] == ["Local", "True"]} == wanted

    eventually(available)
    found = items(own, "/apis/apiregistration.k8s.io/v1/apiservices")
    assert found["v1.apps"]["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
    condition = found["v1."]["status"]["conditions"][0]
    assert (condition["reason"], condition["message"]) == ("Local", "Local APIServices are always available")


def test_custom_resources_have_one_while_they_are_there(own) -> None:
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "boats.harbour.example"},
        "spec": {
            "group": "harbour.example",
            "scope": "Namespaced",
            "names": {"plural": "boats", "singular": "boat", "kind": "Boat"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    own.json("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
    path = "/apis/apiregistration.k8s.io/v1/apiservices/v1.harbour.example"
    eventually(lambda: own.call("GET", path)[0] == 200)
    found = own.json("GET", path)
    assert found["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "true"}
    assert (found["spec"]["groupPriorityMinimum"], found["spec"]["versionPriority"]) == (1000, 100)
    own.json("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/boats.harbour.example")
    eventually(lambda: own.call("GET", path)[0] == 404)


def test_flow_schemas_stand_in_the_order_in_which_they_are_tried(own) -> None:
    lines = [line.split() for line in own.kubectl("get", "flowschemas", "--no-headers").splitlines()]
    assert [words[0] for words in lines] == [
        "exempt", "probes", "system-leader-election", "endpoint-controller", "workload-leader-election",
        "system-node-high", "system-nodes", "kube-controller-manager", "kube-scheduler", "kube-system-service-accounts",
        "service-accounts", "global-default", "catch-all",
    ]  # fmt: skip
    levels = own.kubectl("get", "prioritylevelconfigurations", "-o", "name").split()
    assert {name.partition("/")[2] for name in levels} >= {words[1] for words in lines}


def test_a_flow_schema_says_whether_its_level_is_there(own) -> None:
    def missing() -> set[str]:
        lines = own.kubectl("get", "flowschemas", "--no-headers").splitlines()
        return {line.split()[-1] for line in lines}

    eventually(lambda: missing() == {"False"})
    spec = {
        "priorityLevelConfiguration": {"name": "none-such"},
        "rules": [
            {
                "subjects": [{"kind": "User", "user": {"name": "ann"}}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            }
        ],
    }
    path = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"
    own.json("POST", path, {"metadata": {"name": "of-ann"}, "spec": spec})
    [condition] = eventually(
        lambda: own.json("GET", f"{path}/of-ann").get("status", {}).get("conditions"),
    )
    assert (condition["type"], condition["status"], condition["reason"]) == ("Dangling", "True", "NotFound")
    own.json("DELETE", f"{path}/of-ann")


def test_virtual_addresses_are_objects(own) -> None:
    cidr = eventually(lambda: ready(own))
    assert (cidr["spec"]["cidrs"], cidr["metadata"]["finalizers"]) == (["10.96.0.0/12"], [FINALIZER])
    own.kubectl("create", "service", "clusterip", "pier", "--tcp=80")
    address = own.json("GET", "/api/v1/namespaces/default/services/pier")["spec"]["clusterIP"]
    path = f"/apis/networking.k8s.io/v1/ipaddresses/{address}"
    eventually(lambda: own.call("GET", path)[0] == 200)
    assert own.kubectl("get", "ipaddress", address, "--no-headers").split() == [address, "services/default/pier"]
    assert own.json("GET", "/apis/networking.k8s.io/v1/ipaddresses/10.96.0.1")["spec"]["parentRef"]["name"] == (
        "kubernetes"
    )
    own.kubectl("delete", "service", "pier")
    eventually(lambda: own.call("GET", path)[0] == 404)


def ready(plane: ControlPlane) -> dict | None:
    cidr = plane.json("GET", "/apis/networking.k8s.io/v1/servicecidrs/kubernetes")
    conditions = cidr.get("status", {}).get("conditions") or []
    return cidr if [(each["type"], each["status"]) for each in conditions] == [("Ready", "True")] else None


def test_a_range_stays_while_an_address_of_it_is_used(own) -> None:
    path = "/apis/networking.k8s.io/v1/servicecidrs"
    own.json("POST", path, {"metadata": {"name": "other"}, "spec": {"cidrs": ["10.200.0.0/24"]}})
    eventually(lambda: FINALIZER in own.json("GET", f"{path}/other")["metadata"].get("finalizers", []))
    parent = {"group": "", "resource": "services", "namespace": "default", "name": "of-somebody"}
    addresses = "/apis/networking.k8s.io/v1/ipaddresses"
    own.json("POST", addresses, {"metadata": {"name": "10.200.0.7"}, "spec": {"parentRef": parent}})
    own.kubectl("delete", "servicecidr", "other", "--wait=false")
    time.sleep(0.3)
    assert "deletionTimestamp" in own.json("GET", f"{path}/other")["metadata"]
    own.json("DELETE", f"{addresses}/10.200.0.7")
    eventually(lambda: own.call("GET", f"{path}/other")[0] == 404)


def test_the_api_is_a_service_that_only_this_machine_reaches(own) -> None:
    """The server of the tests listens on loopback: there is no address that pods could use, and none is told."""
    assert not own.json("GET", "/api/v1/namespaces/default/endpoints/kubernetes").get("subsets")
    found = own.json("GET", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")
    assert found["metadata"]["labels"]["kubernetes.io/service-name"] == "kubernetes"
    assert not found["endpoints"]
    assert found["ports"] == [{"name": "https", "port": own.port, "protocol": "TCP"}]


def test_programs_find_out_whom_to_trust(own) -> None:
    ca = (own.directory / "pki" / "ca.crt").read_text()
    maps = "/api/v1/namespaces/{}/configmaps/{}"
    eventually(lambda: own.call("GET", maps.format("default", "kube-root-ca.crt"))[0] == 200)
    assert own.json("GET", maps.format("default", "kube-root-ca.crt"))["data"] == {"ca.crt": ca}
    trusted = own.json("GET", maps.format("kube-system", "extension-apiserver-authentication"))["data"]
    assert trusted == {"client-ca-file": ca}
    config = json.loads(own.json("GET", maps.format("kube-public", "cluster-info"))["data"]["kubeconfig"])
    [cluster] = config["clusters"]
    assert base64.b64decode(cluster["cluster"]["certificate-authority-data"]).decode() == ca
    assert cluster["cluster"]["server"] == f"https://127.0.0.1:{own.port}"


def test_roles_of_kubernetes_are_there_and_come_back(own) -> None:
    roles = own.kubectl("get", "roles,rolebindings", "-A", "-o", "name").split()
    assert "role.rbac.authorization.k8s.io/extension-apiserver-authentication-reader" in roles
    assert own.kubectl(
        "auth", "can-i", "update", "pods", "--as=system:serviceaccount:kube-system:deployment-controller"
    ).startswith("yes")
    assert "no" in own.kubectl(
        "auth", "can-i", "get", "secrets", "--as=system:serviceaccount:kube-system:deployment-controller", check=False
    )
    own.kubectl("delete", "role", "-n", "kube-system", "system::leader-locking-kube-scheduler")
    own.kubectl("delete", "clusterrolebinding", "system:controller:job-controller")
    own.restart()
    own.kubectl("get", "role", "-n", "kube-system", "system::leader-locking-kube-scheduler")
    own.kubectl("get", "clusterrolebinding", "system:controller:job-controller")


def test_controllers_act_as_their_own_accounts(own) -> None:
    """After work for each of them, no write in the audit log is by a user with more rights than its controller needs."""
    own.kubectl("create", "namespace", "busy")
    own.kubectl("create", "quota", "few", "-n", "busy", "--hard=configmaps=9")
    own.kubectl("create", "configmap", "owner", "-n", "busy")
    uid = own.json("GET", "/api/v1/namespaces/busy/configmaps/owner")["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    own.json("POST", "/api/v1/namespaces/busy/configmaps", {"metadata": {"name": "owned", "ownerReferences": [owner]}})
    quota = "/api/v1/namespaces/busy/resourcequotas/few"
    eventually(lambda: own.json("GET", quota)["status"].get("used", {}).get("configmaps") == "3")
    own.kubectl("delete", "configmap", "owner", "-n", "busy")
    eventually(lambda: own.call("GET", "/api/v1/namespaces/busy/configmaps/owned")[0] == 404)
    own.kubectl("create", "clusterrole", "sum", "--aggregation-rule=of=sum")
    own.kubectl("create", "clusterrole", "part", "--verb=get", "--resource=pods")
    own.kubectl("label", "clusterrole", "part", "of=sum")
    sums = "/apis/rbac.authorization.k8s.io/v1/clusterroles/sum"
    eventually(lambda: own.json("GET", sums).get("rules"))
    own.kubectl("delete", "namespace", "busy", "--timeout=20s")
    own.stop()
    events = [json.loads(line) for line in (own.directory / "audit.log").read_text().splitlines()]
    writers = {event["user"]["username"] for event in events if event["verb"] not in ("get", "list", "watch")}
    prefix = "system:serviceaccount:kube-system:"
    assert "system:kube-controller-manager" not in writers
    assert {name.removeprefix(prefix) for name in writers if name.startswith(prefix)} == set(CONTROLLERS) - {
        "certificate-controller",
        "ttl-after-finished-controller",
    }
    refused = [event for event in events if event["responseStatus"]["code"] == 403]
    assert [event["requestURI"] for event in refused if event["user"]["username"].startswith(prefix)] == []
    own.start()
