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
from sampan.cmd.sim_words import new_file, number, whole

if TYPE_CHECKING:
    from sampan.schedule.node import Node
    from sampan.schedule.shape import Shape
    from sampan.sim.summary import Summary
    from sampan.sim.traces.trace import Trace

PRINTED = Path("-")
"""Where `--json` writes to instead of the table."""

_ONCE = ("seeds", "percent")
"""Arguments that mean nothing without `--arrivals`."""
_LASTING = ("nodes", "capacity", "changes", "limit", "scale", "until", "by", "json")
"""Arguments that mean nothing with it."""


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
    parser = _parser()
    words = parser.parse_args(argv)
    unused = [
        name for name in (_LASTING if words.arrivals else _ONCE) if getattr(words, name) != parser.get_default(name)
    ]
    if unused:
        parser.error(f"--{unused[0]} goes {'without' if words.arrivals else 'with'} --arrivals")
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
        nodes = [msgspec.structs.replace(words.capacity, name=f"node-{number:05}") for number in range(words.nodes)]
    elif words.nodes and nodes:
        nodes = some(nodes, words.nodes, words.seed)
    if not trace.tasks:
        raise InvalidArgument(f"{words.trace} has no tasks to replay{f': {trace.left_out}' * bool(trace.left_out)}")
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

    trace = read(Path(words.trace), words.workload, words.capacity)
    tasks = trace.tasks[: words.limit] if words.limit else trace.tasks
    found = tasks if words.scale == 1 else scaled(tasks, words.scale, words.seed)
    if tasks and not found:
        raise InvalidArgument(
            f"--scale {words.scale:g} leaves none of {len(tasks)} tasks: give more, or another --seed"
        )
    return trace._replace(tasks=found)


def _tell(run: Run, words: argparse.Namespace) -> None:
    from sampan.sim import comparison
    from sampan.sim.page import page

    rows = comparison.table(run.policies)
    scale = f", scaled by {run.scale:g} with seed {run.seed}" if run.scale != 1 else ""
    about = [f"{run.nodes} nodes, {run.tasks} tasks of {run.trace}{scale}, {run.policies[0].arrived} pods."]
    about += [f"{run.left_out}."] if run.left_out else []
    if words.json == PRINTED:
        print(msgspec.json.encode(run).decode())
    else:
        print("\n".join(about))
        names = [str(number) for number in range(len(rows[0]))]
        cells: list[Row] = [dict(zip(names, row, strict=True)) for row in rows[1:]]
        show(cells, tuple(zip(rows[0], names, strict=True)))
    if words.json and words.json != PRINTED:
        words.json.write_bytes(msgspec.json.encode(run) + b"\n")
    if words.html:
        title = f"{Path(run.trace).name} by {', '.join(one.policy for one in run.policies)}"
        made = page(title, about, rows, comparison.charts(run.policies), comparison.NOTES)
        words.html.write_text(made, encoding="utf-8")


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
        type=whole(1, 1_000_000),
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
    add("--limit", type=whole(1), metavar="N", help="only the first tasks")
    add("--scale", type=float, default=1.0, metavar="S", help="each task so many times, on average")
    add("--seed", type=whole(0), default=1, metavar="N", help="what is drawn for --scale and --nodes; default 1")
    add(
        "--until",
        type=number(-math.inf, math.inf),
        default=math.inf,
        metavar="T",
        help="end at this second of the trace's clock",
    )
    add("--by", choices=("user", "queue", "class"), default="user", help="whose shares are compared; default user")
    add("--no-preemption", dest="preemption", action="store_false", help="nobody is evicted for a higher priority")
    add(
        "--json",
        type=_json,
        metavar="FILE",
        help="write all figures and series, too; `-`: print them instead of the table",
    )
    add("--html", type=new_file, metavar="FILE", help="write a page with charts, too")
    _of_arrivals(parser)
    return parser


def _of_arrivals(parser: argparse.ArgumentParser) -> None:
    once = parser.add_argument_group(
        "--arrivals", "each pod of an openb folder is placed once, or never; nothing leaves"
    )
    once.add_argument("--arrivals", action="store_true", help="in the published orders; the default policy is lasting")
    once.add_argument("--seeds", type=_seeds, default=[], metavar="N,N", help="orders of arrival; all when not given")
    once.add_argument(
        "--percent", type=whole(0), default=130, metavar="P", help="allocation is told at P %% arrived; default 130"
    )


_RESOURCES = ("cpu", "memory", "gpu", "gpu_model", "pods")


def _capacity(text: str) -> Node:
    """Return a machine, without a name."""
    from sampan.sim.traces import machine, table

    found: dict[str, str] = {}
    for part in text.split(","):
        name, separator, value = part.partition("=")
        if name not in _RESOURCES or not separator:
            raise argparse.ArgumentTypeError(f"{part!r}: write RESOURCE=QUANTITY, of {', '.join(_RESOURCES)}")
        if name in found:
            raise argparse.ArgumentTypeError(f"{text!r}: {name} is there twice")
        found[name] = value
    row = table.Row(repr(text), found)
    try:
        cpu, memory, gpus = row.amount("cpu", 1000), row.amount("memory"), row.whole("gpu", "0", 0, machine.MOST_GPUS)
        return machine.node("", cpu, memory, gpus, row.text("gpu_model"), row.whole("pods", str(machine.MANY)))
    except InvalidArgument as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _json(text: str) -> Path:
    return PRINTED if text == str(PRINTED) else new_file(text)


def _seeds(text: str) -> Sequence[int]:
    return [whole(0)(word) for word in text.split(",")]
