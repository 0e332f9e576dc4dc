"""Preemption against an oracle that tries every node, and, where only amounts are in the way, every set of victims."""

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


def least_on_node(cluster: Cluster, node: Node, pod: Pod) -> tuple | None:
    """Return the least cost of all sets of victims."""
    lower = [one for one, name in cluster.placed if name == node.name and one.priority < pod.priority]
    sets = (list(gone) for size in range(1, len(lower) + 1) for gone in combinations(lower, size))
    return min((cost(gone, 0) for gone in sets if without(cluster, gone).fits(pod.shape, node)), default=None)


def amounts_only(cluster: Cluster, shape: Shape, seen: list[Shape]) -> bool:
    """Return whether nothing but resources can be in the way, as far as pods can change it."""
    own = (shape.ports, shape.attachments, shape.exclusive, shape.affinity, shape.anti_affinity)
    hard = [spread for spread in shape.spread if spread.hard]
    told = (term for other in seen for term in other.anti_affinity)
    return not any(own) and not hard and not any(cluster.term_matches(term, shape) for term in told)


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
def test_victims_are_those_of_the_procedure_or_the_cheapest(machines, pods, wanted, budgets):
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
        seen = [one[0] for one in pods] + wanted[: number + 1]
        for node in cluster.nodes if amounts_only(cluster, shape, seen) else ():
            lower = [one for one, at in cluster.placed if at == node.name and one.priority < pod.priority]
            if node.name in possible and not any(covers(budget, one) for budget in budgets for one in lower):
                least = least_on_node(cluster, node, pod)
                assert least is not None
                assert least <= possible[node.name][0]
                assert least[:2] == possible[node.name][0][:2]
                possible[node.name] = least, []
        if not possible:
            assert pod.key in found.reasons
            continue
        name = min(possible, key=lambda name: (possible[name][0], name))
        assert found.placements == {pod.key: name}
        expected, gone = possible[name]
        if gone:
            assert {eviction.pod.key for eviction in found.evictions} == {one.key for one in gone}
        else:
            gone = [eviction.pod for eviction in found.evictions]
            assert cost(gone, 0) == expected
        assert all(eviction.pod.priority < pod.priority for eviction in found.evictions)
        cluster = without(cluster, gone)
        cluster.placed.append((pod, name))
