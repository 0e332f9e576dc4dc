"""Laws of a node's plan: nobody latency-critical starves, who goes had to, and the same comes out again."""

from __future__ import annotations

import runpy
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.schedule.colocation.action import Rule, Verb
from sampan.schedule.colocation.limits import GroupLimits, PodLimits, ranges
from sampan.schedule.colocation.plan import Kept, Seen, plan
from sampan.schedule.colocation.policy import Policy
from sampan.schedule.colocation.victims import BatchPod, victims

GIB = 1 << 30
POLICY = Policy()
MANY = settings(max_examples=300, deadline=None)
pods = st.lists(
    st.builds(
        BatchPod,
        key=st.integers(0, 10**6).map(str),
        cpu_milli=st.integers(0, 8000),
        memory_bytes=st.integers(0, 8).map(lambda n: n * GIB),
        memory_used_bytes=st.integers(0, 10 * GIB),
        memory_limit_bytes=st.none() | st.integers(0, 8).map(lambda n: n * GIB),
        priority=st.integers(-1, 1),
        started_s=st.integers(0, 3).map(float),
    ),
    max_size=9,
    unique_by=lambda pod: pod.key,
).map(tuple)
seen = st.builds(
    Seen,
    node=st.just("n"),
    cpu_milli=st.just(16_000),
    memory_bytes=st.just(32 * GIB),
    cpus=st.just(tuple(range(15, -1, -1))),
    cpu_used_milli=st.integers(0, 18_000),
    memory_used_bytes=st.integers(0, 34 * GIB),
    pods=pods,
)
kept = st.none() | st.builds(
    Kept,
    ceiling_milli=st.integers(0, 16_000),
    lowered_s=st.sampled_from([float("-inf"), 0.0, 900.0]),
    starving_s=st.none() | st.sampled_from([0.0, 950.0]),
    tight=st.booleans(),
)
NOW_S = 1000.0


def in_use(one: Seen, staying) -> int:
    return one.memory_used_bytes + sum(pod.memory_used_bytes for pod in one.pods if pod.key in staying)


