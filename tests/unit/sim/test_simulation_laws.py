"""Laws of what is measured: every pod is somewhere, nothing is over capacity, the same seed gives the same bytes."""

from __future__ import annotations

import math
from functools import partial

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.base.errors import InvalidArgument
from sampan.schedule.node import Node
from sampan.schedule.profile import DEFAULT, PACKING
from sampan.schedule.shape import Shape, amounts
from sampan.sim.fairness import Fairness, jain
from sampan.sim.meter import Meter
from sampan.sim.observer import Observer
from sampan.sim.replay import replay
from sampan.sim.simulation import Simulation
from sampan.sim.span import Spans
from sampan.sim.summary import summary
from sampan.sim.task import Task
from sampan.sim.traces import machine
from sampan.sim.traces.changes import DRAIN, FAIL, RETURN, Change
from sampan.sim.traces.trace import scaled

GI = 1 << 30
few = st.sampled_from
nodes = st.lists(
    st.builds(lambda cpu, gpus: (cpu * 1000, 8 * GI, gpus), st.integers(1, 4), st.integers(0, 2)),
    min_size=1,
    max_size=4,
).map(lambda sizes: [machine.node(f"n{number}", *size) for number, size in enumerate(sizes)])
shapes = st.builds(machine.shape, few([0, 500, 1500, 6000]), few([0, GI, 3 * GI]), st.just(0)) | st.builds(
    machine.shape, few([500]), few([GI]), st.just(1), few([300, 500, 1000])
)


@st.composite
def tasks(draw: st.DrawFn) -> list[Task]:
    now, found = draw(few([0.0, 1e6])), []
    for number in range(draw(st.integers(1, 14))):
        now += draw(few([0.0, 0.0, 1.0, 2.5]))
        found.append(
            Task(
                name=f"t{number}",
                arrival_s=now,
                duration_s=draw(few([0.0, 1.0, 3.0, 30.0, math.inf])),
                shape=draw(shapes),
                priority=draw(st.integers(0, 2)),
                user=draw(few("ab")),
                kind=draw(few(["LS", "BE"])),
                count=draw(st.integers(1, 4)),
                together=draw(st.booleans()),
            )
        )
    return found


class Auditor(Observer):
    """Counts all again at each moment, from what the snapshot's columns say and from what was told."""

    def __init__(self, simulation: Simulation, wanted: list[Task]) -> None:
        self.of = simulation
        self.counts = {"arrived": 0, "running": 0, "waiting": 0, "ended": 0}
        self.total = sum(task.count for task in wanted)
        simulation.observers.append(self)

    def arrived(self, instances):
        self.counts["arrived"] += len(instances)
        self.counts["waiting"] += len(instances)

    def started(self, instances):
        self.counts["waiting"] -= len(instances)
        self.counts["running"] += len(instances)

    def ended(self, instances):
        self.counts["running"] -= len(instances)
        self.counts["ended"] += len(instances)
        for one in instances:
            assert one.done_by(self.of.now_s) == pytest.approx(one.task.duration_s, abs=1e-6)

    def evicted(self, instance, reason):
        self.counts["running"] -= 1
        self.counts["waiting"] += 1

    def settled(self, now_s):
        snapshot = self.of.snapshot
        assert self.counts["running"] == len(self.of.running) == len(snapshot.pods)
        assert self.counts["waiting"] == len(list(self.of.waiting()))
        assert sum(self.counts.values()) == 2 * self.counts["arrived"] <= 2 * self.total
        assert all((column >= 0).all() for column in snapshot.resources.free[2:])
        assert all((column[column != -1] >= 0).all() for column in snapshot.devices.free.values())
        for one in self.of.waiting():
            if not one.task.together:
                assert self.of.scheduler.standing(one.task.shape).best() < 0
        for one in self.of.running.values():
            assert snapshot.node_of(one.key) == one.node
            assert one.ends_s >= now_s


@given(nodes, tasks(), few([DEFAULT, PACKING]), st.booleans())
@settings(max_examples=200, deadline=None)
def test_every_pod_is_somewhere_and_nothing_is_over_capacity(machines, wanted, profile, preempts):
    simulation = Simulation(machines, wanted, profile, preempts=preempts)
    auditor = Auditor(simulation, wanted)
    meter = Meter(simulation, wanted[0].arrival_s, 0.5)
    simulation.run()
    meter.close()
    found = summary("", simulation, meter)
    counts = auditor.counts
    assert (found.arrived, found.ended, found.running) == (counts["arrived"], counts["ended"], counts["running"])
    assert found.waiting + found.refused == counts["waiting"]
    assert found.arrived == sum(task.count for task in wanted)
    assert found.ended <= found.placed <= found.arrived
    assert all(0 <= share <= 100.000001 for share in (*found.used.values(), *found.fragmented.values()))
    assert all(
        used + lost <= 100.000001 for used, lost in zip(found.used.values(), found.fragmented.values(), strict=True)
    )
    assert found.fairness is None or 0.499999 <= found.fairness.jain <= 1.000001
    assert preempts or not found.evictions
    for series in (found.series.running, found.series.waiting, *found.series.used.values()):
        assert len(series) == len(found.series.begin_s)


