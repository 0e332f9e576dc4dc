"""What the files beside the store say: audit policy, keys; and nodes over the wire. A control process of its own, restarted."""

from __future__ import annotations

import json
import subprocess

import pytest

from kube import ROOT, control_plane, eventually
from sampan.cmd.control_state import lines

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: None
  users: [system:apiserver, system:kube-controller-manager]
- level: RequestResponse
"""
MARK = "bWFya2VyLW9mLXRoZS10ZXN0"  # base64 of marker-of-the-test
NODE = {"Impersonate-User": "system:node:one", "Impersonate-Group": "system:nodes"}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    with control_plane(tmp_path_factory.mktemp("access"), audit=POLICY) as plane:
        yield plane


def test_requests_are_in_the_audit_log(own) -> None:
    own.json("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "c"}, "data": {"a": "1"}})
    own.json("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}, "data": {"a": MARK}})
    own.call("GET", "/api/v1/secrets", token="")
    own.call("GET", "/api/v1/pods", token="bad")
    own.call("GET", "/api/v1/pods", headers={"Impersonate-User": "ann"})
    own.stop()  # what is in the buffer is written
    text = (own.directory / "audit.log").read_text()
    events = {
        (event["requestURI"], event["responseStatus"]["code"]): event for event in map(json.loads, text.splitlines())
    }
    made = events["/api/v1/namespaces/default/configmaps", 201]
    assert (made["user"]["username"], made["verb"], made["level"]) == ("tester", "create", "RequestResponse")
    assert made["requestObject"]["data"] == made["responseObject"]["data"] == {"a": "1"}
    assert events["/api/v1/namespaces/default/secrets", 201]["level"] == "Metadata"
    assert MARK not in text
    assert events["/api/v1/secrets", 403]["user"]["username"] == "system:anonymous"
    assert ("/api/v1/pods", 401) in events
    assert events["/api/v1/pods", 403]["impersonatedUser"]["username"] == "ann"
    own.start()


def test_secrets_are_sealed_with_a_new_key(own) -> None:
    own.json("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "kept"}, "data": {"a": MARK}})
    before = list(json.loads((own.directory / "pki" / "sealing-keys.json").read_text()))
    own.stop()
    argv = [ROOT / ".venv/bin/sampan", "rotate-keys", "--data-root", str(own.home / "data")]
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 0
    after = list(json.loads((own.directory / "pki" / "sealing-keys.json").read_text()))
    assert len(after) == len(before) + 1
    assert after[1:] == before
    own.start()
    assert own.json("GET", "/api/v1/namespaces/default/secrets/kept")["data"] == {"a": MARK}
    assert (own.directory / "pki" / "sealed-with").read_text().strip() == after[0]
    own.stop()
    raw = b"".join(path.read_bytes() for path in own.directory.glob("state.db*"))
    assert raw.count(after[0].encode()) >= 1
    assert MARK.encode() not in raw
    own.start()


def test_the_status_says_whether_it_runs(own) -> None:
    data = own.home / "data"
    told = f"Kubernetes API: https://127.0.0.1:{own.port} (pid {own.process.pid}); 'sampan kubeconfig' prints how to reach it"
    assert lines(data)[0] == told
    own.json("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "audited"}})
    eventually(lambda: len(lines(data)) == 2)  # the audit log is written every tenth of a second
    assert lines(data)[1].startswith(f"audit log: {data}/control/audit.log (")
    own.stop()
    assert lines(data) == [f"Kubernetes API: does not run; its log is {data}/control/log"]
    assert lines(own.home) == []
    own.start()


def test_roles_hold_and_are_made_whole_after_a_restart(own) -> None:
    own.kubectl("create", "clusterrolebinding", "v", "--clusterrole=system:aggregate-to-view", "--user=viewer")
    view = "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:aggregate-to-view"
    role = own.json("GET", view)
    role["rules"] = [{"verbs": ["get"], "apiGroups": ["own.example"], "resources": ["things"]}]
    own.json("PUT", view, role)
    basic = "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:basic-user"
    kept = own.json("GET", basic)
    kept["metadata"]["annotations"]["rbac.authorization.kubernetes.io/autoupdate"] = "false"
    kept["rules"] = []
    own.json("PUT", basic, kept)
    own.stop()
    own.start()
    rules = own.json("GET", view)["rules"]
    assert rules[0]["apiGroups"] == ["own.example"]
    assert len(rules) > 5
    assert own.json("GET", basic).get("rules") in (None, [])
    assert own.call("GET", "/api/v1/pods", headers={"Impersonate-User": "viewer"})[0] == 200


def test_a_node_sees_what_its_pods_need(own) -> None:
    spec = {
        "nodeName": "one",
        "containers": [{"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "mine"}}]}],
    }
    for name in ("mine", "theirs"):
        own.json("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": name}})
    own.json("POST", "/api/v1/namespaces/default/pods", {"metadata": {"name": "p"}, "spec": spec})
    assert own.call("GET", "/api/v1/namespaces/default/secrets/mine", headers=NODE)[0] == 200
    refused = own.refused("GET", "/api/v1/namespaces/default/secrets/theirs", headers=NODE)
    assert "no relationship found between node 'one' and this object" in refused["message"]
    assert own.call("GET", "/api/v1/secrets", headers=NODE)[0] == 403
    assert own.call("GET", "/api/v1/pods", headers=NODE)[0] == 403
    assert len(own.json("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Done", headers=NODE)["items"]) == 1
    own.json("POST", "/api/v1/nodes", {"metadata": {"name": "one"}}, headers=NODE)
    assert own.call("POST", "/api/v1/nodes", {"metadata": {"name": "two"}}, headers=NODE)[0] == 403
    lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    assert own.call("POST", lease, {"metadata": {"name": "two"}}, headers=NODE)[0] == 403
    assert own.call("POST", lease, {"metadata": {"name": "one"}}, headers=NODE)[0] == 201
