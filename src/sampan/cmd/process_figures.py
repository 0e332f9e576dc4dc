"""What a process takes, and the files of its store, for /metrics. Spec: Prometheus client libraries, process metrics."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

from sampan.api.kube.metrics.text import Family, Sample
from sampan.base.clock import Clock


def process_figures(directory: Path | None, clock: Clock) -> Callable[[], list[Family]]:
    """Return what tells the figures of this process, whose store's files are in `directory`; None: it has no store."""
    started_s = clock.now_ns() / 1e9 - time.clock_gettime(time.CLOCK_BOOTTIME) + _started_after_boot_s()

    def figures() -> list[Family]:
        pages = Path("/proc/self/statm").read_text().split()
        size = os.sysconf("SC_PAGE_SIZE")
        times = os.times()
        return [
            _one("process_cpu_seconds_total", "counter", "CPU time, in seconds.", times.user + times.system),
            _one(
                "process_max_fds",
                "gauge",
                "Most files that may be open.",
                resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            ),
            _one("process_open_fds", "gauge", "Open files.", len(os.listdir("/proc/self/fd")) - 1),
            _one("process_resident_memory_bytes", "gauge", "Resident memory.", int(pages[1]) * size),
            _one("process_virtual_memory_bytes", "gauge", "Virtual memory.", int(pages[0]) * size),
            _one("process_start_time_seconds", "gauge", "When it started, since the epoch.", started_s),
            *(_store(directory) if directory is not None else ()),
        ]

    return figures


def _store(directory: Path) -> list[Family]:
    size = sum(path.stat().st_size for path in directory.glob("*.db*"))
    return [_one("apiserver_storage_size_bytes", "gauge", "Files of the store, 0 for one elsewhere.", size)]


def _one(name: str, kind: str, about: str, value: float) -> Family:
    return Family(name, kind, about, [Sample((), value)])


def _started_after_boot_s() -> float:
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")