happenings = st.lists(
    st.tuples(few([0.0, 0.5, 1.0, 2.5, 7.0]), st.integers(0, 9), few(["evict", 0.0, 0.5, 2.0])), max_size=12
)


@given(nodes, tasks(), happenings, st.booleans())
@settings(max_examples=200, deadline=None)
def test_pods_that_are_paced_and_evicted_do_all_of_their_work(machines, wanted, told, preempts):
    simulation = Simulation(machines, wanted, preempts=preempts)
    meter = Meter(simulation, wanted[0].arrival_s, 0.5)
    auditor = Auditor(simulation, wanted)

    def happen(which: int, verb: str | float) -> None:
        if not simulation.running:
            return
        key = sorted(simulation.running)[which % len(simulation.running)]
        if isinstance(verb, str):
            simulation.evict(key, verb)
        else:
            simulation.set_pace(key, verb)

    def hurry() -> None:
        for key in list(simulation.running):
            simulation.set_pace(key, 1.0)

    for after_s, which, verb in told:
        simulation.at(wanted[0].arrival_s + after_s, partial(happen, which, verb))
    simulation.at(wanted[0].arrival_s + 50.0, hurry)  # whoever was stopped goes on
    simulation.run()
    meter.close()
    found = summary("", simulation, meter)
    counts = auditor.counts
    assert (found.ended, found.running) == (counts["ended"], counts["running"])
    assert all(one.task.duration_s == math.inf for one in simulation.running.values())


changes = st.lists(
    st.tuples(few([0.0, 0.5, 1.0, 2.0, 3.5, 9.0, 40.0]), few([FAIL, DRAIN, RETURN]), st.integers(0, 3)), max_size=8
)


@given(nodes, tasks(), changes, st.booleans(), few(["user", "class"]), few([math.inf, 0.0, 1.0, 5.5, 31.0]))
@settings(max_examples=150, deadline=None)
def test_figures_add_up_whatever_becomes_of_nodes_and_whenever_it_ends(
    machines, wanted, changed, preempts, by, lasts_s
):
    begin_s = wanted[0].arrival_s
    planned = [Change(begin_s + at_s, verb, machines[which % len(machines)]) for at_s, verb, which in changed]
    found = replay("p", DEFAULT, machines, wanted, planned, preempts=preempts, by=by, until_s=begin_s + lasts_s)
    assert found.ended + found.running + found.waiting + found.refused == found.arrived >= found.placed >= found.ended
    assert lasts_s in (math.inf, found.lasted_s)
    for name, used in found.used.items():
        spans = zip(found.series.used[name], found.series.fragmented[name], strict=True)
        for taken, useless in ((used, found.fragmented[name]), *spans):
            assert min(taken, useless) >= 0
            assert taken + useless <= 100.000001
        assert 0 <= found.lost[name] <= 100.000001
    for spread in (found.wait_s, found.slowdown):
        assert spread is None or 0 <= spread.p50 <= spread.p90 <= spread.p99 <= spread.max >= spread.mean - 1e-9
    if found.fairness is not None:
        owners = found.fairness.owners.values()
        assert all(0 <= one.served <= 100.000001 for one in owners)
        assert sum(one.share for one in owners) == pytest.approx(100) or not any(one.share for one in owners)


