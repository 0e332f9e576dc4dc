"""Estimates of use beside numpy's exact weighted percentile, and what is reclaimed by them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.base.errors import InvalidArgument
from sampan.schedule.colocation.columns import Columns
from sampan.schedule.colocation.estimate import Estimator
from sampan.schedule.colocation.histogram import GROWTH, Histograms
from sampan.schedule.colocation.policy import Policy
from sampan.schedule.colocation.reclaim import (
    BATCH_CPU,
    BATCH_MEMORY,
    COLOCATED,
    best_effort,
    offering,
    reclaimed,
    settled,
)
from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.shape import Shape, amounts
from sampan.schedule.snapshot import Snapshot

GIB = 1 << 30
MANY = settings(max_examples=200, deadline=None)
samples = st.lists(
    st.tuples(st.floats(0, 20_000), st.floats(1, 5000)),  # value, seconds since the one before
    min_size=1,
    max_size=60,
)
amount = st.integers(0, 200_000)
columns = st.lists(st.tuples(amount, amount, st.integers(0, 1 << 42), st.integers(0, 1 << 42)), min_size=1, max_size=8)


def arrays(*values: list[int]) -> list[np.ndarray]:
    return [np.array(value, np.int64) for value in values]


@given(samples, st.floats(0.01, 1), st.floats(10, 50_000))
@MANY
def test_a_percentile_is_numpys_weighted_one_up_to_a_bucket(given_samples, share, half_life_s):
    found = Histograms(10, 10_000, half_life_s)
    found.reserve(3)
    row = np.array([1])
    times = np.cumsum([apart for _, apart in given_samples])
    values = np.array([value for value, _ in given_samples])
    for value, now_s in zip(values, times, strict=True):
        found.add(row, np.array([value]), float(now_s))
    weights = 2.0 ** ((times - times[-1]) / half_life_s)
    known = weights > 0
    counted = values.clip(10, 10_000)[known]
    exact = [
        np.quantile(counted, np.clip(at, 0, 1), weights=weights[known], method="inverted_cdf")
        for at in (share - 1e-9, share + 1e-9)
    ]
    percentile = found.percentile(row, share)[0]
    assert exact[0] <= percentile <= exact[1] * GROWTH * (1 + 1e-9) or percentile == pytest.approx(exact[0])
    assert found.percentile(np.array([0, 2]), share).tolist() == [0, 0]


def test_old_samples_fade_and_years_do_not_overflow():
    found = Histograms(10, 10_000, 3600)
    found.reserve(1)
    row = np.array([0])
    found.add(row, np.array([8000.0]), 0)
    for hour in (1, 2, 3, 4, 5):
        found.add(row, np.array([100.0]), 3600.0 * hour)
    assert found.percentile(row, 1)[0] >= 8000
    assert found.percentile(row, 0.95)[0] <= 100 * GROWTH
    for year in range(1, 20):
        found.add(row, np.array([500.0]), 365 * 86_400.0 * year)
    assert 500 <= found.percentile(row, 0.99)[0] <= 500 * GROWTH
    found.clear(0)
    assert found.percentile(row, 0.99)[0] == 0


def use(cpu: list[int], memory: list[int]) -> Columns:
    return Columns(*arrays(cpu, memory))


ONE = np.array([0])


def test_a_new_pod_counts_with_what_it_asks_for_then_with_what_it_uses():
    """Two pods, on a node each."""
    policy = Policy(warm_up_s=600, cpu_safety=0.1, memory_safety=0.1)
    estimator = Estimator(policy, 2)
    rows, nodes = estimator.rows(["a", "b"], 0), np.array([0, 1])
    asked, used = use([4000, 3000], [8 * GIB, 4 * GIB]), use([500, 3500], [GIB, 5 * GIB])
    early = estimator.estimate(rows, nodes, used, asked, 599)
    assert (early.cpu.tolist(), early.memory.tolist()) == ([4000, 3500], [8 * GIB, 5 * GIB])
    used = use([500, 2000], [GIB, 2 * GIB])
    for second in range(600, 3000, 60):
        late = estimator.estimate(rows, nodes, used, asked, second)
    assert 500 * 1.1 <= late.cpu[0] <= 500 * 1.1 * GROWTH + 1
    assert 2000 * 1.1 <= late.cpu[1] <= 2000 * 1.1 * GROWTH + 1
    assert GIB * 1.1 <= late.memory[0] <= GIB * 1.1 * GROWTH + 1
    assert late.memory[1] >= 4 * GIB  # it once had 5


def test_safety_ends_at_what_the_pods_ask_for_and_use_does_not():
    estimator = Estimator(Policy(warm_up_s=0, cpu_safety=0.5, memory_safety=0.5), 2)
    rows, nodes = estimator.rows(["within", "beyond"], 0), np.array([0, 1])
    found = estimator.estimate(rows, nodes, use([1000, 1000], [GIB, GIB]), use([1200, 500], [GIB + 7, GIB // 2]), 0)
    assert found.cpu[0] == 1200
    assert GIB <= found.memory[0] <= GIB * GROWTH + 1
    assert 1000 <= found.cpu[1] <= 1000 * GROWTH + 1
    assert GIB <= found.memory[1] <= GIB * GROWTH + 1


def test_peaks_of_pods_of_one_node_that_do_not_meet_are_not_added_up():
    estimator = Estimator(Policy(warm_up_s=0), 1)
    rows, nodes = estimator.rows(["day", "night"], 0), np.array([0, 0])
    asked = use([4000, 4000], [GIB, GIB])
    for minute in range(240):
        cpu = [3000, 1000] if minute // 60 % 2 else [1000, 3000]
        found = estimator.estimate(rows, nodes, use(cpu, [GIB, GIB]), asked, 60.0 * minute)
    assert 4000 * 1.1 <= found.cpu[0] <= 4000 * 1.1 * GROWTH + 1


def test_a_rise_counts_at_once_and_cpu_is_forgotten_before_memory():
    estimator = Estimator(Policy(warm_up_s=0), 1)
    rows = estimator.rows(["a"], 0)
    asked = use([9000], [9 * GIB])
    for minute in range(600):
        peak = minute < 120
        used = use([6000 if peak else 1000], [6 * GIB if peak else GIB])
        found = estimator.estimate(rows, ONE, used, asked, minute * 60.0)
    assert found.cpu[0] <= 1000 * 1.1 * GROWTH + 1
    assert found.memory[0] >= 6 * GIB
    assert estimator.estimate(rows, ONE, use([9500], [GIB]), asked, 36_000).cpu[0] >= 9500


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9000), st.integers(0, 9000)), min_size=1, max_size=12),
    st.integers(1, 6),
    st.sampled_from([0.0, 120.0]),
)
@MANY
def test_an_estimate_is_never_below_what_is_in_use(pods, looks, warm_up_s):
    estimator = Estimator(Policy(warm_up_s=warm_up_s), 3)
    rows = estimator.rows([str(number) for number in range(len(pods))], 0)
    nodes, cpu, asked_cpu = (np.array(column) for column in zip(*pods, strict=True))
    for look in range(looks):
        used = use((cpu * (looks - look)).tolist(), (cpu * (look + 1) << 20).tolist())
        found = estimator.estimate(rows, nodes, used, Columns(asked_cpu, asked_cpu << 20), 60.0 * look)
        for node in range(3):
            assert found.cpu[node] >= used.cpu[nodes == node].sum()
            assert found.memory[node] >= used.memory[nodes == node].sum()


def test_a_pod_that_takes_the_row_of_another_knows_nothing_of_it():
    estimator = Estimator(Policy(warm_up_s=0), 1)
    row = estimator.rows(["a"], 0)
    asked = use([9000], [9 * GIB])
    estimator.estimate(row, ONE, use([9000], [8 * GIB]), asked, 0)
    estimator.forget("a")
    estimator.forget("a")
    assert estimator.rows(["b"], 10).tolist() == row.tolist()
    assert estimator.estimate(row, ONE, use([0], [GIB]), asked, 10).memory[0] <= GIB * 1.05 * GROWTH + 1
    many = estimator.rows([f"p{number}" for number in range(500)], 20)
    assert len(set(many.tolist()) | {0}) == 501


@given(columns, st.floats(0, 0.99), st.floats(0, 0.99))
@MANY
def test_reclaimed_is_never_above_what_is_there_less_margin_less_estimate(rows, cpu_margin, memory_margin):
    cpu, cpu_estimate, memory, memory_estimate = (np.array(column) for column in zip(*rows, strict=True))
    policy = Policy(cpu_margin=cpu_margin, memory_margin=memory_margin)
    found = reclaimed(Columns(cpu, memory), Columns(cpu_estimate, memory_estimate), policy)
    for has, estimate, left, margin in (
        (cpu, cpu_estimate, found.cpu, cpu_margin),
        (memory, memory_estimate, found.memory, memory_margin),
    ):
        assert (left >= 0).all()
        assert (left <= np.maximum(has - has * margin - estimate, 0)).all()
        assert (left >= has - has * margin - estimate - 1).all()


@given(st.lists(st.tuples(amount, amount), min_size=1, max_size=30), st.floats(0, 0.5))
@MANY
def test_what_is_published_is_never_more_than_was_found_and_settles(pairs, step):
    policy = Policy(step=step)
    has = Columns(np.full(1, 200_000), np.full(1, 200_000))
    known = Columns(*arrays([0], [0]))
    for pair in pairs:
        found = Columns(*arrays(*([one] for one in pair)))
        known = settled(known, found, has, policy)
        for published, now in zip(known, found, strict=True):
            assert published[0] <= now[0]
            assert now[0] - published[0] <= step * 200_000
        again = settled(known, found, has, policy)
        assert (again.cpu == known.cpu).all()
        assert (again.memory == known.memory).all()


def test_best_effort_pods_are_placed_by_what_is_reclaimed_and_refused_in_the_usual_words():
    def node(name: str, cpu: int, memory: int) -> Node:
        plain = Node(name=name, allocatable=amounts({"cpu": 8000, "memory": 16 * GIB, "pods": 110}))
        return offering(plain, cpu, memory)

    full = Shape(requests=amounts({"cpu": 8000, "memory": 16 * GIB}))
    batch = Shape(requests=best_effort(amounts({"cpu": 1000, "memory": GIB})))
    snapshot = Snapshot([node("a", 1500, 8 * GIB), node("b", 3000, 2 * GIB)])
    for name in "ab":
        snapshot.add(Pod(f"ls/{name}", full), name)
    scheduler = Scheduler(snapshot, COLOCATED)
    outcome = scheduler.place([Pod(f"be/{number}", batch) for number in range(5)])
    assert sorted(outcome.placements.values()) == ["a", "b", "b"]
    why = outcome.reasons["be/4"].message()
    assert why == f"0/2 nodes are available: 1 Insufficient {BATCH_CPU}, 1 Insufficient {BATCH_MEMORY}."
    snapshot.set_node(node("a", 3000, 8 * GIB))
    again = scheduler.place([Pod(f"be/{number}", batch) for number in (3, 4)])
    assert again.placements == {"be/3": "a", "be/4": "a"}
    snapshot.set_node(node("a", 500, 8 * GIB))  # less than is asked for there: nobody new, and nobody goes by this
    assert scheduler.place([Pod("be/5", batch)]).placements == {}


@pytest.mark.parametrize(
    "change",
    [{"cpu_percentile": 0}, {"starved": 0.9}, {"memory_short": 0.5}, {"cpu_margin": 1}, {"cpu_half_life_s": 0}],
)
def test_a_policy_that_makes_no_sense_is_refused(change):
    with pytest.raises(InvalidArgument, match="a co-location policy needs"):
        Policy(**change)
