"""The core alone, in memory, one thread: fit-5000, all-filters-5000, batch-100, perf-NAME, c1m, memory-150k.

A line is a table's row, with the rate by CPU time beside the one by the clock: on a machine that does other work the first
is what a quiet core would give. The perf-NAME workloads are scheduler_perf's (perf.json); upstream's floors include an API
server, so no ratio to them is printed.
"""

from __future__ import annotations

import gc
import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from bench.result import Result
from bench.sched import fleet, workload
from bench.stats import median
from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler
from sampan.schedule.plugins.resources_fit import NodeResourcesFit
from sampan.schedule.pod import Pod
from sampan.schedule.profile import DEFAULT, FILTERS, Profile
from sampan.schedule.queue import Queue
from sampan.schedule.shape import Shape, amounts
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.standing import Standing

_TAKE = 256
_GI = 1 << 30
FOUR = Profile(
    FILTERS,
    ((NodeResourcesFit((("cpu", 1), ("memory", 1), ("ephemeral-storage", 1), ("example.com/nic", 1))), 1),),
)


class Clock:
    """Seconds by the clock and of CPU since it was made."""

    def __init__(self) -> None:
        gc.collect()
        gc.freeze()
        self._began = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._began[0], time.process_time() - self._began[1]


def rate(name: str, runs: int, take: Callable[[], tuple[int, float, float]], note: str = "") -> list[Result]:
    """Measure pods a second: `take` returns (pods, seconds by the clock, seconds of CPU)."""
    take()  # does not count
    taken = [take() for _ in range(runs)]
    walls, cpus = [pods / wall for pods, wall, _ in taken], [pods / cpu for pods, _, cpu in taken]
    print(f"{name:24} {median(walls):10.0f}/s   by CPU time {median(cpus):8.0f}/s   {note}", flush=True)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return [
        Result(measure=name, unit="1/s", value=median(walls), runs=runs, at=at),
        Result(measure=f"{name}-cpu", unit="1/s", value=median(cpus), runs=runs, at=at),
    ]


def fit_5000(runs: int) -> list[Result]:
    nodes, shapes = fleet.four_dimensions(1)
    scheduler = Scheduler(Snapshot(nodes), FOUR)
    source, number = random.Random(2), iter(range(1 << 60))

    def take() -> tuple[int, float, float]:
        pods = [Pod(f"default/p{next(number)}", source.choice(shapes)) for _ in range(10_000)]
        found = _timed(scheduler, pods)
        check(scheduler, FOUR, pods[::500])
        return found

    return rate("fit-5000", runs, take, "one by one, 4 resources, 200 shapes")


def all_filters_5000(runs: int) -> list[Result]:
    nodes, shapes = fleet.everything(1)
    snapshot = Snapshot(nodes)
    for pod, node in fleet.there(nodes, shapes, 2):
        snapshot.add(pod, node)
    scheduler = Scheduler(snapshot)
    source, number = random.Random(3), iter(range(1 << 60))

    def take() -> tuple[int, float, float]:
        picked = [source.choice(shapes) for _ in range(10_000)]
        pods = [Pod(f"{shape.namespace}/p{next(number)}", shape) for shape in picked]
        found = _timed(scheduler, pods)
        check(scheduler, DEFAULT, pods[::500])
        for pod in pods:
            snapshot.remove(pod.key)
        return found

    return rate("all-filters-5000", runs, take, "one by one, 150,000 pods there")


def batch_100(runs: int) -> list[Result]:
    nodes, shapes = fleet.four_dimensions(1)
    scheduler = Scheduler(Snapshot(nodes), FOUR)
    source, number = random.Random(2), iter(range(1 << 60))

    def take() -> tuple[int, float, float]:
        picked = [source.choice(shapes) for _ in range(300)]
        return _timed(
            scheduler, [Pod(f"default/p{next(number)}", shape) for shape in picked for _ in range(100)], at_once=100
        )

    return rate("batch-100", runs, take, "batches of 100 alike, one call each")


def _timed(scheduler: Scheduler, pods: list[Pod], at_once: int = 1000) -> tuple[int, float, float]:
    placed = 0
    clock = Clock()
    for start in range(0, len(pods), at_once):
        placed += len(scheduler.place(pods[start : start + at_once]).placements)
    wall, cpu = clock.read()
    if placed != len(pods):
        raise RuntimeError(f"{len(pods) - placed} pods of {len(pods)} were not placed")
    return placed, wall, cpu


def check(scheduler: Scheduler, profile: Profile, pods: list[Pod]) -> None:
    """Hold what the scheduler remembers of some shapes against a fresh look at every node."""
    snapshot = scheduler.snapshot
    for pod in pods:
        fresh = Standing(snapshot, snapshot.ask(pod.shape), profile)
        if fresh.best() != scheduler.standing(pod.shape).best():
            raise RuntimeError(f"not the best node for {pod.shape}")


