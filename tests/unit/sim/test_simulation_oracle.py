"""The course of a simulation is, event by event, that of a slow and plain one; whatever happens, nothing is lost."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.schedule.node import Node
from sampan.schedule.profile import DEFAULT, Profile
from sampan.schedule.shape import Shape, amounts
from sampan.sim.observer import Observer
from sampan.sim.simulation import Simulation
from sampan.sim.task import Task
from scheduling_clusters import nodes as any_nodes
from scheduling_clusters import shapes as any_shapes
from simulation_oracle import Line, NaiveSimulation

GI = 1 << 30
LONG = settings(max_examples=300, deadline=None)
few = st.sampled_from
plain_nodes = st.lists(
    st.builds(
        lambda cpu, memory: {"cpu": cpu, "memory": memory * GI, "pods": 4}, few([1000, 2000, 3000]), st.integers(2, 4)
    ),
    min_size=1,
    max_size=4,
).map(lambda found: [Node(name=f"n{number}", allocatable=amounts(have)) for number, have in enumerate(found)])
plain_shapes = st.builds(
    lambda cpu, memory: Shape(requests=amounts({"cpu": cpu, "memory": memory * GI})),
    few([500, 1000, 2500]),
    few([1, 2]),
)
Change = tuple[float, str, object]


class Log(Observer):
    """Writes down what an oracle can be asked about."""

    def __init__(self, simulation: Simulation) -> None:
        self.lines: list[Line] = []
        self._simulation = simulation
        simulation.observers.append(self)

    def started(self, instances):
        self.lines += [(self._simulation.now_s, "started", one.key, one.node) for one in instances]

    def ended(self, instances):
        self.lines += [(self._simulation.now_s, "ended", one.key, one.node) for one in instances]

    def evicted(self, instance, reason):
        self.lines.append((self._simulation.now_s, "evicted", instance.key, reason))


def tasks_of(wishes: list[tuple], *, gangs: bool) -> list[Task]:
    found, now = [], 0.0
    for number, (gap, shape, duration, count, priority, together) in enumerate(wishes):
        now += gap
        found.append(
            Task(
                name=f"t{number:02}",
                arrival_s=now,
                duration_s=float(duration),
                shape=shape,
                count=count,
                priority=priority,
                together=together and gangs,
            )
        )
    return found


def wishes(shapes: st.SearchStrategy[Shape], most: int = 10) -> st.SearchStrategy[list[tuple]]:
    return st.lists(
        st.tuples(st.integers(0, 2), shapes, st.integers(0, 6), st.integers(1, 3), st.integers(0, 2), st.booleans()),
        min_size=1,
        max_size=most,
    )


changes = st.lists(st.tuples(st.integers(0, 9), few(["fail", "drain", "back", "grow"]), st.integers(0, 3)), max_size=4)


def plan(simulation: Simulation, machines: list[Node], wanted: list[tuple[int, str, int]]) -> list[Change]:
    """Let a simulation's nodes change; returns the same for the oracle."""
    told: list[Change] = []
    for time, verb, which in wanted:
        node = machines[which % len(machines)]
        if verb in ("fail", "drain"):
            told.append((float(time), verb, node.name))
        else:
            bigger = {name: amount * (1 + (verb == "grow")) for name, amount in node.allocatable}
            told.append((float(time), "set_node", msgspec.structs.replace(node, allocatable=amounts(bigger))))
    for time, verb, what in told:
        simulation.at(time, lambda verb=verb, what=what: change(simulation, verb, what))
    return told


def change(simulation: Simulation, verb: str, what: object) -> None:
    simulation.snapshot.settle()
    if verb == "set_node" or what in simulation.snapshot.rows:
        getattr(simulation, verb)(what)


def same_course(machines, tasks, wanted, profile: Profile = DEFAULT, *, preempts: bool) -> Simulation:
    simulation = Simulation(machines, tasks, profile, preempts=preempts)
    log = Log(simulation)
    naive = NaiveSimulation(machines, tasks, plan(simulation, machines, wanted), preempts=preempts)
    simulation.run()
    assert sorted(log.lines) == sorted(naive.run())  # of one moment in no order: pods that are alike are placed at once
    assert {one.key for one in simulation.waiting()} == {one.key for one in naive.waiting}
    return simulation


@given(plain_nodes, wishes(plain_shapes), changes)
@LONG
def test_priorities_preemption_gangs_and_nodes_that_change(machines, wanted, changed):
    grown = [each for each in changed if each[1] != "back"]  # a node that shrinks is over capacity, and may be
    same_course(machines, tasks_of(wanted, gangs=True), grown, preempts=True)


crowded = st.lists(
    st.tuples(
        few([0, 0, 1]), plain_shapes, st.integers(1, 9), st.integers(1, 4), st.integers(0, 3), few([True, True, False])
    ),
    min_size=6,
    max_size=14,
)


@given(plain_nodes, crowded, changes)
@LONG
def test_gangs_that_evict_each_other(machines, wanted, changed):
    same_course(machines, tasks_of(wanted, gangs=True), [each for each in changed if each[1] != "back"], preempts=True)


@given(plain_nodes, crowded)
@LONG
def test_pods_that_evict_each_other(machines, wanted):
    same_course(machines, tasks_of(wanted, gangs=False), [], preempts=True)


@given(any_nodes(most=4), wishes(any_shapes, 8))
@LONG
def test_every_rule_that_a_pod_can_have(machines, wanted):
    same_course(machines, tasks_of(wanted, gangs=False), [], preempts=False)
