from __future__ import annotations

import pytest

from sampan.kube.selector import Requirement
from sampan.schedule.node import Node, Taint
from sampan.schedule.place import Scheduler, place
from sampan.schedule.pod import Gang, Pod
from sampan.schedule.profile import PACKING
from sampan.schedule.shape import Attachment, DeviceAsk, HostPort, NodeTerm, PodTerm, Shape, Spread, amounts, pairs
from sampan.schedule.snapshot import Snapshot

HOST = "kubernetes.io/hostname"


def node(name: str, cpu: int = 4000, memory: int = 8 << 30, pods: int = 110, **more) -> Node:
    return Node(
        name=name,
        allocatable=amounts({"cpu": cpu, "memory": memory, "pods": pods}),
        labels=more.pop("labels", pairs({HOST: name})),
        **more,
    )


def ask(cpu: int = 100, memory: int = 100 << 20, **more) -> Shape:
    return Shape(requests=amounts({"cpu": cpu, "memory": memory}), **more)


def pods(shape: Shape, count: int, prefix: str = "p", **more) -> list[Pod]:
    return [Pod(f"default/{prefix}{number}", shape, **more) for number in range(count)]


def test_spreads_and_the_smallest_name_is_first():
    snapshot = Snapshot([node("b"), node("a"), node("c")])
    assert place(snapshot, pods(ask(), 4)).placements == {
        "default/p0": "a",
        "default/p1": "b",
        "default/p2": "c",
        "default/p3": "a",
    }


def test_the_packing_profile_fills_one_node_after_another():
    snapshot = Snapshot([node("a"), node("b")])
    found = place(snapshot, pods(ask(cpu=1000), 6), PACKING)
    assert list(found.placements.values()) == ["a"] * 4 + ["b"] * 2


def test_a_batch_is_as_one_by_one():
    machines = [node(f"n{number:02}", cpu=2000 + 500 * (number % 5)) for number in range(20)]
    together, apart = Snapshot(machines), Scheduler(Snapshot(machines))
    wanted = pods(ask(cpu=300), 200)
    single = [apart.place([pod]).placements.get(pod.key) for pod in wanted]
    batched = place(together, wanted)
    assert [batched.placements.get(pod.key) for pod in wanted] == single
    assert None in single
    assert set(batched.reasons) == {pod.key for pod, name in zip(wanted, single, strict=True) if name is None}


def test_reasons_name_each_rule_with_its_nodes():
    snapshot = Snapshot(
        [
            node("a", cpu=50),
            node("b", cpu=50, memory=1 << 20),
            node("c", pods=0),
            node("d", taints=(Taint("k", "v"),)),
            node("e", unschedulable=True),
        ]
    )
    refused = place(snapshot, [Pod("default/p", ask())]).reasons["default/p"]
    assert refused.message() == (
        "0/5 nodes are available: 1 Insufficient memory, 1 Too many pods, 1 node(s) had untolerated taint(s), "
        "1 node(s) were unschedulable, 2 Insufficient cpu."
    )


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (ask(node_selector=(("disk", "ssd"),)), "node(s) didn't match Pod's node affinity/selector"),
        (ask(node_name="z"), "node(s) didn't match the requested node name"),
        (ask(ports=(HostPort(80),)), "node(s) didn't have free ports for the requested pod ports"),
        (
            ask(attachments=(Attachment("csi", "v"), Attachment("csi", "w"))),
            "node(s) exceed max volume count",
        ),
        (
            ask(volume_terms=((NodeTerm((Requirement("zone", "In", ("q",)),)),),)),
            "node(s) didn't match PersistentVolume's node affinity",
        ),
        (
            ask(exclusive=("claim",)),
            "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode",
        ),
        (ask(devices=(DeviceAsk("gpu", 2),)), "Insufficient gpu"),
        (
            ask(spread=(Spread(topology="zone", max_skew=1, selector=()),)),
            "node(s) didn't match pod topology spread constraints (missing required label)",
        ),
        (
            ask(
                affinity=(
                    PodTerm(topology=HOST, selector=(Requirement("app", "In", ("x",)),), namespaces=("default",)),
                )
            ),
            "node(s) didn't match pod affinity rules",
        ),
        (
            ask(anti_affinity=(PodTerm(topology=HOST, selector=(), namespaces=("default",)),)),
            "node(s) didn't match pod anti-affinity rules",
        ),
    ],
)
def test_reasons(shape: Shape, reason: str):
    snapshot = Snapshot([node("a", attachable=(("csi", 1),), devices=(("gpu", (1000,)),))])
    first = Pod("default/first", ask(ports=(HostPort(80),), exclusive=("claim",)))
    assert place(snapshot, [first]).placements
    refused = place(snapshot, [Pod("default/p", shape)]).reasons["default/p"]
    assert refused.message() == f"0/1 nodes are available: 1 {reason}."


def test_those_that_are_there_keep_others_away():
    snapshot = Snapshot([node("a")])
    keeper = ask(anti_affinity=(PodTerm(topology=HOST, selector=(), namespaces=("default",)),))
    snapshot.add(Pod("default/keeper", keeper), "a")
    refused = place(snapshot, [Pod("default/p", ask())]).reasons["default/p"]
    assert refused.message() == ("0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.")


def test_a_gated_pod_waits():
    refused = place(Snapshot([node("a")]), [Pod("default/p", ask(gates=("x", "y")))]).reasons["default/p"]
    assert refused.message() == 'waiting for scheduling gates: ["x", "y"]'


