"""What is kept between pods is dropped when it no longer holds."""

from __future__ import annotations

import pytest

from sampan.kube.selector import Requirement
from sampan.schedule.node import PREFER_NO_SCHEDULE, Node, Taint
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.profile import DEFAULT
from sampan.schedule.shape import NodeTerm, PodTerm, Shape, Spread, Toleration, amounts, pairs
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.standing import Standing

ZONE = "zone"


def node(name: str, cpu: int = 4000, disk: str = "", zone: str = "", taints: tuple[Taint, ...] = ()) -> Node:
    labels = {key: value for key, value in (("disk", disk), (ZONE, zone)) if value}
    return Node(
        name=name,
        allocatable=amounts({"cpu": cpu, "memory": 64 << 30, "pods": 110}),
        labels=pairs(labels),
        taints=taints,
    )


def wants(weight: int, disk: str) -> tuple[int, NodeTerm]:
    return weight, NodeTerm((Requirement("disk", "In", (disk,)),))


def same_as_fresh(snapshot: Snapshot, scheduler: Scheduler, pods: list[Pod]) -> list[str]:
    """Place pods together, and check each against one that looks afresh, pod by pod."""
    found = scheduler.place(pods).placements
    names = []
    for pod in reversed(pods):
        if pod.key in found:
            snapshot.remove(pod.key)
    for pod in pods:
        row = Standing(snapshot, snapshot.ask(pod.shape), DEFAULT).best()
        assert found.get(pod.key) == (None if row < 0 else snapshot.nodes[row].name), pod.key
        if row >= 0:
            snapshot.assume(pod, row, snapshot.ask(pod.shape))
            names.append(snapshot.nodes[row].name)
    return names


# The most wanted node is small: once it is full, the next in line is the measure of all others.
SHAPE = Shape(requests=amounts({"cpu": 1000}), preferred_nodes=(wants(100, "best"), wants(1, "good")))
NODES = [node("a", 3000, "best"), *(node(f"b{number:02}", 2000, "good") for number in range(40)), node("c", 64_000)]


@pytest.mark.parametrize("together", [True, False])
def test_the_node_that_all_are_measured_by_fills_up(together):
    snapshot = Snapshot(NODES)
    scheduler = Scheduler(snapshot)
    pods = [Pod(f"default/p{number}", SHAPE) for number in range(20)]
    if together:
        names = same_as_fresh(snapshot, scheduler, pods)
    else:
        names = [name for pod in pods for name in same_as_fresh(snapshot, scheduler, [pod])]
    assert names[:3] == ["a"] * 3
    assert all(name.startswith("b") for name in names[3:])


def test_the_node_that_all_are_measured_by_has_room_again():
    """It is the most wanted one, but for a mild taint; once it counts again, it the others are wanted less."""
    old = Taint("old", "", PREFER_NO_SCHEDULE)
    snapshot = Snapshot([node("a", 1000, "best", taints=(old,)), *NODES[1:]])
    scheduler = Scheduler(snapshot)
    blocker = Shape(requests=amounts({"cpu": 1000}), node_name="a")
    assert scheduler.place([Pod("default/blocker", blocker)]).placements == {"default/blocker": "a"}
    assert scheduler.place([Pod("default/p", SHAPE)]).placements == {"default/p": "b00"}
    snapshot.remove("default/blocker")
    assert same_as_fresh(snapshot, scheduler, [Pod("default/q", SHAPE)]) == ["c"]


def test_mild_taints_count_against_the_worst_that_has_room():
    old, older = Taint("old", "", PREFER_NO_SCHEDULE), Taint("older", "", PREFER_NO_SCHEDULE)
    nodes = [node("a", 1000, taints=(old, older)), node("b", 9000, taints=(old,)), node("c", 2000)]
    nodes += [node(f"d{number}", 9000, taints=(old,)) for number in range(40)]
    snapshot = Snapshot(nodes)
    scheduler = Scheduler(snapshot)
    blocker = Shape(requests=amounts({"cpu": 1000}), node_name="a", tolerations=(Toleration(operator="Exists"),))
    shape = Shape(requests=amounts({"cpu": 500, "memory": 4 << 30}))
    for number in range(30):
        if number == 7:
            assert scheduler.place([Pod("default/blocker", blocker)]).placements
        if number == 19:
            snapshot.remove("default/blocker")
        same_as_fresh(snapshot, scheduler, [Pod(f"default/p{number}", shape)])
    same_as_fresh(snapshot, scheduler, [Pod(f"default/q{number}", shape) for number in range(40)])


