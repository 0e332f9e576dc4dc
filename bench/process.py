"""Process: what /proc tells of processes, and an end to those that are meant."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


def pids() -> list[int]:
    """Return the ids of all processes that are visible here."""
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def namespace(pid: int, kind: str) -> str:
    """Return the identity of a namespace of the process, "" when it is gone."""
    try:
        return os.readlink(PROC / str(pid) / "ns" / kind)
    except OSError:
        return ""


def name(pid: int) -> str:
    """Return the short name of its program, "" when it is gone."""
    try:
        return (PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def parent(pid: int) -> int:
    """Return the id of the parent, 0 when the process is gone."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def start_ticks(pid: int) -> int:
    """Return when it started: with the id it names one process for ever. 0 when it is gone."""
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


class Scheduled(NamedTuple):
    """Nanoseconds on a CPU, and ready but waiting for one."""

    run_ns: int
    queued_ns: int


def scheduled(pid: int) -> tuple[Scheduled, Scheduled]:
    """Return what the main thread had, and what all other living threads had together."""
    main, others = Scheduled(0, 0), Scheduled(0, 0)
    for task in (PROC / str(pid) / "task").iterdir():
        with contextlib.suppress(OSError):  # a thread that ended meanwhile
            run, queued, _ = map(int, (task / "schedstat").read_text().split())
            if int(task.name) == pid:
                main = Scheduled(run, queued)
            else:
                others = Scheduled(others.run_ns + run, others.queued_ns + queued)
    return main, others


def children_cpu_s(pid: int) -> float:
    """Return the CPU seconds that its reaped children have used."""
    fields = _stat(pid)
    return sum(int(ticks) for ticks in fields[13:15]) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def pss_bytes(pid: int) -> int:
    """Return its proportional share of memory, 0 when it is gone."""
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def peak_rss_bytes(pid: int) -> int:
    """Return the most memory that it held since `forget_peak`."""
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def forget_peak(pid: int) -> None:
    """Let the peak start again at what is held now."""
    (PROC / str(pid) / "clear_refs").write_text("5")


def cgroups(pid: int) -> set[str]:
    """Return its cgroups as "controllers:path", nothing when it is gone."""
    try:
        lines = (PROC / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return set()
    return {line.split(":", 1)[1] for line in lines}


def descendants(roots: Iterable[int]) -> set[int]:
    """Return the roots with all their children, and theirs."""
    children: dict[int, list[int]] = {}
    for pid in pids():
        children.setdefault(parent(pid), []).append(pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def kill(pid: int, *, signal_number: int = signal.SIGKILL, timeout_s: float = 10.0) -> bool:
    """Send a signal and wait for the end; True when the process is gone. Never hits another one with the same id."""
    started = start_ticks(pid)
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if start_ticks(pid) != started:
            return True
        signal.pidfd_send_signal(handle, signal_number)
        return bool(select.select([handle], [], [], timeout_s)[0])
    except ProcessLookupError:
        return True
    finally:
        os.close(handle)


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on (the second may hold blanks)."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()
