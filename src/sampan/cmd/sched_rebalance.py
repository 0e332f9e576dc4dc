"""`sampan sched rebalance`: moves of running pods proposed for an aim, or, with --apply, made one after another."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from pathlib import Path

from sampan.base.errors import InvalidArgument, SampanError
from sampan.cli.table import Row, show
from sampan.client import kubeconfig
from sampan.client.http import HttpClient
from sampan.client.port import Client
from sampan.cmd.sim_nodes import seconds
from sampan.control.scheduling import movable
from sampan.control.scheduling.cluster import Cluster
from sampan.control.scheduling.following import read_once
from sampan.control.scheduling.moving import Moving
from sampan.kube import object as objects
from sampan.kube import quantity
from sampan.kube.object import Object
from sampan.kube.status import ApiError
from sampan.schedule.rebalance.defragment import free_nodes
from sampan.schedule.rebalance.drain import drain
from sampan.schedule.rebalance.proposal import UNLIMITED, Limits, Move, Proposal
from sampan.schedule.rebalance.relieve import Use, relieve
from sampan.schedule.rebalance.room import make_room

HELP = "propose moves of running pods, or make them: drain nodes, free nodes, make room for a pod, relieve nodes"
_COLUMNS = (("POD", "pod"), ("FROM", "source"), ("TO", "target"), ("WHY", "why"), ("GAINS", "gains"))


def main(argv: list[str]) -> int:
    """Run `sampan sched rebalance`; returns the exit code: 1 where what was asked for is not reached."""
    words = _parser().parse_args(argv)
    try:
        return asyncio.run(_run(words))
    except SampanError as error:
        print(f"sampan: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sampan sched rebalance", description=f"{HELP}.")
    add = parser.add_argument
    aims = parser.add_mutually_exclusive_group(required=True)
    aims.add_argument("--drain", action="append", metavar="NODE", help="all pods off the node; may be repeated")
    aims.add_argument("--defragment", action="store_true", help="as many nodes without pods as can be")
    aims.add_argument("--room-for", metavar="POD", help="room for a pod that waits, by the fewest moves")
    aims.add_argument(
        "--use", metavar="F", help="nodes off --above: F has a line NODE CPU for each; - for standard input"
    )
    add("--above", type=_percent, default=0.8, metavar="P", help="of --use: a node above P %% gives (default 80)")
    add("--to", type=_percent, default=0.6, metavar="P", help="until it is at P %%, and takes up to that (default 60)")
    add("-n", "--namespace", default="default", metavar="NS", help="of --room-for")
    add("--budget", type=int, default=UNLIMITED, metavar="N", help="at most N moves")
    add("--off-one-node", type=int, default=UNLIMITED, metavar="N", help="at most N of them off any node")
    add("--dry-run", action="store_true", help="propose only, which is the default")
    add("--apply", action="store_true", help="evict, one after another, each when the last one's replacement is ready")
    add("--patience", type=seconds, default=60.0, metavar="T", help="of --apply: for a replacement (default 60s)")
    add("--kubeconfig", default=kubeconfig.default(), metavar="F")
    return parser


async def _run(words: argparse.Namespace) -> int:
    if words.apply and words.dry_run:
        raise InvalidArgument("--apply and --dry-run: give one of them")
    use = _use(words.use) if words.use else {}
    client = HttpClient(kubeconfig.load(words.kubeconfig), "sampan")
    try:
        if words.apply:
            return await _apply(client, words, use)
        proposal = await _proposed(client, words, use, {}, words.budget)
    finally:
        await client.close()
    if proposal.moves:
        show([_row(move) for move in proposal.moves], _COLUMNS)
    return _told(words, proposal)


async def _proposed(
    client: Client, words: argparse.Namespace, use: Mapping[str, int], kept: Mapping[str, str], budget: int
) -> Proposal:
    """Return moves for the aim on the cluster as it is now. `kept`: pods that stay besides those that must, with why."""
    cluster = Cluster()
    resident: set[str] = set()
    fixed: dict[str, str] = {}

    def judge(pod: Object) -> None:
        key = f"{objects.namespace(pod)}/{objects.name(pod)}"
        if movable.of_its_node(pod):
            resident.add(key)
        if why := movable.stays(pod):
            fixed[key] = why

    await read_once(client, cluster, judge)
    cluster.snapshot.settle()
    limits = Limits(moves=budget, off_one_node=words.off_one_node, fixed=fixed | {**kept})
    return _aim(cluster, words, use, limits, resident)


def _aim(
    cluster: Cluster, words: argparse.Namespace, use: Mapping[str, int], limits: Limits, resident: set[str]
) -> Proposal:
    snapshot = cluster.snapshot
    if words.drain:
        for name in words.drain:
            if name not in snapshot.rows:
                raise InvalidArgument(f'nodes "{name}" not found')
        return drain(snapshot, words.drain, limits)
    if words.defragment:
        return free_nodes(snapshot, limits, resident)
    if words.use:
        known = {name: amount for name, amount in use.items() if name in snapshot.rows}
        return relieve(snapshot, Use(nodes=known, above=words.above, to=words.to), limits)
    key = f"{words.namespace}/{words.room_for}"
    seen = cluster.known.get(key)
    if seen is None:
        raise InvalidArgument(f'pods "{words.room_for}" not found in {words.namespace}, or it has ended')
    if seen.node:
        return Proposal((), {}, reached=True)
    return make_room(snapshot, cluster.whole(seen), limits)


async def _apply(client: Client, words: argparse.Namespace, use: Mapping[str, int]) -> int:
    """Make one move, look anew, and so on: where a replacement goes is the scheduler's choice."""
    moving = Moving(client, words.patience)
    await moving.uncordon_left_behind()
    if words.drain:
        await moving.cordon(words.drain)
    kept: dict[str, str] = {}
    made: list[Move] = []
    while True:
        proposal = await _proposed(client, words, use, kept, words.budget - len(made))
        due = proposal.moves if words.use else proposal.moves[:1]
        made += [move for move in due if await _moved(moving, move, proposal.keep_off, kept)]
        if words.use or not proposal.moves:  # use is not measured anew
            return _told(words, proposal, made)


