"""Laws of queues, whatever is submitted, ends and is admitted."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.base.errors import SampanError
from sampan.schedule.offers.vector import Dimensions, within
from sampan.schedule.pod import Pod
from sampan.schedule.queues.job import Admission, Job
from sampan.schedule.queues.queues import Queues
from sampan.schedule.queues.tree import QueueSpec, QueueTree
from sampan.schedule.shape import Shape, amounts

LEAVES = ["a/x", "a/y", "b", "c/p/q", "c/r"]


def world(seed: int) -> Queues:
    source = random.Random(seed)

    def spec(name: str, guarantee: int, limit: int | None) -> QueueSpec:
        return QueueSpec(
            name=name,
            weight=source.choice([0.5, 1, 3]),
            guarantee=amounts({"cpu": guarantee, "memory": guarantee}),
            limit=() if limit is None else amounts({"cpu": max(limit, guarantee)}),
            longest_s=source.choice([None, None, 4.0]),
        )

    def limit() -> int | None:
        return source.choice([None, None, source.randint(1, 9)])

    a, b, c = (source.randint(0, 5) for _ in range(3))
    ax, cp = source.randint(0, a), source.randint(0, c)
    specs = [spec("a", a, limit()), spec("a/x", ax, limit()), spec("a/y", source.randint(0, a - ax), limit())]
    specs += [spec("b", b, limit()), spec("c", c, limit()), spec("c/p", cp, limit())]
    specs += [spec("c/p/q", source.randint(0, cp), None), spec("c/r", source.randint(0, c - cp), None)]
    source.shuffle(specs)
    return Queues(QueueTree(specs, (15, 15), Dimensions(("cpu", "memory"))))


def lead(seed: int, count: int) -> tuple[Queues, list[Admission], float]:
    """Lead queues through random steps; laws are checked after each admission."""
    source, found, admissions = random.Random(seed + 1), world(seed), []
    for number in range(count):
        now_s = number / 2
        step = source.random()
        if step < 0.6:
            ask = {"cpu": source.randint(0, 5), "memory": source.randint(0, 5)}
            pod = Pod(f"{number}/0", Shape(requests=amounts(ask)))
            job = Job(
                key=str(number),
                queue=source.choice(LEAVES),
                pods=(pod,),
                priority=source.randint(0, 2),
                submitted_s=source.randint(0, 3),
            )
            try:
                found.submit(job)
            except SampanError:
                pass  # more than its limit
        elif step < 0.7 and found.running:
            found.forget(source.choice(sorted(found.running)))
        else:
            before = {name: node.used for name, node in found.tree.nodes.items()}
            admissions.append(found.admit(now_s))
            check(found, before, admissions[-1])
    return found, admissions, count / 2


def inside(queue: str, name: str) -> bool:
    return (queue + "/").startswith(name + "/")


def check(found: Queues, before: dict[str, tuple[int, ...]], admission: Admission) -> None:
    tree = found.tree
    queue_of = {job.key: job.queue for job in admission.admitted}
    assert within(tree.used, tree.capacity)
    for name, node in tree.nodes.items():
        assert within(node.used, node.limit)
        floor = [min(had, promised) for had, promised in zip(before[name], node.guarantee, strict=True)]
        overdue = any(not ended.by and inside(ended.job.queue, name) for ended in admission.ended)
        own = any(ended.by and inside(queue_of[ended.by], name) for ended in admission.ended)  # took it of its own part
        assert overdue or own or within(floor, node.used)
    fresh = {job.key for job in admission.admitted}
    assert not fresh & {ended.job.key for ended in admission.ended}
    assert {ended.by for ended in admission.ended} - {""} <= fresh


many = st.tuples(st.integers(0, 1 << 32), st.integers(0, 60))


@given(many)
@settings(max_examples=300, deadline=None)
def test_capacity_limits_and_guarantees_hold(case):
    lead(*case)


@given(many)
@settings(max_examples=200, deadline=None)
def test_books_are_as_rebuilt(case):
    found, _, _ = lead(*case)
    for name, node in found.tree.nodes.items():
        has = [one.amounts for one in found.running.values() if inside(one.job.queue, name)]
        assert node.used == tuple(map(sum, zip((0, 0), *has, strict=True)))


@given(many)
@settings(max_examples=200, deadline=None)
def test_one_admission_admits_all_that_can_be(case):
    found, _, now_s = lead(*case)
    found.admit(now_s)
    again = found.admit(now_s)
    assert not again.admitted
    assert not again.ended


@given(many)
@settings(max_examples=100, deadline=None)
def test_the_same_again(case):
    assert lead(*case)[1] == lead(*case)[1]
