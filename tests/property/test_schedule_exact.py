"""Every placement is the true best: compared, pod by pod, with an oracle that walks over all nodes and pods."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.shape import Shape
from sampan.schedule.snapshot import Snapshot
from scheduling_clusters import NAMESPACES, nodes, plain_shapes, shapes
from scheduling_oracle import Cluster

LONG = settings(max_examples=200, deadline=None)
wishes = st.lists(st.tuples(shapes, st.integers(1, 4)), min_size=1, max_size=8)
plain_wishes = st.lists(st.tuples(plain_shapes, st.integers(1, 12)), min_size=1, max_size=6)


def placed_alike(machines: list[Node], asked: list[tuple[Shape, int]], *, one_by_one: bool) -> None:
    snapshot = Snapshot(machines, NAMESPACES)
    scheduler = Scheduler(snapshot)
    cluster = Cluster(machines, NAMESPACES)
    for number, (shape, count) in enumerate(asked):
        pods = [Pod(f"{shape.namespace}/p{number}-{twin}", shape) for twin in range(count)]
        groups = [[pod] for pod in pods] if one_by_one else [pods]
        found: dict[str, str] = {}
        for group in groups:
            found |= scheduler.place(group).placements
        for pod in pods:
            best = cluster.best(shape)
            assert found.get(pod.key) == best, (pod.key, cluster.scores(shape))
            if best is not None:
                cluster.placed.append((pod, best))


@given(nodes(), wishes)
@LONG
def test_one_by_one(machines, asked):
    placed_alike(machines, asked, one_by_one=True)


@given(nodes(), wishes)
@LONG
def test_in_batches(machines, asked):
    placed_alike(machines, asked, one_by_one=False)


@given(nodes(), plain_wishes)
@LONG
def test_in_batches_with_rules_of_nodes_only(machines, asked):
    placed_alike(machines, asked, one_by_one=False)


@given(nodes(), wishes, st.lists(st.integers(0, 30), max_size=12))
@LONG
def test_with_pods_that_go(machines, asked, gone):
    snapshot = Snapshot(machines, NAMESPACES)
    scheduler = Scheduler(snapshot)
    cluster = Cluster(machines, NAMESPACES)
    for number, (shape, count) in enumerate(asked * 2):
        for twin in range(count):
            pod = Pod(f"{shape.namespace}/p{number}-{twin}", shape)
            best = cluster.best(shape)
            assert scheduler.place([pod]).placements.get(pod.key) == best, cluster.scores(shape)
            if best is not None:
                cluster.placed.append((pod, best))
            if gone and cluster.placed:
                left, _ = cluster.placed.pop(gone.pop() % len(cluster.placed))
                snapshot.remove(left.key)


@given(nodes(), nodes(), wishes)
@LONG
def test_with_nodes_that_change(machines, others, asked):
    snapshot = Snapshot(machines, NAMESPACES)
    scheduler = Scheduler(snapshot)
    cluster = Cluster(machines, NAMESPACES)
    changes = list(others)
    for number, (shape, count) in enumerate(asked):
        for twin in range(count):
            pod = Pod(f"{shape.namespace}/p{number}-{twin}", shape)
            best = cluster.best(shape)
            assert scheduler.place([pod]).placements.get(pod.key) == best, cluster.scores(shape)
            if best is not None:
                cluster.placed.append((pod, best))
        if changes:
            change = changes.pop()
            kept = [node for node in cluster.nodes if node.name != change.name]
            if number % 3 == 2:
                snapshot.remove_node(change.name)
            else:
                snapshot.set_node(change)
                kept.append(change)
            cluster.nodes = sorted(kept, key=lambda node: node.name)
