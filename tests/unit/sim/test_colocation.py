"""Co-location in a simulation: small worlds whose course is known, and traces, where they are."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packings import contest_zip, packing
from sampan.base.errors import InvalidArgument
from sampan.cmd.sim_colocate import main
from sampan.schedule.colocation.action import Action, Rule, Verb
from sampan.schedule.colocation.columns import Columns
from sampan.schedule.colocation.policy import Policy
from sampan.sim.colocation import Colocation
from sampan.sim.colocation_world import BEST_EFFORT, LATENCY_CRITICAL, Mode, World, fleet, hurried, worked_off
from sampan.sim.simulation import GANG_BROKEN
from sampan.sim.task import FOREVER_S, Task
from sampan.sim.traces import machine
from sampan.sim.usage import Curves, Usage

GIB = 1 << 30
HOUR_S = 3600.0
TRACES = os.environ.get("SAMPAN_TRACES", "")


def service(cpu: int, memory: int, name: str = "web") -> Task:
    return Task(
        name=name,
        arrival_s=0,
        duration_s=FOREVER_S,
        shape=machine.shape(cpu, memory),
        priority=1,
        kind=LATENCY_CRITICAL,
    )


def job(count: int, memory: int = GIB, duration_s: float = HOUR_S) -> Task:
    return Task(
        name="job", arrival_s=0, duration_s=duration_s, shape=machine.shape(1000, memory), kind=BEST_EFFORT, count=count
    )


def world(cpu: list[float], memory: list[float], *batch: Task) -> World:
    """One node of 10 cores and 100 GiB, one service that asks for 8 cores and 50 GiB, and uses these parts of it."""
    return World(
        nodes=[machine.node("n", 10_000, 100 * GIB)],
        services=[service(8000, 50 * GIB)],
        batch=batch,
        curves=Curves(np.array([cpu]), np.array([memory])),
        curve_of={"web": 0},
    )


CALM = world([0.25], [0.5], job(20))
"""2 cores are in use, always."""
RISING = world([0.25] * 4 + [0.95] * 8, [0.5] * 12, job(6, duration_s=10 * HOUR_S))
"""After an hour 7.6 cores are in use."""


def test_without_best_effort_work_and_by_requests():
    none = Colocation(CALM, Mode.NONE).run(3 * HOUR_S)
    assert none.cpu_percent == pytest.approx(20)
    assert (none.done_core_hours, none.ended, none.waiting) == (0, 0, 0)
    by_requests = Colocation(CALM, Mode.REQUESTS).run(3 * HOUR_S)
    assert by_requests.cpu_percent == pytest.approx(40)
    assert by_requests.done_core_hours == pytest.approx(6)
    assert (by_requests.ended, by_requests.waiting, by_requests.evictions) == (6, 12, 0)


def test_co_located_as_reckoned_by_hand():
    """At 60 s the service is new and counts with its 8 cores: 1 is reclaimed. At 1,860 s it counts with 2 and safety: 6 are."""
    found = Colocation(CALM, Mode.COLOCATED).run(3 * HOUR_S)
    worked_s = (3 * HOUR_S - 60) + 5 * (3 * HOUR_S - 1860)
    assert found.done_core_hours == pytest.approx(worked_s / HOUR_S)
    assert found.cpu_percent == pytest.approx(20 + 100 * worked_s / (10 * 3 * HOUR_S))
    assert (found.ended, found.waiting) == (12, 2)
    waited_s = [60, *[1860] * 5, 3660, *[5460] * 5, 7260, *[9060] * 5, *[3 * HOUR_S] * 2]
    assert found.wait_minutes == pytest.approx(sum(waited_s) / 20 / 60)
    assert (found.evictions, found.suppressions, found.lack_time_percent) == (0, 0, 0)


def test_a_rise_is_met_a_period_late_then_pods_are_suppressed_then_some_go():
    """6 of 10 cores are theirs when 7.6 are wanted: 3.6 lack for one period. Then 1.4 are left: 15 minutes later 4 of 6 go."""
    told: list[tuple[float, Action]] = []
    run = Colocation(RISING, Mode.COLOCATED, told=lambda now_s, action: told.append((now_s, action)))
    found = run.run(2 * HOUR_S)
    assert found.lack_time_percent == pytest.approx(100 * 60 / (2 * HOUR_S))
    assert found.lack_percent == pytest.approx(100 * 3.6 * 60 / ((2 + 7.6) * HOUR_S))
    assert found.lack_worst_percent == pytest.approx(100 * 3.6 / 7.6)
    lower, *gone = [(now_s, action) for now_s, action in told if action.verb in (Verb.LOWER, Verb.EVICT)]
    assert (lower[0], lower[1].rule) == (3660, Rule.USE_ROSE)
    assert {(now_s, action.rule) for now_s, action in gone} == {(4560, Rule.STARVED)}
    assert (len(gone), found.evictions, found.waiting, found.suppressions) == (4, 4, 4, 1)
    page = (Path(__file__).parents[3] / "docs" / "colocation.md").read_text()
    assert all(f"    {now_s:.0f} s: {action.message()}\n" in page for now_s, action in (lower, gone[0]))
    assert run.meter.wanted.tolist() == [2000]
    done_s = [3600, *[1800] * 5]  # by 3,660 s
    slow = [1.4 / 6 * 900] * 6
    kept_s = sum(done_s[:2]) + sum(slow[:2]) + 1.4 * (2 * HOUR_S - 4560)
    assert found.done_core_hours == pytest.approx(kept_s / HOUR_S)
    assert found.lost_core_hours == pytest.approx((sum(done_s[2:]) + sum(slow[2:])) / HOUR_S)


def test_a_service_that_ends_leaves_its_room_in_the_same_moment():
    """6 pods run beside it until 3,600 s, then 9; their ceiling rises from 7 cores by 1 at once, and by 1 a period later."""
    ends = replace(CALM, services=[msgspec.structs.replace(CALM.services[0], duration_s=HOUR_S)])
    found = Colocation(ends, Mode.COLOCATED).run(2 * HOUR_S)
    assert found.withheld_core_hours == pytest.approx(60 / HOUR_S)
    assert (found.ended, found.waiting, found.suppressions) == (1 + 5 + 3, 2, 0)


def test_a_service_that_ends_tells_plans_nothing_of_a_rise_in_the_same_moment():
    short = msgspec.structs.replace(service(100, 0, "short"), duration_s=HOUR_S)
    two = replace(RISING, services=[*RISING.services, short], curve_of={"web": 0, "short": 0})
    found = Colocation(two, Mode.COLOCATED).run(2 * HOUR_S)
    assert found.lack_time_percent == pytest.approx(100 * 60 / (2 * HOUR_S))


def test_a_service_that_begins_anew_counts_as_new():
    """Evicted at 3,630 s, seen again at 3,660 s: for half an hour it counts with 8 cores, and nobody takes the place of who ends."""
    run = Colocation(CALM, Mode.COLOCATED)
    run.simulation.at(3630, lambda: run.simulation.evict("web/0", "moved"))
    found = run.run(3 * HOUR_S)
    worked_s = 3600 + (3 * HOUR_S - 5460) + 5 * (3 * HOUR_S - 1860)
    assert found.done_core_hours == pytest.approx(worked_s / HOUR_S)
    assert found.evictions == 0  # of best-effort pods


def test_memory_that_becomes_short_ends_best_effort_pods_only_as_many_as_needed():
    """25 GiB are in use by the service, then 50; 65 by pods: 15 GiB too many, and 95 may be in use: two of 10 GiB go."""
    tight = world([0.25] * 12, [0.5] * 4 + [1.0] * 8, job(6, 10 * GIB, 10 * HOUR_S))
    told: list[Action] = []
    found = Colocation(tight, Mode.COLOCATED, told=lambda _, action: told.append(action)).run(2 * HOUR_S)
    gone = [action for action in told if action.verb is Verb.EVICT]
    assert {action.rule for action in gone} == {Rule.MEMORY_SHORT}
    assert (len(gone), found.evictions) == (2, 2)
    assert dict(gone[0].numbers)["node MiB in use"] == 110 * 1024
    assert found.waiting == 2  # 45 GiB are left, less what is never given away


def test_a_gang_goes_as_a_whole():
    """As above, but where four of six would go, all go; and four cannot come back alone."""
    gang = msgspec.structs.replace(RISING.batch[0], together=True)
    run = Colocation(replace(RISING, batch=[gang]), Mode.COLOCATED)
    found = run.run(2 * HOUR_S)
    assert (found.evictions, found.waiting) == (6, 6)
    assert run.meter.wanted.tolist() == [0]
    assert dict(run.meter.evictions) == {Rule.STARVED.value: 1, GANG_BROKEN: 5}


def test_who_had_to_go_does_not_come_back_to_that_node_for_a_while():
    """They starve from 3,660 s on and go at 4,500 s, just when the service calms down; at 4,800 s the node is open again."""
    short = replace(RISING, curves=Curves(np.array([[0.25] * 4 + [0.95] + [0.25] * 7]), np.full((1, 12), 0.5)))
    quick = Policy(patience_s=840, cpu_percentile=0.5)
    run = Colocation(short, Mode.COLOCATED, quick)
    wanted = []
    for until_s in (4490, 4500, 4790, 4800):
        run.simulation.run(until_s)
        wanted.append(run.meter.wanted.tolist())
    assert wanted == [[6000], [2000], [2000], [6000]]


def test_what_pods_use_beyond_their_requests_is_not_given_away():
    """6 pods would fit by their requests; the first 4 use more, so that one that comes later must wait, and nobody has to go."""
    late = msgspec.structs.replace(job(2, 7 * GIB, 10 * HOUR_S), name="late", arrival_s=HOUR_S)
    tight = world([0.25] * 12, [1.0] * 12, job(4, 7 * GIB, 10 * HOUR_S), late)
    by_requests, by_use = (Colocation(tight, Mode.COLOCATED, over=over, seed=5) for over in (0, 0.5))
    for run in (by_requests, by_use):
        assert run.run(2 * HOUR_S).evictions == 0
    assert (by_requests.meter.wanted.tolist(), by_use.meter.wanted.tolist()) == ([6000], [5000])


def test_without_plans_services_lack_what_pods_take():
    """3.6 cores of 7.6, for an hour, not for a minute."""
    found = Colocation(RISING, Mode.COLOCATED, plans=False).run(2 * HOUR_S)
    assert found.lack_time_percent == pytest.approx(50)
    assert found.lack_percent == pytest.approx(100 * 3.6 / (2 + 7.6))
    assert (found.evictions, found.suppressions) == (0, 0)


def test_the_same_seed_gives_the_same_course_another_one_another():
    problem = packing(3, apps=20, machines=30)
    batch = [job(200, duration_s=900.0)]
    first, again, other = (
        Colocation(fleet(problem, batch, 6, seed, 0.3), Mode.COLOCATED, seed=seed, noise=0.2).run(4 * HOUR_S)
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 30), st.integers(1, 20))
@settings(max_examples=25, deadline=None)
def test_services_whose_use_is_even_never_lack_anything(cpu, memory, count, gibs):
    even = world([cpu], [memory], job(count, gibs * GIB, 600.0))
    for mode in Mode:
        found = Colocation(even, mode).run(2 * HOUR_S)
        assert (found.lack_time_percent, found.evictions, found.lost_core_hours) == (0, 0, 0)
        assert found.cpu_percent <= 100


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.integers(0, 5), st.integers(1, 20))
@settings(max_examples=25, deadline=None)
def test_services_lack_something_only_in_the_period_after_a_rise(cpu, seed, count):
    """With no noise a rise is at a point; a plan that knows of it is one period late."""
    rising = world(cpu, [0.5] * len(cpu), job(count, GIB, 600.0 + 100 * seed))
    run = Colocation(rising, Mode.COLOCATED)
    whole_s = 900.0 * len(cpu)
    found = run.run(whole_s)
    rises = sum(after > before for before, after in pairwise(cpu))
    assert found.lack_time_percent <= 100 * 60 * rises / whole_s + 1e-9


def test_what_services_use_is_by_seed_pod_and_time_alone():
    usage = Usage(Curves(np.array([[0.5, 1.0]]), np.array([[0.1, 0.2]])), 3, 60, seed=1, noise=0.1)
    asked = Columns(np.array([1000] * 3), np.array([GIB] * 3))
    every = usage.use(np.arange(3), np.zeros(3, np.int64), asked, 930)
    one = usage.use(np.array([2]), np.array([0]), Columns(asked.cpu[:1], asked.memory[:1]), 959)
    assert one.cpu[0] == every.cpu[2]
    assert len(set(every.cpu.tolist())) == 3
    assert every.memory.tolist() == [GIB // 5 + 1] * 3
    wild = Usage(Curves(np.array([[0.5, 1.0]]), np.array([[0.1, 0.2]])), 99, 60, seed=1, noise=5)
    drawn = wild.use(np.arange(99), np.zeros(99, np.int64), Columns(np.full(99, 1000), np.full(99, GIB)), 930)
    assert drawn.cpu.min() == 0
    even = Usage(Curves(np.array([[0.5, 1.0]]), np.array([[0.1, 0.2]])), 3, 60)
    assert [even.use(np.array([0]), np.array([0]), Columns(asked.cpu[:1], asked.memory[:1]), at).cpu[0] for at in (0, 900, 1800)] == [500, 1000, 500]  # fmt: skip


def test_many_short_pods_are_worked_off_by_fewer():
    short = replace_job(job(100, GIB - 5, 60.0), 1000)
    found = worked_off(short, 1800)
    assert (found.count, found.duration_s) == (4, 1500)
    assert dict(found.shape.requests)["memory"] == GIB
    long = worked_off(job(3, GIB, 7200.0), 1800)
    assert (long.count, long.duration_s) == (3, 7200)


def replace_job(task: Task, cpu: int) -> Task:
    return Task(
        name=task.name,
        arrival_s=task.arrival_s,
        duration_s=task.duration_s,
        shape=machine.shape(cpu, dict(task.shape.requests)["memory"]),
        count=task.count,
    )


def test_the_last_days_of_a_trace_come_faster_and_run_as_long():
    day = 86_400.0
    tasks = [
        Task(name=name, arrival_s=arrival * day, duration_s=duration * day, shape=machine.shape(1, 1))
        for name, arrival, duration in (("gone", 0, 5), ("there", 1, 8), ("new", 8, 1), ("last", 10, 2))
    ]
    found = [(task.name, task.arrival_s / day, task.duration_s / day) for task in hurried(tasks, 4, 10)]
    assert found == [("there", 0, 3), ("new", pytest.approx(0.2), 1), ("last", pytest.approx(0.4), 2)]


def test_a_fleet_of_more_machines_than_there_are_is_refused():
    with pytest.raises(InvalidArgument, match="ask for 1 to 16 by --nodes"):
        fleet(packing(0), [], 17, 0, 0.0)


def test_services_of_a_fleet_ask_for_their_peak_and_slack_and_use_what_the_curve_says():
    problem = replace(packing(0), app=np.arange(12))
    found = fleet(problem, [], 16, 0, 0.25)
    assert sum(task.count for task in found.services) == 12
    for task in found.services:
        app = found.curve_of[task.name]
        requests = dict(task.shape.requests)
        assert requests["cpu"] == pytest.approx(1250 * problem.cpu[app].max(), abs=1)
        assert requests["cpu"] * found.curves.cpu[app] == pytest.approx(1000 * problem.cpu[app], abs=1)
        assert requests["memory"] * found.curves.memory[app] == pytest.approx(GIB * problem.memory[app], abs=1)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--trace", "none.zip", "--batch", "x"], "--trace names the contest's zip"),
        (["--trace", "none.zip"], "--batch FILE, or --classes DIR"),
        (["--trace", "none.zip", "--batch", "x", "--classes", "y"], "--batch FILE, or --classes DIR"),
    ],
)
def test_what_is_missing_is_told(argv, says, capsys):
    assert main(argv) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--period", "0"], "'0': a number from 1 to 86400 is wanted"),
        (["--hours", "inf"], "'inf': a number from 0 to 100000 is wanted"),
        (["--over", "2"], "'2': a number from 0 to 1 is wanted"),
        (["--noise", "nan"], "'nan': a number from 0 to 1000 is wanted"),
        (["--seed", "-1"], "'-1': a whole number from 0 to"),
        (["--html", "/nowhere/page.html"], "name a file in a folder that is there"),
    ],
)
def test_words_that_are_not_understood(argv, says, capsys):
    with pytest.raises(SystemExit):
        main(["--trace", "none.zip", "--batch", "x", *argv])
    assert says in capsys.readouterr().err


def test_machines_without_cpu_have_nothing_to_use():
    found = Colocation(replace(CALM, nodes=[machine.node("n", 0, GIB)]), Mode.COLOCATED).run(HOUR_S)
    assert (found.cpu_percent, found.services_waiting, found.waiting) == (0, 1, 20)


def table(text: str) -> dict[str, list[str]]:
    """Return the cells after the mode, by mode."""
    rows = [line.split("   ") for line in text.splitlines()[1:4]]
    return {row[0]: [cell.strip() for cell in row[1:] if cell.strip()] for row in rows}


def contest_file(path: Path, evenness: float) -> str:
    """Write a contest whose services' CPU jumps from point to point, the less the more even it is; returns the path."""
    problem = packing(6, points=98)
    means = problem.cpu.mean(axis=1, keepdims=True)
    count, have = problem.scalars[:, 1:], problem.machine_scalars[:, 1:]
    problem = replace(
        problem,
        cpu=evenness * means + (1 - evenness) * problem.cpu,
        scalars=np.hstack([problem.scalars, count, count]),
        machine_scalars=np.hstack([problem.machine_scalars, have, have]),
    )
    path.write_bytes(contest_zip(problem, [-1] * len(problem.app)).getvalue())
    return str(path)


