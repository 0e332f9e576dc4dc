"""Co-location in a simulation: services use what their curves say, and each node's plan for best-effort pods is carried out.

Time goes on in periods. At the beginning of each services change what they use, and where work is co-located plans are made,
which know what was used in the period before and not what is used from now on. So a rise meets plans that do not know of it yet, for
one period. What a best-effort pod gets of its CPU is kept up at the beginning of periods, too.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from sampan.schedule.colocation.action import Action, Verb
from sampan.schedule.colocation.columns import Columns
from sampan.schedule.colocation.estimate import Estimator
from sampan.schedule.colocation.plan import Kept, Seen, plan
from sampan.schedule.colocation.policy import Policy
from sampan.schedule.colocation.reclaim import COLOCATED, offering, reclaimed, settled
from sampan.schedule.colocation.victims import BatchPod
from sampan.sim.colocation_meter import Figures, Meter
from sampan.sim.colocation_services import Services
from sampan.sim.colocation_world import BEST_EFFORT, Mode, World, asked
from sampan.sim.observer import Observer
from sampan.sim.simulation import Simulation
from sampan.sim.task import Instance
from sampan.sim.usage import Usage

Told = Callable[[float, Action], None]
"""What is told of each action: when, and which."""


class Colocation(Observer):
    """One world in one mode. `told` hears each action of the plans.

    `over`: a best-effort pod uses from 1 - over to 1 + over of the memory that it asks for, drawn by the seed. `plans` False: pods
    are placed by what is reclaimed, and nothing is done on the nodes.
    """

    def __init__(
        self,
        world: World,
        mode: Mode,
        policy: Policy | None = None,
        *,
        period_s: float = 60.0,
        seed: int = 0,
        noise: float = 0.0,
        over: float = 0.0,
        plans: bool = True,
        told: Told | None = None,
    ) -> None:
        self._mode = mode
        self._policy = policy or Policy()
        self._period_s = period_s
        self._seed, self._over, self._plans = seed, over, plans
        self._told = told
        self._nodes = sorted(world.nodes, key=lambda node: node.name)
        self._rows = {node.name: row for row, node in enumerate(self._nodes)}
        has = [dict(node.allocatable) for node in self._nodes]
        self._has = Columns(*(np.array([each.get(name, 0) for each in has], np.int64) for name in ("cpu", "memory")))
        self._cpus = [tuple(range(int(cores) - 1, -1, -1)) for cores in np.maximum(self._has.cpu // 1000, 1)]
        self._published = Columns(*(np.zeros_like(column) for column in self._has))
        self._kept: list[Kept | None] = [None] * len(self._nodes)
        self._closed = np.zeros(len(self._nodes), np.bool_)
        self._services = Services(world)
        self._usage = Usage(world.curves, self._services.most, period_s, seed, noise)
        self._estimator = Estimator(self._policy, len(self._nodes))
        self._used = self._published  # by services, by node
        self._batch: list[dict[str, BatchPod]] = [{} for _ in self._nodes]
        self.meter = Meter(self._has.cpu)
        self.simulation = Simulation(self._nodes, world.tasks(mode), COLOCATED, [self])
        self.simulation.at(0.0, self._period)

    def run(self, until_s: float) -> Figures:
        """Return what it came to by then."""
        self.simulation.run(until_s)
        self.meter.pass_to(until_s)
        waiting = sum(one.task.kind != BEST_EFFORT for one in self.simulation.waiting())
        return self.meter.figures(until_s, waiting)

    # --- what the simulation tells

    def passing(self, until_s: float) -> None:
        self.meter.pass_to(until_s)

    def arrived(self, instances: Sequence[Instance]) -> None:
        if instances[0].task.kind != BEST_EFFORT:
            self.meter.services += len(instances)
        else:
            self.meter.seen.extend(instances)

    def started(self, instances: Sequence[Instance]) -> None:
        for one in instances:
            row, (cpu, memory) = self._rows[one.node], asked(one.task.shape)
            if one.task.kind != BEST_EFFORT:
                self._services.start(one, row, cpu, memory)
            else:
                self.meter.wanted[row] += cpu
                self._batch[row][one.key] = BatchPod(
                    key=one.key,
                    cpu_milli=cpu,
                    memory_bytes=memory,
                    memory_used_bytes=self._memory_used(one.key, memory),
                    memory_limit_bytes=math.ceil(memory * (1 + self._over)),
                    priority=one.task.priority,
                    started_s=one.since_s,
                )

    def ended(self, instances: Sequence[Instance]) -> None:
        for one in instances:
            self._gone(one)

    def evicted(self, instance: Instance, reason: str) -> None:
        if instance.task.kind == BEST_EFFORT:
            self.meter.evictions[reason] += 1
        self._gone(instance)

    def settled(self, now_s: float) -> None:
        if self._services.changed:
            self._measure(now_s)

    def _gone(self, instance: Instance) -> None:
        row = self._rows[instance.node]
        if instance.task.kind != BEST_EFFORT:
            self._services.stop(instance.key)
            self._estimator.forget(instance.key)
        else:
            self.meter.wanted[row] -= self._batch[row].pop(instance.key).cpu_milli

    def _memory_used(self, key: str, asked_bytes: int) -> int:
        drawn = zlib.crc32(f"{self._seed}/{key}".encode()) / (1 << 32)
        return int(asked_bytes * (1 + self._over * (2 * drawn - 1)))

    # --- what happens at the beginning of a period

    def _period(self) -> None:
        now_s = self.simulation.now_s
        if self._services.changed:  # a pod ended in this very moment
            self._measure(max(now_s - self._period_s, 0.0))
        if self._mode is Mode.COLOCATED and now_s > 0:  # before that nothing was seen
            for row in range(len(self._nodes) if self._plans else 0):
                self._govern(row, now_s)
            self._publish(now_s)
        self._measure(now_s)
        self.simulation.at(now_s + self._period_s, self._period)

    def _measure(self, now_s: float) -> None:
        """Let services use what they do from now on."""
        services = self._services
        services.settle()
        services.use = self._usage.use(services.numbers, services.curves, services.asked, now_s)
        self._used = Columns(*(services.by_node(column, len(self._nodes)) for column in services.use))
        self.meter.services_use[:] = self._used.cpu

    def _publish(self, now_s: float) -> None:
        """Let nodes offer what is reclaimed there."""
        services = self._services
        pods = self._estimator.rows(services.keys, now_s)
        estimate = self._estimator.estimate(pods, services.rows, services.use, services.asked, now_s)
        over = np.array([sum(pod.over_bytes for pod in pods.values()) for pods in self._batch], np.int64)
        found = reclaimed(self._has, Columns(estimate.cpu, estimate.memory + over), self._policy)
        for column in found:
            column[self._closed] = 0
        known, self._published = self._published, settled(self._published, found, self._has, self._policy)
        cpu, memory = self._published
        for row in np.flatnonzero((cpu != known.cpu) | (memory != known.memory)).tolist():
            self.simulation.set_node(offering(self._nodes[row], int(cpu[row]), int(memory[row])))

    def _govern(self, row: int, now_s: float) -> None:
        """Make a node's plan and carry it out."""
        seen = Seen(
            node=self._nodes[row].name,
            cpu_milli=int(self._has.cpu[row]),
            memory_bytes=int(self._has.memory[row]),
            cpus=self._cpus[row],
            cpu_used_milli=int(self._used.cpu[row]),
            memory_used_bytes=int(self._used.memory[row]),
            pods=tuple(self._batch[row].values()),
        )
        found = plan(seen, self._kept[row], self._policy, now_s)
        self._kept[row], self._closed[row] = found.kept, found.closed
        self.meter.ceilings[row] = 0 if found.group.frozen else found.group.cpu_milli
        for action in found.actions:
            if self._told is not None:
                self._told(now_s, action)
            if action.verb is Verb.EVICT and action.subject in self._batch[row]:  # it may have gone with its gang
                self.simulation.evict(action.subject, action.rule.value)
        pace = self.meter.pace(row)
        for key in self._batch[row]:
            if self.simulation.running[key].pace != pace:
                self.simulation.set_pace(key, pace)
