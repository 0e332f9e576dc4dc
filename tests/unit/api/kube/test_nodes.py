"""A node reads what its own pods need, and writes about itself and them."""

from __future__ import annotations

import pytest

from sampan.api.kube.access import Attempt
from sampan.api.kube.admission import Attributes
from sampan.api.kube.node_authz import NodeAuthorizer
from sampan.api.kube.node_graph import NodeGraph
from sampan.api.kube.plugins.node_restriction import NodeRestriction
from sampan.api.kube.request import User
from sampan.kube.object import Object
from sampan.kube.status import ApiError
from unit.api.kube.cluster import Cluster, resource

NODE = User("system:node:one", groups=("system:nodes", "system:authenticated"))
OTHER = User("system:node:two", groups=("system:nodes",))
FALSE = (User("system:node:one"), User("one", groups=("system:nodes",)), User("system:node:", groups=("system:nodes",)))
POD: Object = {
    "metadata": {"name": "web", "namespace": "a"},
    "spec": {
        "nodeName": "one",
        "serviceAccountName": "robot",
        "imagePullSecrets": [{"name": "registry"}],
        "containers": [
            {"name": "c", "env": [{"name": "x", "valueFrom": {"secretKeyRef": {"name": "env-secret", "key": "k"}}}]},
            {"name": "d", "envFrom": [{"configMapRef": {"name": "env-config"}}, {"secretRef": {"name": "from-secret"}}]},
        ],
        "initContainers": [
            {"name": "i", "env": [{"name": "x", "valueFrom": {"configMapKeyRef": {"name": "init-config", "key": "k"}}}]}
        ],
        "ephemeralContainers": [{"name": "e", "envFrom": [{"secretRef": {"name": "debug"}}]}],
        "volumes": [
            {"name": "tls", "secret": {"secretName": "tls"}},
            {"name": "conf", "configMap": {"name": "conf"}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}},
            {"name": "all", "projected": {"sources": [{"secret": {"name": "p-secret"}}, {"configMap": {"name": "root-ca"}},
                                                      {"serviceAccountToken": {"path": "t"}}]}},
            {"name": "csi", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "csi-secret"}}},
            {"name": "azure", "azureFile": {"secretName": "azure-secret", "shareName": "s"}},
            {"name": "nothing", "emptyDir": {}},
        ],
    },
}  # fmt: skip
SECRETS = ("registry", "env-secret", "from-secret", "debug", "tls", "p-secret", "csi-secret", "azure-secret")
CONFIGS = ("env-config", "init-config", "conf", "root-ca")


@pytest.fixture
async def cluster():
    cluster = Cluster()
    await cluster.start()
    cluster.graph = NodeGraph(cluster.records)
    await cluster.put(POD, "pods")  # one that is there before
    await cluster.graph.start()
    claim = {"metadata": {"name": "data", "namespace": "a"}, "spec": {"volumeName": "disk-7"}}
    await cluster.put(claim, "persistentvolumeclaims")
    await cluster.put({"metadata": {"name": "free", "namespace": "a"}, "spec": {"containers": []}}, "pods")
    two = {"nodeName": "two", "volumes": [{"name": "v", "secret": {"secretName": "of-two"}}]}
    await cluster.put({"metadata": {"name": "other", "namespace": "a"}, "spec": two}, "pods")
    cluster.nodes = NodeAuthorizer(cluster.graph)
    yield cluster
    cluster.graph.close()
    await cluster.close()


def may(cluster, verb: str, plural: str, name: str = "", user: User = NODE, **more: str) -> bool:
    resource, _, part = plural.partition("/")
    more = {"namespace": "a", **more}
    attempt = Attempt(
        user, verb, more.pop("group", ""), "v1", resource, part, more["namespace"], name, fields=more.get("fields", "")
    )
    return cluster.nodes.authorize(attempt).allowed


async def test_what_its_pods_refer_to_is_seen(cluster) -> None:
    for plural, names in (
        ("secrets", SECRETS),
        ("configmaps", CONFIGS),
        ("persistentvolumeclaims", ("data", "web-scratch")),
    ):
        for name in names:
            assert may(cluster, "get", plural, name), name
            assert not may(cluster, "get", plural, name, namespace="b"), name
            for user in (OTHER, *FALSE):
                assert not may(cluster, "get", plural, name, user=user), name
            for verb in ("create", "update", "patch", "delete", "deletecollection"):
                assert not may(cluster, verb, plural, name), name
        assert not may(cluster, "list", plural)
        assert not may(cluster, "watch", plural)
        assert not may(cluster, "get", plural, "other")
    assert may(cluster, "watch", "secrets", "tls")
    assert not may(cluster, "watch", "persistentvolumeclaims", "data")
    assert may(cluster, "get", "persistentvolumes", "disk-7", namespace="")
    assert not may(cluster, "get", "persistentvolumes", "disk-8", namespace="")
    assert not may(cluster, "get", "persistentvolumes", "disk-7", user=OTHER, namespace="")
    assert may(cluster, "create", "serviceaccounts/token", "robot")
    assert not may(cluster, "create", "serviceaccounts/token", "default")


