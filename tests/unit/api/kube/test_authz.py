"""Authorization: every cell of user x verb x resource x subresource x place is as an independent oracle says."""

from __future__ import annotations

import time
import tracemalloc
from itertools import product

import pytest

from sampan.api.kube.access import Attempt, Decision, denied
from sampan.api.kube.authz import AnyOf
from sampan.api.kube.request import User
from sampan.kube import catalog, rbac, rbac_defaults
from unit.api.kube import rbac_oracle
from unit.api.kube.cluster import Cluster, bind, role, rule


@pytest.fixture
async def cluster():
    cluster = Cluster()
    await cluster.start()
    yield cluster
    await cluster.close()


def defaults() -> list[dict]:
    """Return the roles and bindings of a new cluster, with the aggregated rules in place."""
    roles = [dict(item) for item in rbac_defaults.ROLES]
    for _ in range(3):  # admin has the rules of edit, which has those of view
        for item in roles:
            if "aggregationRule" in item:
                item["rules"] = rbac.aggregated(item, roles)
    return [*roles, *rbac_defaults.BINDINGS]


OWN = [
    role("scaler", rule("get patch", "*/scale", "apps")),
    role("reader", rule("get list", "pods pods/log"), rule("get", urls="/metrics /debug/*")),
    role("of-one", rule("get update delete", "configmaps secrets", names="one")),
    role("everything-of-apps", rule("*", "*", "apps")),
    role("all-verbs", rule("*", "services")),
    role("reader", rule("get", "secrets"), namespace="a"),
    role("paths", rule("get", urls="/apis/*")),
    bind("scaler", "scaler", "User:scaler"),
    bind("reader", "reader", "User:cluster-reader", "Group:readers"),
    bind("reader-in-a", "reader", "User:reader-in-a", namespace="a"),
    bind("role-in-a", "reader", "User:role-in-a", namespace="a", role_kind="Role"),
    bind("role-in-b", "reader", "User:role-in-b", namespace="b", role_kind="Role"),
    bind("of-one", "of-one", "ServiceAccount:a:builder"),
    bind("apps", "everything-of-apps", "User:apps"),
    bind("services", "all-verbs", "User:services", namespace="b"),
    bind("lost", "no-such-role", "User:lost"),
    bind("paths", "paths", "User:paths", namespace="a"),
    *(bind(f"{name}-in-a", name, f"User:{name}-in-a", namespace="a") for name in ("admin", "edit", "view")),
    *(bind(f"the-{name}", name, f"User:{name}") for name in ("admin", "edit", "view", "cluster-admin")),
]
USERS = [
    *((name, ("system:authenticated",)) for name in (
        "scaler", "cluster-reader", "reader-in-a", "role-in-a", "role-in-b", "apps", "services", "lost", "paths", "admin",
        "edit", "view", "cluster-admin", "admin-in-a", "edit-in-a", "view-in-a", "system:kube-scheduler", "nobody",
        "system:kube-proxy", "system:kube-controller-manager",
    )),
    ("of-a-group", ("readers", "system:authenticated")),
    ("system:serviceaccount:a:builder", ("system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated")),
    ("system:serviceaccount:b:builder", ("system:serviceaccounts", "system:serviceaccounts:b", "system:authenticated")),
    ("root", ("system:masters", "system:authenticated")),
    ("system:anonymous", ("system:unauthenticated",)),
]  # fmt: skip
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "escalate")
URLS = ("/version", "/healthz", "/healthz/ping", "/livez", "/readyz", "/metrics", "/debug/pprof", "/api", "/apis/apps",
        "/openapi/v3", "/", "/.well-known/openid-configuration", "/logs", "/version/..", "//version")  # fmt: skip


async def test_every_cell_is_as_the_oracle_says(cluster) -> None:
    objects = [*defaults(), *OWN]
    for obj in objects:
        await cluster.put(obj)
    relevant = {name: [obj for obj in objects if _about(obj, *name)] for name in USERS}
    paths = [(item.group, item.plural, item.namespaced, part) for item in catalog.RESOURCES
             for part in ("", *(sub.name for sub in item.subresources))]  # fmt: skip
    cells, yes, wrong = 0, 0, []
    for name, groups in USERS:
        user = User(name, groups=groups)
        roles = relevant[name, groups]
        for (group, plural, namespaced, part), verb, place in product(paths, VERBS, (("a", "one"), ("b", "two"))):
            namespace, named = place[0] if namespaced else "", place[1]
            attempt = Attempt(user, verb, group, "v1", plural, part, namespace, named)
            got = cluster.rbac.authorize(attempt).allowed
            path = f"{plural}/{part}" if part else plural
            if got != rbac_oracle.allowed(roles, name, groups, verb, group, path, namespace, named):
                wrong.append(attempt)
            cells, yes = cells + 1, yes + got
        for url, verb in product(URLS, ("get", "post")):
            got = cluster.rbac.authorize(Attempt(user, verb, path=url)).allowed
            if got != rbac_oracle.allowed(roles, name, groups, verb, url=url):
                wrong.append((name, verb, url))
            cells, yes = cells + 1, yes + got
    print(f"{cells} cells, {yes} of them allowed, {len(wrong)} wrong")
    assert not wrong
    assert cells > 50_000
    assert 0.1 < yes / cells < 0.9, "a matrix of one answer shows nothing"


