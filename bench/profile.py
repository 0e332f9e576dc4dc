# ruff: noqa: A005  (nothing here imports the standard profile)
"""Profile: where the time of a container's life goes inside the daemon. `python -m bench.profile [--cycles N]`.

Three passes over the same cycles (create, start, wait, remove): plain, for each call's time and CPU; `wall`, which
samples where requests wait; `cpu`, cProfile. A recorder costs time: only the plain pass tells how fast it is.
"""

from __future__ import annotations

import argparse
import io
import pstats
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bench import daemon, image, process
from bench.fence import Fence
from bench.side import LIMITS, LOGS, Side
from bench.stats import median, percentile

WARM_UP = 5
LEAST_MS = 0.15
IDLE = 0.6  # what is there for more than this part of the time waits for something to do


class Step(NamedTuple):
    """One call: its time, and what the daemon's threads did meanwhile, in ms."""

    wall: float
    loop_cpu: float
    loop_queued: float
    threads_cpu: float


def main() -> int:
    """Print the passes that were asked for."""
    parser = argparse.ArgumentParser(prog="bench.profile", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cycles", type=int, default=60)
    parser.add_argument("--runtime", default="", help="an OCI runtime by name")
    parser.add_argument("--limits", action="store_true", help="with every limit, as in create-start")
    parser.add_argument("--only", choices=["steps", "wall", "cpu"], help="one pass")
    arguments = parser.parse_args()
    passes: dict[str, Callable[[argparse.Namespace], None]] = {"steps": _steps, "wall": _wall, "cpu": _cpu}
    for name, work in passes.items():
        if arguments.only in (None, name):
            work(arguments)
    return 0


def _steps(arguments: argparse.Namespace) -> None:
    with Fence("profile") as fence:
        served = daemon.sampan(fence)
        steps, children_s = _cycles(served, arguments)
        served.stop()
    print(f"\nsteps: medians of {arguments.cycles}, ms")
    print(f"{'':10}{'wall':>8}{'p99':>8}{'loop cpu':>10}{'queued':>8}{'threads':>9}")
    for name, samples in steps.items():
        columns = [median([sample[index] for sample in samples]) for index in range(4)]
        tail = percentile([sample.wall for sample in samples], 99)
        print(f"{name:10}{columns[0]:8.2f}{tail:8.2f}{columns[1]:10.2f}{columns[2]:8.2f}{columns[3]:9.2f}")
    print(f"CPU of reaped children (runtime, monitor): {children_s / arguments.cycles * 1000:.1f} ms a cycle")


def _wall(arguments: argparse.Namespace) -> None:
    record = msgspec.json.decode(_recorded("wall", arguments))
    total: dict[tuple[str, ...], float] = defaultdict(float)
    for chain, seconds in record["chains"]:
        if seconds < IDLE * record["seconds"]:
            for depth in range(1, len(chain) + 1):
                total[tuple(chain[:depth])] += seconds * 1000 / arguments.cycles
    print("\nwall: ms a cycle by where requests wait (line of the await), outermost first")
    for chain in sorted(total, key=lambda chain: [(-total[chain[: i + 1]], chain[i]) for i in range(len(chain))]):
        if total[chain] >= LEAST_MS:
            print(f"{total[chain]:8.2f}  {'  ' * (len(chain) - 1)}{chain[-1]}")
    _flat(record["chains"], arguments.cycles)


def _flat(chains: list[tuple[list[str], float]], cycles: int) -> None:
    """Print what the event loop's thread was busy with: nothing else goes on meanwhile."""
    busy: dict[str, float] = defaultdict(float)
    for chain, seconds in chains:
        if chain[-1] == "(on the loop)":
            busy[chain[-2] if len(chain) > 1 else "(not our code)"] += seconds * 1000 / cycles
    print(f"\non the loop: {sum(busy.values()):.1f} ms a cycle, by line")
    for name in sorted(busy, key=busy.__getitem__, reverse=True)[:25]:
        print(f"{busy[name]:8.2f}  {name}")


def _cpu(arguments: argparse.Namespace) -> None:
    path = Path("build/bench/profile.pstats")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_recorded("cpu", arguments))
    text = io.StringIO()
    statistics = pstats.Stats(str(path), stream=text)
    statistics.sort_stats("tottime").print_stats(30)
    statistics.sort_stats("cumtime").print_stats("src/sampan", 40)
    print(f"\ncpu: seconds for {arguments.cycles} cycles, by cProfile (kept in {path})")
    print("\n".join(line.replace(f"{Path.cwd()}/", "") for line in text.getvalue().splitlines() if line.strip()))


def _recorded(mode: str, arguments: argparse.Namespace) -> bytes:
    with Fence("profile") as fence:
        out = fence.root / "record"
        served = daemon.sampan(fence, [sys.executable, "-m", "bench.profiled", mode, str(out)])
        served.env["PYTHONPATH"] = str(Path.cwd())  # inside a fence the working directory is the root
        _cycles(served, arguments)
        served.stop()
        if not out.exists():
            raise daemon.DaemonFailed(f"the recorder wrote nothing:\n{served.log.read_text(errors='replace')[-2000:]}")
        return out.read_bytes()


def _cycles(served: daemon.Daemon, arguments: argparse.Namespace) -> tuple[dict[str, list[Step]], float]:
    """Start the daemon, run the cycles, and return each step's samples and the CPU seconds of reaped children."""
    served.start()
    side = Side("sampan", served, arguments.runtime)
    side.load(image.busybox())
    for _ in range(WARM_UP):
        side.cycle()
    if served.argv[0] == sys.executable and "bench.profiled" in served.argv:
        served.signal(signal.SIGUSR2)
    before = process.children_cpu_s(served.pid)
    steps: dict[str, list[Step]] = {}
    host = LIMITS if arguments.limits else LOGS
    for _ in range(arguments.cycles):
        container = _step(steps, "create", served.pid, lambda: side.create(["/bin/true"], host))
        _step(steps, "start", served.pid, lambda: side.start(container))  # noqa: B023
        _step(steps, "wait", served.pid, lambda: side.wait(container))  # noqa: B023
        _step(steps, "remove", served.pid, lambda: side.remove(container))  # noqa: B023
    return steps, process.children_cpu_s(served.pid) - before


def _step(steps: dict[str, list[Step]], name: str, pid: int, call: Callable[[], Any]) -> Any:
    loop, threads = process.scheduled(pid)
    began = time.perf_counter()
    result = call()
    wall = time.perf_counter() - began
    loop_after, threads_after = process.scheduled(pid)
    spent = Step(
        wall * 1000,
        (loop_after.run_ns - loop.run_ns) / 1e6,
        (loop_after.queued_ns - loop.queued_ns) / 1e6,
        (threads_after.run_ns - threads.run_ns) / 1e6,
    )
    steps.setdefault(name, []).append(spent)
    return result


if __name__ == "__main__":
    sys.exit(main())