def test_the_command_on_made_up_files(capsys, tmp_path):
    jobs, page, actions = (tmp_path / name for name in ("jobs.csv", "page.html", "actions"))
    jobs.write_text(
        ",submit_time,duration,cpu,memory,job_id,task_id,instances_num,disk\n"
        "0,0,60.0,1.0,0.005,1,1,36000,0\n1,600,30.0,0.5,0.01,1,2,100,0\n"
    )
    argv = ["--batch", str(jobs), "--without", "--nodes", "16", "--part", "1", "--hours", "3", "--slack", "1.5"]
    argv += ["--trace", contest_file(tmp_path / "even.zip", 0.9)]
    assert main([*argv, "--html", str(page)]) == 0
    text = capsys.readouterr().out
    none, by_requests, colocated = (table(text)[mode.value] for mode in Mode)
    assert float(none[0]) < float(by_requests[0]) < float(colocated[0])
    assert float(by_requests[1]) < float(colocated[1])
    assert "16 nodes, 256 cores" in text
    assert "BE pods with 600 core-hours of work; 3 hours." in text
    assert "kept." in text
    assert page.read_text().count("<polyline") == 4
    assert main(argv) == 0
    assert capsys.readouterr().out == text
    argv[-1] = contest_file(tmp_path / "wild.zip", 0)
    assert main([*argv, "--slack", "0.3", "--margin", "0", "--actions", str(actions)]) == 1
    assert "broken." in capsys.readouterr().out
    assert "lower machine-" in actions.read_text()
    assert main([*argv, "--slack", "0.3", "--margin", "0.4"]) == 0  # the remedy