def _about(obj: dict, user: str, groups: tuple[str, ...]) -> bool:
    """Return whether the oracle has to look at an object for a user: it is slow, and stays simple."""
    return not obj["kind"].endswith("Binding") or any(
        rbac_oracle._is(subject, user, groups) for subject in obj.get("subjects", ())
    )


async def test_the_anonymous_reach_health_and_version_only(cluster) -> None:
    for obj in defaults():
        await cluster.put(obj)
    user = User("system:anonymous", groups=("system:unauthenticated",))
    open_paths = {url for url in URLS if cluster.rbac.authorize(Attempt(user, "get", path=url)).allowed}
    assert open_paths == {"/version", "/healthz", "/livez", "/readyz"}


async def test_what_changes_holds_at_once(cluster) -> None:
    user = User("x", groups=())
    attempt = Attempt(user, "list", "", "v1", "pods", "", "default")
    assert cluster.rbac.authorize(attempt) == Decision(False, "")
    binding = bind("b", "r", "User:x", namespace="default")
    await cluster.put(binding)
    lost = cluster.rbac.authorize(attempt)
    assert lost == Decision(False, 'RBAC: clusterrole.rbac.authorization.k8s.io "r" not found')
    await cluster.put(role("r", rule("list", "pods")))
    decision = cluster.rbac.authorize(attempt)
    assert decision == Decision(True, 'RBAC: allowed by RoleBinding "b/default" of ClusterRole "r" to User "x"')
    assert not cluster.rbac.authorize(attempt._replace(namespace="other")).allowed
    assert not cluster.rbac.authorize(attempt._replace(namespace="")).allowed
    await cluster.put(role("r", rule("get", "pods")))
    assert not cluster.rbac.authorize(attempt).allowed
    await cluster.put(role("r", rule("list", "pods")))
    await cluster.drop(binding)
    assert not cluster.rbac.authorize(attempt).allowed


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (
            Attempt(User("x"), "list", "", "v1", "pods", "", "default"),
            'pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "default"',
        ),
        (
            Attempt(User("x"), "get", "apps", "v1", "deployments", "scale", "a", "web"),
            (
                'deployments.apps "web" is forbidden: User "x" cannot get resource "deployments/scale" in API group "apps" '
                'in the namespace "a"'
            ),
        ),
        (
            Attempt(User("x"), "delete", "", "v1", "nodes", "", "", "n"),
            'nodes "n" is forbidden: User "x" cannot delete resource "nodes" in API group "" at the cluster scope',
        ),
        (Attempt(User("x"), "get", path="/metrics"), 'forbidden: User "x" cannot get path "/metrics"'),
    ],
)
def test_refusals_are_worded_as_known(attempt: Attempt, message: str) -> None:
    error = denied(attempt, "")
    assert (error.code, error.reason, str(error)) == (403, "Forbidden", message)


async def test_one_authorizer_is_enough(cluster) -> None:
    class Says:
        def __init__(self, decision: Decision) -> None:
            self.decision = decision

        def authorize(self, attempt: Attempt) -> Decision:
            return self.decision

    attempt = Attempt(User("x"), "get", path="/")
    yes, no, why = Says(Decision(True, "so")), Says(Decision(False, "no")), Says(Decision(False, "never"))
    assert AnyOf([no, yes]).authorize(attempt) == Decision(True, "so")
    assert AnyOf([no, why]).authorize(attempt) == Decision(False, "no, never")


async def test_neither_long_names_nor_subjects_that_are_gone_are_kept(cluster) -> None:
    before = tracemalloc.start() or tracemalloc.get_traced_memory()[0]
    for number in range(1000):
        cluster.rbac.authorize(Attempt(User("ann"), "get", "", "v1", "configmaps", "", "a", f"{number}{'x' * 60_000}"))
    for number in range(500):
        binding = bind("guest", "none", f"User:guest-{number}-{'y' * 2000}")
        await cluster.put(binding)
        await cluster.drop(binding)
    cluster.rbac.authorize(Attempt(User("ann"), "get", path="/"))
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    history = 500 * 3000  # what the store remembers
    assert grown < 1_000_000 + history


async def test_a_decision_made_before_takes_microseconds(cluster) -> None:
    for obj in [*defaults(), *OWN]:
        await cluster.put(obj)
    user = User("edit-in-a", groups=("system:authenticated",))
    attempt = Attempt(user, "create", "", "v1", "configmaps", "", "a", "one")
    assert cluster.rbac.authorize(attempt).allowed
    best = min(_microseconds(cluster.rbac, attempt) for _ in range(5))
    print(f"{best:.2f} us a decision")
    assert best < 5


def _microseconds(authorizer, attempt: Attempt, count: int = 2000) -> float:
    began = time.thread_time()
    for _ in range(count):
        authorizer.authorize(attempt)
    return (time.thread_time() - began) / count * 1e6