async def test_what_was_seen_is_seen_no_more_when_the_pod_is_gone(cluster) -> None:
    pods = resource("pods")
    pod = await cluster.records.get(pods, "a", "web")
    moved = {**POD, "spec": {**POD["spec"], "volumes": []}}
    await cluster.records.update(pods, moved, int(pod["metadata"]["resourceVersion"]))
    await _told(cluster)
    assert not may(cluster, "get", "secrets", "tls")
    assert may(cluster, "get", "secrets", "registry")
    pod = await cluster.records.get(pods, "a", "web")
    await cluster.records.delete(pods, "a", "web", int(pod["metadata"]["resourceVersion"]))
    await _told(cluster)
    assert not may(cluster, "get", "secrets", "registry")
    assert not may(cluster, "get", "pods", "web")
    assert cluster.graph._by_node.keys() == {"two"}


async def _told(cluster) -> None:
    """Return when the graph has been told of everything: a later write reaches a view after it."""
    await cluster.put({"kind": "ClusterRole", "metadata": {"name": "mark"}})


async def test_pods_and_nodes(cluster) -> None:
    own = {"fields": "spec.nodeName=one", "namespace": ""}
    assert may(cluster, "list", "pods", **own)
    assert may(cluster, "watch", "pods", **own)
    for fields in ("", "spec.nodeName=two", "spec.nodeName!=one", "metadata.name=web", "=", "spec.nodeName=on"):
        assert not may(cluster, "list", "pods", fields=fields, namespace=""), fields
    for verb, what in (("get", "pods"), ("delete", "pods"), ("patch", "pods/status"), ("create", "pods/eviction")):
        assert may(cluster, verb, what, "web")
        assert not may(cluster, verb, what, "other")
        assert not may(cluster, verb, what, "free")
    for verb, what in (("update", "pods"), ("patch", "pods"), ("create", "pods/exec"), ("create", "pods/binding"),
                       ("get", "pods/log"), ("deletecollection", "pods"), ("update", "pods/ephemeralcontainers")):  # fmt: skip
        assert not may(cluster, verb, what, "web"), (verb, what)
    for verb in ("get", "list", "watch", "update", "patch"):
        assert may(cluster, verb, "nodes", "one", namespace="")
        assert not may(cluster, verb, "nodes", "two", namespace="")
        assert not may(cluster, verb, "nodes", namespace="")
    assert may(cluster, "patch", "nodes/status", "one", namespace="")
    assert not may(cluster, "get", "nodes/proxy", "one", namespace="")
    assert not may(cluster, "delete", "nodes", "one", namespace="")
    lease = {"group": "coordination.k8s.io", "namespace": "kube-node-lease"}
    assert may(cluster, "update", "leases", "one", **lease)
    assert not may(cluster, "update", "leases", "two", **lease)
    assert not may(cluster, "update", "leases", "one", group="coordination.k8s.io")
    assert may(cluster, "list", "services", namespace="")
    for plural in ("secrets", "roles", "clusterroles", "deployments"):
        for verb in ("create", "list", "delete"):
            assert not may(cluster, verb, plural, "x", group="rbac.authorization.k8s.io")


MIRROR = {"kubernetes.io/config.mirror": "x"}


def pod(annotations: dict | None = None, **spec) -> Object:
    return {
        "metadata": {"name": "p", "namespace": "a", "annotations": annotations or {}},
        "spec": {"containers": [], **spec},
    }


def node(name: str = "one", labels: dict | None = None, taints: list | None = None, **meta) -> Object:
    return {"metadata": {"name": name, "labels": labels or {}, **meta}, "spec": {"taints": taints or []}}


async def refusal(
    cluster, plural: str, new: Object, old: Object | None = None, part: str = "", user: User = NODE
) -> str:
    group = {"leases": "coordination.k8s.io", "csinodes": "storage.k8s.io"}.get(plural, "")
    meta = new["metadata"]
    attributes = Attributes("UPDATE" if old else "CREATE", resource(plural, group), part, meta.get("namespace", ""),
                            meta["name"], new, old, user)  # fmt: skip
    try:
        await NodeRestriction(cluster.graph).validate(attributes)
    except ApiError as error:
        assert error.code == 403
        return str(error)
    return ""


