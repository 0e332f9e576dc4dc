"""Laws of queues, whatever is submitted, ends and is admitted."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from queues_worlds import LEAVES, check, inside, world
from sampan.base.errors import SampanError
from sampan.schedule.pod import Pod
from sampan.schedule.queues.job import Admission, Job
from sampan.schedule.queues.queues import Queues
from sampan.schedule.shape import Shape, amounts


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
                longest_s=source.choice([None, None, None, 1.0, 5.0]),
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
