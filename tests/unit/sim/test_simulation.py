"""The simulation by hand: time, evictions, pace, gangs, nodes that come and go; and what co-location may do to it."""

from __future__ import annotations

import math

import pytest

from sampan.kube.selector import Requirement
from sampan.schedule.node import Node
from sampan.schedule.profile import PACKING
from sampan.schedule.shape import PodTerm, Shape, Spread, amounts
from sampan.sim.events import Events
from sampan.sim.observer import Observer
from sampan.sim.simulation import Simulation
from sampan.sim.task import FOREVER_S, Task

ONE = Shape(requests=amounts({"cpu": 1000}))


def node(name: str, cpu: int = 2000) -> Node:
    return Node(name=name, allocatable=amounts({"cpu": cpu, "memory": 1 << 40, "pods": 100}))


def zoned(name: str, zone: str, cpu: int) -> Node:
    return Node(name=name, allocatable=node(name, cpu).allocatable, labels=(("zone", zone),))


def task(name: str, arrival_s: float = 0.0, duration_s: float = 10.0, **more: object) -> Task:
    return Task(name=name, arrival_s=arrival_s, duration_s=duration_s, shape=more.pop("shape", ONE), **more)  # type: ignore[arg-type]


class Course(Observer):
    def __init__(self, simulation: Simulation) -> None:
        self.seen: list[tuple[float, str, str]] = []
        self.moments: list[float] = []
        self._simulation = simulation
        simulation.observers.append(self)

    def _say(self, what: str, instances) -> None:
        self.seen += [(self._simulation.now_s, what, one.key) for one in instances]

    def arrived(self, instances):
        self._say("arrived", instances)

    def started(self, instances):
        self._say("started", instances)

    def ended(self, instances):
        self._say("ended", instances)

    def evicted(self, instance, reason):
        self._say(reason, [instance])

    def settled(self, now_s):
        self.moments.append(now_s)

    def of(self, key: str) -> list[tuple[float, str]]:
        return [(now, what) for now, what, who in self.seen if who == key]


def simulated(nodes, tasks, **more) -> tuple[Simulation, Course]:
    simulation = Simulation(nodes, tasks, PACKING, **more)
    return simulation, Course(simulation)


def test_a_task_waits_until_there_is_room():
    simulation, course = simulated([node("a", 1000)], [task("x"), task("y", 3.0)])
    simulation.run()
    assert course.of("y/0") == [(3.0, "arrived"), (10.0, "started"), (20.0, "ended")]
    assert course.moments == [0.0, 3.0, 10.0, 20.0]
    assert simulation.next_s == math.inf


def test_time_stops_where_it_is_told_to_and_goes_on():
    simulation, course = simulated([node("a")], [task("x"), task("y", 5.0)])
    simulation.run(until_s=5.0)
    assert sorted(simulation.running) == ["x/0", "y/0"]
    simulation.run()
    assert course.moments == [0.0, 5.0, 10.0, 15.0]


def test_a_higher_priority_evicts_and_the_work_is_done_again():
    simulation, course = simulated([node("a", 1000)], [task("low"), task("high", 4.0, priority=1)])
    kept = {}
    simulation.run(until_s=4.0)
    kept = {one.key: one for one in simulation.waiting()}
    simulation.run()
    assert course.of("low/0")[2:] == [(4.0, "preempted"), (14.0, "started"), (24.0, "ended")]
    assert (kept["low/0"].lost_s, kept["low/0"].waited_s, kept["low/0"].starts) == (4.0, 10.0, 2)


def test_nobody_is_evicted_where_that_is_not_wanted():
    simulation, course = simulated([node("a", 1000)], [task("low"), task("high", 4.0, priority=1)], preempts=False)
    simulation.run()
    assert course.of("high/0")[1] == (10.0, "started")


def test_of_those_that_wait_the_higher_priority_goes_first_then_the_earlier():
    tasks = [task("x"), task("y", 1.0), task("z", 2.0), task("first", 3.0, priority=5)]
    simulation, course = simulated([node("a", 1000)], tasks, preempts=False)
    simulation.run()
    assert [key for _, what, key in course.seen if what == "started"] == ["x/0", "first/0", "y/0", "z/0"]


def test_a_small_task_passes_a_big_one_that_does_not_fit():
    big = Shape(requests=amounts({"cpu": 2000}))
    simulation, course = simulated([node("a")], [task("x"), task("big", 1.0, shape=big), task("small", 2.0)])
    simulation.run()
    assert course.of("small/0")[1] == (2.0, "started")
    assert course.of("big/0")[1] == (12.0, "started")


