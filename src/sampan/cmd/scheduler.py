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

from sampan.api.kube.http.server import Server
from sampan.api.kube.request import Request, Response
from sampan.base import log
from sampan.base.clock import Clock, SystemClock
from sampan.base.errors import SampanError
from sampan.client import kubeconfig
from sampan.client.http import HttpClient
from sampan.cmd import scheduling_policies
from sampan.cmd.listening import bind
from sampan.cmd.process_figures import process_figures
from sampan.cmd.scheduler_figures import pages, scheduler_figures
from sampan.control.controller import Controller
from sampan.control.elected import Elected
from sampan.control.election import Election
from sampan.control.scheduler import PodScheduler
from sampan.control.scheduling.figures import Figures
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
    text = "answer /metrics and /healthz there, to everybody and without TLS"
    parser.add_argument("--metrics-listen", default="", metavar="HOST:PORT", help=text)
    words = parser.parse_args(argv)
    log.setup(words.log_level)
    gc.set_threshold(50_000, 20, 100)
    try:
        profile = scheduling_policies.profile(words.policy)
        place = kubeconfig.load(words.kubeconfig)
        asyncio.run(_serve(place, profile, words.metrics_listen, alone=words.no_leader_election))
    except SampanError as error:
        print(f"sampan: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(place: kubeconfig.Place, profile: Profile, metrics: str, *, alone: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock, host, figures = SystemClock(), socket.gethostname(), Figures()
    server = await _pages(metrics, figures, clock) if metrics else None
    client = HttpClient(place, "kube-scheduler")

    def make() -> list[Controller]:
        return [PodScheduler(client, clock, host, profile, figures)]

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
        if server is not None:
            await server.close()


async def _pages(address: str, figures: Figures, clock: Clock) -> Server:
    told, process = scheduler_figures(figures), process_figures(None, clock)
    page = pages(lambda: [*told(), *process()])

    async def answer(request: Request) -> Response:
        return page(request)

    server = Server(answer)
    await server.listen(bind(address, "--metrics-listen"))
    return server


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