@given(seen, kept)
@MANY
def test_others_have_what_they_use(one, before):
    found = plan(one, before, POLICY, NOW_S)
    assert found.group.cpu_milli >= 0
    assert found.group.cpu_milli == 0 or found.group.cpu_milli + one.cpu_used_milli <= one.cpu_milli
    assert len(found.group.cpus) == max(-(-found.group.cpu_milli // 1000), 1)
    assert set(found.pods) | set(found.evicted) == {pod.key for pod in one.pods}
    assert not set(found.pods) & set(found.evicted)
    assert plan(one, before, POLICY, NOW_S) == found


@given(seen, kept)
@MANY
def test_memory_that_was_short_is_not_after_the_plan_or_nobody_is_left(one, before):
    found = plan(one, before, POLICY, NOW_S)
    after = in_use(one, found.pods)
    was = in_use(one, {pod.key for pod in one.pods})
    if was > POLICY.memory_short * one.memory_bytes:
        assert after <= POLICY.memory_relief * one.memory_bytes or not any(
            pod.memory_used_bytes for pod in one.pods if pod.key in found.pods
        )
    else:
        assert all(action.rule is not Rule.MEMORY_SHORT for action in found.actions)


@given(pods, st.integers(0, 60 * GIB))
@MANY
def test_victims_are_enough_and_none_of_them_could_stay(some, needed):
    def freed(pod: BatchPod) -> int:
        return pod.memory_used_bytes

    chosen = victims(some, needed, freed)
    total = sum(map(freed, chosen))
    assert total >= min(needed, sum(map(freed, some)))
    assert all(total - freed(pod) < needed for pod in chosen)
    assert set(chosen) <= set(some)
    assert victims(some[::-1], needed, freed) == chosen
    more = victims(some, needed + GIB, freed)
    assert sum(map(freed, more)) >= total or total <= needed


@given(pods, st.integers(0, 40 * GIB), st.integers(0, 20 * GIB))
@MANY
def test_what_is_freed_grows_with_what_is_needed(some, needed, more):
    less, greater = (
        sum(pod.memory_used_bytes for pod in victims(some, amount, lambda pod: pod.memory_used_bytes))
        for amount in (needed, needed + more)
    )
    assert less <= greater


@given(seen, kept, st.integers(0, 8000))
@MANY
def test_more_cpu_used_by_others_never_gives_best_effort_pods_more(one, before, more):
    busier = msgspec.structs.replace(one, cpu_used_milli=one.cpu_used_milli + more)
    calm, busy = (plan(each, before, POLICY, NOW_S) for each in (one, busier))
    assert busy.group.cpu_milli <= calm.group.cpu_milli
    assert len(busy.group.cpus) <= len(calm.group.cpus)
    asked = {pod.key: pod.cpu_milli for pod in one.pods}
    assert sum(asked[key] for key in busy.pods) <= sum(asked[key] for key in calm.pods)


@given(seen, kept, st.integers(0, 16 * GIB))
@MANY
def test_more_memory_used_by_others_never_leaves_best_effort_pods_more(one, before, more):
    """Where nobody goes for CPU: whoever goes for memory may leave enough CPU for one who would have starved."""
    patient = Policy(patience_s=1e9)
    fuller = msgspec.structs.replace(one, memory_used_bytes=one.memory_used_bytes + more)
    calm, full = (plan(each, before, patient, NOW_S) for each in (one, fuller))
    used = {pod.key: pod.memory_used_bytes for pod in one.pods}
    assert sum(used[key] for key in full.pods) <= sum(used[key] for key in calm.pods)
    assert full.group.cpu_milli == calm.group.cpu_milli


@given(seen, kept)
@MANY
def test_nothing_changes_when_nothing_changed(one, before):
    """No flapping: once the ceiling has come to rest, the same sight gives no action, however long it lasts."""
    state, now_s, quiet = before, NOW_S, None
    for _ in range(40):
        found = plan(one, state, POLICY, now_s)
        one = msgspec.structs.replace(one, pods=tuple(pod for pod in one.pods if pod.key in found.pods))
        state, now_s, quiet = found.kept, now_s + 60, found
    assert quiet is not None
    assert quiet.actions == ()


@given(st.lists(st.integers(0, 16_000), min_size=2, max_size=60))
@MANY
def test_a_ceiling_does_not_rise_soon_after_it_fell_nor_by_much(uses):
    state, now_s, fell_s = None, 0.0, float("-inf")
    for use in uses:
        found = plan(Seen(node="n", cpu_milli=16_000, memory_bytes=GIB, cpus=(0,), cpu_used_milli=use, memory_used_bytes=0),
                     state, POLICY, now_s)  # fmt: skip
        if state is not None and found.kept.ceiling_milli > state.ceiling_milli:
            assert now_s - fell_s >= POLICY.hold_s
            rise = found.kept.ceiling_milli - state.ceiling_milli
            assert POLICY.step * 16_000 < rise <= POLICY.raise_by * 16_000
        if state is not None and found.kept.ceiling_milli < state.ceiling_milli:
            fell_s = now_s
        state, now_s = found.kept, now_s + 60


def node(cpu_used: int, memory_used: int, *some: BatchPod) -> Seen:
    return Seen(
        node="n1",
        cpu_milli=10_000,
        memory_bytes=10 * GIB,
        cpus=(9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
        cpu_used_milli=cpu_used,
        memory_used_bytes=memory_used,
        pods=some,
    )


def pod(key: str, *, cpu: int = 1000, used: int = 0, asked: int = GIB, priority: int = 0, started: float = 0.0):
    return BatchPod(
        key=key, cpu_milli=cpu, memory_bytes=asked, memory_used_bytes=used, priority=priority, started_s=started
    )


def test_suppression_is_told_with_its_numbers():
    some = pod("be/a", cpu=4000)
    assert plan(node(3000, 0, some), Kept(7000), POLICY, 0).actions == ()  # 6,000 are enough, too
    found = plan(node(6500, 0, some), Kept(6000), POLICY, 0)
    assert found.group == GroupLimits(2500, (9, 8, 7))
    assert [action.message() for action in found.actions] == [
        "lower n1: latency-critical use rose: ceiling from 6000, to 2500, asked for 4000, others use 6500, millicores of 10000"
    ]
    frozen = plan(node(9500, 0, some), found.kept, POLICY, 60)
    assert frozen.group.frozen
    assert [action.verb for action in frozen.actions] == [Verb.FREEZE]
    thawed = plan(node(1000, 0, some), frozen.kept, POLICY, 360)
    assert (thawed.group.cpu_milli, [action.verb for action in thawed.actions]) == (1000, [Verb.THAW])


def test_who_goes_first_when_memory_is_short():
    """9.9 GiB of 10 are in use; 9.5 may be: 0.4 GiB must go."""
    low = pod("be/low", used=GIB, priority=-1)
    over = pod("be/over", used=2 * GIB)
    new = pod("be/new", used=GIB, started=9)
    old = pod("be/old", used=GIB, started=1)
    for some, gone in (
        ((over, new, old, low), "be/low"),
        ((new, over, old), "be/over"),
        ((old, new), "be/new"),
    ):
        used = int(9.9 * GIB) - sum(each.memory_used_bytes for each in some)
        found = plan(node(0, used, *some), None, POLICY, 0)
        assert found.evicted == (gone,)
    assert found.actions[0].message() == (
        "evict be/new: memory is short: node MiB in use 10137, of 10240, to be freed 409, this pod has 1024, "
        "over its request by 0, priority 0"
    )


def test_one_that_is_large_enough_alone_goes_alone():
    small, large = pod("be/small", used=GIB // 4, priority=-1), pod("be/large", used=3 * GIB)
    used = int(9.9 * GIB) - small.memory_used_bytes - large.memory_used_bytes
    assert plan(node(0, used, small, large), None, POLICY, 0).evicted == ("be/large",)


def test_pods_that_starve_for_long_go_until_the_others_are_fed():
    """1,000 millicores are left for 4,000: below 30 %. After 900 s so many go that the others have 60 %."""
    some = tuple(pod(f"be/{number}", started=float(number)) for number in range(4))
    state, now_s = Kept(1000), 0.0
    found = plan(node(8000, 0, *some), state, POLICY, now_s)
    while not found.evicted:
        state, now_s = found.kept, now_s + 60
        found = plan(node(8000, 0, *some), state, POLICY, now_s)
    assert (now_s, found.evicted) == (900, ("be/3", "be/2", "be/1"))
    assert "seconds since they starve 900" in found.actions[0].message()
    assert found.kept.starving_s is None
    assert found.closed
    rest = (some[0],)
    assert plan(node(8000, 0, *rest), found.kept, POLICY, now_s + 299).closed
    assert not plan(node(8000, 0, *rest), found.kept, POLICY, now_s + 300).closed


def test_pods_that_starve_only_for_a_while_stay():
    some = tuple(pod(f"be/{number}") for number in range(4))
    hungry = plan(node(8000, 0, *some), Kept(1000), POLICY, 0)
    assert hungry.kept.starving_s == 0
    assert plan(node(2000, 0, *some), hungry.kept, POLICY, 600).kept.starving_s is None


def test_memory_that_is_tight_holds_pods_to_their_request():
    big = msgspec.structs.replace(pod("be/a", used=GIB), memory_limit_bytes=3 * GIB)
    tight = plan(node(0, int(8.3 * GIB), big), None, POLICY, 0)
    assert tight.pods["be/a"] == PodLimits(1000, GIB, 3 * GIB)
    assert [action.verb for action in tight.actions] == [Verb.SQUEEZE]
    still = plan(node(0, int(7.9 * GIB), big), tight.kept, POLICY, 60)
    assert still.pods["be/a"].memory_high_bytes == GIB
    easy = plan(node(0, int(7.7 * GIB), big), still.kept, POLICY, 120)
    assert easy.pods["be/a"] == PodLimits(1000, 3 * GIB, 3 * GIB)
    assert [action.verb for action in easy.actions] == [Verb.RELEASE]


def test_limits_as_the_kernels_files_have_them():
    group = GroupLimits(2500, (9, 8, 7, 3))
    assert group.files_v2() == {
        "cpu.idle": "1",
        "cpu.max": "250000 100000",
        "cpuset.cpus": "3,7-9",
        "cgroup.freeze": "0",
    }
    assert group.files_v1() == {
        "cpu/cpu.shares": "2",
        "cpu/cpu.cfs_period_us": "100000",
        "cpu/cpu.cfs_quota_us": "250000",
        "cpuset/cpuset.cpus": "3,7-9",
        "freezer/freezer.state": "THAWED",
    }
    none = GroupLimits(9, (0,))
    assert (none.files_v2()["cgroup.freeze"], none.files_v2()["cpu.max"]) == ("1", "1000 100000")
    assert none.files_v1()["freezer/freezer.state"] == "FROZEN"
    one = PodLimits(1000, GIB, 2 * GIB)
    assert one.files_v2() == {"cpu.weight": "39", "memory.high": str(GIB), "memory.max": str(2 * GIB)}
    assert one.files_v1() == {"cpu/cpu.shares": "1024", "memory/memory.limit_in_bytes": str(2 * GIB)}
    assert (PodLimits(0, 0, 0).shares, PodLimits(10**9, 0, 0).files_v2()["cpu.weight"]) == (2, "10000")
    assert ranges(()) == ""


def test_the_example_of_the_page_suppresses_holds_and_evicts(capsys):
    runpy.run_path(str(Path(__file__).parents[3] / "docs" / "examples" / "colocate.py"))["main"]()
    text = capsys.readouterr().out
    assert (
        "minute 1: group {'cpu.idle': '1', 'cpu.max': '270000 100000', 'cpuset.cpus': '5-7', 'cgroup.freeze': '0'}"
        in text
    )
    assert "lower node-1: latency-critical use rose: ceiling from 6200, to 2700, asked for 6000" in text
    assert "squeeze node-1: memory is tight" in text
    assert "evict batch/job-2: memory is short" in text
    assert "release node-1: memory is no longer tight: node MiB in use then 13824, of 16384" in text
