"""How well is placed, on the traces in the folder that SAMPAN_TRACES names. Each is measured once: chance has no part in it.

openb-NAME: GPU allocation (%), mean of the orders of arrival; contest-b-SECONDS: cost from empty on one core, reading
included, no limit broken (an audit that shares nothing with the search counts, after the time); contest-b-start: the
same from the given start by legal moves, each replayed.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from bench.peers import Missing
from bench.result import Result
from sampan.base.clock import SystemClock
from sampan.sim import contest, gpu_score, route
from sampan.sim.arrivals import allocation, gpu_milli
from sampan.sim.arrivals import replay as placing
from sampan.sim.audit import audit, replay
from sampan.sim.budget import Seconds
from sampan.sim.gpu import Workload
from sampan.sim.pack import Heat, pack, repack
from sampan.sim.traces import openb

OPENB = "alibaba-openb-2023"
CONTEST = "alibaba-tianchi-2018-preB/preliminary_dataB_20180726.zip"
FINISH_S = 0.5
"""What is kept of a contest's time to read the placement off and to add it up."""
START_S = 30
CHARGE = 0.15
"""What an instance that leaves its machine must save: dear enough to leave most of them alone."""


def arrivals(name: str, traces: Path) -> list[Result]:
    """Measure the policies on one workload."""
    trace = openb.arrivals(traces / OPENB, name)
    milli, workload = gpu_milli(trace.nodes), Workload.of(Counter(trace.shapes))
    values = {}
    for policy in ("lasting", "fgd", "best-fit"):
        profile = gpu_score.profile(policy, trace.nodes, workload)
        orders = ([trace.shapes[row] for row in order] for order in trace.orders.values())
        taken = [allocation(placing(trace.nodes, order, profile), milli) for order in orders]
        values[policy] = float(np.mean(taken))
        print(f"openb-{name:18} {np.mean(taken):10.2f} %   {policy}: {min(taken):.2f} to {max(taken):.2f}", flush=True)
    return [_line(f"openb-{name}", "%", values["lasting"], "fgd", values["fgd"])]


def from_empty(name: str, seconds: float, traces: Path) -> list[Result]:
    """Measure a packing of empty machines."""
    began = time.perf_counter()
    spent = Seconds(SystemClock(), seconds - FINISH_S)
    problem = contest.read(traces / CONTEST)
    packed = pack(problem, spent)
    took = time.perf_counter() - began
    found = audit(problem, packed.placement)
    _check(found.broken, found.missing)
    print(f"{name:24} {found.cost:10.2f}   {took:.1f} s, {packed.tried / 1e6:.1f} M exchanges tried", flush=True)
    return [_line(name, "cost", found.cost)]


def from_start(traces: Path) -> list[Result]:
    """Measure a packing that legal moves lead to."""
    name = "contest-b-start"
    began = time.perf_counter()
    spent = Seconds(SystemClock(), START_S)
    problem = contest.read(traces / CONTEST)
    packed = repack(problem, spent, heat=Heat(0.001, 0.0002), charge=CHARGE)
    goal = route.nearest(problem, packed.placement)
    moves = route.route(problem, goal)
    took = time.perf_counter() - began
    reached, broken = replay(problem, moves)
    found = audit(problem, np.array(reached))
    _check(broken + found.broken, found.missing)
    print(f"{name:24} {found.cost:10.2f}   {len(moves)} moves, {took:.1f} s", flush=True)
    return [_line(name, "cost", found.cost), _line(f"{name}-moves", "moves", len(moves))]


def _check(broken: list[str], missing: int) -> None:
    if broken or missing:
        raise RuntimeError(f"{missing} instances are missing; broken: {broken[:3]}")


def _line(measure: str, unit: str, value: float, peer: str = "", peer_value: float | None = None) -> Result:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    ratio = value / peer_value if peer_value else None
    return Result(measure=measure, unit=unit, value=value, runs=1, peer=peer, peer_value=peer_value, ratio=ratio, at=at)


def on_traces(take: Callable[[Path], list[Result]], runs: int) -> list[Result]:
    """Measure on the traces, on one core. Raises Missing where there are none."""
    traces = os.environ.get("SAMPAN_TRACES")
    if not traces:
        raise Missing("SAMPAN_TRACES does not name a folder with traces")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        return take(Path(traces))
    finally:
        os.sched_setaffinity(0, cores)


_TAKES: dict[str, Callable[[Path], list[Result]]] = {
    "openb-default": partial(arrivals, "default"),
    "openb-cpu250": partial(arrivals, "cpu250"),
    "contest-b-60s": partial(from_empty, "contest-b-60s", 60),
    "contest-b-start": from_start,
    "contest-b-600s": partial(from_empty, "contest-b-600s", 600),
}
MEASURES: dict[str, Callable[[int], list[Result]]] = {name: partial(on_traces, take) for name, take in _TAKES.items()}
