"""Limits: HostConfig's resource fields to `Resources`, with the checks that need no host."""

from __future__ import annotations

from sampan.api.docker.parse.body import mapping, strings
from sampan.base.errors import InvalidArgument
from sampan.model.container import Device, DeviceRate, DeviceRequest, Resources, RestartPolicy, Ulimit
from sampan.spec.docker import container as wire

_MIN_MEMORY_BYTES = 6 << 20
_MAX_PIDS = 4_194_304  # the kernel's PID_MAX_LIMIT
_POLICIES = ("no", "always", "on-failure", "unless-stopped")


def parse_resources(config: wire.Resources) -> Resources:
    """Return the limits, checked."""
    resources = Resources(
        memory_bytes=config.memory or 0,
        memory_reservation_bytes=config.memory_reservation or 0,
        memory_swap_bytes=config.memory_swap or 0,
        memory_swappiness=None if config.memory_swappiness == -1 else config.memory_swappiness,
        oom_kill_disable=config.oom_kill_disable,
        nano_cpus=config.nano_cpus or 0,
        cpu_shares=config.cpu_shares or 0,
        cpu_period_us=config.cpu_period or 0,
        cpu_quota_us=config.cpu_quota or 0,
        cpu_realtime_period_us=config.cpu_realtime_period or 0,
        cpu_realtime_runtime_us=config.cpu_realtime_runtime or 0,
        cpuset_cpus=config.cpuset_cpus or "",
        cpuset_mems=config.cpuset_mems or "",
        pids_limit=config.pids_limit if (config.pids_limit or 0) > 0 else None,
        blkio_weight=config.blkio_weight or 0,
        blkio_weight_device=tuple(
            DeviceRate(path=row.path or "", rate=row.weight or 0) for row in config.blkio_weight_device or ()
        ),
        blkio_read_bps=_rates(config.blkio_device_read_bps),
        blkio_write_bps=_rates(config.blkio_device_write_bps),
        blkio_read_iops=_rates(config.blkio_device_read_iops),
        blkio_write_iops=_rates(config.blkio_device_write_iops),
        ulimits=tuple(_ulimit(row) for row in config.ulimits or ()),
        devices=tuple(_device(row) for row in config.devices or ()),
        device_requests=tuple(_device_request(row) for row in config.device_requests or ()),
        device_cgroup_rules=strings(config.device_cgroup_rules),
    )
    check_resources(resources, update=False)
    if config.io_maximum_bandwidth or config.io_maximum_iops:
        raise InvalidArgument("invalid option: QoS maximum bandwidth and IOPs are not supported on linux")
    return resources


def _rates(rows: list[wire.ThrottleDevice] | None) -> tuple[DeviceRate, ...]:
    return tuple(DeviceRate(path=row.path or "", rate=row.rate or 0) for row in rows or ())