def test_a_gang_starts_as_a_whole_and_is_evicted_as_a_whole():
    gang = task("gang", count=3, together=True)
    simulation, course = simulated(
        [node("a"), node("b")], [task("x", duration_s=2.0, count=2), gang, task("y", 5.0, priority=1, count=2)]
    )
    simulation.run()
    assert [line for line in course.seen if line[2].startswith("gang") and line[1] != "arrived"][:3] == [
        (2.0, "started", "gang/0"), (2.0, "started", "gang/1"), (2.0, "started", "gang/2")
    ]  # fmt: skip
    told = [what for now, what, key in course.seen if now == 5.0 and key.startswith("gang")]
    assert sorted(told) == ["its gang is broken", "its gang is broken", "preempted"]
    assert course.of("gang/0")[-2:] == [(15.0, "started"), (25.0, "ended")]


def test_a_gang_goes_at_one_pace_ends_together_and_is_evicted_as_a_whole():
    simulation, course = simulated([node("a"), node("b")], [task("gang", count=3, together=True), task("y", 13.0)])
    simulation.at(2.0, lambda: simulation.set_pace("gang/1", 0.5))
    simulation.at(12.0, lambda: simulation.evict("gang/0", "moved"))
    simulation.run()
    for key, why in (("gang/0", "moved"), ("gang/1", "its gang is broken"), ("gang/2", "its gang is broken")):
        assert course.of(key)[2:] == [(12.0, why), (12.0, "started"), (22.0, "ended")]


def test_what_an_eviction_leaves_free_goes_by_turn_too():
    """X could not evict, as it is no higher; where another evicts, X comes before Y, who is lower and has just come."""
    two, four = (Shape(requests=amounts({"cpu": cpu})) for cpu in (2000, 4000))
    tasks = [
        task("victim", shape=four, priority=1, duration_s=50.0),
        task("x", 1.0, shape=two, priority=1),
        task("high", 2.0, shape=two, priority=2),
        task("y", 2.0, shape=two),
    ]
    simulation, course = simulated([node("a", 4000)], tasks)
    simulation.run(until_s=2.0)
    assert course.of("victim/0")[-1] == (2.0, "preempted")
    assert course.of("x/0")[-1] == (2.0, "started")
    assert course.of("y/0") == [(2.0, "arrived")]


def test_those_evicted_wait_behind_those_that_waited():
    tasks = [
        task("a", count=2, duration_s=9.0),
        task("b", 1.0, duration_s=9.0),
        task("high", 2.0, priority=1, duration_s=1.0),
    ]
    simulation, course = simulated([node("n", 2000)], tasks)
    simulation.run()
    evicted = next(key for now, what, key in course.seen if what == "preempted")
    assert course.of("b/0")[1] == (3.0, "started")
    assert course.of(evicted)[3] == (9.0, "started")


def test_one_that_is_evicted_goes_elsewhere_in_the_same_moment():
    """Beside one that is alike and has just come, on a node where nothing happened."""
    two, four = (Shape(requests=amounts({"cpu": cpu})) for cpu in (2000, 4000))
    tasks = [task("low", shape=two), task("high", 2.0, shape=four, priority=1), task("twin", 2.0, shape=two)]
    simulation, course = simulated([node("a", 4000)], tasks)
    for name in ("b", "c"):
        simulation.at(1.0, lambda name=name: simulation.set_node(node(name, 2000)))
    simulation.run(until_s=2.0)
    assert course.of("low/0")[2:] == [(2.0, "preempted"), (2.0, "started")]
    assert course.of("twin/0")[-1] == (2.0, "started")


def test_a_pod_that_comes_may_be_what_another_waits_for():
    beside = PodTerm(topology="zone", selector=(Requirement("app", "In", ("x",)),), namespaces=("default",))
    wants = Shape(requests=amounts({"cpu": 1000}), affinity=(beside,))
    wanted = Shape(requests=amounts({"cpu": 1000}), labels=(("app", "x"),))
    simulation, course = simulated([zoned("a", "p", 2000)], [task("w", shape=wants), task("x", 5.0, shape=wanted)])
    simulation.run()
    assert course.of("w/0")[1] == (5.0, "started")


