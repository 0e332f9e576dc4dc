"""Victims on other nodes: only where a rule over a domain is in the way, and only who must go."""

from __future__ import annotations

from sampan.kube.selector import Requirement
from sampan.schedule.node import HOSTNAME, Node
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.shape import PodTerm, Shape, Spread, amounts, pairs
from sampan.schedule.snapshot import Snapshot

X = (Requirement("app", "In", ("x",)),)
APART = PodTerm(topology="zone", selector=X, namespaces=("default",))


def node(name: str, zone: str = "p", *, closed: bool = False) -> Node:
    labels = pairs({HOSTNAME: name, "zone": zone})
    return Node(name=name, allocatable=amounts({"cpu": 4, "pods": 9}), labels=labels, unschedulable=closed)


def world(nodes: list[Node], *placed: tuple[Pod, str]) -> Scheduler:
    snapshot = Snapshot(nodes)
    snapshot.settle()
    for pod, name in placed:
        snapshot.add(pod, name)
    return Scheduler(snapshot)


def x(key: str, priority: int = 0, cpu: int = 1, **more) -> Pod:
    return Pod(key, Shape(labels=(("app", "x"),), requests=amounts({"cpu": cpu}), **more), priority)


VIP = Pod("default/vip", Shape(requests=amounts({"cpu": 1}), anti_affinity=(APART,)), 10)


def test_who_is_elsewhere_in_the_domain_goes_and_nobody_else():
    other = Pod("default/other", Shape(requests=amounts({"cpu": 1})), 0)
    nodes = [node("a"), node("b", closed=True), node("c", "q")]
    scheduler = world(nodes, (x("default/low"), "b"), (other, "a"), (other_zone := x("default/high", 20), "c"))
    found = scheduler.place([VIP])
    assert found.placements == {"default/vip": "a"}
    assert [(one.pod.key, one.node, one.by) for one in found.evictions] == [("default/low", "b", "default/vip")]
    assert other_zone.key in scheduler.snapshot.pods


def test_who_keeps_others_away_is_in_the_way_too():
    keeper = Pod("default/keeper", Shape(anti_affinity=(APART,)), 0)
    found = world([node("a"), node("b", closed=True)], (keeper, "b")).place([x("default/new", 10)])
    assert found.placements == {"default/new": "a"}
    assert [one.pod.key for one in found.evictions] == ["default/keeper"]


def test_the_cheaper_domain_is_taken():
    nodes = [node("a"), node("b", closed=True), node("c", "q"), node("d", "q", closed=True)]
    found = world(nodes, (x("default/1", 2), "b"), (x("default/2", 1), "d"), (x("default/3", 1), "d")).place([VIP])
    assert found.placements == {"default/vip": "c"}
    assert {one.pod.key for one in found.evictions} == {"default/2", "default/3"}


def test_a_spread_is_evened_out():
    spread = Spread(topology="zone", max_skew=1, selector=X)
    nodes = [node("a"), node("b", closed=True), node("c", "q", closed=True)]
    new = x("default/new", 10, spread=(spread,))
    found = world(nodes, (x("default/1"), "b"), (x("default/2", 1), "b")).place([new])
    assert found.placements == {"default/new": "a"}
    # of two that count in zone p with 0 in q, both must go for a third to be the only one
    assert {one.pod.key for one in found.evictions} == {"default/1", "default/2"}


def test_who_is_as_important_stays():
    found = world([node("a"), node("b", closed=True)], (x("default/peer", 10), "b")).place([VIP])
    assert not found.evictions
    assert "anti-affinity" in found.reasons["default/vip"].message()


def test_own_pods_come_first():
    """Where a node can be had by its own pods alone, nobody elsewhere is looked at, however cheap."""
    nodes = [node("a"), node("b", closed=True), node("c", "q")]
    found = world(nodes, (x("default/cheap", -5), "b"), (x("default/dear", 5), "c")).place([VIP])
    assert found.placements == {"default/vip": "c"}
    assert [one.pod.key for one in found.evictions] == ["default/dear"]