def test_a_batch_counts_in_domains_it_fills_more_than_once():
    snapshot = Snapshot([node(f"n{number}", 8000, zone="pq"[number % 2]) for number in range(4)])
    scheduler = Scheduler(snapshot)
    of_x = (Requirement("app", "In", ("x",)),)
    follower = Shape(requests=amounts({"cpu": 100}), spread=(Spread(topology=ZONE, max_skew=1, selector=of_x),))
    scheduler.place([Pod("default/first", follower)])  # from now on pods of app x are counted by zone
    placed = scheduler.place([Pod(f"default/x{number}", Shape(labels=(("app", "x"),))) for number in range(11)])
    zones = [dict(snapshot.nodes[snapshot.rows[name]].labels)[ZONE] for name in placed.placements.values()]
    tally = snapshot.tally(("spread", "default", of_x), lambda _: pytest.fail("it is there already"))
    assert tally.by(ZONE, snapshot.domains(ZONE)).values.tolist() == [zones.count("p"), zones.count("q"), 0]
    assert tally.total == 11


def test_terms_that_come_later_count():
    snapshot = Snapshot([node("a", zone="p"), node("b", zone="q")])
    scheduler = Scheduler(snapshot)
    plain = Shape(labels=(("app", "x"),))
    assert scheduler.place([Pod("default/p0", plain)]).placements == {"default/p0": "a"}
    away = PodTerm(topology=ZONE, selector=(Requirement("app", "In", ("x",)),), namespaces=("default",))
    assert scheduler.place([Pod("default/hermit", Shape(anti_affinity=(away,)))]).placements == {"default/hermit": "b"}
    assert scheduler.place([Pod("default/p1", plain)]).placements == {"default/p1": "a"}


@pytest.mark.parametrize("count", [1, 2])
def test_all_nodes_go_and_one_comes_back(count):
    snapshot = Snapshot([node("a", disk="good")])
    scheduler = Scheduler(snapshot)
    assert scheduler.place([Pod("default/p", SHAPE)]).placements
    snapshot.remove_node("a")
    refused = scheduler.place([Pod(f"default/q{number}", SHAPE) for number in range(count)]).reasons
    assert {one.message() for one in refused.values()} == {"no nodes available to schedule pods"}
    snapshot.set_node(node("b"))
    assert scheduler.place([Pod("default/r", SHAPE)]).placements == {"default/r": "b"}


def test_the_nodes_that_a_shape_names_go_and_one_comes_back():
    names = tuple(f"n{number}" for number in range(70))  # too many to be kept as a few rows
    snapshot = Snapshot([node(name) for name in (*names, "other")])
    scheduler = Scheduler(snapshot)
    shape = Shape(node_terms=(NodeTerm((), (Requirement("metadata.name", "In", names),)),))
    assert scheduler.place([Pod("default/p", shape)]).placements == {"default/p": "n0"}
    for name in names:
        snapshot.remove_node(name)
    assert not scheduler.place([Pod("default/q", shape)]).placements
    snapshot.set_node(node("n5"))
    assert scheduler.place([Pod("default/q", shape)]).placements == {"default/q": "n5"}


def test_resources_that_nobody_knew_before():
    snapshot = Snapshot(NODES)
    scheduler = Scheduler(snapshot)
    shape = Shape(requests=amounts({"cpu": 100}))
    for number in range(30):
        strange = Shape(requests=amounts({f"example.com/{number}": 1}))
        refused = scheduler.place([Pod(f"default/s{number}", strange)]).reasons[f"default/s{number}"]
        assert (
            refused.message() == f"0/{len(NODES)} nodes are available: {len(NODES)} Insufficient example.com/{number}."
        )
        same_as_fresh(snapshot, scheduler, [Pod(f"default/p{number}", shape)])


def test_shapes_that_are_gone_are_forgotten():
    """As the labels of a StatefulSet's pods make them, each pod has a shape of its own; a few stay, the rest comes and goes."""
    snapshot = Snapshot([node(f"n{number}", zone="pq"[number % 2]) for number in range(6)])
    scheduler = Scheduler(snapshot)
    own = PodTerm(topology=ZONE, selector=(Requirement("app", "In", ("x",)),), namespaces=("default",))
    stays = Shape(labels=(("app", "x"),), requests=amounts({"cpu": 10}), preferred_pods=((-1, own),))
    for number in range(9000):
        shape = Shape(labels=(("app", "x"), ("pod", str(number))), requests=amounts({"cpu": 100}))
        assert scheduler.place([Pod(f"default/p{number}", shape)]).placements
        if number % 3000 == 0:
            same_as_fresh(snapshot, scheduler, [Pod(f"default/s{number}", stays)])
        if number >= 20:
            snapshot.remove(f"default/p{number - 20}")
    assert len(snapshot.asks) < 4200
    assert len(snapshot.pods) == 23
    same_as_fresh(snapshot, scheduler, [Pod("default/last", stays)])
    assert snapshot.matching(own).total == 24
