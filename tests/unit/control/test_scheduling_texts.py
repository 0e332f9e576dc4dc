"""What is said of pods that do not fit, word by word."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.control.scheduling import texts
from sampan.schedule.node import Node, Taint
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.shape import Shape, Spread, Toleration, amounts, pairs
from sampan.schedule.snapshot import Snapshot

GI = 1 << 30
HELPLESS, NOBODY = "Preemption is not helpful for scheduling", "No preemption victims found for incoming pod"


def node(name: str, cpu: int = 2000, memory: int = 4 * GI, **more) -> Node:
    return Node(name=name, allocatable=amounts({"cpu": cpu, "memory": memory, "pods": 10}), **more)


def asks(cpu: int = 0, memory: int = 0, **more) -> Shape:
    return Shape(requests=amounts({"cpu": cpu, "memory": memory}), **more)


def said(nodes: list[Node], shape: Shape, running: dict[str, Shape] | None = None, **pod) -> str:
    """Return what is said of one pod after it was refused."""
    snapshot = Snapshot(nodes)
    snapshot.settle()
    for name, taken in (running or {}).items():
        snapshot.add(Pod(f"default/on-{name}", taken), name)
    core, held = Scheduler(snapshot), pod.pop("held", False)
    wish = Pod("default/p", shape, **pod)
    outcome = core.place([wish])
    assert not outcome.placements
    return texts.unfit(core.standing(shape), wish, outcome.reasons["default/p"], held=held)


def test_each_rule_is_named_with_how_many_nodes_it_keeps_out():
    nodes = [node("a", taints=(Taint("dedicated", "gpu"),)), node("b"), node("c")]
    message = said(nodes, asks(1500), {"b": asks(1000), "c": asks(600)})
    assert message == (
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. "
        f"preemption: 0/3 nodes are available: 1 {HELPLESS}, 2 {NOBODY}. "
        "The smallest change that would fit: on a, tolerate dedicated=gpu:NoSchedule."
    )


def test_the_smallest_lack_is_told():
    message = said([node("a"), node("b")], asks(1500), {"a": asks(1000), "b": asks(750)})
    assert message.endswith("The smallest change that would fit: on b, ask for 250m cpu less.")


def test_a_node_that_lacks_one_thing_is_named_before_one_that_lacks_two():
    message = said([node("a"), node("b")], asks(1500, 6 * GI), {"a": asks(1000)})
    assert message.endswith("The smallest change that would fit: on b, ask for 2Gi memory less.")


def test_where_more_is_taken_than_there_is_nothing_can_be_asked_for():
    message = said([node("a")], asks(500), {"a": asks(3000)})
    assert message.endswith("The smallest change that would fit: on a, ask for no cpu.")


amount = st.integers(0, 30).map(lambda number: number * 250)


@given(st.lists(st.tuples(amount, amount, amount, amount), min_size=1, max_size=4), amount, amount)
def test_what_would_fit_does(there, cpu, disk):
    """Whoever does what is said of resources has a pod that fits on that node."""
    nodes = [
        Node(name=f"n{n}", allocatable=amounts({"cpu": a, "disk": b, "pods": 2})) for n, (a, b, *_) in enumerate(there)
    ]
    running = {f"n{n}": Shape(requests=amounts({"cpu": c, "disk": d})) for n, (*_, c, d) in enumerate(there)}
    snapshot = Snapshot(nodes)
    for name, taken in running.items():
        snapshot.add(Pod(f"default/on-{name}", taken), name)
    core, wish = Scheduler(snapshot), {"cpu": cpu, "disk": disk}
    shape = Shape(requests=amounts(wish))
    if core.place([Pod("default/p", shape)]).placements:
        return
    where, _, change = texts.smallest_change(core.standing(shape)).removeprefix("on ").partition(", ")
    for part in change.split(" and "):
        said = re.fullmatch(r"ask for (?:no (cpu|disk)|(\d+)(m?) (cpu|disk) less)", part)
        assert said, part
        if said[1]:
            wish[said[1]] = 0
        else:
            wish[said[4]] -= int(said[2]) * (1000 if said[4] == "cpu" and not said[3] else 1)
    assert min(wish.values()) >= 0
    assert core.standing(Shape(requests=amounts(wish))).fits(snapshot.rows[where])


@given(st.lists(st.integers(0, 4), min_size=2, max_size=4), st.integers(1, 2), st.integers(1, 5))
def test_the_skew_that_is_named_lets_the_pod_in_and_one_less_does_not(there, skew, domains):
    def wish(most: int) -> Shape:
        spread = Spread(topology="zone", max_skew=most, selector=(), min_domains=domains)
        return Shape(requests=amounts({"cpu": 1000}), spread=(spread,))

    nodes = [node(f"n{number}", 100_000, labels=pairs({"zone": str(number)})) for number in range(len(there))]
    nodes[0] = node("n0", 500, labels=pairs({"zone": "0"}))  # too small for the pod, and its domain may be the emptiest
    snapshot = Snapshot(nodes)
    for number, count in enumerate(there):
        for twin in range(count):
            snapshot.add(Pod(f"default/{number}-{twin}", Shape()), f"n{number}")
    core = Scheduler(snapshot)
    if core.place([Pod("default/p", wish(skew))]).placements:
        return
    said = texts.smallest_change(core.standing(wish(skew)))
    named = re.fullmatch(r"on (n\d), allow a maxSkew of (\d+) over zone", said)
    if named is not None:
        row, enough = snapshot.rows[named[1]], int(named[2])
        assert core.standing(wish(enough)).fits(row)
        assert not core.standing(wish(enough - 1)).fits(row)
    else:
        assert said == "on n0, ask for 500m cpu less"


def test_a_pod_larger_than_every_node_is_not_helped_by_preemption():
    message = said([node("a")], asks(memory=6 * GI))
    assert message == (
        f"0/1 nodes are available: 1 Insufficient memory. preemption: 0/1 nodes are available: 1 {HELPLESS}. "
        "The smallest change that would fit: on a, ask for 2Gi memory less."
    )


def test_two_rules_that_one_node_fails():
    message = said([node("a", unschedulable=True)], asks(3000, node_selector=pairs({"disk": "ssd"})))
    assert message == (
        f"0/1 nodes are available: 1 node(s) were unschedulable. preemption: 0/1 nodes are available: 1 {HELPLESS}. "
        "The smallest change that would fit: on a, uncordon it and let the pod's node affinity or selector match it "
        "and ask for 1 cpu less."
    )


def test_unknown_resources_are_asked_for_in_vain():
    assert "on a, ask for no example.com/nic" in said([node("a")], Shape(requests=(("example.com/nic", 1),)))


def test_who_may_not_preempt():
    message = said([node("a")], asks(1500), {"a": asks(1000)}, may_preempt=False)
    assert "preemption: not eligible due to preemptionPolicy=Never." in message
    message = said([node("a")], asks(1500), {"a": asks(1000)}, may_preempt=False, held=True)
    assert "preemption: not eligible due to a terminating pod on the nominated node." in message


def test_no_nodes():
    assert said([], asks(1)) == "no nodes available to schedule pods"


def test_a_claim_that_is_not_there():
    assert texts.fault(3, 'persistentvolumeclaim "data" not found') == (
        '0/3 nodes are available: persistentvolumeclaim "data" not found. '
        f"preemption: 0/3 nodes are available: 3 {HELPLESS}."
    )


def test_tolerated_taints_are_not_named():
    taints = (Taint("a", "1"), Taint("b", "", "NoExecute"), Taint("c", "", "PreferNoSchedule"))
    message = said([node("n", taints=taints)], asks(1, tolerations=(Toleration(key="a", value="1"),)))
    assert message.endswith("on n, tolerate b:NoExecute.")


@pytest.mark.parametrize(
    ("resource", "amount", "text"),
    [
        ("cpu", 250, "250m"),
        ("cpu", 3000, "3"),
        ("memory", 3 * GI, "3Gi"),
        ("memory", 1536 << 20, "1536Mi"),
        ("ephemeral-storage", 1 << 10, "1Ki"),
        ("memory", 1000, "1000"),
        ("example.com/nic", 2, "2"),
    ],
)
def test_amounts_are_written_as_people_do(resource, amount, text):
    assert texts.written(resource, amount) == text
