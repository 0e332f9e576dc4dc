"""The four properties of dominant-resource fairness, as far as indivisible tasks allow.

One pool (a node that has everything), no quotas, reservations or filters; each framework launches one task an offer and gives the rest
back at once. Then the allocator is progressive filling. With tasks that cannot be divided each property holds up to the size of
a task: `step[i]` is the dominant share of one task of i.
"""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.schedule.node import Node
from sampan.schedule.offers.allocate import allocate
from sampan.schedule.offers.answer import accept, decline
from sampan.schedule.offers.framework import Framework
from sampan.schedule.offers.offer import Launch
from sampan.schedule.offers.state import Rules, State
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.shape import Shape, amounts
from sampan.schedule.snapshot import Snapshot

Pool = tuple[int, int]
Task = tuple[int, int]
FOREVER_S = 1e6


def fill(pool: Pool, tasks: list[Task], weights: list[int] | None = None) -> list[int]:
    """Return how many tasks each framework runs when nobody takes anything any more."""
    node = Node(name="pool", allocatable=amounts({"cpu": pool[0], "memory": pool[1], "pods": 10_000}))
    state = State(Scheduler(Snapshot([node])), rules=Rules(minimum=()))
    for number, weight in enumerate(weights or [1] * len(tasks)):
        state.subscribe(Framework(f"f{number}", (f"r{number}",)))
        state.roles.set_weight(f"r{number}", weight)
    counts = [0] * len(tasks)
    while made := allocate(state, 0).offers:
        (offer,) = made
        who = int(offer.framework[1:])
        if all(ask <= has for ask, has in zip(tasks[who], offer.parts.bare, strict=True)):
            cpu, memory = tasks[who]
            pod = Pod(f"t/{who}-{counts[who]}", Shape(requests=amounts({"cpu": cpu, "memory": memory})))
            assert accept(state, offer.framework, [offer.id], [Launch(pod)], 0, 0).placements
            counts[who] += 1
        else:
            decline(state, offer.framework, [offer.id], 0, FOREVER_S)
    return counts


def step(pool: Pool, task: Task) -> Fraction:
    return max(Fraction(ask, has) for ask, has in zip(task, pool, strict=True))


def runs(task: Task, bundle: tuple[int, ...]) -> Fraction:
    """Return how many tasks, parts of tasks among them, a bundle is good for."""
    return min(Fraction(has, ask) for ask, has in zip(task, bundle, strict=True) if ask)


def test_the_example_of_the_paper():
    assert fill((9, 18), [(1, 4), (3, 1)]) == [3, 2]


def test_weights():
    assert fill((90, 90), [(1, 1), (1, 1)], [2, 1]) == [60, 30]


pools = st.tuples(st.integers(60, 150), st.integers(60, 150))
wishes = st.tuples(st.integers(0, 12), st.integers(1, 12)) | st.tuples(st.integers(1, 12), st.integers(0, 12))
crowds = st.lists(wishes, min_size=1, max_size=4)


@given(pools, crowds)
@settings(max_examples=60, deadline=None)
def test_sharing_incentive(pool, tasks):
    """Nobody has less than an even part of the pool would give, up to the mean task."""
    counts = fill(pool, tasks)
    steps = [step(pool, task) for task in tasks]
    for count, own in zip(counts, steps, strict=True):
        assert count * own > Fraction(1, len(tasks)) - sum(steps) / len(tasks)


@given(pools, crowds)
@settings(max_examples=60, deadline=None)
def test_envy_freeness(pool, tasks):
    """Nobody could run more with what another has, up to one task of each."""
    counts = fill(pool, tasks)
    for count, task in zip(counts, tasks, strict=True):
        for other, theirs in zip(counts, tasks, strict=True):
            bundle = tuple(other * ask for ask in theirs)
            assert runs(task, bundle) < count + 1 + step(pool, theirs) / step(pool, task)


@given(pools, crowds)
@settings(max_examples=60, deadline=None)
def test_pareto_efficiency(pool, tasks):
    """Exact: in the end no task of anybody fits."""
    counts = fill(pool, tasks)
    left = [has - sum(n * task[d] for n, task in zip(counts, tasks, strict=True)) for d, has in enumerate(pool)]
    for task in tasks:
        assert any(ask > has for ask, has in zip(task, left, strict=True))


@given(pools, crowds, wishes)
@settings(max_examples=80, deadline=None)
def test_strategy_proofness(pool, tasks, lie):
    """Who pretends that tasks are of another shape runs no more of the true ones, up to one task of each and of the lie."""
    honest = fill(pool, tasks)[0]
    lying = fill(pool, [lie, *tasks[1:]])[0]
    bundle = tuple(lying * ask for ask in lie)
    slack = (sum(step(pool, task) for task in tasks) + step(pool, lie)) / step(pool, tasks[0])
    assert runs(tasks[0], bundle) <= honest + slack
