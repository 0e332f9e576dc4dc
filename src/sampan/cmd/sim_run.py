"""`sampan sim run`: replay a trace by one policy beside another, and print what came of it."""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sampan.base.errors import InvalidArgument, SampanError
from sampan.cli.table import Row, show
from sampan.kube import quantity

if TYPE_CHECKING:
    from sampan.schedule.node import Node
    from sampan.schedule.shape import Shape
    from sampan.sim.summary import Summary
    from sampan.sim.traces.trace import Trace


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` writes: what was simulated, and what came of it by each policy."""

    trace: str
    left_out: str
    nodes: int
    tasks: int
    scale: float
    seed: int
    policies: list[Summary]


def main(argv: list[str]) -> int:
    """Run the replays; returns the exit code."""
    words = _parser().parse_args(argv)
    try:
        if words.arrivals:
            from sampan.cmd.sim_arrivals import run

            return run(words)
        return _run(words)
    except (SampanError, OSError) as error:
        print(f"sampan: {error}", file=sys.stderr)
        return 1


def _run(words: argparse.Namespace) -> int:
    from sampan.cmd.sim_policies import profile
    from sampan.sim.gpu import Workload
    from sampan.sim.replay import replay
    from sampan.sim.traces import changes
    from sampan.sim.traces.trace import some

    trace = _trace(words)
    nodes = trace.nodes
    if words.nodes and words.capacity:
        nodes = [_machine(words.capacity, f"node-{number:05}") for number in range(words.nodes)]
    elif words.nodes and nodes:
        nodes = some(nodes, words.nodes, words.seed)
    if not nodes:
        raise InvalidArgument(
            f"{words.trace} has no machines: say how many and how large, such as --nodes 100 --capacity cpu=64,memory=256Gi"
        )
    changed = changes.read(Path(words.changes), nodes) if words.changes else []
    shapes: Counter[Shape] = Counter()
    for task in trace.tasks:
        shapes[task.shape] += task.count
    workload = Workload.of(shapes)
    names = list(dict.fromkeys([words.policy or "default", *words.against]))
    found = [
        replay(name, each, nodes, trace.tasks, changed, preempts=words.preemption, by=words.by, until_s=words.until)
        for name, each in [(name, profile(name, nodes, workload)) for name in names]
    ]
    run = Run(
        trace=words.trace,
        left_out=trace.left_out,
        nodes=len(nodes),
        tasks=len(trace.tasks),
        scale=words.scale,
        seed=words.seed,
        policies=found,
    )
    _tell(run, words)
    return 0


def _trace(words: argparse.Namespace) -> Trace:
    from sampan.sim.traces.read import read
    from sampan.sim.traces.trace import scaled

    machine = _machine(words.capacity, "") if words.capacity else None
    trace = read(Path(words.trace), words.workload, machine)
    tasks = trace.tasks[: words.limit] if words.limit else trace.tasks
    return trace._replace(tasks=tasks if words.scale == 1 else scaled(tasks, words.scale, words.seed))


def _tell(run: Run, words: argparse.Namespace) -> None:
    from sampan.sim import comparison
    from sampan.sim.page import page

    rows = comparison.table(run.policies)
    about = [f"{run.nodes} nodes, {run.tasks} tasks of {run.trace}, {run.policies[0].arrived} pods."]
    about += [f"{run.left_out}."] if run.left_out else []
    if words.json == "-":
        print(msgspec.json.encode(run).decode())
    else:
        print("\n".join(about))
        names = [str(number) for number in range(len(rows[0]))]
        cells: list[Row] = [dict(zip(names, row, strict=True)) for row in rows[1:]]
        show(cells, tuple(zip(rows[0], names, strict=True)))
    if words.json and words.json != "-":
        Path(words.json).write_bytes(msgspec.json.encode(run) + b"\n")
    if words.html:
        Path(words.html).write_text(page("A simulation", about, rows, comparison.charts(run.policies)))


def _machine(capacity: dict[str, str], name: str) -> Node:
    """Return a node of the capacity that was given."""
    from sampan.sim.traces import machine

    def amount(resource: str, unit: int, default: str) -> int:
        return math.ceil(quantity.parse(capacity.get(resource, default)).amount * unit)

    cpu, memory, pods = amount("cpu", 1000, "0"), amount("memory", 1, "0"), amount("pods", 1, str(machine.MANY))
    return machine.node(name, cpu, memory, amount("gpu", 1, "0"), capacity.get("gpu_model", ""), pods)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sampan sim run",
        description="Replay a trace in a cluster in memory under a virtual clock, by one scheduling policy beside another.",
    )
    add = parser.add_argument
    add("--trace", required=True, metavar="PATH", help="a folder of openb, a .swf file, a .csv file (docs/sim.md)")
    add(
        "--policy",
        metavar="A",
        help="default (the default), packing, FILE.py:CLASS, an installed one; for GPUs best-fit, fgd, lasting",
    )
    add("--against", action="append", default=[], metavar="B", help="a policy to compare; may be repeated")
    add("--workload", default="default", metavar="W", help="which list of pods of a folder; default `default`")
    add(
        "--nodes",
        type=_count,
        metavar="N",
        help="so many machines of --capacity, or so many of the trace's, drawn by the seed",
    )
    add(
        "--capacity",
        type=_capacity,
        metavar="K=Q,…",
        help="of each machine: cpu=64,memory=256Gi,gpu=8,gpu_model=T4,pods=110",
    )
    add("--changes", metavar="FILE", help="a .csv file of nodes that fail, are drained, return: time,node,change")
    add("--limit", type=_count, metavar="N", help="only the first tasks")
    add("--scale", type=float, default=1.0, metavar="S", help="each task so many times, on average")
    add("--seed", type=int, default=1, metavar="N", help="what is drawn for --scale and --nodes; default 1")
    add("--until", type=float, default=math.inf, metavar="T", help="end at this second of the trace's clock")
    add("--by", choices=("user", "queue", "class"), default="user", help="whose shares are compared; default user")
    add("--no-preemption", dest="preemption", action="store_false", help="nobody is evicted for a higher priority")
    add("--json", metavar="FILE", help="write all figures and series, too; `-`: print them instead of the table")
    add("--html", metavar="FILE", help="write a page with charts, too")
    once = parser.add_argument_group(
        "--arrivals", "each pod of an openb folder is placed once, or never; nothing leaves"
    )
    once.add_argument("--arrivals", action="store_true", help="in the published orders; the default policy is lasting")
    once.add_argument("--seeds", type=_numbers, default=[], metavar="N,N", help="orders of arrival; all when not given")
    once.add_argument(
        "--percent", type=int, default=130, metavar="P", help="allocation is told at P %% arrived; default 130"
    )
    return parser


_RESOURCES = ("cpu", "memory", "gpu", "gpu_model", "pods")


def _capacity(text: str) -> dict[str, str]:
    found = {}
    for part in text.split(","):
        name, separator, value = part.partition("=")
        if name not in _RESOURCES or not separator:
            raise argparse.ArgumentTypeError(f"{part!r}: write RESOURCE=QUANTITY, of {', '.join(_RESOURCES)}")
        try:
            negative = name != "gpu_model" and quantity.parse(value).amount < 0
        except quantity.QuantityError as error:
            raise argparse.ArgumentTypeError(f"{part}: {error}") from error
        if negative:
            raise argparse.ArgumentTypeError(f"{part}: at least 0 is wanted")
        found[name] = value
    return found


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}: a number from 1 on")
    return int(text)


def _numbers(text: str) -> Sequence[int]:
    return [int(number) for number in text.split(",")]
