"""The scheduler as a process of its own, beside an API server: `python -m sampan.cmd.scheduler --kubeconfig F`.

Several may run: one of them schedules, by the lease kube-system/kube-scheduler.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import socket
import sys

from sampan.base import log
from sampan.base.clock import SystemClock
from sampan.base.errors import SampanError
from sampan.client import kubeconfig
from sampan.client.http import HttpClient
from sampan.cmd import scheduling_policies
from sampan.control.controller import Controller
from sampan.control.elected import Elected
from sampan.control.election import Election
from sampan.control.scheduler import PodScheduler
from sampan.schedule.profile import Profile

_log = log.get("scheduler")


def main(argv: list[str]) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m sampan.cmd.scheduler", description="Schedule the pods of a Kubernetes API."
    )
    parser.add_argument("--kubeconfig", default=kubeconfig.default(), metavar="F")
    parser.add_argument("--no-leader-election", action="store_true", help="act at once: nobody else schedules")
    parser.add_argument("--log-level", default="info")
    scheduling_policies.add_argument(parser)
    words = parser.parse_args(argv)
    log.setup(words.log_level)
    gc.set_threshold(50_000, 20, 100)
    try:
        profile = scheduling_policies.profile(words.policy)
        asyncio.run(_serve(kubeconfig.load(words.kubeconfig), profile, alone=words.no_leader_election))
    except SampanError as error:
        print(f"sampan: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(place: kubeconfig.Place, profile: Profile, *, alone: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock, host = SystemClock(), socket.gethostname()
    client = HttpClient(place, "kube-scheduler")

    def make() -> list[Controller]:
        return [PodScheduler(client, clock, host, profile)]

    if alone:
        [running] = make()
    else:
        leases = HttpClient(place, "leader-election", connections=1)
        identity = f"{host}_{os.getpid()}"
        election = Election(leases, clock, name="kube-scheduler", namespace="kube-system", identity=identity)
        running = Elected(election, make)
    await running.start()
    try:
        await stop.wait()
    finally:
        await running.close()
        await client.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
