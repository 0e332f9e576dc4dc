"""Preemption against an oracle that tries every node, and every set of victims that frees enough."""

from __future__ import annotations

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sampan.kube.selector import Requirement
from sampan.schedule import victims
from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Budget, Pod, covers
from sampan.schedule.shape import PodTerm, Shape, Spread, amounts, matches, pairs
from sampan.schedule.snapshot import Snapshot
from scheduling_clusters import HOST, NAMESPACES, ZONE, nodes, plain_shapes, shapes, some
from scheduling_oracle import Cluster, cascades, cost, importance, least

BUDGETS = st.lists(
    st.builds(
        Budget,
        st.sampled_from("ab"),
        st.sampled_from([(), (Requirement("app", "In", ("x",)),)]),
        st.integers(0, 2),
    ),
    max_size=2,
).map(tuple)
running = st.lists(st.tuples(shapes | plain_shapes, st.integers(0, 3), st.integers(0, 5)), min_size=2, max_size=12)


def violating(victims: list[Pod], budgets: tuple[Budget, ...]) -> list[Pod]:
    """Return the pods that their budgets do not allow to go, in this order."""
    allowed = [budget.allowed for budget in budgets]
    found = []
    for pod in victims:
        hit = [number for number, budget in enumerate(budgets) if covers(budget, pod)]
        for number in hit:
            allowed[number] -= 1
        if any(allowed[number] < 0 for number in hit):
            found.append(pod)
    return found


def on_node(cluster: Cluster, node: Node, pod: Pod, budgets: tuple[Budget, ...]) -> tuple[tuple, list[Pod]] | None:
    """Return cost and victims: by amounts alone where that helps, and where not by kube-scheduler's procedure."""
    lower = [one for one, name in cluster.placed if name == node.name and one.priority < pod.priority]
    plain = Cluster(cluster.nodes, cluster.namespaces)
    plain.placed = [(stripped(one), name) for one, name in cluster.placed]
    found = chosen(plain, bare(node), stripped(pod), [stripped(one) for one in lower], budgets)
    if found is not None and not any(covers(budget, one) for budget in budgets for one in lower):
        cheapest = least(plain, bare(node), stripped(pod))
        assert cheapest is not None
        assert cost(cheapest) <= cost(found[1])
        assert cost(cheapest)[0] == cost(found[1])[0]
        found = (0, *cost(cheapest)), cheapest
    if found is not None:
        keys = {one.key for one in found[1]}
        gone = [one for one in lower if one.key in keys]
        if cluster.without(gone).fits(pod.shape, node):
            return found[0], gone
    return chosen(cluster, node, pod, lower, budgets)


def stripped(pod: Pod) -> Pod:
    """Return a pod that asks for nothing but amounts."""
    shape = pod.shape
    return replace(pod, shape=Shape(namespace=shape.namespace, labels=shape.labels, requests=shape.requests))


def bare(node: Node) -> Node:
    return Node(name=node.name, allocatable=node.allocatable)


def chosen(
    cluster: Cluster, node: Node, pod: Pod, lower: list[Pod], budgets: tuple[Budget, ...]
) -> tuple[tuple, list[Pod]] | None:
    lower.sort(key=importance)
    if not lower or not cluster.without(lower).fits(pod.shape, node):
        return None
    bad = violating(lower, budgets)
    gone = list(lower)
    for one in [*bad, *(one for one in lower if one not in bad)]:
        fewer = [other for other in gone if other is not one]
        if cluster.without(fewer).fits(pod.shape, node):
            gone = fewer
    if not gone:
        return None
    return (sum(one in bad for one in gone), *cost(gone)), gone


def topologies(cluster: Cluster, shape: Shape, other: Shape) -> set[str]:
    """Return in which topologies' domains pods of another shape may be in the way."""
    found = {term.topology for term in shape.anti_affinity if cluster.term_matches(term, other)}
    found |= {term.topology for term in other.anti_affinity if cluster.term_matches(term, shape)}
    counts = other.namespace == shape.namespace and not other.ending
    return found | {
        spread.topology
        for spread in shape.spread
        if spread.hard and counts and matches(spread.selector, dict(other.labels))
    }


def abroad(cluster: Cluster, node: Node, pod: Pod, budgets: tuple[Budget, ...]) -> tuple[tuple, list[Pod]] | None:
    """Return cost and victims by the same procedure, of the pods in the node's domains that are in the way."""
    labels = {one.name: dict(one.labels) for one in cluster.nodes}

    def here(other: Shape, name: str) -> bool:
        met = topologies(cluster, pod.shape, other) & labels[node.name].keys() & labels[name].keys()
        return any(labels[node.name][topology] == labels[name][topology] for topology in met)

    lower = [one for one, name in cluster.placed if one.priority < pod.priority and here(one.shape, name)]
    return chosen(cluster, node, pod, lower, budgets)


def evicts(cluster: Cluster, pod: Pod) -> bool:
    return pod.may_preempt and any(find(cluster, node, pod, ()) for find in (on_node, abroad) for node in cluster.nodes)


def cluster_of(machines, pods):
    """Place pods where there is room; returns snapshot, scheduler and oracle. Those that came at 3 may not evict others."""
    snapshot = Snapshot(machines, NAMESPACES)
    snapshot.settle()
    scheduler = Scheduler(snapshot)
    cluster = Cluster(machines, NAMESPACES)
    for number, (shape, priority, start) in enumerate(pods):
        pod = Pod(f"{shape.namespace}/r{number}", shape, priority, float(start), may_preempt=start != 3)
        best = cluster.best(shape)
        if best is not None:
            snapshot.add(pod, best)
            cluster.placed.append((pod, best))
    return snapshot, scheduler, cluster