async def test_it_makes_mirror_pods_of_its_own_only(cluster) -> None:
    assert await refusal(cluster, "pods", pod(MIRROR, nodeName="one")) == ""
    assert await refusal(cluster, "pods", pod(), user=User("ann")) == ""
    secret = {"name": "v", "secret": {"secretName": "s"}}
    variable = {"name": "c", "env": [{"name": "x", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}
    for wrong in (pod(nodeName="one"), pod(MIRROR), pod(MIRROR, nodeName="two"),
                  pod(MIRROR, nodeName="one", serviceAccountName="robot"), pod(MIRROR, nodeName="one", volumes=[secret]),
                  pod(MIRROR, nodeName="one", containers=[variable]), pod(MIRROR, nodeName="one", initContainers=[variable]),
                  pod(MIRROR, nodeName="one", ephemeralContainers=[variable]),
                  pod(MIRROR, nodeName="one", resourceClaims=[{"name": "x"}]),
                  pod(MIRROR, nodeName="one", imagePullSecrets=[{"name": "s"}])):  # fmt: skip
        assert await refusal(cluster, "pods", wrong) != "", wrong
    for driver in ("cephfs", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"):  # else it could read any secret
        volume = {"name": "v", driver: {"secretRef": {"name": "s"}}}
        assert await refusal(cluster, "pods", pod(MIRROR, nodeName="one", volumes=[volume])) != "", driver
    volume = {"name": "v", "azureFile": {"secretName": "s", "shareName": "x"}}
    assert await refusal(cluster, "pods", pod(MIRROR, nodeName="one", volumes=[volume])) != ""
    labelled = {**POD, "metadata": {**POD["metadata"], "labels": {"app": "x"}}}
    assert await refusal(cluster, "pods", POD, POD, "status") == ""
    assert await refusal(cluster, "pods", labelled, POD, "status") != ""


async def test_it_gives_itself_no_labels_that_others_decide_by(cluster) -> None:
    assert (
        await refusal(
            cluster, "nodes", node(labels={"kubernetes.io/hostname": "one", "own": "x"}, taints=[{"key": "a"}])
        )
        == ""
    )
    assert await refusal(cluster, "nodes", node("two")) != ""
    assert await refusal(cluster, "nodes", node(labels={"a": "1"}), node()) == ""
    assert await refusal(cluster, "nodes", node(labels={"kubelet.kubernetes.io/x": "1"}), node()) == ""
    for label in ("node-restriction.kubernetes.io/team", "x.node-restriction.kubernetes.io/y", "node-role.kubernetes.io/control-plane",
                  "kubernetes.io/x", "other.k8s.io/x"):  # fmt: skip
        assert label in await refusal(cluster, "nodes", node(labels={label: "1"}), node())
        assert label in await refusal(cluster, "nodes", node(), node(labels={label: "1"}))
        assert await refusal(cluster, "nodes", node(labels={label: "1"}), node(labels={label: "1"})) == ""
    assert "taints" in await refusal(cluster, "nodes", node(taints=[{"key": "a"}]), node())
    assert "ownerReferences" in await refusal(cluster, "nodes", node(ownerReferences=[{"uid": "1"}]), node())


async def test_leases_are_of_its_own_name(cluster) -> None:
    def lease(name: str, namespace: str = "kube-node-lease") -> Object:
        return {"metadata": {"name": name, "namespace": namespace}}

    assert await refusal(cluster, "leases", lease("one")) == ""
    assert await refusal(cluster, "leases", lease("two")) != ""
    assert await refusal(cluster, "leases", lease("one", "default")) != ""
    assert await refusal(cluster, "csinodes", {"metadata": {"name": "two"}}) != ""


async def test_tokens_are_bound_to_pods_on_it(cluster) -> None:
    restriction = NodeRestriction(cluster.graph)

    def asked(user: User = NODE, **bound: str) -> bool:
        try:
            restriction.check_token(user, "a", "robot", {"spec": {"boundObjectRef": bound} if bound else {}})
        except ApiError:
            return False
        return True

    assert asked(kind="Pod", name="web", uid="u")
    assert asked(User("ann"))
    for bound in ({}, {"kind": "Pod", "name": "web"}, {"kind": "Pod", "name": "other", "uid": "u"},
                  {"kind": "Secret", "name": "web", "uid": "u"}, {"kind": "Node", "name": "one", "uid": "u"}):  # fmt: skip
        assert not asked(**bound), bound