def test_devices_are_shared_on_the_fullest_and_taken_whole():
    snapshot = Snapshot([node("a", devices=(("gpu", (1000, 1000, 1000)),))])
    share = ask(devices=(DeviceAsk("gpu", 1, 300),))
    whole = ask(devices=(DeviceAsk("gpu", 2),))
    wanted = [*pods(share, 2, "s"), Pod("default/w", whole), *pods(share, 2, "t"), Pod("default/x", whole)]
    found = place(snapshot, wanted)
    assert snapshot.devices.free["gpu"][:, 0].tolist() == [100, 0, 0]
    assert snapshot.devices.holding("default/w") == (("gpu", 1, 1000), ("gpu", 2, 1000))
    assert set(found.reasons) == {"default/t1", "default/x"}
    snapshot.remove("default/w")
    assert place(snapshot, [Pod("default/x", whole)]).placements == {"default/x": "a"}


def test_a_pod_that_did_not_get_through_is_placed_on_the_newer_snapshot():
    snapshot = Snapshot([node("a", cpu=150), node("b", cpu=150)])
    scheduler = Scheduler(snapshot)
    pod = Pod("default/p", ask())
    assert scheduler.place([pod]).placements == {"default/p": "a"}
    snapshot.remove("default/p")  # the bind was refused
    snapshot.add(Pod("default/other", ask()), "a")  # because of this
    assert scheduler.place([pod]).placements == {"default/p": "b"}


def test_a_pod_that_is_there_is_not_placed_again():
    snapshot = Snapshot([node("a")])
    place(snapshot, pods(ask(), 3))
    with pytest.raises(ValueError, match="there already"):
        place(snapshot, pods(ask(), 1))
    with pytest.raises(ValueError, match="there already"):
        place(snapshot, pods(ask(), 2))


def test_nodes_may_come_after_their_pods():
    snapshot = Snapshot()
    snapshot.add(Pod("default/p", ask(cpu=3000)), "a")
    assert place(snapshot, pods(ask(), 1, "q")).reasons["default/q0"].message() == "no nodes available to schedule pods"
    snapshot.set_node(node("a"))
    assert place(snapshot, pods(ask(cpu=2000), 1, "r")).reasons
    snapshot.remove("default/p")
    assert place(snapshot, pods(ask(cpu=2000), 1, "r")).placements


class TestGang:
    def test_all_or_nothing(self):
        snapshot = Snapshot([node("a", cpu=300)])
        gang = Gang("g", 4)
        found = place(snapshot, [*pods(ask(), 4, gang=gang), Pod("default/single", ask(cpu=300))])
        assert found.placements == {"default/single": "a"}
        assert found.reasons["default/p0"].message() == (
            "gang g: 3 of at least 4 pods fit: 0/1 nodes are available: 1 Insufficient cpu."
        )

    def test_at_least(self):
        found = place(Snapshot([node("a", cpu=300)]), pods(ask(), 4, gang=Gang("g", 3)))
        assert set(found.placements) == {"default/p0", "default/p1", "default/p2"}
        assert set(found.reasons) == {"default/p3"}

    def test_what_it_would_have_evicted_stays(self):
        snapshot = Snapshot([node("a", cpu=200), node("b", cpu=200)])
        place(snapshot, pods(ask(), 4, "low"))
        before = [column.tolist() for column in snapshot.resources.free]
        found = place(snapshot, pods(ask(cpu=200), 3, "high", priority=5, gang=Gang("g", 3)))
        assert not found.placements
        assert not found.evictions
        assert [column.tolist() for column in snapshot.resources.free] == before
        found = place(snapshot, pods(ask(cpu=200), 2, "high", priority=5, gang=Gang("h", 2)))
        assert len(found.evictions) == 4

    def test_whom_it_evicts_has_no_place_any_more(self):
        gang = Gang("g", 2)
        low, first, second = Pod("default/low", ask(), 1), *pods(ask(), 2, priority=5, gang=gang)
        found = place(Snapshot([node("a", cpu=200)]), [low, first, second])
        assert found.placements == {first.key: "a", second.key: "a"}
        assert [(one.pod.key, one.by) for one in found.evictions] == [(low.key, second.key)]

    def test_members_need_not_follow_each_other(self):
        gang = Gang("g", 2)
        first, second = pods(ask(), 2, gang=gang)
        found = place(Snapshot([node("a", cpu=300)]), [first, Pod("default/big", ask(cpu=300)), second])
        assert set(found.placements) == {first.key, second.key}


class TestPreemption:
    def test_the_least_is_evicted(self):
        snapshot = Snapshot([node("a", cpu=200), node("b", cpu=200)])
        snapshot.add(Pod("default/a0", ask(), 1), "a")
        snapshot.add(Pod("default/a1", ask(), 3), "a")
        snapshot.add(Pod("default/b0", ask(), 2), "b")
        snapshot.add(Pod("default/b1", ask(), 3), "b")
        found = place(snapshot, [Pod("default/p", ask(), 9)])
        assert [(eviction.pod.key, eviction.node, eviction.by) for eviction in found.evictions] == [
            ("default/a0", "a", "default/p")
        ]
        assert found.placements == {"default/p": "a"}

    def test_never(self):
        snapshot = Snapshot([node("a", cpu=100)])
        snapshot.add(Pod("default/a0", ask(), 1), "a")
        assert not place(snapshot, [Pod("default/p", ask(), 9, may_preempt=False)]).placements

    def test_the_freed_room_belongs_to_the_one_it_was_freed_for(self):
        snapshot = Snapshot([node("a", cpu=100)])
        snapshot.add(Pod("default/a0", ask(), 1), "a")
        found = place(snapshot, [Pod("default/p", ask(), 9), Pod("default/late", ask(cpu=50), 1)])
        assert found.placements == {"default/p": "a"}
        assert "default/late" in found.reasons
