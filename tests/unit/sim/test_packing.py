"""Packing: what searches agrees with what counts slowly."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from packings import contest_zip, packing
from sampan.base.clock import ManualClock
from sampan.base.errors import Exhausted, InvalidArgument
from sampan.sim import contest
from sampan.sim.audit import audit, replay
from sampan.sim.budget import Rounds, Seconds
from sampan.sim.floor import Floor
from sampan.sim.interference import Interference
from sampan.sim.pack import pack, repack
from sampan.sim.packing import Packing
from sampan.sim.relaxed import relaxed
from sampan.sim.route import nearest, route


def test_cost_of_one_machine_by_hand():
    one = packing(0, apps=1, machines=2, points=2)
    one = replace(one, cpu=np.array([[4.0, 8.0]]), app=np.array([0]), start=np.array([0]))
    expected = (1 + (1 + 10 * (np.e**0.5 - 1))) / 2  # half of 8 cores is calm, all of them are not
    assert one.cost(np.array([0])) == pytest.approx(expected, abs=1e-12)
    assert one.cost(np.array([-1])) == 0


@pytest.mark.parametrize("seed", range(8))
def test_a_packing_breaks_nothing_and_costs_what_is_counted_slowly(seed):
    problem = packing(seed)
    packed = pack(problem, Rounds(60), seed)
    found = audit(problem, packed.placement)
    assert (found.broken, found.missing) == ([], 0)
    assert packed.cost == pytest.approx(found.cost, abs=1e-9)
    assert relaxed(problem)[0] <= packed.cost * (1 + 1e-5)


def test_annealing_makes_it_cheaper():
    problem = packing(3, apps=60, machines=80)
    assert pack(problem, Rounds(400)).cost < pack(problem, Rounds(1)).cost


def test_the_same_seed_gives_the_same_placement_another_one_another():
    problem = packing(5, apps=40, machines=60)
    one, twin, other = (pack(problem, Rounds(40), seed) for seed in (1, 1, 2))
    assert np.array_equal(one.placement, twin.placement)
    assert one.cost == twin.cost
    assert not np.array_equal(one.placement, other.placement)


@pytest.mark.parametrize("seed", range(6))
def test_moves_from_a_start_are_legal_each_at_its_moment(seed):
    problem = packing(seed, apps=20, machines=30)
    begun = pack(problem, Rounds(1), seed).placement
    begun[::5] = -1
    problem = replace(problem, start=begun)
    packed = repack(problem, Rounds(60), seed)
    goal = nearest(problem, packed.placement)
    assert problem.cost(goal) == pytest.approx(packed.cost, abs=1e-9)
    moves = route(problem, goal)
    reached, broken = replay(problem, moves)
    assert broken == []
    assert reached == goal.tolist()
    assert len(moves) >= (goal != begun).sum()


def test_what_a_move_must_save_makes_them_fewer():
    problem = packing(2, apps=60, machines=80)
    problem = replace(problem, start=pack(problem, Rounds(1)).placement)
    free, dear = (repack(problem, Rounds(300), charge=charge) for charge in (0, 0.5))
    moved = [int((nearest(problem, found.placement) != problem.start).sum()) for found in (free, dear)]
    assert moved[1] < moved[0] / 2
    assert dear.cost <= problem.cost(problem.start)


def test_two_that_wait_for_each_other_step_aside():
    """Each fills its machine, so neither fits beside the other; a third machine is free."""
    problem = Packing(
        cpu=np.array([[6.0], [5.0]]),
        memory=np.ones((2, 1)),
        scalars=np.zeros((2, 1)),
        machine_cpu=np.full(3, 8.0),
        machine_memory=np.full(3, 8.0),
        machine_scalars=np.ones((3, 1)),
        rules=np.empty((0, 3), np.int64),
        app=np.array([0, 1]),
        start=np.array([0, 1]),
    )
    moves = route(problem, np.array([1, 0]))
    reached, broken = replay(problem, moves)
    assert (reached, broken, len(moves)) == ([1, 0], [], 3)
    full = replace(problem, machine_cpu=np.array([8.0, 8.0, 4.0]))
    with pytest.raises(Exhausted, match="2 instances wait for each other"):
        route(full, np.array([1, 0]))


def test_the_audit_sees_each_kind_of_breach():
    problem = packing(1, apps=3, machines=2, points=2)
    crowd = replace(problem, app=np.repeat([0, 1, 2], 9), start=np.full(27, 0))
    text = "\n".join(audit(crowd, crowd.start).broken)
    assert "too little CPU" in text
    assert "too little memory" in text
    assert "too little of 0" in text
    assert "9 of 0 beside 0" in text
    assert audit(crowd, np.full(27, -1)).missing == 27


def test_rules_by_hand():
    none = 3
    rules = Interference(np.array([[0, 1, 0], [0, 2, 1], [2, 2, 1]]), none)
    rows = np.array([[0, none], [none, none], [1, none], [0, 2], [2, 2], [0, 2], [2, none]])
    apps = np.array([1, 1, 0, 2, 2, 0, 2])
    assert rules.allowed(apps, rows).tolist() == [False, True, False, False, False, True, True]


def test_what_does_not_fit_anywhere_is_told():
    problem = packing(2)
    with pytest.raises(Exhausted, match="fit on no machine"):
        pack(replace(problem, memory=problem.memory + 60), Rounds(1))


def test_values_with_more_than_six_decimals_are_refused():
    with pytest.raises(InvalidArgument, match=r"0\.000001"):
        Floor(replace(packing(2), memory=packing(2).memory + 1e-7 / 3))


def test_a_floor_knows_its_placement():
    problem = packing(4)
    begun = pack(problem, Rounds(20)).placement
    floor = Floor(problem)
    floor.load(begun)
    again = floor.placement()
    assert problem.cost(again) == pytest.approx(problem.cost(begun), abs=1e-12)
    for app in range(len(problem.cpu)):
        mine = problem.app == app
        assert sorted(again[mine]) == sorted(begun[mine])


def test_the_contests_files_are_read():
    problem = packing(6, apps=5, machines=4, points=98)
    extra = np.zeros((5, 2)), np.full((4, 2), 3.0)
    problem = replace(
        problem,
        scalars=np.column_stack([problem.scalars, extra[0]]),
        machine_scalars=np.column_stack([problem.machine_scalars, extra[1]]),
    )
    start = [-1] * len(problem.app)
    start[0] = 3
    found = contest.read(contest_zip(problem, start))
    for name in ("cpu", "memory", "scalars", "machine_cpu", "machine_memory", "machine_scalars", "rules", "app"):
        assert np.array_equal(getattr(found, name), getattr(problem, name)), name
    assert found.start.tolist() == start


def test_other_files_are_refused():
    with pytest.raises(InvalidArgument, match="no zip"):
        contest.read(io.BytesIO(b"app_1,2"))
    problem = packing(6, apps=2, machines=2, points=97)
    with pytest.raises(InvalidArgument, match="not 7 numbers"):
        contest.read(contest_zip(problem, [-1] * len(problem.app)))


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("instance_deploy", ",app_1,", ",app_99,", "the contest's files name app_99, and say nothing about it"),
        ("instance_deploy", ",app_1,\n", ",app_1,machine_99\n", "name machine_99, and say nothing about it"),
        ("app_interference", "app_1,", "app_-1,", "name app_-1, and say nothing about it"),
        ("machine_resources", "machine_1,", "machine_one,", "rows that are not 7 numbers"),
        ("machine_resources", "machine_1,", "machine_nan,", "rows that are not 7 numbers"),
    ],
)
def test_files_that_name_what_is_not_there_are_refused(file, old, new, said):
    problem = packing(6, apps=5, machines=4, points=98)
    none = np.zeros((5, 2)), np.zeros((4, 2))
    problem = replace(
        problem,
        scalars=np.column_stack([problem.scalars, none[0]]),
        machine_scalars=np.column_stack([problem.machine_scalars, none[1]]),
    )
    made = io.BytesIO()
    with zipfile.ZipFile(contest_zip(problem, [-1] * len(problem.app))) as whole, zipfile.ZipFile(made, "w") as broken:
        for name in whole.namelist():
            text = whole.read(name).decode()
            broken.writestr(name, text.replace(old, new) if file in name else text)
    with pytest.raises(InvalidArgument, match=said):
        contest.read(made)


def test_a_budget_of_seconds_begins_with_the_first_call():
    clock = ManualClock()
    spent = Seconds(clock, 10)
    clock.advance(6)
    assert spent() == 0
    clock.advance(2)
    assert spent() == pytest.approx(0.5)
    clock.advance(2)
    assert spent() == pytest.approx(1)
    late = Seconds(clock, 1)
    clock.advance(2)
    assert late() == 1
    assert Rounds(0)() == 1
