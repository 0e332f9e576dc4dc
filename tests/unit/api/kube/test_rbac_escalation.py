"""Nobody grants what they do not hold."""

from __future__ import annotations

import pytest

from sampan.api.kube.admission import Attributes
from sampan.api.kube.plugins.rbac_escalation import RbacEscalation
from sampan.api.kube.request import User
from sampan.kube import rbac
from sampan.kube.object import Object
from sampan.kube.status import ApiError
from unit.api.kube.cluster import RBAC, Cluster, bind, resource, role, rule

OWNER = User("owner", groups=("team", "system:authenticated"))


@pytest.fixture
async def cluster():
    cluster = Cluster()
    await cluster.start()
    for obj in (
        role("pods", rule("get list", "pods"), rule("get", urls="/debug/*")),
        role("named", rule("get", "secrets", names="one two")),
        role("secrets", rule("get", "secrets")),
        role("scales", rule("get", "*/scale")),
        role("in-a", rule("*", "configmaps"), namespace="a"),
        bind("pods", "pods", "User:owner"),
        bind("named", "named", "Group:team"),
        bind("scales", "scales", "User:owner"),
        bind("in-a", "in-a", "User:owner", namespace="a", role_kind="Role"),
        role("escalate", rule("escalate", "clusterroles", RBAC, names="mine")),
        role("bind", rule("bind", "clusterroles", RBAC, names="secrets")),
        bind("escalate", "escalate", "User:escalator"),
        bind("bind", "bind", "User:binder"),
    ):
        await cluster.put(obj)
    yield cluster
    await cluster.close()


PLURALS = {"Role": "roles", "ClusterRole": "clusterroles", "RoleBinding": "rolebindings"}
PLURALS["ClusterRoleBinding"] = "clusterrolebindings"


async def judged(cluster: Cluster, obj: Object, user: User = OWNER, old: Object | None = None) -> str:
    """Return how a write of an object is refused, "" when it is not."""
    meta = obj["metadata"]
    plugin = RbacEscalation(cluster.rbac, cluster.rbac, cluster.records)
    attributes = Attributes(
        "UPDATE" if old else "CREATE", resource(PLURALS[obj["kind"]], RBAC), "", meta.get("namespace", ""), meta["name"],
        obj, old, user,
    )  # fmt: skip
    try:
        await plugin.mutate(attributes)
        await plugin.validate(attributes)
    except ApiError as error:
        return f"{error.code} {error}"
    return ""


@pytest.mark.parametrize(
    "obj",
    [
        role("x", rule("get", "pods")),
        role("x", rule("list", "pods", names="one")),
        role("x", rule("get", "secrets", names="two")),
        role("x", rule("get", "deployments/scale")),
        role("x", rule("get", urls="/debug/pprof /debug/*")),
        role("x", rule("delete", "configmaps"), namespace="a"),
        role("x"),
        bind("x", "pods", "User:somebody"),
        bind("x", "in-a", "User:somebody", namespace="a", role_kind="Role"),
    ],
)
async def test_what_is_held_may_be_granted(cluster, obj: Object) -> None:
    assert await judged(cluster, obj) == ""


@pytest.mark.parametrize(
    "obj",
    [
        role("x", rule("delete", "pods")),
        role("x", rule("get", "pods/log")),
        role("x", rule("*", "pods")),
        role("x", rule("get", "*")),
        role("x", rule("get", "pods", group="apps")),
        role("x", rule("get", "secrets")),
        role("x", rule("get", "secrets", names="one three")),
        role("x", rule("get", urls="/metrics")),
        role("x", rule("get", urls="*")),
        role("x", rule("get", "configmaps"), namespace="b"),
        role("x", rule("get", "configmaps")),
        bind("x", "secrets", "User:owner"),
        bind("x", "secrets", "User:owner", namespace="a"),
        {**role("x"), "aggregationRule": {"clusterRoleSelectors": [{}]}},
    ],
)
async def test_what_is_not_held_may_not(cluster, obj: Object) -> None:
    refusal = await judged(cluster, obj)
    assert refusal.startswith("403 "), refusal
    assert "is attempting to grant RBAC permissions not currently held" in refusal
    assert await judged(cluster, obj, User("root", groups=("system:masters",))) == ""


async def test_the_refusal_says_what_is_missing(cluster) -> None:
    refusal = await judged(cluster, role("x", rule("get delete patch", "pods")))
    assert refusal == (
        '403 clusterroles.rbac.authorization.k8s.io "x" is forbidden: user "owner" (groups=["team" '
        '"system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n'
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete" "patch"]}'
    )


async def test_a_change_of_something_else_grants_nothing(cluster) -> None:
    old = role("x", rule("*", "*"))
    changed = {**old, "metadata": {"name": "x", "labels": {"a": "b"}}}
    assert await judged(cluster, changed, old=old) == ""
    assert await judged(cluster, role("x", rule("get", "*")), old=old) != ""
    binding = bind("x", "secrets", "User:a")
    assert await judged(cluster, {**binding, "metadata": {"name": "x", "labels": {}}}, old=binding) == ""
    assert await judged(cluster, bind("x", "secrets", "User:a", "User:owner"), old=binding) != ""


async def test_escalate_and_bind_are_rights(cluster) -> None:
    escalator, binder = User("escalator"), User("binder")
    assert await judged(cluster, role("mine", rule("*", "*")), escalator) == ""
    assert await judged(cluster, role("other", rule("*", "*")), escalator) != ""
    assert await judged(cluster, bind("x", "secrets", "User:binder"), binder) == ""
    assert await judged(cluster, bind("x", "pods", "User:binder"), binder) != ""


async def test_an_unknown_role_is_bound_by_who_may_only(cluster) -> None:
    refusal = await judged(cluster, bind("x", "not-there", "User:owner"))
    assert refusal == '404 clusterroles.rbac.authorization.k8s.io "not-there" not found'
    assert await judged(cluster, bind("x", "not-there", "User:o"), User("root", groups=("system:masters",))) == ""


def test_missing_is_nothing_of_what_is_owned() -> None:
    rules = rbac.rules_of(role("x", rule("get list", "pods services/status"), rule("get", urls="/a /b/*")))
    assert rbac.missing(rules, rules) == []
    assert {(tuple(part.urls), *part.resources) for part in rbac.missing((), rules)} == {
        ((), "pods"), ((), "services/status"), (("/a",),), (("/b/*",),),
    }  # fmt: skip
