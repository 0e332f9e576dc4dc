"""Meter: measures a simulation as it goes on."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Sequence

from sampan.schedule.shape import Shape
from sampan.sim.fairness import Fairness
from sampan.sim.fragmentation import Fragmentation
from sampan.sim.observer import Observer
from sampan.sim.simulation import Simulation
from sampan.sim.span import Spans
from sampan.sim.task import Instance, Task

MOST_SPANS = 512
SHORTEST_S = 10.0
"""Work that is shorter counts as this long in a slowdown: otherwise short work alone decides about the mean (bounded slowdown)."""

RUNNING, WAITING = 0, 1
"""Of a span's sums: how many pods."""
USED, CAPACITY, FRAGMENTED, STEP = 2, 3, 4, 3
"""And then amounts of the first resource; those of each other one stand a step further."""


class Times:
    """What became of the pods of one class: each one's waiting time and slowdown."""

    def __init__(self) -> None:
        self.waits_s = array("d")
        self.slowdowns = array("d")
        self.evictions = 0
        self.lost_s = 0.0


class Meter(Observer):
    """Made for a simulation that has not begun; it joins its observers. `by`: what owners are: `user`, `queue` or `class`."""

    def __init__(self, simulation: Simulation, begin_s: float, first_s: float, by: str = "user") -> None:
        columns = simulation.snapshot.resources
        offered = {name for node in simulation.snapshot.nodes for name, _ in node.allocatable}
        self.resources = [name for name in columns.numbers if name in offered and name != "pods"]
        self.times: dict[str, Times] = {}
        self.arrived_count = self.placed = 0
        self.reasons: Counter[str] = Counter()
        self.lost_s = dict.fromkeys(self.resources, 0.0)  # amount times seconds of work that was lost
        self._values = [0.0] * (USED + STEP * len(self.resources))
        self.spans = Spans(len(self._values), begin_s, first_s, MOST_SPANS)
        self._simulation = simulation
        self._by = by
        self._demands: dict[Shape, list[tuple[int, int]]] = {}
        self._epoch = -1
        self._read_capacity()
        self._fairness = Fairness(dict(zip(self.resources, self._capacity(), strict=True)))
        self._fragmentation = Fragmentation(simulation.scheduler)
        simulation.observers.append(self)

    def close(self, until_s: float = math.inf) -> None:
        """Count what still runs at `until_s`, or, where that is infinite, at the simulation's last moment."""
        now_s = self._simulation.now_s if until_s == math.inf else until_s
        self.passing(now_s)
        self._close_span(now_s)
        for instance in self._simulation.running.values():
            self._times(instance.task).waits_s.append(instance.waited_s)

    # --- what is told

    def passing(self, until_s: float) -> None:
        spans = self.spans
        while until_s >= spans.edge_s and until_s < math.inf:
            edge_s = spans.edge_s
            spans.add(edge_s, self._values)
            self._close_span(edge_s)
            spans.begin()
            self._sample()
        spans.add(until_s, self._values)

    def arrived(self, instances: Sequence[Instance]) -> None:
        task, count = instances[0].task, len(instances)
        self.arrived_count += count
        self._times(task)
        self._values[WAITING] += count
        self._fragmentation.came(task.shape, count)
        share = count * self._fairness.share(task.shape)
        self._fairness.change(self._owner(task), self._simulation.now_s, 0.0, share)

    def started(self, instances: Sequence[Instance]) -> None:
        values, count = self._values, len(instances)
        values[RUNNING] += count
        values[WAITING] -= count
        for number, amount in self._demand(instances[0].task.shape):
            values[number] += amount * count
        self.placed += sum(one.starts == 1 for one in instances)
        share, now_s = self._fairness.share(instances[0].task.shape), self._simulation.now_s
        for owner, of_owner in Counter(self._owner(one.task) for one in instances).items():
            self._fairness.change(owner, now_s, of_owner * share, -of_owner * share)

    def ended(self, instances: Sequence[Instance]) -> None:
        now_s = self._simulation.now_s
        for instance in instances:
            task, times = instance.task, self._times(instance.task)
            times.waits_s.append(instance.waited_s)
            work_s = max(task.duration_s, SHORTEST_S)
            times.slowdowns.append(max((now_s - task.arrival_s) / work_s, 1.0))
            self._leave(instance, waits=0)

    def evicted(self, instance: Instance, reason: str) -> None:
        now_s, times = self._simulation.now_s, self._times(instance.task)
        self.reasons[reason] += 1
        times.evictions += 1
        lost_s = instance.done_by(now_s)
        times.lost_s += lost_s
        for name, amount in instance.task.shape.requests:
            if name in self.lost_s:
                self.lost_s[name] += amount * lost_s
        self._leave(instance, waits=1)

    def settled(self, now_s: float) -> None:
        if self._epoch != self._simulation.snapshot.epoch:
            self._read_capacity()

    # --- how

    def _leave(self, instance: Instance, waits: int) -> None:
        """Count a pod that no longer runs; `waits`: 1 where it waits again."""
        task, values = instance.task, self._values
        values[RUNNING] -= 1
        values[WAITING] += waits
        for number, amount in self._demand(task.shape):
            values[number] -= amount
        share, now_s = self._fairness.share(task.shape), self._simulation.now_s
        self._fairness.change(self._owner(task), now_s, -share, waits * share)

    def _demand(self, shape: Shape) -> list[tuple[int, int]]:
        """Return (place among the values, amount) of what a pod uses."""
        found = self._demands.get(shape)
        if found is None:
            asked = dict(shape.requests)
            places = enumerate(self.resources)
            found = self._demands[shape] = [(USED + STEP * at, asked[name]) for at, name in places if asked.get(name)]
        return found

    def _owner(self, task: Task) -> str:
        return {"user": task.user, "queue": task.queue, "class": task.kind}[self._by]

    def _times(self, task: Task) -> Times:
        found = self.times.get(task.kind)
        if found is None:
            found = self.times[task.kind] = Times()
        return found

    def _capacity(self) -> list[int]:
        columns = self._simulation.snapshot.resources
        return [int(columns.allocatable[columns.numbers[name]].sum()) for name in self.resources]

    def _read_capacity(self) -> None:
        self._epoch = self._simulation.snapshot.epoch
        self._values[CAPACITY::STEP] = self._capacity()

    def _sample(self) -> None:
        self._values[FRAGMENTED::STEP] = self._fragmentation.of(self.resources)

    def _close_span(self, now_s: float) -> None:
        """Fragments are those of when the span began: what was taken since is none any more."""
        span = self.spans.all[-1]
        span.portions = self._fairness.portions(now_s)
        sums = span.sums
        free = (has - used for has, used in zip(sums[CAPACITY::STEP], sums[USED::STEP], strict=True))
        sums[FRAGMENTED::STEP] = [max(min(each), 0.0) for each in zip(sums[FRAGMENTED::STEP], free, strict=True)]