def _ulimit(row: wire.Ulimit) -> Ulimit:
    name = (row.name or "").lower()
    soft, hard = row.soft or 0, row.hard or 0
    if not name:
        raise InvalidArgument("invalid ulimit: Name must not be empty")
    if hard != -1 and (soft == -1 or soft > hard):
        raise InvalidArgument(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return Ulimit(name=name, soft=soft, hard=hard)


def _device(row: wire.DeviceMapping) -> Device:
    host_path, permissions = row.path_on_host or "", row.cgroup_permissions or "rwm"
    if not host_path:
        raise InvalidArgument("invalid device: PathOnHost must not be empty")
    if set(permissions) - set("rwm"):
        raise InvalidArgument(f"invalid device mode: {permissions}")
    return Device(host_path=host_path, container_path=row.path_in_container or host_path, permissions=permissions)


def _device_request(row: wire.DeviceRequest) -> DeviceRequest:
    return DeviceRequest(
        driver=row.driver or "",
        count=row.count or 0,
        device_ids=strings(row.device_ids),
        capabilities=tuple(tuple(group) for group in row.capabilities or ()),
        options=mapping(row.options),
    )


def check_resources(resources: Resources, *, update: bool) -> None:
    """Raise `InvalidArgument` for limits that contradict each other or lie outside of their range."""
    _check_memory(resources, update=update)
    _check_cpu(resources)
    if resources.pids_limit is not None and resources.pids_limit > _MAX_PIDS:
        raise InvalidArgument(f"Invalid value {resources.pids_limit}, the pids limit can be at most {_MAX_PIDS}")
    if resources.blkio_weight and not 10 <= resources.blkio_weight <= 1000:
        raise InvalidArgument("Range of blkio weight is from 10 to 1000")


def _check_memory(resources: Resources, *, update: bool) -> None:
    memory, swap = resources.memory_bytes, resources.memory_swap_bytes
    reservation, swappiness = resources.memory_reservation_bytes, resources.memory_swappiness
    if memory and memory < _MIN_MEMORY_BYTES:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if memory > 0 and 0 < swap < memory:
        raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit, see usage")
    if not memory and swap > 0 and not update:
        raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit, see usage")
    if swap < -1:
        raise InvalidArgument(f"Invalid value: {swap}, memoryswap must be -1 (unlimited), 0 (unset) or a limit")
    if swappiness is not None and not 0 <= swappiness <= 100:
        raise InvalidArgument(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")
    if reservation and reservation < _MIN_MEMORY_BYTES:
        raise InvalidArgument("Minimum memory reservation allowed is 6MB")
    if memory > 0 and 0 < memory < reservation:
        raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit, see usage")


def _check_cpu(resources: Resources) -> None:
    period, quota = resources.cpu_period_us, resources.cpu_quota_us
    if resources.nano_cpus > 0 and period > 0:
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if resources.nano_cpus > 0 and quota > 0:
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if resources.nano_cpus < 0:
        raise InvalidArgument("NanoCpus must not be negative")
    if resources.cpu_shares < 0:
        raise InvalidArgument(f"invalid CPU shares ({resources.cpu_shares}): value must be a positive integer")
    if period and not 1000 <= period <= 1_000_000:
        raise InvalidArgument("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < quota < 1000:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    for field, value in (("cpuset cpus", resources.cpuset_cpus), ("cpuset mems", resources.cpuset_mems)):
        if not is_cpuset(value):
            raise InvalidArgument(f"Invalid value {value} for {field}")
    rt_period, rt_runtime = resources.cpu_realtime_period_us, resources.cpu_realtime_runtime_us
    if rt_period and rt_runtime > rt_period:
        raise InvalidArgument("cpu real-time runtime cannot be higher than cpu real-time period")


def is_cpuset(text: str) -> bool:
    """Return whether `text` is a list such as "0-2,5" (or empty)."""
    if not text:
        return True
    for part in text.split(","):
        low, dash, high = part.partition("-")
        if not _is_number(low) or (dash and (not _is_number(high) or int(high) < int(low))):
            return False
    return True


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6


def check_cpus(resources: Resources, cpus: int) -> None:
    """Raise `InvalidArgument` when more CPUs are asked for than the host has."""
    if resources.nano_cpus > cpus * 1_000_000_000:
        raise InvalidArgument(f"range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available")
    for part in filter(None, resources.cpuset_cpus.split(",")):
        if int(part.rpartition("-")[2]) >= cpus:
            available = f"0-{cpus - 1}" if cpus > 1 else "0"
            raise InvalidArgument(
                f"Requested CPUs are not available - requested {resources.cpuset_cpus}, available: {available}"
            )


def parse_restart(policy: wire.RestartPolicy | None) -> RestartPolicy:
    """Return the restart policy, "no" when none is given."""
    name = (policy and policy.name) or "no"
    retries = (policy and policy.maximum_retry_count) or 0
    if name not in _POLICIES:
        raise InvalidArgument(
            f"invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if name != "on-failure" and retries > 0:
        raise InvalidArgument("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if retries < 0:
        raise InvalidArgument("invalid restart policy: maximum retry count cannot be negative")
    return RestartPolicy(name=name, max_retries=retries)


_UPDATABLE = {
    "memory": "memory_bytes",
    "memory_reservation": "memory_reservation_bytes",
    "memory_swap": "memory_swap_bytes",
    "nano_cpus": "nano_cpus",
    "cpu_shares": "cpu_shares",
    "cpu_period": "cpu_period_us",
    "cpu_quota": "cpu_quota_us",
    "cpu_realtime_period": "cpu_realtime_period_us",
    "cpu_realtime_runtime": "cpu_realtime_runtime_us",
    "cpuset_cpus": "cpuset_cpus",
    "cpuset_mems": "cpuset_mems",
    "blkio_weight": "blkio_weight",
}


def parse_update(request: wire.UpdateRequest) -> tuple[dict[str, object], RestartPolicy | None]:
    """Return the fields of `Resources` that change, and the new restart policy if one is given.

    A zero or empty value means "leave it", as docker's; a pids limit of 0 or less means "no limit".
    """
    changes = {ours: getattr(request, theirs) for theirs, ours in _UPDATABLE.items() if getattr(request, theirs)}
    if request.pids_limit is not None:
        changes["pids_limit"] = request.pids_limit if request.pids_limit > 0 else None
    check_resources(Resources(**changes), update=True)
    policy = request.restart_policy
    return changes, parse_restart(policy) if policy is not None and policy.name else None
