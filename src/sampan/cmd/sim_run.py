"""`sampan sim run`: replay a trace's arrivals on its cluster, by one policy beside another, and print what came of it."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sampan.base.errors import InvalidArgument, SampanError
from sampan.cli.table import Row, show

if TYPE_CHECKING:
    from sampan.sim.arrivals import Floats, Maker, Policy
    from sampan.sim.gpu import Cluster, Workload

POLICIES = {"best-fit": "BestFit", "fgd": "FragmentationDescent", "lasting": "Lasting"}
"""Name -> class in sampan.sim.gpu_policy."""


def main(argv: list[str]) -> int:
    """Run the replays; returns the exit code."""
    words = _parser().parse_args(argv)
    try:
        return _run(words)
    except SampanError as error:
        print(f"sampan: {error}", file=sys.stderr)
        return 1


def _run(words: argparse.Namespace) -> int:
    from sampan.sim import figures, openb, report
    from sampan.sim.arrivals import Replay, allocation

    folder = Path(words.trace)
    cluster, workload = openb.cluster(folder), openb.workload(folder, words.workload)
    orders = openb.orders(folder, words.workload)
    missing = [seed for seed in words.seeds if seed not in orders]
    if missing:
        raise InvalidArgument(f"there is no order for seed {missing[0]}: there are {', '.join(map(str, orders))}")
    rows: list[Row] = []
    curves: dict[str, Floats] = {}
    for name in dict.fromkeys([words.policy, *words.against]):
        replay = Replay(cluster, workload, policy(name, cluster, workload))
        outcomes = [replay.run(orders[seed]) for seed in words.seeds or orders]
        found = figures.mean([figures.figures(cluster, workload, outcome) for outcome in outcomes])
        allocated = sum(allocation(outcome, cluster.milli, words.percent) for outcome in outcomes) / len(outcomes)
        curves[name] = figures.curve(outcomes[0], cluster.milli)
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
        axes = "GPU that has arrived, % of the cluster's", "GPU placed, % of the cluster's, first order"
        Path(words.html).write_text(report.page(f"Placing {words.workload}", table, curves, axes))
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


def _parser() -> argparse.ArgumentParser:
    text = "Replay arrivals of a GPU cluster's trace; figures are means over the orders of arrival."
    parser = argparse.ArgumentParser(prog="sampan sim run", description=text)
    parser.add_argument("--trace", required=True, metavar="DIR", help="the trace's folder")
    names = f"{', '.join(POLICIES)} or FILE.py:CLASS"
    parser.add_argument("--policy", default="lasting", metavar="A", help=f"{names}; default lasting")
    parser.add_argument(
        "--against", action="append", default=[], metavar="B", help="a policy to compare; may be repeated"
    )
    parser.add_argument("--workload", default="default", metavar="W", help="the list of pods; default `default`")
    parser.add_argument(
        "--seeds", type=_numbers, default=[], metavar="N,N", help="orders of arrival; all when not given"
    )
    parser.add_argument(
        "--percent", type=int, default=130, metavar="P", help="allocation is told at P %% arrived; default 130"
    )
    parser.add_argument("--html", metavar="FILE", help="write a page with a chart, too")
    return parser


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]