async def _moved(moving: Moving, move: Move, keep_off: Iterable[str], kept: dict[str, str]) -> bool:
    try:
        async with moving.kept_off({move.source, *keep_off}):
            new = await moving.move(move.pod)
    except ApiError as error:
        if error.code not in (404, 429):
            raise
        kept[move.pod] = f"it was not evicted: {error}"
        print(f"{move.pod} stays on {move.source}: {kept[move.pod]}", flush=True)
        return False
    kept[new.key] = "it has just been moved"
    print(f"{move.pod} left {move.source}: {new.key} is on {new.node} ({move.why})", flush=True)
    return True


def _told(words: argparse.Namespace, proposal: Proposal, made: Sequence[Move] = ()) -> int:
    """Print who stays, with why; returns the exit code."""
    if not proposal.moves and not made:
        print("There is nothing to move.")
    for key, why in sorted(proposal.left.items()):
        print(f"{key} stays: {why}")
    in_the_way = [why for why in proposal.left.values() if why != movable.OF_ITS_NODE]
    return 0 if proposal.reached or words.defragment or (words.drain and not in_the_way) else 1


def _row(move: Move) -> Row:
    return dict(move._asdict())


def _use(path: str) -> dict[str, int]:
    """Return what each node uses, in millicores, of lines such as `kubectl top nodes` prints.

    Raises:
        InvalidArgument: a line that is none.
    """
    try:
        lines = (sys.stdin.read() if path == "-" else Path(path).read_text()).splitlines()
    except OSError as error:
        raise InvalidArgument(f"cannot read {path}: {error.strerror}") from error
    found: dict[str, int] = {}
    for line in lines:
        fields = line.split()
        if not fields or fields[0] == "NAME":
            continue
        try:
            found[fields[0]] = ceil(quantity.parse(fields[1]).amount * 1000)
        except (IndexError, quantity.QuantityError) as error:
            raise InvalidArgument(f"{path}: {line!r} is no line NODE CPU, such as `n1 1500m`") from error
    return found


def _percent(text: str) -> float:
    try:
        return float(text.removesuffix("%")) / 100
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: write a number of percent, such as 80") from error
