"""sim-1m: 1,000,000 tasks on 10,000 nodes through the simulator, one thread, in a process of its own whose memory is told, too.

Tasks of 200 shapes and 50 users come in a wave about nine tenths of the cluster's capacity, so that some wait at its crests; a
fifth is latency-critical and goes first. Each is placed on the true best node at its own moment, runs, ends and is measured, as
`sampan sim run` does it. sim-evictions: 20,000 of them on 200 nodes, where the critical ones evict others.

`python -m bench.sched.simulation TASKS NODES [evictions]` is that process.
"""

from __future__ import annotations

import gc
import json
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial

from bench import process
from bench.result import Result
from sampan.schedule.node import Node
from sampan.schedule.profile import DEFAULT
from sampan.sim.replay import replay
from sampan.sim.task import Task
from sampan.sim.traces import machine

SHAPES, USERS = 200, 50
CORES, GI = 32, 1 << 30
LOAD, SWING, WAVES = 0.9, 0.25, 4
MEAN_S = 600.0


def nodes(count: int) -> list[Node]:
    return [machine.node(f"node-{number:05}", CORES * 1000, 4 * CORES * GI) for number in range(count)]


def tasks(count: int, machines: int, seed: int) -> Iterator[Task]:
    """Return tasks whose rate swings about what so many machines can take."""
    source = random.Random(seed)
    shapes = [
        machine.shape(source.choice((250, 500, 1000, 2000, 4000)), source.randrange(1, 64) * GI // 4)
        for _ in range(SHAPES)
    ]
    cores = sum(dict(shape.requests)["cpu"] for shape in shapes) / SHAPES / 1000
    rate = LOAD * machines * CORES / cores / MEAN_S  # tasks a second
    period_s = count / rate / WAVES
    users = [f"user-{number}" for number in range(USERS)]
    now_s = 0.0
    for number in range(count):
        now_s += source.expovariate(rate * (1 + SWING * math.sin(2 * math.pi * now_s / period_s)))
        critical = source.random() < 0.2
        yield Task(
            name=f"task-{number}",
            arrival_s=now_s,
            duration_s=source.uniform(0.1, 1.9) * MEAN_S,
            shape=source.choice(shapes),
            priority=int(critical),
            user=source.choice(users),
            kind="LS" if critical else "BE",
        )


def measure(name: str, count: int, machines: int, _runs: int, *, evictions: bool) -> list[Result]:
    """Measure once: it takes minutes."""
    argv = [sys.executable, "-m", "bench.sched.simulation", str(count), str(machines), "evictions" * evictions]
    told = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    print(
        f"{name:24} {told['wall']:10.1f} s    CPU time {told['cpu']:.1f} s, {told['memory']:.0f} MB   {told['note']}",
        flush=True,
    )
    at = datetime.now(UTC).isoformat(timespec="seconds")
    lines = (name, "s", told["wall"]), (f"{name}-cpu", "s", told["cpu"]), (f"{name}-memory", "MB", told["memory"])
    return [Result(measure=measure, unit=unit, value=value, runs=1, at=at) for measure, unit, value in lines]


def main() -> int:
    count, machines, *more = sys.argv[1:]
    fleet, wanted = nodes(int(machines)), list(tasks(int(count), int(machines), 1))
    gc.collect()
    gc.freeze()
    began = time.perf_counter(), time.process_time()
    found = replay("default", DEFAULT, fleet, wanted, preempts="evictions" in more)
    wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    if found.ended != int(count) or found.wait_s is None:
        raise RuntimeError(f"{found.ended} tasks of {count} ended")
    note = (
        f"{found.used['cpu']:.0f} % of CPU used, waits mean {found.wait_s.mean:.0f} s, p99 {found.wait_s.p99:.0f} s, "
        f"{sum(found.evictions.values())} evictions"
    )
    memory = process.peak_rss_bytes(os.getpid()) / (1 << 20)  # getrusage has the parent's in it
    print(json.dumps({"wall": wall, "cpu": cpu, "memory": memory, "note": note}))
    return 0


MEASURES: dict[str, Callable[[int], list[Result]]] = {
    "sim-1m": partial(measure, "sim-1m", 1_000_000, 10_000, evictions=False),
    "sim-evictions": partial(measure, "sim-evictions", 20_000, 200, evictions=True),
}

if __name__ == "__main__":
    sys.exit(main())
