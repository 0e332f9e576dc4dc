"""Laws of turns: a tree of queues with guarantees, limits and weights over nodes, called at any times."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

from queues_worlds import LEAVES, check, inside, world
from sampan.base.errors import SampanError
from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.queues.job import Job
from sampan.schedule.queues.queues import Queues
from sampan.schedule.queues.turn import Turned, turn
from sampan.schedule.shape import Shape, amounts
from sampan.schedule.snapshot import Snapshot

many = st.tuples(st.integers(0, 1 << 32), st.integers(0, 40))


class Taken(NamedTuple):
    """A turn that was taken. `before`: what it found."""

    before: Queues
    queues: Queues
    snapshot: Snapshot
    now_s: float
    found: Turned


def pieces(source: random.Random, total: int, count: int) -> list[int]:
    cuts = sorted(source.randint(0, total) for _ in range(count - 1))
    return [end - start for start, end in zip([0, *cuts], [*cuts, total], strict=True)]


def job(source: random.Random, key: str, pods: int) -> Job:
    shape = Shape(requests=amounts({"cpu": source.randint(0, 5), "memory": source.randint(0, 5)}))
    return Job(
        key=key,
        queue=source.choice(LEAVES),
        pods=tuple(Pod(f"{key}/{number}", shape) for number in range(source.randint(1, pods))),
        priority=source.randint(0, 2),
        submitted_s=float(source.randint(0, 9)),
        longest_s=source.choice([None, None, 1.0, 2.0, 5.0, 9.0]),
    )


def turns(case: tuple[int, int], *, nodes: int, pods: int) -> Iterator[Taken]:
    """Lead queues and nodes, which together have what the queues share, through random steps; turns come late or not at all."""
    seed, count = case
    source, queues = random.Random(seed + 1), world(seed)
    sizes = zip(pieces(source, 15, nodes), pieces(source, 15, nodes), strict=True)
    snapshot = Snapshot(
        [
            Node(name=f"n{number}", allocatable=amounts({"cpu": cpu, "memory": memory, "pods": 1000}))
            for number, (cpu, memory) in enumerate(sizes)
        ]
    )
    scheduler = Scheduler(snapshot)
    for step in range(count):
        for number in range(source.choice([0, 1, 1, 2])):
            try:
                queues.submit(job(source, f"{step}.{number}", pods))
            except SampanError:
                pass  # more than its limit
        if queues.running and source.random() < 0.2:
            key = source.choice(sorted(queues.running))
            for pod in queues.running[key].job.pods:
                snapshot.remove(pod.key)
            queues.forget(key)
        if source.random() < 0.7:
            before = copy.deepcopy(queues)
            yield Taken(before, queues, snapshot, step / 2, turn(queues, scheduler, step / 2))


@given(many, st.integers(1, 4))
@example((4823, 16), 4)  # one that was admitted found no nodes, after its queue had owed for it
@settings(max_examples=200, deadline=None)
def test_capacity_limits_and_guarantees_hold_and_nobody_ends_in_vain(case, nodes):
    for before, queues, _, _, found in turns(case, nodes=nodes, pods=3):
        check(queues, {name: node.used for name, node in before.tree.nodes.items()}, found.admission)


@given(many, st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_books_and_snapshot_say_the_same(case, nodes):
    for _, queues, snapshot, _, found in turns(case, nodes=nodes, pods=3):
        running = queues.running.values()
        assert {pod.key for one in running for pod in one.job.pods} == set(snapshot.pods.slots)
        assert {pod.key for one in found.admission.admitted for pod in one.pods} == set(found.placements)
        for name, node in queues.tree.nodes.items():
            has = [one.amounts for one in running if inside(one.job.queue, name)]
            assert node.used == tuple(map(sum, zip((0, 0), *has, strict=True)))
        for name in ("cpu", "memory"):
            assert (snapshot.resources.free[snapshot.resources.number(name)] >= 0).all()


@given(many, st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_who_is_promised_waits_for_a_time_to_come_and_who_runs_is_not_said_to_wait(case, nodes):
    for _, queues, _, now_s, found in turns(case, nodes=nodes, pods=3):
        assert all(one.at_s > now_s and queues.first(one.job) for one in queues.promises)
        assert not set(found.admission.waiting) & set(queues.running)


@given(many)
@settings(max_examples=200, deadline=None)
def test_on_a_single_node_amounts_decide_alone(case):
    for before, queues, _, now_s, found in turns(case, nodes=1, pods=3):
        admitted, ended = [], []
        while True:
            admission = before.admit(now_s)
            admitted += admission.admitted
            ended += admission.ended
            if not admission.admitted:
                break
        assert sorted(one.key for one in found.admission.admitted) == sorted(one.key for one in admitted)
        assert found.admission.ended == ended
        assert (
            found.admission.waiting.keys() == admission.waiting.keys()
        )  # of several promises that hold, either is named
        assert {one.job.key: one.at_s for one in queues.promises} == {one.job.key: one.at_s for one in before.promises}
