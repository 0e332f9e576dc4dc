"""A snapshot that changed step by step equals one made anew; the order in which nodes are listed means nothing."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.schedule.place import place
from sampan.schedule.pod import Pod
from sampan.schedule.snapshot import Snapshot
from scheduling_clusters import NAMESPACES, columns, nodes, shapes

steps = st.lists(
    st.tuples(st.sampled_from(["pod", "pod", "pod", "gone", "node", "lost", "namespace"]), st.integers(0, 99)),
    max_size=25,
)


@given(nodes(), nodes(), st.lists(shapes, min_size=1, max_size=4), steps)
@settings(max_examples=200, deadline=None)
def test_step_by_step_is_as_made_anew(machines, others, wanted, todo):
    snapshot = Snapshot(machines, NAMESPACES)
    snapshot.settle()
    columns(snapshot)  # asks for the tallies, so that they are kept up
    known = {node.name: node for node in machines}
    homes: dict[str, tuple[Pod, str]] = {}
    namespaces = dict(NAMESPACES)
    for what, number in todo:
        if what == "pod":
            pod = Pod(f"a/p{number}", wanted[number % len(wanted)])
            home = f"n{number % 7}"
            snapshot.add(pod, home)
            homes[pod.key] = pod, home
        elif what == "gone" and homes:
            key = sorted(homes)[number % len(homes)]
            del homes[key]
            snapshot.remove(key)
        elif what == "node":
            node = others[number % len(others)]
            known[node.name] = node
            snapshot.set_node(node)
        elif what == "lost":
            known.pop(f"n{number % 7}", None)
            snapshot.remove_node(f"n{number % 7}")
        elif what == "namespace":
            namespaces["c"] = {"team": "xyz"[number % 3]}
            snapshot.set_namespace("c", namespaces["c"])
    snapshot.settle()
    anew = Snapshot(known.values(), namespaces)
    for pod, home in homes.values():
        anew.add(pod, home)
    anew.settle()
    assert columns(snapshot) == columns(anew)
    assert {key: snapshot.node_of(key) for key in homes} == {key: home for key, (_, home) in homes.items()}


@given(nodes(least=2), st.lists(shapes, min_size=1, max_size=8), st.integers())
@settings(max_examples=100, deadline=None)
def test_the_order_of_nodes_means_nothing_and_nothing_is_broken(machines, wanted, seed):
    shuffled = list(machines)
    random.Random(seed).shuffle(shuffled)
    pods = [Pod(f"{shape.namespace}/p{number}", shape) for number, shape in enumerate(wanted)]
    snapshot = Snapshot(machines, NAMESPACES)
    found = place(snapshot, pods)
    assert found == place(Snapshot(shuffled, NAMESPACES), pods)
    assert found.placements.keys() | found.reasons.keys() == {pod.key for pod in pods}
    assert all(np.all(column >= 0) for number, column in enumerate(snapshot.resources.free) if number > 1)
    for refused in found.reasons.values():
        assert refused.message().startswith(f"0/{len(machines)} nodes are available: ")
        assert sum(count for _, count in refused.counts) >= len(machines)