@pytest.mark.skipif(not TRACES, reason="SAMPAN_TRACES does not name a folder with traces")
def test_on_a_part_of_a_real_fleet_co_location_does_more_and_keeps_its_promise(capsys, tmp_path):
    contest = f"{TRACES}/alibaba-tianchi-2018-preB/preliminary_dataB_20180726.zip"
    argv = ["--trace", contest, "--batch", f"{TRACES}/alibaba-2017-batch-cloudsimpy/jobs.csv", "--without"]
    argv += ["--nodes", "6", "--part", "0.2", "--hours", "12", "--html", str(tmp_path / "page.html")]
    assert main(argv) == 0
    text = capsys.readouterr().out
    found = table(text)
    none, by_requests, colocated = (found[mode.value] for mode in Mode)
    assert float(none[0]) + 5 < float(by_requests[0]) < float(colocated[0]) - 5 < 90
    assert float(colocated[1].replace(",", "")) > 1.3 * float(by_requests[1].replace(",", ""))
    assert "kept." in text
    assert "<svg" in (tmp_path / "page.html").read_text()


@pytest.mark.skipif(not TRACES, reason="SAMPAN_TRACES does not name a folder with traces")
def test_on_the_classes_of_a_gpu_cluster(capsys, tmp_path):
    contest = Path(TRACES) / "alibaba-tianchi-2018-preB" / "preliminary_dataB_20180726.zip"
    argv = ["--trace", str(contest), "--classes", f"{TRACES}/alibaba-openb-2023", "--without", "--nodes", "25"]
    assert main([*argv, "--period", "300", "--days", "12", "--actions", str(tmp_path / "actions")]) == 0
    found = table(capsys.readouterr().out)
    by_requests, colocated = found[Mode.REQUESTS.value], found[Mode.COLOCATED.value]
    assert int(colocated[7]) < int(by_requests[7])  # fewer are evicted
    assert " s: " in (tmp_path / "actions").read_text()


def test_a_policy_of_ones_own():
    """Without margins and safety, and no warming up, 8 cores are reclaimed at once."""
    bold = Policy(cpu_margin=0, cpu_headroom=0, cpu_safety=0, warm_up_s=0, cpu_percentile=0.5)
    found = Colocation(CALM, Mode.COLOCATED, bold).run(HOUR_S)
    assert found.cpu_percent == pytest.approx(20 + 70 * (1 - 60 / HOUR_S))  # the bucket above 2 cores is 2.03
