"""Charts and pages: round ticks, lines where values are, and names that are no markup."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.sim.chart import Axis, chart, ticks, time_axis
from sampan.sim.page import page


@given(st.floats(1e-6, 1e15))
def test_ticks_are_round_and_reach_the_end(most):
    found = ticks(most)
    assert found[0] == 0
    assert found[-2] < most <= found[-1] * (1 + 1e-9)
    assert 4 <= len(found) <= 10
    step = found[1]
    leading = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert any(leading == pytest.approx(round_one) for round_one in (1, 2, 2.5, 5, 10))
    assert all(value == pytest.approx(number * step) for number, value in enumerate(found))


def test_seconds_are_told_in_a_unit_that_suits():
    assert time_axis("time", 30.0) == Axis("time, seconds", 1.0)
    assert time_axis("time", 3 * 3600.0) == Axis("time, hours", 3600.0)
    assert time_axis("time", 0.0).unit == 1.0


def test_lines_go_through_their_points():
    text = chart("T", {"a": [(0.0, 0.0), (10.0, 50.0)], "b": []}, Axis("x"), Axis("y"), 100.0)
    first, second = re.findall(r'<polyline points="([^"]*)"', text)
    assert first == "60.0,256.0 744.0,148.0"  # from the corner to half of the height at the right edge
    assert second == ""
    assert chart("T", {}, Axis("x"), Axis("y")).startswith("<svg")


def test_what_is_measured_stands_behind_the_title():
    text = chart("CPU", {"a": [(0.0, 1.0)]}, Axis("time"), Axis("% of capacity"))
    assert ">CPU</tspan>, % of capacity</text>" in text
    assert 'aria-label="CPU, % of capacity"' in text
    assert ">CPU</tspan></text>" in chart("CPU", {}, Axis("time"), Axis(""))


def test_many_names_stand_in_rows_and_the_chart_grows_by_them():
    names = [f"a-user-with-a-long-name-{number}" for number in range(8)]
    text = chart("T", {name: [(0.0, 0.0), (1.0, 1.0)] for name in names}, Axis("x"), Axis("y"), 1.0)
    places = [(int(x), int(y)) for x, y in re.findall(r'<text x="(\d+)" y="(\d+)">a-user', text)]
    assert [y for _, y in places] == [32] * 3 + [50] * 3 + [68] * 2
    assert all(x + 7.5 * len(names[0]) <= 760 for x, _ in places)
    assert 'viewBox="0 0 760 336"' in text
    assert "60.0,292.0 744.0,76.0" in text  # the lines begin below the names


def test_lines_that_are_the_same_are_both_seen():
    text = chart("T", {name: [(0.0, 1.0)] for name in "abc"}, Axis("x"), Axis("y"))
    widths = [float(width) for width in re.findall(r'<polyline [^>]* stroke-width="([^"]*)"', text)]
    assert widths == sorted(set(widths), reverse=True)


def test_names_are_no_markup():
    text = chart("<T>", {"<b>": [(0.0, 1.0)]}, Axis("x & y"), Axis("%"))
    assert "<b>" not in text
    assert "&lt;b&gt;" in text
    assert "x &amp; y" in text
    made = page("<i>", ["<u>"], [["", "<s>"], ["a", "1"]], ["<svg></svg>"], ["<b>"])
    assert not re.search("<[ibus]>", made)
    assert made.count("<tr>") == 2
