"""`sampan sim run --arrivals`: each pod of a GPU cluster's trace is placed once, in published orders of arrival, or never."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from sampan.base.errors import InvalidArgument
from sampan.cli.table import Row, show

if TYPE_CHECKING:
    from sampan.sim.chart import Points
    from sampan.sim.traces.openb import Arrivals


def run(words: argparse.Namespace) -> int:
    """Run the replays; returns the exit code."""
    from sampan.cmd.sim_policies import profile
    from sampan.sim import figures
    from sampan.sim.arrivals import allocation, curve, gpu_milli, replay
    from sampan.sim.gpu import Workload
    from sampan.sim.traces import openb

    trace = openb.arrivals(Path(words.trace), words.workload)
    milli, workload = gpu_milli(trace.nodes), Workload.of(Counter(trace.shapes))
    missing = [seed for seed in words.seeds if seed not in trace.orders]
    if missing:
        raise InvalidArgument(f"there is no order for seed {missing[0]}: there are {', '.join(map(str, trace.orders))}")
    rows: list[Row] = []
    curves: dict[str, Points] = {}
    for name in dict.fromkeys([words.policy or "lasting", *words.against]):
        each = profile(name, trace.nodes, workload)
        orders = [[trace.shapes[row] for row in trace.orders[seed]] for seed in words.seeds or trace.orders]
        outcomes = [replay(trace.nodes, order, each) for order in orders]
        found = figures.mean([figures.figures(workload, outcome) for outcome in outcomes])
        allocated = sum(allocation(outcome, milli, words.percent) for outcome in outcomes) / len(outcomes)
        points = enumerate(curve(outcomes[0], milli).tolist())
        curves[name] = [(at, value) for at, value in points if value == value]  # noqa: PLR0124  not nan
        row: Row = {
            "policy": name,
            "allocated": f"{allocated:.2f}",
            "placed": str(found.placed),
            "pending": str(found.pending),
        }
        row |= {share: f"{getattr(found, share):.2f}" for share in ("gpu", "cpu", "memory", "fragmented")}
        rows.append(row)
    show(rows, _COLUMNS)
    if words.html:
        words.html.write_text(_page(words, trace, rows, curves), encoding="utf-8")
    return 0


def _page(words: argparse.Namespace, trace: Arrivals, rows: list[Row], curves: dict[str, Points]) -> str:
    from sampan.sim.chart import Axis, chart
    from sampan.sim.page import page

    seeds = ", ".join(map(str, words.seeds or trace.orders))
    about = [
        f"{len(trace.nodes)} nodes, {len(trace.shapes)} pods of {words.trace}; orders of arrival: {seeds}.",
        "Each pod is placed once or never, and nothing leaves.",
        f"GPU% AT ARRIVED%: what is placed when {words.percent} % of the cluster's GPUs have arrived.",
    ]
    table = [[title for title, _ in _COLUMNS], *([str(row[field]) for _, field in _COLUMNS] for row in rows)]
    arrived, placed = Axis("GPU that has arrived, % of the cluster's"), Axis("% of the cluster's")
    drawn = chart("GPU placed, first order", curves, arrived, placed, 100.0)
    return page(f"Arrivals of workload {words.workload}", about, table, [drawn])


_COLUMNS = (
    ("POLICY", "policy"),
    ("GPU% AT ARRIVED%", "allocated"),
    ("PLACED", "placed"),
    ("PENDING", "pending"),
    ("GPU%", "gpu"),
    ("CPU%", "cpu"),
    ("MEMORY%", "memory"),
    ("FRAGMENTED%", "fragmented"),
)