@given(nodes, tasks(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_same_again_in_whatever_order_nodes_are_listed(machines, wanted, source):
    first = msgspec.json.encode(replay("p", PACKING, machines, wanted))
    source.shuffle(machines)
    assert msgspec.json.encode(replay("p", PACKING, machines, wanted)) == first


def test_scaling_is_drawn_by_the_seed():
    wanted = [
        Task(name=f"t{number}", arrival_s=number, duration_s=1.0, shape=machine.shape(1, 1)) for number in range(2000)
    ]
    assert scaled(wanted, 0.3, 1) == scaled(wanted, 0.3, 1) != scaled(wanted, 0.3, 2)
    assert 500 < len(scaled(wanted, 0.3, 1)) < 700
    assert {task.count for task in scaled(wanted, 2.5, 1)} == {2, 3}
    gang = [msgspec.structs.replace(task, together=True, count=4) for task in wanted[:2]]
    assert [(task.name, task.count) for task in scaled(gang, 2, 1)] == [("t0", 4), ("t0.2", 4), ("t1", 4), ("t1.2", 4)]


@given(
    st.lists(st.tuples(st.floats(0.01, 50), st.floats(0, 9)), min_size=1, max_size=60),
    st.floats(0.1, 5),
    few([2, 4, 8]),
)
@settings(max_examples=200, deadline=None)
def test_spans_keep_what_was_there(steps, first_s, most):
    spans = Spans(1, 10.0, first_s, most)
    now = 10.0
    for passed, value in steps:
        now += passed
        while now >= spans.edge_s:
            spans.add(spans.edge_s, [value])
            spans.begin()
        spans.add(now, [value])
    assert len(spans.all) <= most
    assert math.fsum(span.sums[0] for span in spans.all) == pytest.approx(
        sum(passed * value for passed, value in steps)
    )
    assert math.fsum(span.length_s for span in spans.all) == pytest.approx(sum(passed for passed, _ in steps))
    assert all(span.length_s == pytest.approx(spans.span_s) for span in spans.all[:-1])


def test_fairness_by_hand():
    half = Shape(requests=amounts({"cpu": 500, "memory": 10}))
    owners = Fairness({"cpu": 1000, "memory": 100})
    assert owners.share(half) == 0.5
    assert owners.share(machine.shape(1, 0)) == pytest.approx(0.001, rel=1e-6)
    owners.change("a", 0.0, 0.5, 0.0)
    owners.change("b", 2.0, 0.0, 0.5)
    owners.change("b", 6.0, 0.5, -0.5)
    portions = owners.portions(10.0)
    assert portions == {"a": (5.0, 5.0), "b": (2.0, 4.0)}
    assert jain(portions) == pytest.approx(1.5**2 / (2 * 1.25))
    assert jain({"a": (3.0, 3.0), "b": (0.0, 5.0)}) == 0.5
    assert jain({"a": (0.0, 3.0)}) == 1.0
    assert owners.portions(12.0) == {"a": (1.0, 1.0), "b": (1.0, 1.0)}


def test_an_owner_whose_pods_have_all_ended_wants_nothing():
    owners = Fairness({"cpu": 3000})
    share = owners.share(machine.shape(300, 0))
    for change in (share, 2 * share, -share, -2 * share):
        owners.change("a", 0.0, change, 0.0)
    assert owners.portions(9.0) == {}


def test_figures_by_hand():
    """One node of 2 cores: x takes both for 10 s, y comes at 5 s and waits 5 s, z can never run."""
    tasks = [
        Task(name="x", arrival_s=0.0, duration_s=10.0, shape=machine.shape(2000, 0), user="a", kind="LS"),
        Task(name="y", arrival_s=5.0, duration_s=20.0, shape=machine.shape(1000, 0), user="b", kind="BE"),
        Task(name="z", arrival_s=5.0, duration_s=20.0, shape=machine.shape(3000, 0), user="c", kind="BE"),
    ]
    found = replay("p", DEFAULT, [machine.node("n", 2000, GI)], tasks)
    assert (found.arrived, found.placed, found.ended, found.waiting, found.refused) == (3, 2, 2, 0, 1)
    assert found.lasted_s == 30.0
    assert found.used["cpu"] == pytest.approx(100 * (20 + 20) / 60)
    assert found.wait_s is not None
    assert (found.wait_s.mean, found.wait_s.p50, found.wait_s.max) == (2.5, 0.0, 5.0)
    assert found.slowdown is not None
    assert found.slowdown.max == 25 / 20
    assert found.classes["BE"].wait_s is not None
    assert found.fairness is not None
    assert {name: one.served for name, one in found.fairness.owners.items()} == {"a": 100.0, "b": 80.0, "c": 0.0}
    assert found.fairness.jain == pytest.approx(1.8**2 / (3 * 1.64))


def test_short_work_counts_as_ten_seconds_in_a_slowdown():
    """y waits 29 s for a second of work."""
    tasks = [
        Task(name="x", arrival_s=0.0, duration_s=29.0, shape=machine.shape(1000, 0), priority=1),
        Task(name="y", arrival_s=0.0, duration_s=1.0, shape=machine.shape(1000, 0)),
    ]
    found = replay("p", DEFAULT, [machine.node("n", 1000, GI)], tasks)
    assert found.slowdown is not None
    assert (found.slowdown.p50, found.slowdown.max) == (1.0, 30 / 10)


def test_nothing_to_replay_is_refused():
    with pytest.raises(InvalidArgument, match="there is nothing to simulate: 1 nodes and 0 tasks"):
        replay("p", DEFAULT, [machine.node("n", 2000, GI)], [])


def test_lost_work_and_a_cut():
    tasks = [
        Task(name="low", arrival_s=0.0, duration_s=10.0, shape=machine.shape(1000, 0)),
        Task(name="high", arrival_s=4.0, duration_s=10.0, shape=machine.shape(1000, 0), priority=1),
    ]
    one = [machine.node("n", 1000, GI)]
    found = replay("p", DEFAULT, one, tasks)
    assert found.evictions == {"preempted": 1}
    assert found.lost["cpu"] == pytest.approx(100 * 4 / 24)
    cut = replay("p", DEFAULT, one, tasks, until_s=6.0)
    assert (cut.running, cut.waiting, cut.ended, cut.lasted_s) == (1, 1, 0, 6.0)
    assert cut.wait_s is not None  # of who still runs
    assert (cut.wait_s.max, cut.slowdown) == (0.0, None)
    assert replay("p", DEFAULT, one, tasks, preempts=False).evictions == {}


def test_who_waits_is_judged_by_the_nodes_that_are_left():
    """x, a gang, needs a GPU, which only the node has that is drained and then fails; y would fit on b, which is full."""
    machines = [machine.node("a", 1000, GI, 1), machine.node("b", 1000, GI), machine.node("c", 100, GI)]
    tasks = [
        Task(name="z", arrival_s=0.0, duration_s=100.0, shape=machine.shape(1000, GI)),
        Task(name="x", arrival_s=2.0, duration_s=1.0, shape=machine.shape(100, 0, 1), together=True),
        Task(name="y", arrival_s=2.0, duration_s=1.0, shape=machine.shape(1000, 0)),
    ]
    changed = [Change(1.0, DRAIN, machines[0]), Change(3.0, FAIL, machines[0])]
    found = replay("p", DEFAULT, machines, tasks, changed, until_s=3.0)
    assert (found.running, found.waiting, found.refused) == (1, 1, 1)


def test_fragments_are_what_a_shape_cannot_use():
    """Two nodes with 1 core left each: to tasks of 2 cores, half of what comes, all of that is of no use."""
    tasks = [
        Task(name="x", arrival_s=0.0, duration_s=100.0, shape=machine.shape(3000, 0), count=2),
        Task(name="y", arrival_s=0.0, duration_s=100.0, shape=machine.shape(2000, 0), count=2),
    ]
    machines: list[Node] = [machine.node(name, 4000, GI) for name in "ab"]
    found = replay("p", DEFAULT, machines, tasks)
    assert found.series.fragmented["cpu"][10] == pytest.approx(100 * 2 / 8)


def test_what_comes_and_fits_nowhere_counts_in_fragments():
    """3 of 4 cores are free beside x; from 10 s on y waits, half of what came, who wants all 4."""
    tasks = [
        Task(name="x", arrival_s=0.0, duration_s=50.0, shape=machine.shape(1000, 0)),
        Task(name="y", arrival_s=10.0, duration_s=1.0, shape=machine.shape(4000, 0)),
    ]
    found = replay("p", DEFAULT, [machine.node("n", 4000, GI)], tasks, until_s=40.0)
    assert found.series.fragmented["cpu"] == pytest.approx([0.0] * 11 + [100 * 3 / 4 / 2] * 29)  # asked as spans begin


def test_capacity_is_what_there_is_at_each_time():
    """One core is used for 20 s; of two for 10 s, then of one."""
    tasks = [Task(name="x", arrival_s=0.0, duration_s=20.0, shape=machine.shape(1000, 0))]
    machines = [machine.node(name, 1000, GI) for name in "ab"]
    found = replay("p", DEFAULT, machines, tasks, [Change(10.0, FAIL, machines[1])])
    assert found.used["cpu"] == pytest.approx(100 * 20 / 30)


def test_fragments_are_no_more_than_what_is_free():
    """As a span begins 1.5 cores are of no use to half of what came; a tenth of it later they are taken."""
    tasks = [
        Task(name="x", arrival_s=0.0, duration_s=9.0, shape=machine.shape(1500, 0)),
        Task(name="y", arrival_s=0.0, duration_s=9.0, shape=machine.shape(2000, 0)),
        Task(name="z", arrival_s=1.1, duration_s=9.0, shape=machine.shape(1500, 0)),
    ]
    simulation = Simulation([machine.node("n", 3000, GI)], tasks)
    meter = Meter(simulation, 0.0, 1.0)
    simulation.run()
    meter.close()
    series = summary("", simulation, meter).series
    assert series.used["cpu"][1] == pytest.approx(95)
    assert series.fragmented["cpu"][1] == pytest.approx(5)
