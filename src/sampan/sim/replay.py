"""Replay: a trace by one policy, from its first arrival to the end, measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sampan.base.errors import InvalidArgument
from sampan.schedule.node import Node
from sampan.schedule.profile import Profile
from sampan.sim.meter import Meter
from sampan.sim.simulation import Simulation
from sampan.sim.summary import Summary, summary
from sampan.sim.task import Task
from sampan.sim.traces.changes import Change

_SPANS = 256


def replay(
    policy: str,
    profile: Profile,
    nodes: Sequence[Node],
    tasks: Sequence[Task],
    changes: Sequence[Change] = (),
    *,
    preempts: bool = True,
    by: str = "user",
    until_s: float = math.inf,
) -> Summary:
    """Return what comes of tasks on nodes. `policy`: what the profile is called; `by`: whose shares are compared: `user`, `queue`, `class`.

    Raises:
        InvalidArgument: there are no nodes or no tasks, or none by then.
    """
    if not nodes or not tasks:
        raise InvalidArgument(f"there is nothing to simulate: {len(nodes)} nodes and {len(tasks)} tasks")
    if until_s < tasks[0].arrival_s:
        raise InvalidArgument(
            f"the first task comes at {tasks[0].arrival_s:g} s, which is after {until_s:g} s: give a later end"
        )
    simulation = Simulation(nodes, tasks, profile, preempts=preempts)
    begin_s, last_s = tasks[0].arrival_s, min(tasks[-1].arrival_s, until_s)
    meter = Meter(simulation, begin_s, max((last_s - begin_s) / _SPANS, 1.0), by)
    for change in changes:
        change.plan(simulation)
    simulation.run(until_s)
    meter.close(until_s)
    return summary(policy, simulation, meter)
