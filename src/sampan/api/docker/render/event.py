"""Events and stats samples: what streams."""

from __future__ import annotations

from sampan.api.docker.render.config import Json
from sampan.api.docker.render.moment import rfc3339
from sampan.engine.port import NetworkUsage, Stats, Usage
from sampan.model.event import Event
from sampan.spec.docker.api import ZERO_TIME


def render_event(event: Event) -> Json:
    """Return one event; container and image events carry the old top-level fields too."""
    rendered: Json = {}
    if event.kind in ("container", "image"):
        rendered = {"status": event.action, "id": event.id}
        if event.kind == "container":
            rendered["from"] = event.attributes.get("image", "")
    return rendered | {
        "Type": event.kind,
        "Action": event.action,
        "Actor": {"ID": event.id, "Attributes": event.attributes},
        "scope": event.scope,
        "time": event.time_ns // 1_000_000_000,
        "timeNano": event.time_ns,
    }


def render_stats(name: str, container_id: str, stats: Stats, memory_bytes: int) -> Json:
    """Return one sample. A sample without a time is of a container that does not run."""
    running = bool(stats.time_ns)
    usage = stats.usage
    rendered: Json = {
        "name": f"/{name}",
        "id": container_id,
        "read": rfc3339(stats.time_ns),
        "preread": rfc3339(stats.previous_time_ns) if running else ZERO_TIME,
        "pids_stats": _pids(usage) if running else {},
        "blkio_stats": _blkio(usage, running=running),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _cpu(usage, stats.system_cpu_ns, stats.online_cpus if running else 0),
        "precpu_stats": _cpu(
            stats.previous or Usage(), stats.previous_system_cpu_ns, stats.online_cpus if stats.previous else 0
        ),
        "memory_stats": _memory(usage, memory_bytes) if running else {},
    }
    if running and stats.networks:
        rendered["networks"] = {row.interface: _network(row) for row in stats.networks}
    return rendered


def _pids(usage: Usage) -> Json:
    pids: Json = {"current": usage.pids}
    return pids | {"limit": usage.pids_limit} if usage.pids_limit else pids


def _cpu(usage: Usage, system_ns: int, cpus: int) -> Json:
    cpu: Json = {
        "total_usage": usage.cpu_total_ns,
        "usage_in_kernelmode": usage.cpu_system_ns,
        "usage_in_usermode": usage.cpu_user_ns,
    }
    if usage.cpu_per_cpu_ns:
        cpu["percpu_usage"] = list(usage.cpu_per_cpu_ns)
    rendered: Json = {"cpu_usage": cpu}
    if system_ns:
        rendered["system_cpu_usage"] = system_ns
    if cpus:
        rendered["online_cpus"] = cpus
    return rendered | {
        "throttling_data": {
            "periods": usage.throttled_periods,
            "throttled_periods": usage.throttled_count,
            "throttled_time": usage.throttled_ns,
        }
    }


def _memory(usage: Usage, host_bytes: int) -> Json:
    limit = usage.memory_limit_bytes
    memory: Json = {"usage": usage.memory_bytes}
    if usage.cgroup_version == 1:
        memory["max_usage"] = usage.memory_max_bytes
        if usage.memory_failcnt:
            memory["failcnt"] = usage.memory_failcnt
    return memory | {"stats": usage.memory_stats, "limit": limit if 0 < limit < host_bytes else host_bytes}


def _blkio(usage: Usage, *, running: bool) -> Json:
    empty: list[Json] | None = [] if running else None
    return {
        "io_service_bytes_recursive": _blkio_rows(usage.blkio) if running else None,
        "io_serviced_recursive": _blkio_rows(usage.blkio_ops) if running else None,
        "io_queue_recursive": empty,
        "io_service_time_recursive": empty,
        "io_wait_time_recursive": empty,
        "io_merged_recursive": empty,
        "io_time_recursive": empty,
        "sectors_recursive": empty,
    }


def _blkio_rows(rows: tuple[tuple[int, int, str, int], ...]) -> list[Json]:
    return [{"major": major, "minor": minor, "op": op, "value": value} for major, minor, op, value in rows]


def _network(row: NetworkUsage) -> Json:
    return {
        "rx_bytes": row.rx_bytes,
        "rx_packets": row.rx_packets,
        "rx_errors": row.rx_errors,
        "rx_dropped": row.rx_dropped,
        "tx_bytes": row.tx_bytes,
        "tx_packets": row.tx_packets,
        "tx_errors": row.tx_errors,
        "tx_dropped": row.tx_dropped,
    }
