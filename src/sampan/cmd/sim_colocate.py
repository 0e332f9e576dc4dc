"""`sampan sim colocate`: best-effort work on what services reserve and do not use: what it gains, and whom it harms."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sampan.base.errors import InvalidArgument, SampanError
from sampan.cli.table import Row, show
from sampan.cmd.sim_words import new_file, number, whole

if TYPE_CHECKING:
    from sampan.sim.colocation_meter import Figures, Meter
    from sampan.sim.colocation_world import World

_COLUMNS = (
    ("MODE", "mode"),
    ("CPU%", "cpu"),
    ("BE CORE-HOURS", "done"),
    ("LOST", "lost"),
    ("WITHHELD", "withheld"),
    ("ENDED", "ended"),
    ("WAITING", "waiting"),
    ("WAIT MIN", "wait"),
    ("EVICTED", "evicted"),
    ("SUPPRESSED", "suppressed"),
    ("LS LACK% OF TIME", "lack_time"),
    ("OF USE", "lack"),
    ("WORST", "worst"),
)
_NOTES = (
    "BE: best-effort work; LS: services, which are latency-critical",
    "LOST: core-hours that were done and had to be done again, by evictions",
    "WITHHELD: core-hours that running BE pods wanted and did not get",
    "WAIT MIN: mean minutes of all BE pods; who still waits counts with the wait so far",
    "SUPPRESSED: times that a node's BE pods began to get less than they ask for",
    "LS LACK% OF TIME: node-time in which services had less CPU than they would use",
    "OF USE: what they had not, of what they would use; WORST: the same of one node, at the worst",
)
SLO_TIME_PERCENT, SLO_USE_PERCENT = 0.1, 0.01
"""In so much of node-time services may have less CPU than they would use, and so much of it they may lack."""


def main(argv: list[str]) -> int:
    """Run the simulation; returns the exit code: 1 too where the promise to services is broken."""
    words = _parser().parse_args(argv)
    try:
        return _run(words)
    except (SampanError, OSError) as error:
        print(f"sampan: {error}", file=sys.stderr)
        return 1


def _run(words: argparse.Namespace) -> int:
    from sampan.schedule.colocation.policy import Policy
    from sampan.sim.colocation import Colocation
    from sampan.sim.colocation_world import Mode

    policy, world = Policy(cpu_margin=words.margin), _world(words)
    until_s = words.hours * 3600 if words.hours else _end(world)
    actions: list[str] = []
    figures: dict[str, Figures] = {}
    meters: dict[str, Meter] = {}
    for mode in Mode if words.without else [Mode.COLOCATED]:  # this is the last, always
        run = Colocation(
            world,
            mode,
            policy,
            period_s=words.period,
            seed=words.seed,
            noise=words.noise,
            over=words.over,
            plans=not words.no_plans,
            told=lambda now_s, action: actions.append(f"{now_s:.0f} s: {action.message()}\n"),
        )
        figures[mode.value], meters[mode.value] = run.run(until_s), run.meter
    rows, found = [_row(mode, each) for mode, each in figures.items()], figures[Mode.COLOCATED.value]
    about = [_about(world, found, until_s), verdict(found)]
    show(rows, _COLUMNS)
    print("", *about, sep="\n")
    if words.actions:
        words.actions.write_text("".join(actions))
    if words.html:
        words.html.write_text(_page(about, rows, meters), encoding="utf-8")
    return 0 if kept(found) else 1


def kept(figures: Figures) -> bool:
    """Tell whether services had what they were promised."""
    return figures.lack_time_percent <= SLO_TIME_PERCENT and figures.lack_percent <= SLO_USE_PERCENT


def verdict(figures: Figures) -> str:
    """Return a sentence on the promise to services."""
    return (
        f"SLO: services lack CPU in at most {SLO_TIME_PERCENT:g} % of node-time, and at most {SLO_USE_PERCENT:g} % of what they"
        f" would use: {'kept' if kept(figures) else 'broken'}."
    )


def _world(words: argparse.Namespace) -> World:
    from sampan.sim import colocation_world as worlds
    from sampan.sim import contest
    from sampan.sim.traces import batch2017, machine, openb
    from sampan.sim.traces.trace import scaled

    if bool(words.batch) == bool(words.classes):
        raise InvalidArgument(
            "name where best-effort work is from: --batch FILE, or --classes DIR for a cluster of its own"
        )
    path = Path(words.trace)
    if not path.is_file():
        raise InvalidArgument(
            f"{path} is no file: --trace names the contest's zip, whose curves tell what services use"
        )
    problem = contest.read(path)
    if words.classes:
        trace = openb.read(Path(words.classes), "default")
        tasks = worlds.hurried(trace.tasks, words.days, words.speed)
        return worlds.cluster(trace.nodes, tasks, worlds.curves(problem, words.slack), words.nodes, words.seed)
    size = machine.node("", 64_000, round(words.machine_memory * 2**30))
    tasks = scaled(batch2017.read(Path(words.batch), size).tasks, words.part, words.seed)
    batch = [worlds.worked_off(task, 60 * words.shift) for task in tasks]
    return worlds.fleet(problem, batch, words.nodes, words.seed, words.slack)


def _end(world: World) -> float:
    """Return the end of a run: one round of the curves, and as many more as it takes that all has arrived."""
    round_s = world.curves.point_s * world.curves.cpu.shape[1]
    last_s = max((task.arrival_s for task in (*world.services, *world.batch)), default=0.0)
    return float(max(-(-last_s // round_s), 1) * round_s)


def _row(mode: str, found: Figures) -> Row:
    return {
        "mode": mode,
        "cpu": f"{found.cpu_percent:.1f}",
        "done": f"{found.done_core_hours:,.0f}",
        "lost": f"{found.lost_core_hours:,.1f}",
        "withheld": f"{found.withheld_core_hours:,.1f}",
        "ended": str(found.ended),
        "waiting": str(found.waiting),
        "wait": f"{found.wait_minutes:.0f}",
        "evicted": str(found.evictions),
        "suppressed": str(found.suppressions),
        "lack_time": f"{found.lack_time_percent:.4f}",
        "lack": f"{found.lack_percent:.4f}",
        "worst": f"{found.lack_worst_percent:.1f}",
    }


def _about(world: World, found: Figures, until_s: float) -> str:
    from sampan.sim.colocation_world import asked

    work = sum(task.count * task.duration_s * asked(task.shape)[0] for task in world.batch) / 3.6e6
    cores = sum(dict(node.allocatable).get("cpu", 0) for node in world.nodes) / 1000
    left = f", {found.services_waiting} found no node" if found.services_waiting else ""
    return (
        f"{len(world.nodes)} nodes, {cores:,.0f} cores; {found.services} services{left}; "
        f"{sum(task.count for task in world.batch)} BE pods with {work:,.0f} core-hours of work; {until_s / 3600:g} hours."
    )


def _page(about: list[str], rows: list[Row], meters: dict[str, Meter]) -> str:
    from sampan.sim.chart import Axis, chart, time_axis
    from sampan.sim.page import page

    lines = {f"all, {mode}": [(at_s, used) for at_s, _, used in meter.course] for mode, meter in meters.items()}
    last = meters[next(reversed(meters))].course
    lines["services"] = [(at_s, use) for at_s, use, _ in last]
    table = [[title, *(str(row[field]) for row in rows)] for title, field in _COLUMNS]
    drawn = chart("CPU in use", lines, time_axis("time", last[-1][0]), Axis("% of the cluster's"), 100.0)
    return page("Co-location", about, table, [drawn], _NOTES)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sampan sim colocate",
        description="Run best-effort work on what services reserve and do not use; see what it gains, and whom it harms.",
    )
    add = parser.add_argument
    add("--trace", required=True, metavar="ZIP", help="a contest's zip: machines, services and their use")
    add("--batch", default="", metavar="CSV", help="batch tasks of 2017 as best-effort work")
    add("--classes", default="", metavar="DIR", help="openb's nodes, LS and BE pods instead; only use is ZIP's")
    add("--without", action="store_true", help="also without co-location, and without best-effort work")
    add("--nodes", type=whole(1), default=20, metavar="N", help="so many nodes, drawn by the seed; default 20")
    part, times = number(0, 1), number(0, 1000)
    add("--slack", type=times, default=0.3, metavar="X", help="services ask for 1 + X of their peak; default 0.3")
    add("--noise", type=times, default=0.1, metavar="X", help="deviation of CPU around its curve; default 0.1")
    add("--margin", type=part, default=0.1, metavar="X", help="part of a node's CPU never reclaimed; default 0.1")
    add("--over", type=part, default=0.0, metavar="X", help="BE uses up to 1 + X of its memory, or 1 - X; default 0")
    add("--no-plans", action="store_true", help="place by what is reclaimed, and do nothing on the nodes")
    add("--period", type=number(1, 86_400), default=60.0, metavar="S", help="seconds from plan to plan; default 60")
    add("--hours", type=number(0, 100_000), metavar="H", help="end then; default: when the curves end")
    add("--seed", type=whole(0), default=0, metavar="N", help="draws nodes, services, tasks and noise; default 0")
    add("--actions", type=new_file, metavar="FILE", help="write what was done to whom, and why")
    add("--html", type=new_file, metavar="FILE", help="write a page with a chart, too")
    add = parser.add_argument_group("with --batch").add_argument
    add("--part", type=float, default=0.5, metavar="X", help="this part of the tasks; default 0.5")
    add("--shift", type=number(0, 1e6), default=30.0, metavar="MIN", help="work of a BE pod at least; default 30")
    add(
        "--machine-memory",
        type=number(1, 1e5),
        default=185.0,
        metavar="GIB",
        help="tasks ask for parts of that; default 185",
    )
    add = parser.add_argument_group("with --classes").add_argument
    add("--days", type=number(0, 1e5), default=40.0, metavar="D", help="the last days of the trace; default 40")
    add("--speed", type=number(1e-3, 1e6), default=20.0, metavar="X", help="so much faster they arrive; default 20")
    return parser
