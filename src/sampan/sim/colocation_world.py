"""Worlds for co-location: nodes, services that use what curves say, and best-effort work, from traces."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import msgspec
import numpy as np

from sampan.base.errors import InvalidArgument
from sampan.schedule.colocation.reclaim import BATCH_CPU, BATCH_MEMORY, best_effort
from sampan.schedule.node import Node
from sampan.schedule.shape import Shape, amounts
from sampan.sim.packing import Floats, Packing
from sampan.sim.task import FOREVER_S, Task
from sampan.sim.traces import machine
from sampan.sim.traces.trace import some
from sampan.sim.usage import Curves

LATENCY_CRITICAL, BEST_EFFORT = "LS", "BE"
"""Kinds of tasks; whatever is not the other is latency-critical."""
_GIB = 1 << 30
_STEP = _GIB // 4


class Mode(Enum):
    """How best-effort work is placed."""

    NONE = "no BE at all"
    REQUESTS = "BE by requests"
    COLOCATED = "co-located"


@dataclass(frozen=True)
class World:
    """`services` and `batch` in order of arrival. `curve_of`: of each service the number of its curve."""

    nodes: Sequence[Node]
    services: Sequence[Task]
    batch: Sequence[Task]
    curves: Curves
    curve_of: dict[str, int]

    def tasks(self, mode: Mode) -> Iterator[Task]:
        """Return what arrives, in order; best-effort work asks as the mode has it."""
        batch: Iterable[Task] = self.batch
        if mode is Mode.NONE:
            batch = ()
        elif mode is Mode.COLOCATED:
            batch = (_reclaiming(task) for task in batch)
        return heapq.merge(self.services, batch, key=lambda task: task.arrival_s)


def asked(shape: Shape) -> tuple[int, int]:
    """Return millicores and bytes that a shape asks for, of what is there or of what is reclaimed."""
    requests = dict(shape.requests)
    cpu = requests.get("cpu", 0) + requests.get(BATCH_CPU, 0)
    return cpu, requests.get("memory", 0) + requests.get(BATCH_MEMORY, 0)


def fleet(problem: Packing, batch: Sequence[Task], nodes: int, seed: int, slack: float) -> World:
    """Return a part of a contest's fleet with as large a part of its instances, drawn by seed, and batch work beside them.

    Instances stay for ever. Each asks for the peaks of its curves and `slack`, a part of them, more: the trace does not tell.

    Raises:
        InvalidArgument: there are not so many machines.
    """
    there = len(problem.machine_cpu)
    if not 0 < nodes <= there:
        raise InvalidArgument(f"there are {there} machines, not {nodes}: ask for 1 to {there} by --nodes")
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(there, nodes, replace=False))
    instances = np.sort(rng.choice(len(problem.app), round(nodes / there * len(problem.app)), replace=False))
    apps, counts = np.unique(problem.app[instances], return_counts=True)
    cpu, memory = (_peaks(values) * (1 + slack) for values in (problem.cpu, problem.memory))
    return World(
        nodes=[
            machine.node(f"machine-{number}", round(1000 * cores), round(_GIB * size))
            for number, cores, size in zip(
                chosen.tolist(),
                problem.machine_cpu[chosen].tolist(),
                problem.machine_memory[chosen].tolist(),
                strict=True,
            )
        ],
        services=[
            Task(
                name=f"app-{app}",
                arrival_s=0.0,
                duration_s=FOREVER_S,
                shape=machine.shape(math.ceil(1000 * cpu[app]), math.ceil(_GIB * memory[app])),
                priority=1,
                kind=LATENCY_CRITICAL,
                count=count,
            )
            for app, count in zip(apps.tolist(), counts.tolist(), strict=True)
        ],
        batch=batch,
        curves=curves(problem, slack),
        curve_of={f"app-{app}": app for app in apps.tolist()},
    )


def cluster(nodes: Sequence[Node], tasks: Sequence[Task], use: Curves, count: int, seed: int) -> World:
    """Return a part of a cluster with all of a trace's pods by their classes, each service with a curve drawn by seed.

    Raises:
        InvalidArgument: there are not so many nodes.
    """
    rng = np.random.default_rng(seed)
    services = [task for task in tasks if task.kind != BEST_EFFORT]
    return World(
        nodes=some(nodes, count, seed),
        services=services,
        batch=[task for task in tasks if task.kind == BEST_EFFORT],
        curves=use,
        curve_of={task.name: int(rng.integers(len(use.cpu))) for task in services},
    )


def curves(problem: Packing, slack: float) -> Curves:
    """Return the curves of a contest's apps as parts of what they ask for: their peaks and `slack` more."""
    cpu, memory = (values / (_peaks(values)[:, None] * (1 + slack)) for values in (problem.cpu, problem.memory))
    return Curves(cpu, memory)


def worked_off(task: Task, shift_s: float) -> Task:
    """Return best-effort work whose many short pods are worked off by fewer: each does one after another, for about `shift_s`.

    Memory is rounded up to quarters of a GiB.
    """
    work_s = task.count * task.duration_s
    workers = max(math.ceil(work_s / max(shift_s, task.duration_s, 1e-9)), 1)
    requests = {
        name: -(-amount // _STEP) * _STEP if name == "memory" else amount for name, amount in task.shape.requests
    }
    shape = msgspec.structs.replace(task.shape, requests=amounts(requests))
    return msgspec.structs.replace(task, count=workers, duration_s=work_s / workers, shape=shape, kind=BEST_EFFORT)


def hurried(tasks: Sequence[Task], days: float, speed: float) -> list[Task]:
    """Return what arrives in the last days of a trace, or runs at their beginning, `speed` times as fast, from 0 on.

    How long tasks run stays, so that so many more run at once.
    """
    begin_s = max(task.arrival_s for task in tasks) - 86_400 * days if tasks else 0.0
    found = []
    for task in tasks:
        late_s = max(begin_s - task.arrival_s, 0.0)
        if late_s < task.duration_s:
            arrival_s = max(task.arrival_s - begin_s, 0.0) / speed
            found.append(msgspec.structs.replace(task, arrival_s=arrival_s, duration_s=task.duration_s - late_s))
    return found


def _reclaiming(task: Task) -> Task:
    shape = msgspec.structs.replace(task.shape, requests=best_effort(task.shape.requests))
    return msgspec.structs.replace(task, shape=shape)


def _peaks(values: Floats) -> Floats:
    found: Floats = np.maximum(values.max(axis=1), 1e-9)
    return found
