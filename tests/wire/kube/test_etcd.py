"""The whole control plane on an etcd: the clients cannot tell."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from etcd import etcd
from kube import ControlPlane, client, control_plane, eventually, free_port
from wire.cli_daemon import PrivateDaemon, reason_to_skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with etcd(tmp_path_factory.mktemp("store") / "etcd") as server:
        yield server


@pytest.fixture(scope="module")
def plane(server, tmp_path_factory):
    with control_plane(tmp_path_factory.mktemp("plane"), store=server.url) as plane:
        yield plane


def keys(server, prefix):
    run = [client("etcdctl"), "--endpoints", server.members[0].endpoint, "get", "--prefix", prefix, "--keys-only"]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()


def test_kubectl_makes_reads_changes_and_removes(plane, server):
    plane.kubectl("create", "namespace", "one")
    plane.kubectl("create", "configmap", "c", "-n", "one", "--from-literal=a=1")
    plane.kubectl("create", "secret", "generic", "s", "-n", "one", "--from-literal=word=hunter2")
    plane.kubectl("patch", "configmap", "c", "-n", "one", "-p", '{"data":{"b":"2"}}')
    plane.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d", "namespace": "one"}, "data": {"x": "y"}}))  # fmt: skip
    assert json.loads(plane.kubectl("get", "cm", "c", "-n", "one", "-o", "json"))["data"] == {"a": "1", "b": "2"}
    assert plane.kubectl("get", "secret", "s", "-n", "one", "-o", "jsonpath={.data.word}") == "aHVudGVyMg=="
    assert "/sampan/state/core/secrets/one/s" in keys(server, "/sampan/state/core/secrets/")
    plane.kubectl("delete", "namespace", "one", "--timeout=30s")
    assert "NotFound" in plane.kubectl("get", "namespace", "one", check=False)
    assert keys(server, "/sampan/state/core/configmaps/one/") == []


def test_events_and_leases_have_prefixes_of_their_own(plane, server):
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "l"},
        "spec": {"holderIdentity": "me"},
    }
    plane.json("POST", "/apis/coordination.k8s.io/v1/namespaces/default/leases", lease)
    event = {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
             "reason": "Tested", "message": "m", "type": "Normal"}  # fmt: skip
    plane.json("POST", "/api/v1/namespaces/default/events", event)
    assert "/sampan/leases/coordination.k8s.io/leases/default/l" in keys(server, "/sampan/leases/")
    assert "/sampan/events/core/events/default/e" in keys(server, "/sampan/events/")
    assert "Tested" in plane.kubectl("get", "events")


def test_a_list_in_pages_is_one_snapshot_and_a_watch_goes_on_from_it(plane):
    for number in range(7):
        plane.kubectl("create", "configmap", f"page-{number}")
    one = plane.json("GET", "/api/v1/namespaces/default/configmaps?limit=3")
    assert one["metadata"]["remainingItemCount"] == 7 + 1 - 3  # kube-root-ca.crt
    plane.kubectl("delete", "configmap", "page-6")
    more = one["metadata"]["continue"]
    two = plane.json("GET", f"/api/v1/namespaces/default/configmaps?limit=100&continue={more}")
    assert len(one["items"]) + len(two["items"]) == 8
    since = one["metadata"]["resourceVersion"]
    path = f"/api/v1/namespaces/default/configmaps?watch=1&resourceVersion={since}&timeoutSeconds=1"
    told = [json.loads(line) for line in plane.call("GET", path)[1].splitlines()]
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in told] == [("DELETED", "page-6")]


def test_the_control_process_and_etcd_may_be_killed(plane, server):
    plane.kubectl("create", "configmap", "kept", "--from-literal=a=1")
    plane.restart()
    assert plane.kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.a}") == "1"
    lines: list[str] = []
    watch = subprocess.Popen(
        [client("kubectl"), "get", "cm", "-w", "-o", "name"], env=plane.environ, stdout=subprocess.PIPE, text=True
    )
    reader = threading.Thread(target=lambda: lines.extend(watch.stdout), daemon=True)
    try:
        reader.start()
        eventually(lambda: "configmap/kept\n" in lines)
        [member] = server.members
        member.kill()
        code, raw = plane.call("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "lost"}})
        assert code == 503
        assert member.endpoint in json.loads(raw)["message"]
        member.restart()
        eventually(lambda: "created" in plane.kubectl("create", "configmap", "after", check=False), 20)
        eventually(lambda: any("after" in line for line in lines))
        assert [line for line in lines if "after" in line] == ["configmap/after\n"]
    finally:
        watch.kill()
        watch.wait()


def test_two_control_processes_show_the_same(plane, tmp_path):
    other = ControlPlane(tmp_path, store=plane.store)
    shutil.copytree(plane.directory / "pki", other.directory / "pki")
    try:
        other.start()
        plane.kubectl("create", "secret", "generic", "shared", "--from-literal=word=hunter2")
        assert other.kubectl("get", "secret", "shared", "-o", "jsonpath={.data.word}") == "aHVudGVyMg=="
        since = other.json("GET", "/api/v1/namespaces/default/configmaps")["metadata"]["resourceVersion"]
        plane.kubectl("create", "configmap", "by-one")
        other.kubectl("create", "configmap", "by-the-other")
        plane.kubectl("patch", "configmap", "by-the-other", "-p", '{"data":{"a":"1"}}')
        told = []
        for one in (plane, other):
            path = f"/api/v1/namespaces/default/configmaps?watch=1&resourceVersion={since}&timeoutSeconds=1"
            events = [json.loads(line) for line in one.call("GET", path)[1].splitlines()]
            told.append([(event["type"], event["object"]["metadata"]["resourceVersion"]) for event in events])
        assert [kind for kind, _ in told[0]] == ["ADDED", "ADDED", "MODIFIED"]
        assert told[0] == told[1]
        token = plane.kubectl("create", "token", "default").strip()
        assert other.call("GET", "/api/v1/namespaces/default/pods", token=token)[0] == 403  # known, and may not
        plane.kubectl(
            "create", "clusterrolebinding", "of-both", "--clusterrole=view", "--serviceaccount=default:default"
        )
        eventually(lambda: other.call("GET", "/api/v1/namespaces/default/pods", token=token)[0] == 200)
    finally:
        other.stop()


@pytest.mark.soak
def test_a_write_without_an_answer_is_refused_as_such(plane, server):
    [member] = server.members
    member.pause()
    try:
        refusal = plane.refused("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "maybe"}})
    finally:
        member.go_on()
    assert refusal["code"] == 503
    assert "whether the write took place is not known" in refusal["message"]
    assert "retryAfterSeconds" not in (refusal.get("details") or {})


def test_without_an_etcd_it_says_where_it_looked(tmp_path):
    plane = ControlPlane(tmp_path, store="etcd://127.0.0.1:1")
    with pytest.raises(AssertionError, match=r"sampan: etcd at 127\.0\.0\.1:1 cannot be reached"):
        plane.start()


@pytest.mark.root
def test_sampan_up_with_a_store_in_etcd(server):
    if reason := reason_to_skip():
        pytest.skip(reason)
    daemon = PrivateDaemon()
    daemon.flags[daemon.flags.index("--api-listen") + 1] = f"127.0.0.1:{free_port()}"
    daemon.flags += ["--store", f"etcd://{server.members[0].endpoint}/of-the-daemon"]
    try:
        done = daemon.service("up")
        assert done.returncode == 0, done.stderr
        eventually(lambda: keys(server, "/of-the-daemon/state/core/namespaces/kube-public"), 20)
        eventually(lambda: b"Kubernetes API: https://" in daemon.service("status").stdout)
        assert not list(Path(daemon.home, "data", "control").glob("*.db"))
    finally:
        daemon.remove()