def perf(name: str, runs: int) -> list[Result]:
    file = workload.load()
    work = file.workloads[name]
    note = "no floor" if work.floor is None else f"to reach {min(10 * work.floor, 20_000)}"
    return rate(f"perf-{name}", runs, lambda: _perf(file, work), note)


def _perf(file: workload.File, work: workload.Workload) -> tuple[int, float, float]:
    names = {f"init-ns-{number}": {"team": "devops"} for number in range(work.namespaces)}
    snapshot = Snapshot(workload.nodes(work.nodes), names | {"measure-ns-0": {"team": "devops"}})
    scheduler = Scheduler(snapshot)
    for number, group in enumerate(work.init):
        before = workload.pods(file, group, f"init{number}", work.namespaces)
        if len(scheduler.place(before).placements) != len(before):
            raise RuntimeError("the first pods do not fit")
    measured = workload.pods(file, work.measured, "measured")
    pods = list(measured)
    if work.injected is not None:
        group = workload.PodGroup(work.injected.pod, len(measured) // work.injected.every)
        for number, pod in enumerate(workload.pods(file, group, "injected")):
            pods.insert((number + 1) * (work.injected.every + 1) - 1, pod)
    queue, placed, victims = Queue(), set(), 0
    clock = Clock()
    for start in range(0, len(pods), _TAKE):
        for pod in pods[start : start + _TAKE]:
            queue.add(pod)
        while turn := queue.take(_TAKE):
            found = scheduler.place(turn)
            placed.update(found.placements)
            victims += len(found.evictions)
    wall, cpu = clock.read()
    missing = [pod.key for pod in measured if pod.key not in placed]
    if missing or (work.victims and victims != work.victims):
        raise RuntimeError(f"{len(missing)} not placed, {victims} victims")
    return len(measured), wall, cpu


def c1m(runs: int) -> list[Result]:
    """A thousand jobs of a thousand tasks."""
    nodes = [
        Node(name=f"node-{number:04}", allocatable=amounts({"cpu": 32_000, "memory": 64 * _GI, "pods": 250}))
        for number in range(5000)
    ]
    taken = []
    for _ in range(runs):
        scheduler = Scheduler(Snapshot(nodes))
        wall = cpu = 0.0
        for job in range(1000):
            shape = Shape(
                labels=(("job", str(job)),), requests=amounts({"cpu": 50 + job % 50, "memory": (100 + job % 100) << 20})
            )
            clock = time.perf_counter(), time.process_time()
            pods = [Pod(f"default/{job}-{task}", shape) for task in range(1000)]
            if len(scheduler.place(pods).placements) != 1000:
                raise RuntimeError("a task was not placed")
            wall, cpu = wall + time.perf_counter() - clock[0], cpu + time.process_time() - clock[1]
        taken.append((wall, cpu))
    value, spent = median([wall for wall, _ in taken]), median([cpu for _, cpu in taken])
    print(f"{'c1m':24} {value:10.1f} s    CPU time {spent:.1f} s", flush=True)
    return [Result(measure="c1m", unit="s", value=value, runs=runs)]


def memory_150k(runs: int) -> list[Result]:
    """Resident memory of a process that has 5,000 nodes and 150,000 pods in its snapshot and has placed 2,000 more."""
    argv = [sys.executable, "-c", _HOLDER]
    taken = [float(subprocess.run(argv, capture_output=True, text=True, check=True).stdout) for _ in range(runs)]
    print(f"{'memory-150k':24} {median(taken):10.1f} MB   PSS", flush=True)
    return [Result(measure="memory-150k", unit="MB", value=median(taken), runs=runs)]


_HOLDER = """
import gc, random
from bench.sched import fleet
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.standing import Standing
nodes, shapes = fleet.everything(1)
snapshot = Snapshot(nodes)
for pod, node in fleet.there(nodes, shapes, 2):
    snapshot.add(pod, node)
source = random.Random(3)
pods = [Pod(f"default/p{number}", source.choice(shapes)) for number in range(2000)]
assert len(Scheduler(snapshot).place(pods).placements) == 2000
del pod, node, pods
gc.collect()
text = open("/proc/self/smaps_rollup").read()
print(int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1]) / 1024)
"""

MEASURES: dict[str, Callable[[int], list[Result]]] = {
    "fit-5000": fit_5000,
    "all-filters-5000": all_filters_5000,
    "batch-100": batch_100,
    **{f"perf-{name}": lambda runs, name=name: perf(name, runs) for name in workload.load().workloads},  # type: ignore[misc]
    "c1m": c1m,
    "memory-150k": memory_150k,
}
