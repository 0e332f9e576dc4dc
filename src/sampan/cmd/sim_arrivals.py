"""`sampan sim run --arrivals`: each pod of a GPU cluster's trace is placed once, in published orders of arrival, or never."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from sampan.base.errors import InvalidArgument
from sampan.cli.table import Row, show

if TYPE_CHECKING:
    from sampan.sim.arrivals import Maker, Policy
    from sampan.sim.chart import Points
    from sampan.sim.gpu import Cluster, Workload

POLICIES = {"best-fit": "BestFit", "fgd": "FragmentationDescent", "lasting": "Lasting"}
"""Name -> class in sampan.sim.gpu_policy."""


def run(words: argparse.Namespace) -> int:
    """Run the replays; returns the exit code."""
    from sampan.sim import figures, openb
    from sampan.sim.arrivals import Replay, allocation
    from sampan.sim.chart import Axis, chart
    from sampan.sim.page import page

    folder = Path(words.trace)
    cluster, workload = openb.cluster(folder), openb.workload(folder, words.workload)
    orders = openb.orders(folder, words.workload)
    missing = [seed for seed in words.seeds if seed not in orders]
    if missing:
        raise InvalidArgument(f"there is no order for seed {missing[0]}: there are {', '.join(map(str, orders))}")
    rows: list[Row] = []
    curves: dict[str, Points] = {}
    for name in dict.fromkeys([words.policy or "lasting", *words.against]):
        replay = Replay(cluster, workload, policy(name, cluster, workload))
        outcomes = [replay.run(orders[seed]) for seed in words.seeds or orders]
        found = figures.mean([figures.figures(cluster, workload, outcome) for outcome in outcomes])
        allocated = sum(allocation(outcome, cluster.milli, words.percent) for outcome in outcomes) / len(outcomes)
        curve = enumerate(figures.curve(outcomes[0], cluster.milli).tolist())
        curves[name] = [(at, value) for at, value in curve if value == value]  # noqa: PLR0124  not nan
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
        table = [[title for title, _ in _COLUMNS], *([str(row[field]) for _, field in _COLUMNS] for row in rows)]
        drawn = chart(
            "GPU placed, first order", curves, Axis("GPU that has arrived, % of the cluster's"), Axis("%"), 100.0
        )
        Path(words.html).write_text(page(f"Placing {words.workload}", [], table, [drawn]))
    return 0


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


def policy(name: str, cluster: Cluster, workload: Workload) -> Policy:
    """Return the policy of a name, or of `FILE.py:CLASS`.

    Raises:
        InvalidArgument: there is none.
    """
    make: Maker
    if name in POLICIES:
        make = getattr(importlib.import_module("sampan.sim.gpu_policy"), POLICIES[name])
        return make(cluster, workload)
    path, separator, attribute = name.rpartition(":")
    if not separator:
        raise InvalidArgument(f"there is no policy {name}: there are {', '.join(POLICIES)}, and FILE.py:CLASS")
    import runpy

    try:
        make = runpy.run_path(path)[attribute]
    except (OSError, KeyError, SyntaxError) as error:
        raise InvalidArgument(f"{name} is no policy: {error}") from error
    return make(cluster, workload)
