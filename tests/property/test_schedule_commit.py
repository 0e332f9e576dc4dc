"""A placement that is looked at again holds just where an oracle that walks over all nodes and pods says so."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.snapshot import Snapshot
from scheduling_clusters import NAMESPACES, columns, nodes, shapes
from scheduling_oracle import Cluster

wishes = st.lists(shapes, min_size=1, max_size=8)


@given(nodes(), nodes(), wishes, st.lists(st.tuples(shapes, st.integers(0, 5)), max_size=3))
@settings(max_examples=200, deadline=None)
def test_what_was_placed_is_judged_as_the_oracle_does(machines, changed, asked, strangers):
    """Pods are placed; then nodes change and pods come that nobody here placed; then each placement is looked at."""
    snapshot, before = Snapshot(machines, NAMESPACES), {node.name: node for node in machines}
    scheduler = Scheduler(snapshot)
    pods = [Pod(f"{shape.namespace}/p{number}", shape) for number, shape in enumerate(asked)]
    placed: dict[str, str] = {}
    for pod in pods:
        if scheduler.place([pod]).placements:
            placed[pod.key] = snapshot.node_of(pod.key) or ""
            assert scheduler.still_fits(pod.key), "it fits where it was just placed"
    for node in changed:
        snapshot.set_node(node)
    after = {**before, **{node.name: node for node in changed}}
    cluster = Cluster(list(after.values()), NAMESPACES)
    cluster.placed = [(pod, placed[pod.key]) for pod in pods if pod.key in placed]
    for number, (shape, place) in enumerate(strangers):
        pod, name = Pod(f"{shape.namespace}/s{number}", shape), sorted(after)[place % len(after)]
        snapshot.add(pod, name)
        cluster.placed.append((pod, name))
    snapshot.settle()
    there = columns(snapshot)
    for pod in pods:
        if pod.key in placed:
            alone = Cluster(cluster.nodes, NAMESPACES)
            alone.placed = [one for one in cluster.placed if one[0].key != pod.key]
            assert scheduler.still_fits(pod.key) is alone.fits(pod.shape, after[placed[pod.key]])
            assert columns(snapshot) == there
