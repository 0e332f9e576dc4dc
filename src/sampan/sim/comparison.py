"""Comparison: what several policies came to on one trace, side by side, as a table and as charts."""

from __future__ import annotations

from collections.abc import Sequence

from sampan.sim.chart import Axis, Points, chart, time_axis
from sampan.sim.summary import Series, Spread, Summary

PERCENT, PODS = Axis("% of capacity"), Axis("pods")
_PARTS = Spread.__struct_fields__
NOTES = (
    "refused: pods that no node could take if it were empty",
    "fragmented: what is free on nodes where the shapes that came most do not fit, mean over these and over time",
    "wait: of a pod, in all; p90: nine tenths of the pods waited no longer",
    "slowdown: from arrival to end, divided by the work, which counts as 10 s at least",
    "lost by evictions: work that had to be done again, of what was used",
    "Jain's index: of got/wanted of each owner, as dominant shares; 1 when all are served alike, 1/n when one of n is",
)
"""What the figures of a table are."""


def table(found: Sequence[Summary]) -> list[list[str]]:
    """Return rows: a figure's name, and its value for each policy; the first row names the policies."""
    rows = [["", *(one.policy for one in found)]]

    def add(name: str, values: Sequence[float | None], form: str = ",.2f") -> None:
        rows.append([name, *("" if each is None else format(each, form) for each in values)])

    for name in ("arrived", "placed", "ended", "running", "waiting", "refused"):
        add(name, [getattr(one, name) for one in found], ",")
    for name in found[0].used:
        add(f"{name} used, %", [one.used[name] for one in found])
    for name in found[0].fragmented:
        add(f"{name} fragmented, %", [one.fragmented[name] for one in found])
    for part in _PARTS:
        add(f"wait {part}, s", [_part(one.wait_s, part) for one in found], ",.1f")
    for part in _PARTS:
        add(f"slowdown {part}", [_part(one.slowdown, part) for one in found])
    for reason in sorted({reason for one in found for reason in one.evictions}):
        add(f"evicted: {reason}", [one.evictions.get(reason, 0) for one in found], ",")
    if any(one.evictions for one in found):
        for name in found[0].lost:
            add(f"{name} lost by evictions, %", [one.lost[name] for one in found])
    for kind in sorted(found[0].classes.keys() - {""}):
        classes = [one.classes[kind] for one in found]
        for part in ("mean", "p99"):
            add(f"{kind}: wait {part}, s", [_part(one.wait_s, part) for one in classes], ",.1f")
        add(f"{kind}: slowdown mean", [_part(one.slowdown, "mean") for one in classes])
        add(f"{kind}: evicted", [one.evictions for one in classes], ",")
    if any(one.fairness for one in found):
        add("Jain's index of owners", [one.fairness.jain if one.fairness else None for one in found], ".4f")
    add("lasted, s", [one.lasted_s for one in found], ",.0f")
    return rows


def _part(spread: Spread | None, part: str) -> float | None:
    return None if spread is None else float(getattr(spread, part))


def charts(found: Sequence[Summary]) -> list[str]:
    """Return the charts of a page: a line for each policy, and at the end a chart for each policy's owners."""
    begin_s = min((one.series.begin_s[0] for one in found if one.series.begin_s), default=0.0)
    time = time_axis("time since the first arrival", max(one.lasted_s for one in found))

    def curves(values: Sequence[Sequence[float | None]]) -> dict[str, Points]:
        each = zip(found, values, strict=True)
        return {one.policy: _points(one.series, column, begin_s) for one, column in each}

    made = [
        chart("Waiting", curves([one.series.waiting for one in found]), time, PODS),
        chart("Running", curves([one.series.running for one in found]), time, PODS),
    ]
    for name in found[0].used:
        made.append(chart(f"{name} used", curves([one.series.used[name] for one in found]), time, PERCENT, 100.0))
        lines = curves([one.series.fragmented[name] for one in found])
        made.append(chart(f"{name} fragmented", lines, time, PERCENT))
    made.append(_waits(found))
    if any(one.fairness for one in found):
        lines = curves([one.series.jain for one in found])
        made.append(chart("Jain's index of owners", lines, time, Axis("1: all are served alike"), 1.0))
    for one in found:
        if one.series.owners:
            lines = {name: _points(one.series, values, begin_s) for name, values in one.series.owners.items()}
            made.append(chart(f"{one.policy}: what the owners with most have", lines, time, PERCENT))
    return made


def _waits(found: Sequence[Summary]) -> str:
    lines = {one.policy: list(enumerate(one.wait_percentiles_s)) for one in found}
    longest_s = max((max(one.wait_percentiles_s, default=0.0) for one in found), default=0.0)
    return chart("Waiting times", lines, Axis("% of the pods that wait no longer"), time_axis("waited", longest_s))


def _points(series: Series, values: Sequence[float | None], begin_s: float) -> Points:
    pairs = zip(series.begin_s, values, strict=True)
    return [(at - begin_s, value) for at, value in pairs if value is not None]
