"""No cascade: of equal nodes the one is taken whose victims, should they come again, evict nobody."""

from __future__ import annotations

from msgspec.structs import replace

from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.shape import Shape, amounts
from sampan.schedule.snapshot import Snapshot

NODES = [Node(name=name, allocatable=amounts({"cpu": cpu, "pods": 9})) for name, cpu in (("a", 3), ("b", 3), ("c", 2))]


def pod(name: str, cpu: int, priority: int, started_s: float = 0.0) -> Pod:
    return Pod(f"default/{name}", Shape(requests=amounts({"cpu": cpu})), priority, started_s)


SMALL, LARGE, LOW = pod("small", 2, 1, started_s=9.0), pod("large", 3, 1), pod("low", 2, 0)
"""`small` would be the victim by kube-scheduler's order, and take the place of `low`."""


def evicted(small: Pod = SMALL, large: Pod = LARGE, low: Pod = LOW) -> list[str]:
    snapshot = Snapshot(NODES)
    snapshot.settle()
    for one, node in ((small, "a"), (large, "b"), (low, "c")):
        snapshot.add(one, node)
    scheduler = Scheduler(snapshot)
    before = {key: snapshot.node_of(key) for key in snapshot.pods.slots}
    found = scheduler.place([pod("new", 3, 3)])
    gone = [eviction.pod.key for eviction in found.evictions]
    left = {key: snapshot.node_of(key) for key in snapshot.pods.slots}
    assert left == {key: node for key, node in before.items() if key not in gone} | found.placements
    return [eviction.pod.key.partition("/")[2] for eviction in found.evictions]


def test_who_would_evict_another_is_spared():
    assert evicted() == ["large"]


def test_who_may_not_evict_is_no_cascade():
    assert evicted(small=replace(SMALL, may_preempt=False)) == ["small"]


def test_who_has_nobody_below_is_no_cascade():
    assert evicted(low=pod("low", 2, 1, started_s=-1.0)) == ["small"]


def test_who_finds_room_is_no_cascade():
    assert evicted(low=pod("low", 1, 0), small=pod("small", 1, 1, started_s=9.0)) == ["small"]


def test_a_higher_victim_is_no_way_out():
    assert evicted(large=replace(LARGE, priority=2)) == ["small"]


def test_where_every_node_has_one_the_order_decides():
    assert evicted(large=pod("large", 2, 1)) == ["small"]
