"""`sampan sim nodes N`: hollow nodes on a Kubernetes API, until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Sequence

from sampan.base import log
from sampan.base.clock import SystemClock
from sampan.base.errors import SampanError
from sampan.cli.errors import UsageError
from sampan.cli.units import parse_duration_ns
from sampan.client import kubeconfig
from sampan.client.http import HttpClient
from sampan.cmd.sim_words import whole
from sampan.kube import quantity
from sampan.sim.hollow import CAPACITY, HollowNodes, Wish


def main(argv: list[str]) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    words = _parser().parse_args(argv)
    log.setup(words.log_level)
    wish = Wish(
        count=words.count,
        prefix=words.prefix,
        capacity={**CAPACITY, **dict(words.capacity or ())},
        labels=dict(words.label),
        zones=words.zones,
        start_delay_s=words.start_delay,
        stop_delay_s=words.stop_delay,
        end_after_s=words.end_after,
    )
    try:
        asyncio.run(_serve(kubeconfig.load(words.kubeconfig), wish, keep=words.keep))
    except SampanError as error:
        print(f"sampan: {error}", file=sys.stderr)
        return 1
    except ExceptionGroup as group:
        print(f"sampan: {group.exceptions[0]}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sampan sim nodes",
        description="Register nodes that are ready, keep their leases, and run pods without a container.",
    )
    add = parser.add_argument
    add("count", type=whole(1, 100_000), metavar="N")
    add("--kubeconfig", default=kubeconfig.default(), metavar="F")
    add("--prefix", default="hollow", metavar="NAME", help="the nodes are NAME-0 and on (default hollow)")
    add(
        "--capacity", type=_capacity, metavar="K=Q,…", help="default cpu=32,memory=256Gi,ephemeral-storage=1Ti,pods=110"
    )
    add("--label", type=_pair, action="append", default=[], metavar="K=V", help="on every node")
    add("--zones", type=whole(0), default=0, metavar="N", help="spread them over zone-0 and on")
    add(
        "--start-delay",
        type=seconds,
        default=0.0,
        metavar="T",
        help="from the binding of a pod to its start: 200ms, 2s",
    )
    add("--stop-delay", type=seconds, default=0.0, metavar="T", help="from the deletion of a pod to its end")
    add(
        "--end-after", type=seconds, metavar="T", help="pods that may end (restartPolicy Never, OnFailure) succeed then"
    )
    add("--keep", action="store_true", help="leave nodes and pods behind; another run takes them up")
    add("--log-level", choices=("debug", "info", "warning", "error"), default="warning")
    return parser


async def _serve(place: kubeconfig.Place, wish: Wish, *, keep: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    client = HttpClient(place, "hollow-nodes")
    nodes = HollowNodes(client, SystemClock(), wish)
    began = time.perf_counter()
    try:
        starting = asyncio.create_task(nodes.start())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            took = time.perf_counter() - began
            print(f"{wish.count} nodes are ready after {took:.1f} s; Ctrl-C ends them", flush=True)
            await stopping
        else:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
    finally:
        await nodes.close(keep=keep)
        await client.close()


def seconds(text: str) -> float:
    """Return a duration such as `200ms`, `2s`, `1.5m` in seconds."""
    try:
        return parse_duration_ns(text) / 10**9
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise argparse.ArgumentTypeError(f"{text!r}: write KEY=VALUE")
    return key, value


def _capacity(text: str) -> Sequence[tuple[str, str]]:
    pairs = [_pair(part) for part in text.split(",")]
    for name, value in pairs:
        try:
            quantity.parse(value)
        except quantity.QuantityError as error:
            raise argparse.ArgumentTypeError(f"{name}={value}: {error}") from error
    return pairs
