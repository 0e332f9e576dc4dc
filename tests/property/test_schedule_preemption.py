"""Preemption against an oracle that tries every node, and against the best of all sets of victims."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.kube.selector import Requirement
from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Budget, Pod, covers
from sampan.schedule.shape import Shape
from sampan.schedule.snapshot import Snapshot
from scheduling_clusters import NAMESPACES, nodes, plain_shapes, shapes
from scheduling_oracle import Cluster

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


def cost(victims: list[Pod], violations: int) -> tuple:
    highest = max(pod.priority for pod in victims)
    start = min(pod.started_s for pod in victims if pod.priority == highest)
    return violations, highest, sum(pod.priority + 2**31 for pod in victims), len(victims), -start


def without(cluster: Cluster, gone: list[Pod]) -> Cluster:
    found = Cluster(cluster.nodes, cluster.namespaces)
    keys = {pod.key for pod in gone}
    found.placed = [(pod, name) for pod, name in cluster.placed if pod.key not in keys]
    return found


def on_node(cluster: Cluster, node: Node, pod: Pod, budgets: tuple[Budget, ...]) -> tuple[tuple, list[Pod]] | None:
    """Return cost and victims by kube-scheduler's procedure."""
    lower = [one for one, name in cluster.placed if name == node.name and one.priority < pod.priority]
    lower.sort(key=lambda one: (-one.priority, one.started_s, one.key))
    if not lower or not without(cluster, lower).fits(pod.shape, node):
        return None
    bad = violating(lower, budgets)
    gone = list(lower)
    for one in [*bad, *(one for one in lower if one not in bad)]:
        fewer = [other for other in gone if other is not one]
        if without(cluster, fewer).fits(pod.shape, node):
            gone = fewer
    if not gone:
        return None
    return cost(gone, sum(one in bad for one in gone)), gone


def cluster_of(machines, pods):
    """Place pods where there is room; returns snapshot, scheduler and oracle."""
    snapshot = Snapshot(machines, NAMESPACES)
    scheduler = Scheduler(snapshot)
    cluster = Cluster(machines, NAMESPACES)
    for number, (shape, priority, start) in enumerate(pods):
        pod = Pod(f"{shape.namespace}/r{number}", shape, priority, float(start), may_preempt=False)
        name = scheduler.place([pod]).placements.get(pod.key)
        if name is not None:
            cluster.placed.append((pod, name))
    return snapshot, scheduler, cluster


@given(nodes(most=4), running, st.lists(shapes | plain_shapes, min_size=1, max_size=3), BUDGETS)
@settings(max_examples=300, deadline=None)
def test_victims_are_those_of_the_procedure(machines, pods, wanted, budgets):
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
            assert pod.key in found.reasons
            continue
        name = min(possible, key=lambda name: (possible[name][0], name))
        assert found.placements == {pod.key: name}
        gone = possible[name][1]
        assert {eviction.pod.key for eviction in found.evictions} == {one.key for one in gone}
        assert all(eviction.pod.priority < pod.priority for eviction in found.evictions)
        cluster = without(cluster, gone)
        cluster.placed.append((pod, name))


@given(nodes(most=3), running, plain_shapes)
@settings(max_examples=150, deadline=None)
def test_no_set_of_victims_on_a_node_has_a_lower_priority_at_the_top(machines, pods, shape: Shape):
    """The procedure is greedy; what it always has as good as the optimum is the first thing that counts: who is hit."""
    _, scheduler, cluster = cluster_of(machines, pods)
    pod = Pod("a/new", shape, 2)
    if cluster.best(shape) is not None:
        return
    found = scheduler.place([pod])
    tops = []
    for node in cluster.nodes:
        lower = [one for one, name in cluster.placed if name == node.name and one.priority < pod.priority]
        for size in range(1, len(lower) + 1):
            tops += [
                max(one.priority for one in gone)
                for gone in combinations(lower, size)
                if without(cluster, list(gone)).fits(shape, node)
            ]
    if not tops:
        assert pod.key in found.reasons
    else:
        assert max(eviction.pod.priority for eviction in found.evictions) == min(tops)
