"""Resources -> the OCI config's cgroup limits, device rules and rlimits. Pure.

The OCI form is cgroup v1's; a runtime on v2 converts shares to weight, and memory+swap to swap.
"""

from __future__ import annotations

import re
from typing import Any

from sampan.base.errors import InvalidArgument
from sampan.model.container import Resources, Ulimit
from sampan.runtime.facts import DeviceFact, HostFacts, RateFact
from sampan.spec import oci_runtime

_SECTIONS = {
    "blkio_read_bps": "throttleReadBpsDevice",
    "blkio_write_bps": "throttleWriteBpsDevice",
    "blkio_read_iops": "throttleReadIOPSDevice",
    "blkio_write_iops": "throttleWriteIOPSDevice",
}
RATE_FIELDS = ("blkio_weight_device", *_SECTIONS)
"""Fields of Resources that name block devices."""
_RULE = re.compile(r"([acb]) (\*|\d+):(\*|\d+) ([rwm]{1,3})")
DEFAULT_PERIOD_US = 100_000


def memory(wanted: Resources, *, cgroup_version: int = 1) -> dict[str, Any]:
    """Return the memory section; swap is memory plus swap, twice the memory when nothing is said.

    cgroup v2 has no swappiness and cannot keep the OOM killer away; runtimes refuse both there, so they are left out.
    """
    section: dict[str, Any] = {}
    if wanted.memory_bytes > 0:
        section["limit"] = wanted.memory_bytes
        section["swap"] = wanted.memory_swap_bytes or wanted.memory_bytes * 2
    if wanted.memory_reservation_bytes > 0:
        section["reservation"] = wanted.memory_reservation_bytes
    if cgroup_version == 2:
        return section
    if wanted.memory_swappiness is not None and wanted.memory_swappiness >= 0:
        section["swappiness"] = wanted.memory_swappiness
    if wanted.oom_kill_disable:
        section["disableOOMKiller"] = True
    return section


def cpu(wanted: Resources) -> dict[str, Any]:
    """Return the cpu section; nano-CPUs become a quota of the default period."""
    values = {
        "shares": wanted.cpu_shares,
        "quota": wanted.cpu_quota_us,
        "period": wanted.cpu_period_us,
        "realtimePeriod": wanted.cpu_realtime_period_us,
        "realtimeRuntime": wanted.cpu_realtime_runtime_us,
        "cpus": wanted.cpuset_cpus,
        "mems": wanted.cpuset_mems,
    }
    if wanted.nano_cpus:
        values |= {"quota": wanted.nano_cpus * DEFAULT_PERIOD_US // 1_000_000_000, "period": DEFAULT_PERIOD_US}
    return {key: value for key, value in values.items() if value}


def _rows(rates: tuple[RateFact, ...], key: str) -> list[dict[str, int]]:
    return [{"major": row.major, "minor": row.minor, key: row.rate} for row in rates]


def block_io(wanted: Resources, rates: dict[str, tuple[RateFact, ...]]) -> dict[str, Any]:
    """Return the blockIO section."""
    section: dict[str, Any] = {"weight": wanted.blkio_weight} if wanted.blkio_weight else {}
    if rates.get("blkio_weight_device"):
        section["weightDevice"] = _rows(rates["blkio_weight_device"], "weight")
    for field, name in _SECTIONS.items():
        if rates.get(field):
            section[name] = _rows(rates[field], "rate")
    return section


def device_rule(text: str) -> dict[str, Any]:
    """Return the OCI rule of `c 1:3 rwm`.

    Raises:
        InvalidArgument: it has another form.
    """
    match = _RULE.fullmatch(text)
    if match is None:
        raise InvalidArgument(f"invalid device cgroup rule format: '{text}': write it as 'c 1:3 rwm'")
    rule: dict[str, Any] = {"allow": True, "type": match[1], "access": match[4]}
    if match[2] != "*":
        rule["major"] = int(match[2])
    if match[3] != "*":
        rule["minor"] = int(match[3])
    return rule


def _device(device: DeviceFact) -> dict[str, Any]:
    return {
        "allow": True,
        "type": device.kind,
        "major": device.major,
        "minor": device.minor,
        "access": device.permissions,
    }


def devices(wanted: Resources, facts: HostFacts, *, privileged: bool) -> list[dict[str, Any]]:
    """Return the device rules in order: deny all, then what is allowed."""
    if privileged:
        return [{"allow": True, "access": "rwm"}]
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    rules += [
        {"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"}
        for major, minor in oci_runtime.DEFAULT_DEVICE_RULES
    ]
    rules += [_device(device) for device in facts.devices]
    return rules + [device_rule(text) for text in wanted.device_cgroup_rules]


def resources(wanted: Resources, facts: HostFacts, *, privileged: bool) -> dict[str, Any]:
    """Return `linux.resources`."""
    section: dict[str, Any] = {
        "devices": devices(wanted, facts, privileged=privileged),
        "memory": memory(wanted, cgroup_version=facts.cgroup_version),
        "cpu": cpu(wanted),
        "blockIO": block_io(wanted, facts.rates),
    }
    if wanted.pids_limit is not None:
        section["pids"] = {"limit": wanted.pids_limit if wanted.pids_limit > 0 else -1}
    return {key: value for key, value in section.items() if value}


def _clamp(limit: int, ceiling: int) -> int:
    unlimited = oci_runtime.RLIM_INFINITY
    value, top = (unlimited if limit < 0 else limit), (unlimited if ceiling < 0 else ceiling)
    return min(value, top)


def rlimits(wanted: tuple[Ulimit, ...], ceilings: dict[str, int]) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Return `process.rlimits` and a warning for each limit that the daemon's own hard limit cut down.

    Raises:
        InvalidArgument: an unknown name, or a soft limit above the hard one.
    """
    rows, warnings = [], []
    for item in {item.name: item for item in wanted}.values():
        if item.name not in oci_runtime.RLIMITS:
            raise InvalidArgument(f"invalid ulimit type: {item.name}: see setrlimit(2) for the names")
        ceiling = ceilings.get(item.name, -1)
        hard, soft = _clamp(item.hard, ceiling), _clamp(item.soft, ceiling)
        if soft > hard:
            raise InvalidArgument(f"ulimit {item.name}: the soft limit {item.soft} is above the hard limit {item.hard}")
        if hard != _clamp(item.hard, -1) or soft != _clamp(item.soft, -1):
            warnings.append(
                f"ulimit {item.name} was lowered to {hard}: the daemon's own hard limit; "
                "give the daemon CAP_SYS_RESOURCE or a higher limit"
            )
        rows.append({"type": f"RLIMIT_{item.name.upper()}", "hard": hard, "soft": soft})
    return rows, tuple(warnings)
