"""Laws of co-location in a simulation: what is measured is what runs, whatever comes, goes, is evicted or paced."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.schedule.colocation.policy import Policy
from sampan.sim.colocation import Colocation
from sampan.sim.colocation_world import BEST_EFFORT, LATENCY_CRITICAL, Mode, World, asked
from sampan.sim.observer import Observer
from sampan.sim.task import FOREVER_S, Task
from sampan.sim.traces import machine
from sampan.sim.usage import Curves

GIB = 1 << 30
few = st.sampled_from
HASTY = Policy(warm_up_s=0, cpu_margin=0, memory_margin=0, patience_s=0, hold_s=0)
CROWDED = Policy(memory_tight=0.3, memory_relief=0.4, memory_short=0.5, starved=0.6, fed=0.9, patience_s=60)
machines = st.lists(st.tuples(few([500, 4000, 4000, 10_000]), few([10, 10, 100])), min_size=1, max_size=2).map(
    lambda sizes: [machine.node(f"n{number}", cpu, gibs * GIB) for number, (cpu, gibs) in enumerate(sizes)]
)


@st.composite
def tasks(draw: st.DrawFn, kind: str) -> list[Task]:
    now_s, found = 0.0, []
    for number in range(draw(st.integers(1, 4))):
        now_s += draw(few([0.0, 0.0, 45.0, 600.0]))
        found.append(
            Task(
                name=f"{kind}{number}",
                arrival_s=now_s,
                duration_s=draw(few([0.0, 30.0, 600.0, FOREVER_S, FOREVER_S])),
                shape=machine.shape(draw(few([0, 500, 2000, 3000])), draw(few([0, 1, 4])) * GIB),
                priority=draw(few([1, 2])) if kind == LATENCY_CRITICAL else draw(few([0, -1])),
                kind=kind,
                count=draw(st.integers(1, 5)),
                together=draw(st.booleans()),
            )
        )
    return found


@st.composite
def worlds(draw: st.DrawFn) -> World:
    points = st.lists(few([0.0, 0.1, 0.5, 1.0, 1.2]), min_size=4, max_size=4)
    cpu, memory = (np.array(draw(st.lists(points, min_size=2, max_size=2))) for _ in range(2))
    services = draw(tasks(LATENCY_CRITICAL))
    return World(
        nodes=draw(machines),
        services=services,
        batch=draw(tasks(BEST_EFFORT)),
        curves=Curves(cpu, memory, draw(few([450.0, 100.0]))),
        curve_of={task.name: draw(st.integers(0, 1)) for task in services},
    )


class Auditor(Observer):
    """Adds up again, at each moment, what best-effort pods that run want of each node."""

    def __init__(self, run: Colocation, world: World) -> None:
        self._run = run
        self._nodes = sorted(node.name for node in world.nodes)
        run.simulation.observers.append(self)

    def settled(self, now_s):
        wanted: Counter[str] = Counter()
        for one in self._run.simulation.running.values():
            assert 0 <= one.pace <= 1
            if one.task.kind == BEST_EFFORT:
                wanted[one.node] += asked(one.task.shape)[0]
            else:
                assert one.pace == 1
        assert self._run.meter.wanted.tolist() == [wanted[name] for name in self._nodes]


@given(
    worlds(),
    few([*Mode, Mode.COLOCATED, Mode.COLOCATED]),
    few([Policy(), HASTY, HASTY, CROWDED]),
    few([0.0, 0.3]),
    few([0.0, 0.5, 1.0]),
    st.booleans(),
    few([60.0, 1500.0, 3000.0]),
)
@settings(max_examples=150, deadline=None)
def test_what_is_measured_is_what_runs(world, mode, policy, noise, over, plans, until_s):
    first, again = (
        Colocation(world, mode, policy, seed=1, noise=noise, over=over, plans=plans, period_s=45.0) for _ in range(2)
    )
    Auditor(first, world)
    found = first.run(until_s)
    assert found == again.run(until_s)
    assert all(0 <= figure < math.inf for figure in found)
    for percent in (found.cpu_percent, found.lack_time_percent, found.lack_percent, found.lack_worst_percent):
        assert percent <= 100.000001
    came = sum(task.count for task in world.batch if task.arrival_s <= until_s and mode is not Mode.NONE)
    running = sum(one.task.kind == BEST_EFFORT for one in first.simulation.running.values())
    assert found.ended + found.waiting + running == came
    work = sum(task.count * min(task.duration_s, until_s) * asked(task.shape)[0] for task in world.batch)
    assert found.done_core_hours * 3.6e6 <= work * 1.000001
