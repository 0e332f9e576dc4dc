"""Simulation: a cluster in memory under a virtual clock, with the core that schedules in production.

A moment is a time at which something happens: pods arrive or end, nodes come, go or change, or whatever an event does that
was told by `at`. When all of a moment has happened the scheduler has a turn: each waiting pod is asked, by priority, then by
when it came, and goes to its best node; one that fits nowhere may evict lower ones, which wait again, behind all others of
their priority. Then all that wait are asked again, until nothing changes any more. So after each moment a pod
waits only if it fits nowhere and can evict nobody. An evicted pod does all of its work again.

The same nodes, tasks and events give the same course, whatever the order in which nodes are listed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import msgspec

from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Gang, Pod
from sampan.schedule.profile import DEFAULT, Profile
from sampan.schedule.snapshot import Snapshot
from sampan.sim.events import Event, Events
from sampan.sim.observer import Observer
from sampan.sim.rounds import Rounds
from sampan.sim.task import Instance, Task
from sampan.sim.waiting import Waiting

PREEMPTED, FAILED, DRAINED, GANG_BROKEN = "preempted", "its node failed", "its node is drained", "its gang is broken"


class Simulation:
    """`tasks` come in order of arrival, and are read as time goes on. `preempts`: pods may evict those of lower priority.

    For models of use and co-location: `at` lets something happen, again and again when the event tells of the next one;
    `set_pace` slows pods or stops them, `evict` ends them, `set_node` changes what a node offers; `observers` are told of
    what happens; `running` has what runs, by key, and `scheduler.snapshot` where. Nothing of that is for observers: call it
    from events.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        tasks: Iterable[Task],
        profile: Profile = DEFAULT,
        observers: Sequence[Observer] = (),
        *,
        preempts: bool = True,
    ) -> None:
        self.scheduler = Scheduler(Snapshot(nodes), profile)
        self.snapshot = self.scheduler.snapshot
        self.snapshot.settle()
        self.observers = list(observers)
        self.running: dict[str, Instance] = {}
        self._events = Events()
        self._waiting = Waiting(self.scheduler, preempts=preempts)
        self._rounds = Rounds(self._waiting, self.scheduler, self._place, preempts=preempts)
        self._tasks = iter(tasks)
        self._follow()

    # --- time

    @property
    def now_s(self) -> float:
        """The time of the last moment."""
        return self._events.now_s

    @property
    def next_s(self) -> float:
        """The time of the next moment, infinite when nothing more will happen."""
        return self._events.next_s

    def at(self, time_s: float, event: Event) -> None:
        """Let something happen, now or later. Raises ValueError where the time is over."""
        self._events.at(time_s, event)

    def run(self, until_s: float = math.inf) -> None:
        """Let time pass until nothing more happens, or, events of that time included, until `until_s`."""
        while self.next_s <= until_s and self.next_s < math.inf:
            self.step()

    def step(self) -> None:
        """Let the next moment happen."""
        for observer in self.observers:
            observer.passing(self.next_s)
        self._events.pass_moment()
        self.snapshot.settle()
        self._rounds.run()
        for observer in self.observers:
            observer.settled(self.now_s)

    def waiting(self) -> Iterator[Instance]:
        """Return the pods that wait, in no order that means something."""
        return self._waiting.instances()

    # --- what events may do

    def has_node(self, name: str) -> bool:
        """Return whether there is such a node, drained ones included."""
        self.snapshot.settle()
        return name in self.snapshot.rows

    def set_node(self, node: Node) -> None:
        """Let a node come, or change what it offers. What runs on it stays."""
        self.snapshot.set_node(node)

    def drain(self, name: str) -> None:
        """Let no more pods go to a node, and evict those on it. Raises KeyError where there is none."""
        self.snapshot.settle()
        node = self.snapshot.nodes[self.snapshot.rows[name]]
        self._clear(name, DRAINED)
        self.snapshot.set_node(msgspec.structs.replace(node, unschedulable=True))

    def fail(self, name: str) -> None:
        """Let a node go, with all that runs on it. `set_node` brings it back. Raises KeyError where there is none."""
        self.snapshot.settle()
        self._clear(name, FAILED)
        self.snapshot.remove_node(name)

    def evict(self, key: str, reason: str) -> None:
        """End a running pod against its will; it waits again, with the rest of its gang. Raises KeyError where none runs."""
        self._back(self.running[key], reason)

    def set_pace(self, key: str, pace: float) -> None:
        """Let a running pod do `pace` seconds of its work a second (0: none), and the rest of its gang.

        Raises KeyError where none runs.
        """
        those = self._together(self.running[key])
        for one in those:
            one.done_s, one.paced_s = one.done_by(self.now_s), self.now_s
            one.pace = pace
        self._plan_ends(those)

    # --- arrivals and ends

    def _follow(self) -> None:
        """Plan the next arrival."""
        task = next(self._tasks, None)
        if task is not None:
            self._events.at(task.arrival_s, partial(self._arrive, task))

    def _arrive(self, task: Task) -> None:
        now_s = self.now_s
        instances = [Instance(task, task.key(number), now_s) for number in range(task.count)]
        for observer in self.observers:
            observer.arrived(instances)
        for instance in instances:
            self._waiting.add(instance)
        self._follow()

    def _plan_ends(self, instances: Sequence[Instance]) -> None:
        """Plan when pods end, those together that end at one time."""
        ends: dict[float, list[Instance]] = {}
        now_s = self.now_s
        for instance in instances:
            left_s = max(instance.task.duration_s - instance.done_s, 0.0)
            instance.ends_s = now_s + left_s / instance.pace if instance.pace else math.inf
            ends.setdefault(instance.ends_s, []).append(instance)
        for ends_s, those in ends.items():
            if ends_s < math.inf:
                self._events.at(ends_s, partial(self._end, those))

    def _end(self, instances: Sequence[Instance]) -> None:
        """End those that did not change their pace or place since it was planned."""
        now_s, running = self.now_s, self.running
        ended = [one for one in instances if one.ends_s == now_s]
        for instance in ended:
            self.snapshot.remove(instance.key)
            del running[instance.key]
            instance.ends_s = math.nan
        if ended:
            for observer in self.observers:
                observer.ended(ended)

    def _together(self, instance: Instance) -> list[Instance]:
        """Return a running pod and the rest of its gang, in order."""
        task = instance.task
        return [self.running[task.key(number)] for number in range(task.count)] if task.together else [instance]

    # --- evictions

    def _clear(self, name: str, reason: str) -> None:
        on_it = self.snapshot.pods.on(self.snapshot.rows[name])
        for key in sorted(pod.key for pod, _ in on_it):
            if key in self.running:  # it may have gone with its gang
                self.evict(key, reason)

    def _back(self, instance: Instance, reason: str) -> None:
        """Let a pod that ran wait again, and its gang with it."""
        those = self._together(instance)
        for one in those:
            del self.running[one.key]
            if one.key in self.snapshot.pods:  # where it was preempted it is gone already
                self.snapshot.evict(one.key)
        for one in those:
            one.lost_s += one.done_by(self.now_s)
            one.ends_s = math.nan
            for observer in self.observers:
                observer.evicted(one, reason if one is instance else GANG_BROKEN)
            one.node, one.since_s, one.done_s, one.pace = "", self.now_s, 0.0, 1.0
            self._waiting.add(one)

    # --- placements

    def _place(self, instances: list[Instance], evicts: bool) -> tuple[list[Instance], bool]:
        """Let pods run, in this order; returns those that fit nowhere, and whether others were evicted."""
        now_s, task = self.now_s, instances[0].task
        gang = Gang(task.name, task.count) if task.together else None
        found = self.scheduler.place(
            [Pod(one.key, one.task.shape, one.task.priority, now_s, gang=gang) for one in instances], evicts=evicts
        )
        for eviction in found.evictions:
            if eviction.pod.key in self.running:  # it may have gone with its gang
                self._back(self.running[eviction.pod.key], PREEMPTED)
        started = [one for one in instances if one.key in found.placements]
        if started:
            self._start(started, found.placements)
        return [one for one in instances if one.key not in found.placements], bool(found.evictions)

    def _start(self, instances: Sequence[Instance], nodes: dict[str, str]) -> None:
        now_s = self.now_s
        for instance in instances:
            instance.node = nodes[instance.key]
            instance.waited_s += now_s - instance.since_s
            instance.since_s = instance.paced_s = now_s
            instance.starts += 1
            self.running[instance.key] = instance
        self._plan_ends(instances)
        for observer in self.observers:
            observer.started(instances)
