"""The simulator's oracle: lists only, every pod asked each time, node by node, victims by trying all sets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from sampan.schedule.node import Node
from sampan.schedule.pod import Pod
from sampan.sim.task import Task
from scheduling_oracle import Cluster, cascades, cost, least

Line = tuple[float, str, str, str]
"""(time, what, pod, its node or why)."""


@dataclass
class One:
    task: Task
    key: str
    entry: int
    since: float
    node: str = ""
    waited: float = 0.0


class NaiveSimulation:
    """`changes`: (time, verb, node or its name); verbs are those of Simulation."""

    def __init__(
        self, nodes: list[Node], tasks: list[Task], changes: list[tuple[float, str, object]], *, preempts: bool
    ) -> None:
        self.cluster = Cluster(nodes, {})
        self.preempts = preempts
        self.log: list[Line] = []
        self.now = -math.inf
        self.waiting: list[One] = []
        self.running: list[One] = []
        self.told = 0
        self.entries = 0
        self.tasks = list(tasks)
        self.events: list[tuple[float, int, str, object]] = []
        self.follow()
        for time, verb, what in changes:
            self.tell(time, verb, what)

    def tell(self, time: float, verb: str, what: object) -> None:
        self.events.append((time, self.told, verb, what))
        self.told += 1

    def follow(self) -> None:
        if self.tasks:
            task = self.tasks.pop(0)
            self.tell(task.arrival_s, "arrive", task)

    def run(self) -> list[Line]:
        while self.events:
            self.now = min(event[0] for event in self.events)
            while due := sorted((event[:2], event) for event in self.events if event[0] == self.now):
                event = due[0][1]
                self.events.remove(event)
                getattr(self, event[2])(event[3])
            self.turn()
            self.check()
        return self.log

    def say(self, what: str, one: One, note: str) -> None:
        self.log.append((self.now, what, one.key, note))

    # --- events

    def arrive(self, task: Task) -> None:
        for number in range(task.count):
            self.wait(One(task, f"{task.name}/{number}", 0, self.now))
        self.follow()

    def wait(self, one: One) -> None:
        one.entry, one.since, one.node = self.entries, self.now, ""
        self.entries += 1
        self.waiting.append(one)

    def end(self, what: tuple[One, float]) -> None:
        one, began = what
        if one in self.running and one.since == began:
            self.say("ended", one, one.node)
            self.off(one)

    def off(self, one: One) -> None:
        self.running.remove(one)
        self.cluster.placed = [(pod, name) for pod, name in self.cluster.placed if pod.key != one.key]

    def set_node(self, node: Node) -> None:
        kept = [one for one in self.cluster.nodes if one.name != node.name]
        self.cluster.nodes = sorted([*kept, node], key=lambda one: one.name)

    def fail(self, name: str) -> None:
        if self.node(name) is not None:
            self.clear(name, "its node failed")
            self.cluster.nodes = [one for one in self.cluster.nodes if one.name != name]

    def drain(self, name: str) -> None:
        node = self.node(name)
        if node is not None:
            self.clear(name, "its node is drained")
            self.set_node(msgspec.structs.replace(node, unschedulable=True))

    def node(self, name: str) -> Node | None:
        return next((one for one in self.cluster.nodes if one.name == name), None)

    def clear(self, name: str, reason: str) -> None:
        for one in sorted((one for one in self.running if one.node == name), key=lambda one: one.key):
            if one in self.running:
                self.evict(one, reason)

    def evict(self, one: One, reason: str) -> None:
        mates = [other for other in self.running if other.task is one.task] if one.task.together else [one]
        mates.sort(key=lambda other: int(other.key.rpartition("/")[2]))
        for other in mates:
            self.off(other)
        for other in mates:
            self.say("evicted", other, reason if other is one else "its gang is broken")
            self.wait(other)

    # --- the scheduler's turn

    def turn(self) -> None:
        changed = True
        while changed:
            changed = False
            asked: set[str] = set()
            for one in sorted(self.waiting, key=lambda one: (-one.task.priority, one.entry)):
                if one not in self.waiting or one.key in asked:
                    continue
                task = one.task
                gang = [other for other in self.waiting if other.task is task] if task.together else [one]
                asked |= {other.key for other in gang}
                changed |= self.place(gang)

    def place(self, gang: list[One]) -> bool:
        before = list(self.cluster.placed)
        nodes, victims = [], []
        for one in gang:
            name, gone = self.spot(one)
            if name is None:
                self.cluster.placed = before
                return False
            keys = {pod.key for pod in gone}
            self.cluster.placed = [(pod, at) for pod, at in self.cluster.placed if pod.key not in keys]
            self.cluster.placed.append((self.pod(one), name))
            nodes.append(name)
            victims += gone
        for pod in victims:
            one = next((one for one in self.running if one.key == pod.key), None)
            if one is not None:
                self.evict(one, "preempted")
        for one, name in zip(gang, nodes, strict=True):
            self.waiting.remove(one)
            one.waited += self.now - one.since
            one.node, one.since = name, self.now
            self.running.append(one)
            self.say("started", one, name)
            self.tell(self.now + one.task.duration_s, "end", (one, self.now))
        return True

    def pod(self, one: One) -> Pod:
        return Pod(one.key, one.task.shape, one.task.priority, self.now)

    def spot(self, one: One) -> tuple[str | None, list[Pod]]:
        """Return the node for a pod and who must go for it."""
        best = self.cluster.best(one.task.shape)
        if best is not None or not self.preempts:
            return best, []
        pod = self.pod(one)
        found = sorted(choices(self.cluster, pod), key=lambda way: way[:2])
        if not found:
            return None, []
        equals = [(name, gone) for price, name, gone in found if price[0] == found[0][0][0]]
        return next(
            ((name, gone) for name, gone in equals if not cascades(self.cluster, name, pod, gone, evicts)), equals[0]
        )

    # --- laws

    def check(self) -> None:
        """Nothing is over capacity, and who waits does not fit (a pod of a gang may, alone)."""
        for node in self.cluster.nodes:
            have = dict(node.allocatable)
            for name, amount in have.items():
                used = sum(dict(shape.requests).get(name, 0) for shape in self.cluster.on(node))
                assert used <= amount or name == "pods", (self.now, node.name, name)
        for one in self.waiting:
            assert one.task.together or self.spot(one)[0] is None, (self.now, one.key)


def choices(cluster: Cluster, pod: Pod) -> Iterator[tuple[tuple, str, list[Pod]]]:
    """Yield, for each node where evictions make room, what they cost at least, its name and who must go."""
    for node in cluster.nodes:
        gone = least(cluster, node, pod)
        if gone is not None:
            yield cost(gone), node.name, gone


def evicts(cluster: Cluster, pod: Pod) -> bool:
    return any(choices(cluster, pod))
