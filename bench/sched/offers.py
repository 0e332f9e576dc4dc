"""offers-10000x200: one cycle of the allocator's, in memory, one thread.

10,000 agents and 200 frameworks in 40 roles below 8 departments. Nothing is out at the start of a cycle, so each agent's
resources are offered anew. On are: weights, guarantees (of which a part is not met), limits that bind, reservations, GPUs that only
some frameworks take, a region, and filters: what was declined in the last five cycles.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

from bench.result import Result
from bench.stats import median
from sampan.schedule.node import Node
from sampan.schedule.offers.allocate import allocate
from sampan.schedule.offers.answer import accept, decline
from sampan.schedule.offers.framework import Capability, Framework
from sampan.schedule.offers.offer import Launch, Offer
from sampan.schedule.offers.state import Rules, State
from sampan.schedule.offers.vector import Dimensions
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.shape import Shape, amounts, pairs
from sampan.schedule.snapshot import Snapshot

NAME = "offers-10000x200"
AGENTS, FRAMEWORKS, DEPARTMENTS, TEAMS = 10_000, 200, 8, 5
_GI = 1 << 30
_REGION = "topology.kubernetes.io/region"


def state(source: random.Random) -> State:
    """Return agents a third full, with everything that makes a cycle slow."""
    nodes = []
    for number in range(AGENTS):
        cpu, memory = source.choice([(32_000, 128), (64_000, 256), (96_000, 384)])
        have = {"cpu": cpu, "memory": memory * _GI, "ephemeral-storage": 1000 * _GI, "pods": 250}
        have |= {"gpu": 8} if number % 20 == 0 else {}
        labels = pairs({_REGION: "far" if number % 50 == 1 else "near"})
        nodes.append(Node(name=f"agent-{number:05}", allocatable=amounts(have), labels=labels))
    snapshot = Snapshot(nodes)
    snapshot.settle()
    dimensions = Dimensions(("cpu", "memory", "ephemeral-storage", "gpu"))
    found = State(Scheduler(snapshot), dimensions, Rules(scarce=("gpu",), region="near"))
    for number in range(FRAMEWORKS):
        role = f"d{number % DEPARTMENTS}/t{number // DEPARTMENTS % TEAMS}"
        able = {Capability.GPU_RESOURCES} if number % 10 == 0 else set()
        able |= {Capability.REGION_AWARE} if number % 4 == 0 else set()
        found.subscribe(Framework(f"framework-{number:03}", (role,), frozenset(able)))
    for department in range(DEPARTMENTS):
        found.roles.set_weight(f"d{department}", 1 + department % 3)
        for team in range(TEAMS):
            found.roles.set_weight(f"d{department}/t{team}", 1 + team % 2)
    return found


def quotas(found: State) -> None:
    """Guarantee two departments a twentieth each, a team of each a part of that; limit two others and a team to a tenth or less."""
    tenth = {"cpu": 64_000_000, "memory": 256_000 * _GI}
    for department in (0, 1):
        found.roles.set_quota(f"d{department}", {name: amount // 2 for name, amount in tenth.items()}, {})
        part = {name: amount // 8 for name, amount in tenth.items()}
        found.roles.set_quota(f"d{department}/t0", part, part)
    for department in (2, 3):
        found.roles.set_quota(f"d{department}", {}, tenth)
    found.roles.set_quota("d4/t1", {}, {name: amount // 20 for name, amount in tenth.items()})


def reservations(found: State) -> None:
    """Reserve a part of every twentieth agent for a department or a team."""
    for number in range(7, AGENTS, 20):
        department = number // 20 % DEPARTMENTS
        role = f"d{department}" if number % 40 == 7 else f"d{department}/t{number // 40 % TEAMS}"
        found.reserve(f"agent-{number:05}", role, {"cpu": 4000, "memory": 8 * _GI})


def work(found: State, source: random.Random, now_s: float) -> None:
    """Launch a task on each third offer; decline the others for five cycles."""
    for offer in list(found.offers.values()):
        if offer.id % 3 == 0:
            shape = Shape(requests=amounts({"cpu": 8000, "memory": 16 * _GI}))
            accept(found, offer.framework, [offer.id], [Launch(Pod(f"tasks/{offer.id}", shape))], now_s, 5)
        else:
            decline(found, offer.framework, [offer.id], now_s, 5)


def cycle(found: State, now_s: float) -> tuple[float, float, list[Offer]]:
    """Return seconds by the clock and of CPU, and the offers."""
    gc.collect()
    gc.freeze()
    began = time.perf_counter(), time.process_time()
    made = allocate(found, now_s)
    return time.perf_counter() - began[0], time.process_time() - began[1], made.offers


def measure(runs: int) -> list[Result]:
    source = random.Random(1)
    found = state(source)
    reservations(found)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    quotas(found)
    walls, cpus, now_s = [], [], 0.0
    for run in range(-6, runs):  # the first ones fill the filters
        wall, cpu, offers = cycle(found, now_s)
        note = f"{len(offers)} offers, {len(found.filters)} filters, {len(found.tasks)} tasks"
        print(f"  {wall * 1000:7.1f} ms by the clock, {cpu * 1000:7.1f} ms of CPU: {note}", flush=True)
        if run >= 0:
            walls.append(wall * 1000)
            cpus.append(cpu * 1000)
        work(found, source, now_s)
        now_s += 1
    print(f"{NAME:24} {median(walls):8.1f} ms   CPU time {median(cpus):.1f} ms   to reach 100")
    return [
        Result(measure=NAME, unit="ms", value=median(walls), runs=runs, at=at),
        Result(measure=f"{NAME}-cpu", unit="ms", value=median(cpus), runs=runs, at=at),
    ]


MEASURES: dict[str, Callable[[int], list[Result]]] = {NAME: measure}
