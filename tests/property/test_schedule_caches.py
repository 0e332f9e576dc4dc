"""What is remembered changes nothing: with many nodes each choice is the one that a fresh look makes."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from sampan.schedule.place import Scheduler, place
from sampan.schedule.pod import Gang, Pod
from sampan.schedule.policy import profile_of
from sampan.schedule.profile import DEFAULT, PACKING, Profile
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.standing import Standing
from scheduling_clusters import NAMESPACES, columns, node, plain_shapes, shapes

SLOW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def machines(draw, count: int):
    kinds = [draw(node(f"kind{number}")) for number in range(6)]
    source = random.Random(draw(st.integers(0, 1 << 30)))
    found = []
    for number in range(count):
        kind = source.choice(kinds)
        name = f"n{number:03}"
        labels = tuple((key, name if key == "kubernetes.io/hostname" else value) for key, value in kind.labels)
        found.append(
            type(kind)(**{**{f: getattr(kind, f) for f in kind.__struct_fields__}, "name": name, "labels": labels})
        )
    return found


class OfNodes:
    """A policy that looks at the node alone, at its pods among the rest."""

    reach, base = "node", "default"

    def filter(self, pod, nodes):
        return (nodes.pods({"app": "x"}, pod.namespace) < 4) & (nodes.left("memory") >= 0.05)

    def score(self, pod, nodes):
        crowd = nodes.pods() * (3 if pod.request("cpu") > 200 else -1)
        return crowd - 10 * (nodes.label("disk") == "ssd") - 100 * nodes.left("cpu")


class OfAll:
    """A policy that compares nodes with each other."""

    def filter(self, pod, nodes):
        return nodes.pods() <= nodes.pods().min() + 2

    def score(self, pod, nodes):
        free = nodes.free("memory")
        zones, place = np.unique(nodes.label("zone"), return_inverse=True)
        return 50 * free / free.max() - np.bincount(place, nodes.pods({"app": "x"}), len(zones))[place]


fleets = st.composite(lambda draw: machines(draw, 80))()
profiles = st.sampled_from([DEFAULT, PACKING, profile_of(OfNodes()), profile_of(OfAll())])


@given(fleets, st.lists(shapes | plain_shapes, min_size=3, max_size=10), profiles, st.integers(0, 1 << 30))
@SLOW
def test_one_by_one(nodes, wanted, profile: Profile, seed):
    source = random.Random(seed)
    snapshot = Snapshot(nodes, NAMESPACES)
    scheduler = Scheduler(snapshot, profile)
    there: list[str] = []
    for number in range(250):
        shape = source.choice(wanted)
        pod = Pod(f"{shape.namespace}/p{number}", shape)
        snapshot.settle()
        row = Standing(snapshot, snapshot.ask(shape), profile).best()
        name = None if row < 0 else snapshot.nodes[row].name
        assert scheduler.place([pod]).placements.get(pod.key) == name
        if name is not None:
            there.append(pod.key)
        if there and source.random() < 0.2:
            snapshot.remove(there.pop(source.randrange(len(there))))


@given(fleets, st.lists(plain_shapes, min_size=2, max_size=5), st.integers(0, 1 << 30))
@SLOW
def test_evictions(nodes, wanted, seed):
    source = random.Random(seed)
    snapshot = Snapshot(nodes[:30], NAMESPACES)
    snapshot.settle()
    scheduler = Scheduler(snapshot)
    evicted = 0
    for number in range(180):
        fresh = Snapshot(snapshot.nodes, NAMESPACES)
        for _, slot in sorted(snapshot.pods.slots.items()):
            pod = snapshot.pods.pods[slot]
            fresh.add(pod, snapshot.node_of(pod.key))
        shape = source.choice(wanted)
        priority = 0 if number < 90 else source.randrange(4)
        pod = Pod(f"{shape.namespace}/p{number:03}", shape, priority, float(source.randrange(9)))
        found, again = scheduler.place([pod]), place(fresh, [pod])
        assert found.placements == again.placements
        assert {one.pod.key: one for one in found.evictions} == {one.pod.key: one for one in again.evictions}
        evicted += len(found.evictions)
        if source.random() < 0.02:
            for gone in list(snapshot.nodes)[: source.choice([1, 25])]:
                for other, _ in snapshot.pods.on(snapshot.rows[gone.name]):
                    snapshot.remove(other.key)
                snapshot.remove_node(gone.name)
        elif source.random() < 0.05:
            snapshot.set_node(source.choice(nodes))
        snapshot.settle()
    event(f"evictions: {min(evicted // 10 * 10, 50)}")


@given(fleets, st.lists(plain_shapes | shapes, min_size=2, max_size=6), profiles, st.integers(0, 1 << 30))
@SLOW
def test_batches(nodes, wanted, profile: Profile, seed):
    source = random.Random(seed)
    together, apart = Snapshot(nodes, NAMESPACES), Snapshot(nodes, NAMESPACES)
    scheduler, single = Scheduler(together, profile), Scheduler(apart, profile)
    for number in range(12):
        shape = source.choice(wanted)
        pods = [Pod(f"{shape.namespace}/p{number}-{twin}", shape) for twin in range(source.randrange(1, 150))]
        found = scheduler.place(pods)
        for pod in pods:
            alone = single.place([pod])
            assert alone.placements.get(pod.key) == found.placements.get(pod.key)
            assert alone.reasons.get(pod.key) == found.reasons.get(pod.key)
    assert columns(together) == columns(apart)


@given(fleets, st.lists(plain_shapes | shapes, min_size=1, max_size=4), st.integers(1, 40), st.integers(0, 3))
@SLOW
def test_a_gang_is_placed_or_leaves_no_trace(nodes, wanted, least, priority):
    snapshot = Snapshot(nodes[:8], NAMESPACES)
    scheduler = Scheduler(snapshot)
    scheduler.place([Pod(f"a/low{number}", wanted[number % len(wanted)]) for number in range(20)])
    before, there = columns(snapshot), dict(snapshot.pods.slots)
    gang = [
        Pod(f"a/g{number}", wanted[number % len(wanted)], priority, gang=Gang("g", least)) for number in range(least)
    ]
    found = scheduler.place(gang)
    if not found.placements:
        assert columns(snapshot) == before
        assert snapshot.pods.slots.keys() == there.keys()
        assert not found.evictions
        assert found.reasons.keys() == {pod.key for pod in gang}
    else:
        assert found.placements.keys() == {pod.key for pod in gang}
    probe = Pod("a/probe", wanted[0])
    fresh = Standing(snapshot, snapshot.ask(wanted[0]), DEFAULT).best()
    placed = scheduler.place([probe]).placements.get("a/probe")
    assert placed == (None if fresh < 0 else snapshot.nodes[fresh].name)


def test_place_for_once_is_as_the_scheduler():
    assert place(Snapshot(), []).placements == {}
