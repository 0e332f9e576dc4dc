"""Backfill: no promise is broken, and the outcome is that of an oracle that keeps a table of every second."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.schedule.node import Node
from sampan.schedule.offers.vector import Dimensions
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.queues.job import Job
from sampan.schedule.queues.queues import Queues
from sampan.schedule.queues.tree import QueueSpec, QueueTree
from sampan.schedule.queues.turn import Turned, turn
from sampan.schedule.shape import Shape, amounts
from sampan.schedule.snapshot import Snapshot

HORIZON = 50
CAPACITY = (10, 10)
many = st.tuples(st.integers(0, 1 << 32), st.integers(0, 25))


class Oracle:
    """Queues without guarantees, each with a weight and a limit; times are whole seconds."""

    def __init__(self, specs: list[QueueSpec]) -> None:
        self.weights = {spec.name: spec.weight for spec in specs}
        self.limits = {spec.name: dict(spec.limit).get("cpu", 10**9) for spec in specs}
        self.waiting: dict[str, list[Job]] = {spec.name: [] for spec in specs}
        self.running: dict[str, tuple[Job, int]] = {}  # with its end
        self.promised: dict[str, tuple[Job, int]] = {}

    def admit(self, now: int) -> list[str]:
        self.running = {key: one for key, one in self.running.items() if one[1] > now}
        firsts = {jobs[0].key for jobs in self.waiting.values() if jobs}
        self.promised = {key: one for key, one in self.promised.items() if key in firsts}
        for key, (job, _) in sorted(self.promised.items(), key=lambda item: item[1][1]):
            at = self.earliest(job, now, now)
            assert at is not None
            self.promised[key] = job, at
        admitted: list[str] = []
        skipped: dict[str, int] = dict.fromkeys(self.waiting, 0)
        while True:
            left = [name for name, jobs in self.waiting.items() if skipped[name] < len(jobs)]
            if not left:
                return admitted
            name = min(left, key=lambda name: (skipped[name] > 0, self.share(name, now), name))
            job = self.waiting[name][skipped[name]]
            if self.earliest(job, now, now) == now:
                del self.waiting[name][skipped[name]]
                self.promised.pop(job.key, None)
                self.running[job.key] = job, now + length(job)
                admitted.append(job.key)
                continue
            if not skipped[name]:
                at = self.earliest(job, now, now)
                if at is None:
                    skipped[name] = len(self.waiting[name])
                    continue
                self.promised.setdefault(job.key, (job, at))
            skipped[name] += 1

    def earliest(self, job: Job, now: int, since: int) -> int | None:
        """Return the first second from which on there is room in each second that a job takes."""
        there = [(one, now, end) for one, end in self.running.values()]
        there += [(one, at, at + length(one)) for key, (one, at) in self.promised.items() if key != job.key]
        room = []
        for second in range(since, since + 2 * HORIZON):
            here = [one for one, start, end in there if start <= second < end]
            own = sum(asked(one)[0] for one in [job, *here] if one.queue == job.queue)
            totals = [sum(asked(one)[place] for one in [job, *here]) for place in (0, 1)]
            room.append(all(total <= has for total, has in zip(totals, CAPACITY, strict=True)))
            room[-1] &= own <= self.limits[job.queue]
        starts = range(HORIZON)
        return next((since + start for start in starts if all(room[start : start + length(job)])), None)

    def share(self, name: str, now: int) -> float:
        used = [asked(one) for one, _ in self.running.values() if one.queue == name]
        totals = map(sum, zip((0, 0), *used, strict=True))
        return max(total / has for total, has in zip(totals, CAPACITY, strict=True)) / self.weights[name]


def length(job: Job) -> int:
    return 10 * HORIZON if job.longest_s is None else int(job.longest_s)


def asked(job: Job) -> tuple[int, int]:
    wants = dict(job.pods[0].shape.requests)
    return wants["cpu"], wants["memory"]


def world(source: random.Random) -> list[QueueSpec]:
    return [
        QueueSpec(
            name=name,
            weight=source.choice([1, 1, 2]),
            limit=amounts({"cpu": source.randint(5, 10)}) if source.random() < 0.3 else (),
        )
        for name in "abc"[: source.randint(1, 3)]
    ]


def job(source: random.Random, number: int, specs: list[QueueSpec], now: int, unlimited: float) -> Job:
    spec = source.choice(specs)
    most = dict(spec.limit).get("cpu", 10)
    ask = {"cpu": source.randint(1, most), "memory": source.randint(1, 10)}
    if source.random() < 0.6:
        ask = {name: min(amount, 3) for name, amount in ask.items()}
    return Job(
        key=f"{number:02}",
        queue=spec.name,
        pods=(Pod(f"{number:02}/0", Shape(requests=amounts(ask))),),
        submitted_s=float(now),
        longest_s=None if source.random() < unlimited else float(source.randint(1, 9)),
    )


class Step(NamedTuple):
    """Before an admission: what has come and what has ended since the last one."""

    queues: Queues
    specs: list[QueueSpec]
    now: int
    came: list[Job]
    gone: list[str]


def steps(case: tuple[int, int], unlimited: float) -> Iterator[Step]:
    """Lead queues through random seconds; whoever gets a step admits."""
    seed, count = case
    source = random.Random(seed)
    specs = world(source)
    queues = Queues(QueueTree(specs, CAPACITY, Dimensions(("cpu", "memory"))))
    number = 0
    for now in range(count):
        came = [job(source, number + more, specs, now, unlimited) for more in range(source.choice([0, 0, 1, 1, 2, 4]))]
        number += len(came)
        for one in came:
            queues.submit(one)
        gone = [source.choice(sorted(queues.running))] if queues.running and source.random() < 0.2 else []
        for key in gone:
            queues.forget(key)
        yield Step(queues, specs, now, came, gone)


@given(many, st.sampled_from([0.0, 0.2, 0.5, 1.0]))
@settings(max_examples=300, deadline=None)
def test_as_the_oracle_says(case, unlimited):
    oracle = Oracle([])
    for step in steps(case, unlimited):
        oracle = oracle if step.now else Oracle(step.specs)
        for one in step.came:
            oracle.waiting[one.queue].append(one)
        for key in step.gone:
            del oracle.running[key]
        found = step.queues.admit(float(step.now))
        assert [one.key for one in found.admitted] == oracle.admit(step.now)
        promised = {key: at for key, (_, at) in oracle.promised.items()}
        assert {one.job.key: one.at_s for one in step.queues.promises} == promised


@given(many, st.sampled_from([0.0, 0.2, 0.5]))
@settings(max_examples=300, deadline=None)
def test_no_promise_is_broken(case, unlimited):
    first: dict[str, float] = {}
    for queues, _, now, _, _ in steps(case, unlimited):
        for one in queues.admit(float(now)).admitted:
            assert now <= first.get(one.key, now)
        for promise in queues.promises:
            assert now < promise.at_s <= first.setdefault(promise.job.key, promise.at_s)


@given(many)
@settings(max_examples=200, deadline=None)
def test_without_time_limits_nobody_overtakes_in_a_queue(case):
    """What is admitted of a queue is always its first, and its first waits only where it does not fit."""
    order: dict[str, list[Job]] = {}
    for queues, _, now, came, _ in steps(case, 1.0):
        for one in came:
            order.setdefault(one.queue, []).append(one)
        for one in queues.admit(float(now)).admitted:
            assert order[one.queue].pop(0) is one
        assert not list(queues.promises)
        for name, jobs in order.items():
            if jobs:
                leaf, wants = queues.tree.leaf(name), asked(jobs[0])
                assert not queues.tree.room(wants) or queues.tree.over_limit(leaf, wants) is not None


class TestNodes:
    """Amounts fit, nodes do not."""

    @staticmethod
    def lead(case: tuple[int, int], unlimited: float) -> Iterator[tuple[list[Job], Queues, Scheduler, float, Turned]]:
        seed, count = case
        source = random.Random(seed)
        sizes = [source.randint(2, 5) for _ in range(source.randint(1, 4))]
        nodes = [Node(name=f"n{n}", allocatable=amounts({"cpu": cpu, "pods": 20})) for n, cpu in enumerate(sizes)]
        specs = [QueueSpec(name=name, weight=source.choice([1, 2])) for name in "ab"[: source.randint(1, 2)]]
        queues = Queues(QueueTree(specs, (sum(sizes),), Dimensions(("cpu",))))
        scheduler = Scheduler(Snapshot(nodes))
        number = 0
        for now in range(count):
            came: list[Job] = []
            for _ in range(source.choice([0, 1, 2, 3])):
                shape = Shape(requests=amounts({"cpu": source.choice([1, 1, 2, 3, 5, 6])}))
                pods = source.choice([1, 1, 2, 3])
                one = Job(
                    key=f"{number:02}",
                    queue=source.choice(specs).name,
                    pods=tuple(Pod(f"{number:02}/{pod}", shape) for pod in range(pods)),
                    submitted_s=float(now),
                    longest_s=None if source.random() < unlimited else float(source.randint(1, 9)),
                )
                number += 1
                queues.submit(one)
                came.append(one)
            if queues.running and source.random() < 0.2:
                key = source.choice(sorted(queues.running))
                for pod in queues.running[key].job.pods:
                    scheduler.snapshot.remove(pod.key)
                queues.forget(key)
            yield came, queues, scheduler, float(now), turn(queues, scheduler, float(now))

    @given(many, st.sampled_from([0.0, 0.3, 1.0]))
    @settings(max_examples=200, deadline=None)
    def test_no_promise_is_broken_and_nothing_is_left_behind(self, case, unlimited):
        first: dict[str, float] = {}
        for _, queues, scheduler, now, found in self.lead(case, unlimited):
            for one in found.admission.admitted:
                assert now <= first.get(one.key, now)
            for promise in queues.promises:
                if promise.nodes or promise.job.key in first:
                    assert now < promise.at_s <= first.setdefault(promise.job.key, promise.at_s)
            running = {pod.key for one in queues.running.values() for pod in one.job.pods}
            assert running == set(scheduler.snapshot.pods.slots)
            free = scheduler.snapshot.resources.free[scheduler.snapshot.resources.number("cpu")]
            assert (free >= 0).all()

    @given(many, st.sampled_from([0.3, 1.0]))
    @settings(max_examples=200, deadline=None)
    def test_nobody_overtakes_who_waits_for_nodes_that_cannot_be_foreseen(self, case, unlimited):
        known: dict[str, Job] = {}
        for came, _, _, _, found in self.lead(case, unlimited):
            known |= {one.key: one for one in came}
            for key, why in found.admission.waiting.items():
                if why.endswith("its queue waits for it"):
                    here = [one for one in found.admission.admitted if one.queue == known[key].queue]
                    assert all((one.submitted_s, one.key) < (known[key].submitted_s, key) for one in here)

    @given(st.integers(0, 1 << 32), st.integers(1, 3))
    @settings(max_examples=200, deadline=None)
    def test_nobody_ends_for_a_job_that_finds_no_nodes_all_the_same(self, seed, count):
        """Queue b has lent all there is, in small pieces or larger ones; a has a guarantee, and wide jobs."""
        source = random.Random(seed)
        sizes = [source.randint(2, 5) for _ in range(source.randint(2, 4))]
        nodes = [Node(name=f"n{n}", allocatable=amounts({"cpu": cpu, "pods": 20})) for n, cpu in enumerate(sizes)]
        specs = [QueueSpec(name="a", guarantee=amounts({"cpu": sum(sizes) - 1})), QueueSpec(name="b")]
        queues = Queues(QueueTree(specs, (sum(sizes),), Dimensions(("cpu",))))
        scheduler = Scheduler(Snapshot(nodes))

        def submit(key: str, queue: str, cpu: int, priority: int = 0) -> None:
            pod = Pod(f"{key}/0", Shape(requests=amounts({"cpu": cpu})))
            queues.submit(Job(key=key, queue=queue, pods=(pod,), priority=priority))

        for number in range(sum(sizes)):
            submit(f"b{number}", "b", source.choice([1, 1, 2]), source.randint(0, 2))
        turn(queues, scheduler, 0.0)
        for number in range(count):
            submit(f"a{number}", "a", source.randint(1, 6))
            found = turn(queues, scheduler, float(number + 1))
            placed = {one.key for one in found.admission.admitted}
            assert {one.by for one in found.admission.ended} <= placed
            assert not {one.job.key for one in found.admission.ended} & placed
            running = {pod.key for one in queues.running.values() for pod in one.job.pods}
            assert running == set(scheduler.snapshot.pods.slots)
