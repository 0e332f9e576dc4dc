"""What a container uses, read from its cgroup files. v1, hybrid and v2."""

from __future__ import annotations

from sampan.host.cgroup import Group, flat
from sampan.runtime.port import Usage
from sampan.spec import cgroup as spec

NS_PER_TICK = 10_000_000
"""cpuacct.stat counts in USER_HZ, which is 100 on every machine."""

Rows = tuple[tuple[int, int, str, int], ...]


def read(group: Group) -> Usage:
    """Return the usage of a running container."""
    return _read_v2(group) if group.hierarchies.version == 2 else _read_v1(group)


def _number(text: str) -> int:
    word = text.strip()
    return int(word) if word.lstrip("-").isdigit() else 0


def _limit(text: str) -> int:
    value = _number(text)
    return 0 if value >= spec.UNLIMITED_V1 else value


def _read_v1(group: Group) -> Usage:
    ticks = flat(group.read("cpuacct", "cpuacct.stat"))
    throttled = flat(group.read("cpu", "cpu.stat"))
    return Usage(
        cpu_total_ns=_number(group.read("cpuacct", "cpuacct.usage")),
        cpu_user_ns=ticks.get("user", 0) * NS_PER_TICK,
        cpu_system_ns=ticks.get("system", 0) * NS_PER_TICK,
        cpu_per_cpu_ns=tuple(int(word) for word in group.read("cpuacct", "cpuacct.usage_percpu").split()),
        throttled_periods=throttled.get("nr_periods", 0),
        throttled_count=throttled.get("nr_throttled", 0),
        throttled_ns=throttled.get("throttled_time", 0),
        memory_bytes=_number(group.read("memory", "memory.usage_in_bytes")),
        memory_max_bytes=_number(group.read("memory", "memory.max_usage_in_bytes")),
        memory_limit_bytes=_limit(group.read("memory", "memory.limit_in_bytes")),
        memory_failcnt=_number(group.read("memory", "memory.failcnt")),
        memory_stats=flat(group.read("memory", "memory.stat")),
        pids=_number(group.read("pids", "pids.current")),
        pids_limit=_number(group.read("pids", "pids.max")),
        blkio=_v1_rows(group.read("blkio", "blkio.throttle.io_service_bytes")),
        blkio_ops=_v1_rows(group.read("blkio", "blkio.throttle.io_serviced")),
        cgroup_version=1,
    )


def _v1_rows(text: str) -> Rows:
    """Parse `major:minor Operation number` lines."""
    rows = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3:
            major, minor = words[0].split(":")
            rows.append((int(major), int(minor), words[1].lower(), int(words[2])))
    return tuple(rows)


def _read_v2(group: Group) -> Usage:
    cpu = flat(group.read("cpu", "cpu.stat"))
    events = flat(group.read("memory", spec.V2_MEMORY_EVENTS))
    io = group.read("io", "io.stat")
    return Usage(
        cpu_total_ns=cpu.get("usage_usec", 0) * 1000,
        cpu_user_ns=cpu.get("user_usec", 0) * 1000,
        cpu_system_ns=cpu.get("system_usec", 0) * 1000,
        throttled_periods=cpu.get("nr_periods", 0),
        throttled_count=cpu.get("nr_throttled", 0),
        throttled_ns=cpu.get("throttled_usec", 0) * 1000,
        memory_bytes=_number(group.read("memory", "memory.current")),
        memory_max_bytes=_number(group.read("memory", "memory.peak")),
        memory_limit_bytes=_number(group.read("memory", "memory.max")),
        memory_failcnt=events.get("max", 0),
        memory_stats=flat(group.read("memory", "memory.stat")),
        pids=_number(group.read("pids", "pids.current")),
        pids_limit=_number(group.read("pids", "pids.max")),
        blkio=_v2_rows(io, {"rbytes": "read", "wbytes": "write"}),
        blkio_ops=_v2_rows(io, {"rios": "read", "wios": "write"}),
        cgroup_version=2,
    )


def _v2_rows(text: str, keys: dict[str, str]) -> Rows:
    """Parse `major:minor key=number …` lines."""
    rows = []
    for line in text.splitlines():
        device, *pairs = line.split()
        major, _, minor = device.partition(":")
        for pair in pairs:
            key, _, value = pair.partition("=")
            if key in keys:
                rows.append((int(major), int(minor), keys[key], int(value)))
    return tuple(rows)
