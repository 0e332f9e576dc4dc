"""Which constraints a pod gets that names none."""

from __future__ import annotations

import pytest

from sampan.control.scheduling.cluster import Cluster
from sampan.control.scheduling.default_spread import DefaultSpread, selected, selected_by_labels, selected_by_service
from sampan.control.scheduling.pods import Seen, seen
from sampan.kube.selector import Requirement
from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler
from sampan.schedule.policy import profile_of
from sampan.schedule.profile import DEFAULT, Profile
from sampan.schedule.shape import Selector, Spread, amounts, pairs

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
WEB = (Requirement("app", "In", ("web",)),)


def pod(name: str = "p", owner: dict | None = None, labels: dict | None = None, **spec) -> Seen:
    meta = {"namespace": "n", "name": name, "labels": labels or {"app": "web", "tier": "front"}}
    if owner:
        meta["ownerReferences"] = [{"kind": "Other", "name": "o"}, {"controller": True, **owner}]
    found = seen({"metadata": meta, "spec": {"containers": [], **spec}})
    assert found is not None
    return found


def service(**labels: str) -> dict:
    return {"spec": {"selector": labels}}


def spreads(selector: Selector) -> tuple[Spread, ...]:
    return (
        Spread(topology=HOST, max_skew=3, selector=selector, hard=False),
        Spread(topology=ZONE, max_skew=5, selector=selector, hard=False),
    )


def test_a_pod_that_nothing_selects_has_none():
    known = DefaultSpread()
    for name, obj in (("other", service(app="db")), ("narrower", service(app="web", tier="back")), ("none", {})):
        known.service("n", name, selected_by_service(obj))
    known.service("elsewhere", "web", selected_by_service(service(app="web")))
    one = pod()
    assert known.shape(one) is one.pod.shape


def test_all_services_that_select_a_pod_make_one_selector():
    known = DefaultSpread()
    known.service("n", "a", selected_by_service(service(app="web")))
    found = known.shape(pod())
    assert (found.spread, found.spread_is_default) == (spreads(WEB), True)
    assert known.shape(pod("q")) is found
    known.service("n", "b", selected_by_service(service(app="web", tier="front")))
    assert known.shape(pod()).spread == spreads((*WEB, Requirement("tier", "In", ("front",))))
    known.service("n", "a", selected_by_service(service(tier="front")))
    known.service("n", "b", None)
    assert known.shape(pod()).spread == spreads((Requirement("tier", "In", ("front",)),))
    known.service("n", "a", None)
    assert not known.shape(pod()).spread
    assert not known._by_label


def test_a_pod_that_names_constraints_keeps_them():
    known = DefaultSpread()
    known.service("n", "a", selected_by_service(service(app="web")))
    own = pod(topologySpreadConstraints=[{"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "ScheduleAnyway"}])
    assert known.shape(own) is own.pod.shape


@pytest.mark.parametrize("kind", ["ReplicaSet", "StatefulSet", "ReplicationController"])
def test_its_controller_selects_too(kind):
    known = DefaultSpread()
    tiers = {"matchExpressions": [{"key": "tier", "operator": "Exists"}], "matchLabels": {"app": "web"}}
    of = {"kind": kind, "apiVersion": "v1" if kind == "ReplicationController" else "apps/v1", "name": "r"}
    if kind == "ReplicationController":
        known.controller("n", f"{kind}/r", selected_by_labels(service(app="web", tier="front")))
        whole = (*WEB, Requirement("tier", "In", ("front",)))
    else:
        known.controller("n", f"{kind}/r", selected({"spec": {"selector": tiers}}))
        whole = (*WEB, Requirement("tier", "Exists"))
    assert known.shape(pod(owner=of)).spread == spreads(whole)
    known.service("n", "a", selected_by_service(service(app="web")))
    assert known.shape(pod(owner=of)).spread == spreads(whole)
    for other in ({**of, "name": "s"}, {**of, "apiVersion": "example.com/v1"}, {**of, "controller": False}):
        assert known.shape(pod(owner=other)).spread == spreads(WEB)
    known.controller("n", f"{kind}/r", None)
    assert known.shape(pod(owner=of)).spread == spreads(WEB)


def test_a_controller_that_selects_nothing_gives_none():
    known = DefaultSpread()
    known.controller("n", "ReplicaSet/r", selected({"spec": {}}))
    assert not known.shape(pod(owner={"kind": "ReplicaSet", "apiVersion": "apps/v1", "name": "r"})).spread


class Even:
    """A policy to which all nodes are equal."""

    reach = "node"

    def score(self, pod, nodes):
        return 0 * nodes.left("cpu")


@pytest.mark.parametrize("profile, apart", [(DEFAULT, True), (profile_of(Even()), False)])
def test_a_services_pods_are_spread_and_a_policy_of_ones_own_is_left_alone(profile: Profile, apart: bool):
    """Where one node is emptier, kube-scheduler would fill it first but for the constraints."""
    cluster = Cluster()
    cluster.default_spread.service("n", "web", pairs({"app": "web"}))
    for name, cpu in (("a", 100_000), ("b", 50_000), ("c", 50_000)):
        room = amounts({"cpu": cpu, "memory": cpu << 20, "pods": 100})
        cluster.node(name, Node(name=name, allocatable=room, labels=pairs({HOST: name, ZONE: name})))
    cpu = {"resources": {"requests": {"cpu": "1"}}}
    core, nodes = Scheduler(cluster.snapshot, profile), []
    for number in range(3):
        one = pod(f"p{number}", containers=[cpu])
        cluster.pod(None, one)
        nodes.append(core.place([cluster.whole(one)]).placements[one.pod.key])
    assert sorted(nodes) == (["a", "b", "c"] if apart else ["a", "a", "a"])


def test_a_binding_that_is_told_changes_nothing():
    """What was assumed is what is told: nobody who waits is woken."""
    cluster = Cluster()
    cluster.default_spread.service("n", "web", pairs({"app": "web"}))
    cluster.node("a", Node(name="a", allocatable=amounts({"pods": 1})))
    one = pod()
    cluster.pod(None, one)
    assert Scheduler(cluster.snapshot).place([cluster.whole(one)]).placements == {"n/p": "a"}
    cluster.assumed["n/p"] = "a"
    cluster.moved = False
    cluster.pod(one, pod(nodeName="a"))
    assert not cluster.moved
