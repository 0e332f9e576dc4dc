"""A policy in Python decides as it says, sees what there is and changes nothing of it; one that fails refuses its pod only."""

from __future__ import annotations

import numpy as np
import pytest

from sampan.base.errors import InvalidArgument
from sampan.kube.selector import Requirement
from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler, place
from sampan.schedule.pod import Pod
from sampan.schedule.policy import profile_of
from sampan.schedule.policy_trial import tried
from sampan.schedule.profile import DEFAULT
from sampan.schedule.shape import DeviceAsk, NodeTerm, Shape, amounts, pairs
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.standing import Standing
from scheduling_clusters import columns


def node(name: str, cpu: int = 4000, devices: int = 0, **labels: str) -> Node:
    return Node(
        name=name,
        allocatable=amounts({"cpu": cpu, "memory": 8 << 30, "pods": 10}),
        labels=pairs(labels),
        devices=(("gpu", (1000,) * devices),) if devices else (),
    )


def one(name: str = "p", cpu: int = 1000, priority: int = 0, **more) -> Pod:
    return Pod(f"default/{name}", Shape(requests=amounts({"cpu": cpu}), **more), priority)


class Quiet:
    reach = "node"
    reason = "node(s) were loud"

    def filter(self, pod, nodes):
        return nodes.label("noise") != "loud"

    def score(self, pod, nodes):
        return -nodes.free("cpu")


def test_it_takes_nodes_away_and_says_which_is_best():
    snapshot = Snapshot([node("a", 2000, noise="loud"), node("b", 9000), node("c", 3000, noise="low")])
    scheduler = Scheduler(snapshot, tried(Quiet()))
    pods = [one(f"p{number}") for number in range(14)]
    found = scheduler.place(pods)
    assert list(found.placements.values()) == ["c"] * 3 + ["b"] * 9
    assert found.reasons["default/p12"].message() == (
        "0/3 nodes are available: 1 node(s) were loud, 2 Insufficient cpu."
    )


def test_what_pods_wish_for_comes_first():
    wish = ((1, NodeTerm((Requirement("noise", "In", ("low",)),))),)
    snapshot = Snapshot([node("b"), node("c", noise="low")])

    class Mild:
        def score(self, pod, nodes):
            return np.where(nodes.names == "b", 100, 0)

    class Alone(Mild):
        weight = 3

    assert place(snapshot, [one("p", preferred_nodes=wish)], profile_of(Mild())).placements == {"default/p": "c"}
    assert place(snapshot, [one("q", preferred_nodes=wish)], profile_of(Alone())).placements == {"default/q": "b"}


def test_a_filter_alone_leaves_the_points_as_they_are():
    class Only:
        def filter(self, pod, nodes):
            return nodes.free("pods") > 2

    assert profile_of(Only()).scores == DEFAULT.scores
    Only.base = "packing"
    snapshot = Snapshot([node("a"), node("b", 2000)])
    assert place(snapshot, [one()], profile_of(Only())).placements == {"default/p": "b"}


class Looker:
    """Keeps what it was shown."""

    def __init__(self):
        self.shown = {}

    def score(self, pod, nodes):
        self.shown = {
            "pod": (pod.namespace, pod.labels, pod.request("cpu"), pod.request("example.com/none")),
            "names": nodes.names.tolist(),
            "zone": nodes.label("zone").tolist(),
            "has": nodes.allocatable("cpu").tolist(),
            "free": nodes.free("cpu").tolist(),
            "left": nodes.left("cpu").tolist(),
            "pods": nodes.pods().tolist(),
            "web": nodes.pods({"app": "web"}, "default").tolist(),
            "elsewhere": nodes.pods({"app": "web"}, "other").tolist(),
            "devices": nodes.devices("gpu").tolist(),
            "none": nodes.devices("fpga").shape,
        }
        return np.zeros(len(nodes))


def test_what_it_is_shown():
    snapshot = Snapshot([node("a", devices=2), node("b", 2000, zone="q"), node("c", zone="r", devices=1)])
    web = {"labels": pairs({"app": "web"})}
    snapshot.settle()
    snapshot.add(one("w", **web), "a")
    snapshot.add(one("g", 500, devices=(DeviceAsk("gpu", 1, 300),)), "c")
    looker = Looker()
    place(snapshot, [one("p", **web)], profile_of(looker))
    assert looker.shown == {
        "pod": ("default", {"app": "web"}, 1000, 0),
        "names": ["a", "b", "c"],
        "zone": ["", "q", "r"],
        "has": [4000, 2000, 4000],
        "free": [3000, 2000, 3500],
        "left": [0.5, 0.5, 0.625],
        "pods": [1, 0, 1],
        "web": [1, 0, 0],
        "elsewhere": [0, 0, 0],
        "devices": [[1000, -1, 700], [1000, -1, -1]],
        "none": (0, 3),
    }


def test_twins_of_a_batch_are_foreseen_and_seen():
    class Apart:
        reach = "node"

        def filter(self, pod, nodes):
            return nodes.pods({"app": "web"}) < 2

    profile = tried(Apart())
    snapshot = Snapshot([node("a"), node("b")])
    pods = [one(f"p{number}", 100, labels=pairs({"app": "web"})) for number in range(5)]
    found = Scheduler(snapshot, profile).place(pods)
    assert sorted(found.placements.values()) == ["a", "a", "b", "b"]
    assert Standing(snapshot, snapshot.ask(Shape()), profile).foreseen