@given(nodes(most=4), running, st.lists(shapes | plain_shapes, min_size=1, max_size=3), BUDGETS)
@settings(max_examples=300, deadline=None)
def test_victims_are_those_of_the_procedure_or_the_cheapest(machines, pods, wanted, budgets):
    check(machines, pods, wanted, budgets)


apart = st.builds(
    PodTerm,
    topology=st.sampled_from([ZONE, ZONE, "disk", HOST]),
    selector=st.sampled_from([(), (Requirement("app", "In", ("x",)),), (Requirement("app", "In", ("y",)),)]),
    namespaces=st.just(("a",)),
)
even = st.builds(
    Spread,
    topology=st.sampled_from([ZONE, "disk", HOST]),
    max_skew=st.just(1),
    selector=st.sampled_from([(), (Requirement("app", "In", ("x",)),)]),
    min_domains=st.integers(1, 3),
)
domain_shapes = st.builds(
    Shape,
    namespace=st.just("a"),
    labels=st.sampled_from([(("app", "x"),), (("app", "y"),)]),
    requests=st.sampled_from([amounts({"cpu": 100}), amounts({"cpu": 100}), amounts({"cpu": 1000})]),
    anti_affinity=some(apart, 1, 2),
    spread=some(even, 2, 2),
    affinity=some(apart, 9, 1),
    node_selector=st.sampled_from([(), (), (), (("disk", "ssd"),)]),
)


def zoned(zones: list[str]) -> list[Node]:
    return [
        Node(
            name=f"n{number}",
            allocatable=amounts({"cpu": 1500, "pods": 4}),
            labels=pairs({HOST: f"n{number}", ZONE: zone, "disk": "ssd" if number % 2 else "hdd"}),
        )
        for number, zone in enumerate(zones)
    ]


@given(
    st.lists(st.sampled_from("pppqq"), min_size=3, max_size=5).map(zoned),
    st.lists(st.tuples(domain_shapes, st.sampled_from([0, 0, 1, 1, 2]), st.integers(0, 5)), min_size=2, max_size=10),
    st.lists(domain_shapes, min_size=1, max_size=3),
    BUDGETS,
)
@settings(max_examples=400, deadline=None)
def test_victims_on_other_nodes_of_a_domain(machines, pods, wanted, budgets):
    check(machines, pods, wanted, budgets)


sized = st.integers(1, 4).map(lambda cpu: Shape(namespace="a", requests=amounts({"cpu": cpu})))


@given(
    st.lists(st.integers(2, 5), min_size=2, max_size=5).map(
        lambda sizes: [
            Node(name=f"n{number}", allocatable=amounts({"cpu": cpu, "pods": 9})) for number, cpu in enumerate(sizes)
        ]
    ),
    st.lists(st.tuples(sized, st.sampled_from([0, 1, 1]), st.integers(0, 5)), min_size=6, max_size=12),
    st.lists(sized, min_size=1, max_size=3),
    BUDGETS,
)
@settings(max_examples=1000, deadline=None)
def test_of_equal_nodes_one_without_a_cascade_is_taken(machines, pods, wanted, budgets):
    check(machines, pods, wanted, budgets)


@given(nodes(most=4), running, st.lists(shapes | plain_shapes, min_size=1, max_size=3), BUDGETS, st.integers(1, 3))
@settings(max_examples=300, deadline=None)
def test_no_node_costs_less_than_it_does_at_least(machines, pods, wanted, budgets, priority):
    snapshot, scheduler, _ = cluster_of(machines, pods)
    snapshot.budgets = budgets
    for shape in wanted:
        standing = scheduler.standing(shape)
        if standing.best() < 0:
            rows = np.flatnonzero(standing.possible())
            bounds = victims.at_least(snapshot, standing, rows, priority)
            found = [bounds.at(place) for place in range(len(bounds.rows))]
            assert found == sorted(found)
            bound = {row: price for price, row in found}
            for row in rows.tolist():
                found = victims.on_row(snapshot, standing, row, priority)
                assert found is None or bound[row] <= found.cost()


def check(machines, pods, wanted, budgets):
    snapshot, scheduler, cluster = cluster_of(machines, pods)
    for number, shape in enumerate(wanted):
        snapshot.budgets = budgets
        pod = Pod(f"{shape.namespace}/new{number}", shape, 2)
        best = cluster.best(shape)
        found = scheduler.place([pod])
        if best is not None:
            assert found.placements == {pod.key: best}
            assert not found.evictions
            cluster.placed.append((pod, best))
            continue
        costs = {node.name: on_node(cluster, node, pod, budgets) for node in cluster.nodes}
        possible = {name: one for name, one in costs.items() if one is not None}
        if not possible:
            costs = {node.name: abroad(cluster, node, pod, budgets) for node in cluster.nodes}
            possible = {name: one for name, one in costs.items() if one is not None}
            event("victims on other nodes" if possible else "no victims help")
        if not possible:
            assert pod.key in found.reasons
            continue
        order = sorted(possible, key=lambda name: (possible[name][0], name))
        equals = [name for name in order if possible[name][0][:2] == possible[order[0]][0][:2]]
        calm = [name for name in equals if not cascades(cluster, name, pod, possible[name][1], evicts)]
        event(f"a cascade is avoided: {bool(calm) and calm[0] != equals[0]}")
        name = (calm or equals)[0]
        assert found.placements == {pod.key: name}
        gone = possible[name][1]
        assert {eviction.pod.key for eviction in found.evictions} == {one.key for one in gone}
        where = {one.key: at for one, at in cluster.placed}
        assert all(eviction.node == where[eviction.pod.key] for eviction in found.evictions)
        assert all(eviction.pod.priority < pod.priority for eviction in found.evictions)
        cluster = cluster.without(gone)
        cluster.placed.append((pod, name))