def test_a_pod_may_fit_on_a_node_where_nothing_happened():
    """Spread over zones: the second may go to zone q only when zone p has one, which is on a node too small for it."""
    even = Spread(topology="zone", max_skew=1, selector=(Requirement("app", "In", ("x",)),))
    big = Shape(requests=amounts({"cpu": 2000}), labels=(("app", "x"),), spread=(even,))
    small = Shape(requests=amounts({"cpu": 1000}), labels=(("app", "x"),), node_selector=(("zone", "p"),))
    nodes = [zoned("a", "p", 1000), zoned("b", "q", 8000)]
    simulation, course = simulated(
        nodes, [task("big", shape=big, count=2, duration_s=50.0), task("s", 5.0, shape=small)]
    )
    simulation.run()
    assert course.of("big/1")[1] == (5.0, "started")


def test_a_node_fails_and_comes_back():
    simulation, course = simulated([node("a", 1000)], [task("x")])
    simulation.at(3.0, lambda: simulation.fail("a"))
    simulation.at(7.0, lambda: simulation.set_node(node("a", 1000)))
    simulation.run()
    assert course.of("x/0")[2:] == [(3.0, "its node failed"), (7.0, "started"), (17.0, "ended")]


def test_a_drained_node_takes_no_more():
    simulation, course = simulated([node("a", 1000), node("b", 1000)], [task("x"), task("y", 5.0)])
    simulation.at(3.0, lambda: simulation.drain("a"))
    simulation.run()
    assert course.of("x/0")[2:] == [(3.0, "its node is drained"), (3.0, "started"), (13.0, "ended")]
    assert course.of("y/0")[1:] == [(13.0, "started"), (23.0, "ended")]


def test_a_node_that_grows_has_room():
    simulation, course = simulated([node("a", 1000)], [task("x", count=2)])
    simulation.at(4.0, lambda: simulation.set_node(node("a", 2000)))
    simulation.run()
    assert course.of("x/1")[1:] == [(4.0, "started"), (14.0, "ended")]


def test_slowed_work_takes_longer_and_stopped_work_stands_still():
    simulation, course = simulated([node("a")], [task("x")])
    simulation.at(2.0, lambda: simulation.set_pace("x/0", 0.5))
    simulation.at(4.0, lambda: simulation.set_pace("x/0", 0.0))
    simulation.at(10.0, lambda: simulation.set_pace("x/0", 1.0))
    simulation.run()
    assert course.of("x/0")[2:] == [(17.0, "ended")]  # 2 s, then 1 s of work in 2 s, then none, then 7 s


def test_an_event_evicts_and_its_reason_is_told():
    simulation, course = simulated([node("a")], [task("x")])
    simulation.at(2.0, lambda: simulation.set_pace("x/0", 0.5))
    simulation.at(4.0, lambda: simulation.evict("x/0", "memory runs short"))
    simulation.run(until_s=4.0)
    assert course.of("x/0")[2:] == [(4.0, "memory runs short"), (4.0, "started")]
    assert simulation.running["x/0"].lost_s == 3.0
    simulation.run()
    assert course.of("x/0")[-1] == (14.0, "ended")
    with pytest.raises(KeyError):
        simulation.evict("x/0", "again")


def test_events_may_tell_of_more_events():
    simulation, _ = simulated([node("a")], [task("x", duration_s=FOREVER_S)])
    ticks = []

    def tick() -> None:
        ticks.append(simulation.now_s)
        if len(ticks) < 3:
            simulation.at(simulation.now_s + 2, tick)

    simulation.at(1.0, tick)
    simulation.run()
    assert ticks == [1.0, 3.0, 5.0]
    assert sorted(simulation.running) == ["x/0"]


def test_what_is_alike_is_started_at_once_and_many_wait_cheaply():
    simulation, course = simulated([node("a", 100_000)], [task("x", count=1000), task("y", 1.0, count=1000)])
    simulation.run()
    assert sum(what == "ended" for _, what, _ in course.seen) == 2000
    assert course.of("y/999") == [(1.0, "arrived"), (190.0, "started"), (200.0, "ended")]


def test_the_past_is_over():
    events = Events()
    events.at(2.0, lambda: None)
    events.pass_moment()
    with pytest.raises(ValueError, match=r"it is 2\.0 already"):
        events.at(1.0, lambda: None)
    with pytest.raises(ValueError, match="already"):
        events.at(math.nan, lambda: None)