def test_one_that_compares_nodes_sees_all_of_them_for_a_pod_that_names_one():
    class Emptiest:
        def filter(self, pod, nodes):
            return nodes.pods() == nodes.pods().min()

    scheduler = Scheduler(Snapshot([node("a"), node("b")]), tried(Emptiest()))
    assert scheduler.place([one("p", node_name="a")]).placements == {"default/p": "a"}
    refused = scheduler.place([one("q", node_name="a")]).reasons["default/q"].message()
    assert "1 node(s) were refused by policy Emptiest" in refused
    assert scheduler.place([one("r", node_name="b")]).placements == {"default/r": "b"}


def test_it_is_not_asked_where_there_are_no_nodes():
    class Least:
        def score(self, pod, nodes):
            return nodes.free("cpu") - nodes.free("cpu").min()

    refused = place(Snapshot(), [one()], tried(Least())).reasons["default/p"]
    assert refused.message() == "no nodes available to schedule pods"


# --- policies that are wrong ------------------------------------------------------------------------------------------


def answers(**methods: object) -> object:
    return type("Wrong", (), methods)()


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (answers(), "has neither filter"),
        (answers(filter=True), "has neither filter"),
        (answers(filter=lambda self, pod, nodes: nodes.free("cpu")), "returned int64: return bools"),
        (answers(filter=lambda self, pod, nodes: True), "returned bool: return an array"),
        (answers(filter=lambda self, pod, nodes: None), "returned NoneType: return an array"),
        (answers(score=lambda self, pod, nodes: nodes.names), "return numbers"),
        (answers(score=lambda self, pod, nodes: nodes.free("cpu")[1:]), r"shape \(11,\) for 12 nodes"),
        (answers(score=lambda self, pod, nodes: nodes.left("x") / nodes.allocatable("x")), "nan or inf"),
        (answers(score=lambda self, pod, nodes: nodes.free("memory")), "points beyond 1,000,000: scale them"),
        (answers(score=lambda self, pod, nodes: nodes.weight), r"score failed|failed \(test_policy.py:\d+\): AttributeError"),
        (answers(score=lambda self, nodes: nodes), "TypeError"),
        (answers(filter=lambda self, pod, nodes: _emptied(nodes.free("cpu"))), "read-only"),
        (answers(filter=lambda self, pod, nodes: _emptied(nodes.pods())), "read-only"),
        (answers(reach="zone", score=lambda self, pod, nodes: nodes.left("cpu")), 'write "node" or "cluster"'),
        (answers(base="mine", score=lambda self, pod, nodes: nodes.left("cpu")), "write one of wishes, default, packing"),
        (answers(weight=0, score=lambda self, pod, nodes: nodes.left("cpu")), "write a whole number"),
        (
            answers(reach="node", score=lambda self, pod, nodes: nodes.free("cpu") / nodes.free("cpu").max()),
            "answers otherwise",
        ),
        (answers(reach="node", filter=lambda self, pod, nodes: nodes.free("pods") == nodes.free("pods").max()), "otherwise"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_when_it_is_tried(policy, said):
    with pytest.raises(InvalidArgument, match=said):
        tried(policy)


def _emptied(column):
    column -= column
    return column == 0


def test_one_that_remembers_is_found_out():
    class Counting:
        reach = "node"
        calls = 0

        def score(self, pod, nodes):
            self.calls += 1
            return nodes.free("pods") + self.calls

    with pytest.raises(InvalidArgument, match="counters"):
        tried(Counting())


class Picky:
    """Fails on pods of the label `bad`, and, with `full`, on nodes where no pod is left."""

    reach = "node"

    def __init__(self, full: bool = False):
        self.full = full

    def filter(self, pod, nodes):
        if "bad" in pod.labels and (not self.full or not nodes.pods().all()):
            raise RuntimeError("not these")
        return nodes.free("cpu") >= 0


def test_a_pod_that_it_fails_on_is_refused_and_others_are_not():
    snapshot = Snapshot([node("a"), node("b")])
    bad = {"labels": pairs({"bad": "yes"})}
    found = Scheduler(snapshot, profile_of(Picky())).place(
        [one("first"), *(one(f"bad{number}", **bad) for number in range(3)), one("last")]
    )
    assert found.placements.keys() == {"default/first", "default/last"}
    assert {reason.message() for reason in found.reasons.values()} == {next(iter(found.reasons.values())).message()}
    assert found.reasons["default/bad0"].message().startswith("policy Picky: filter failed (test_policy.py:")
    assert len(snapshot.pods) == 2


def test_one_that_fails_while_victims_are_sought_leaves_the_snapshot_as_it_was():
    snapshot = Snapshot([node("a"), node("b")])
    scheduler = Scheduler(snapshot, profile_of(Picky(full=True)))
    scheduler.place([one(f"low{number}") for number in range(8)])
    before, there = columns(snapshot), set(snapshot.pods.slots)
    found = scheduler.place([one("high", 4000, priority=5, labels=pairs({"bad": "yes"}))])
    assert "not these" in found.reasons["default/high"].message()
    assert not found.evictions
    assert columns(snapshot) == before
    assert set(snapshot.pods.slots) == there
    assert scheduler.place([one("next", 3000, priority=5)]).evictions
