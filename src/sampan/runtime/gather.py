"""Reads the host facts that a launch plan needs."""

from __future__ import annotations

import functools
import os
import resource
import stat
from collections.abc import Iterable, Iterator

from sampan.base.errors import InvalidArgument
from sampan.host import rootfs
from sampan.model.container import Container, Device, DeviceRate
from sampan.runtime.facts import DeviceFact, HostFacts, RateFact, UserFact
from sampan.runtime.limits import RATE_FIELDS
from sampan.runtime.port import HostMount
from sampan.spec import capability, oci_runtime

INIT_PROGRAMS = (
    "/usr/libexec/docker/docker-init",
    "/usr/bin/docker-init",
    "/usr/local/bin/docker-init",
    "/usr/bin/tini-static",
    "/usr/libexec/podman/catatonit",
    "/usr/bin/catatonit",
)
"""Static init programs of distributions: they must run in an image without any library."""

RECURSIVE_READ_ONLY = frozenset({"crun", "runc"})
"""Runtimes that know the mount option rro (crun 1.4, runc 1.1; Linux 5.12)."""
_NOT_DEVICES = frozenset({"pts", "shm", "fd", "mqueue", "console", ".lxc", ".lxd-mounts", ".udev"})


@functools.cache
def daemon_capabilities() -> tuple[str, ...]:
    """Return what this process may hand on."""
    with open("/proc/self/status") as source:
        row = next(line for line in source if line.startswith("CapEff:"))
    return capability.from_mask(int(row.split()[1], 16))


def daemon_rlimits() -> dict[str, int]:
    """Return the hard limits that this process cannot pass, {} when it may."""
    if "CAP_SYS_RESOURCE" in daemon_capabilities():
        return {}
    names = ((name, getattr(resource, f"RLIMIT_{name.upper()}", None)) for name in oci_runtime.RLIMITS)
    return {name: resource.getrlimit(number)[1] for name, number in names if number is not None}


def oom_score_adj_floor() -> int:
    """Return the lowest value that this process may give."""
    if "CAP_SYS_RESOURCE" in daemon_capabilities():
        return -1000
    with open("/proc/self/oom_score_adj") as source:
        return int(source.read())


@functools.cache
def per_cpu_masks() -> tuple[str, ...]:
    """Return the thermal counters of each CPU, which tell of the neighbours' load."""
    base = "/sys/devices/system/cpu"
    paths = (f"{base}/{name}/thermal_throttle" for name in sorted(os.listdir(base)) if name[3:].isdigit())
    return tuple(path for path in paths if os.path.exists(path))


def init_program() -> str:
    """Return the host's init program for containers, "" when none is installed."""
    return next((path for path in INIT_PROGRAMS if os.access(path, os.X_OK)), "")


def device(path: str, target: str, permissions: str) -> DeviceFact:
    """Return the facts of one device node.

    Raises:
        InvalidArgument: it is missing, or no device.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        raise InvalidArgument(
            f'error gathering device information while adding custom device "{path}": no such file or directory'
        ) from error
    kind = "c" if stat.S_ISCHR(found.st_mode) else "b" if stat.S_ISBLK(found.st_mode) else ""
    if not kind:
        raise InvalidArgument(
            f'error gathering device information while adding custom device "{path}": not a device node'
        )
    return DeviceFact(
        path=target,
        kind=kind,
        major=os.major(found.st_rdev),
        minor=os.minor(found.st_rdev),
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        permissions=permissions,
    )


def _asked(wanted: Device) -> Iterator[DeviceFact]:
    if not os.path.isdir(wanted.host_path):
        yield device(wanted.host_path, wanted.container_path or wanted.host_path, wanted.permissions or "rwm")
        return
    for here, _, names in os.walk(wanted.host_path):
        for name in sorted(names):
            path = f"{here}/{name}"
            if stat.S_IFMT(os.lstat(path).st_mode) in (stat.S_IFCHR, stat.S_IFBLK):
                target = (wanted.container_path or wanted.host_path) + path[len(wanted.host_path) :]
                yield device(path, target, wanted.permissions or "rwm")


def _all_devices() -> Iterator[DeviceFact]:
    for here, below, names in os.walk("/dev"):
        below[:] = [name for name in below if name not in _NOT_DEVICES]
        for name in names:
            path = f"{here}/{name}"
            if name not in _NOT_DEVICES and stat.S_IFMT(os.lstat(path).st_mode) in (stat.S_IFCHR, stat.S_IFBLK):
                yield device(path, path, "rwm")


def devices(container: Container) -> tuple[DeviceFact, ...]:
    """Return the devices of a container: all of the host's when privileged, and those asked for."""
    rows = {row.path: row for row in _all_devices()} if container.spec.security.privileged else {}
    for wanted in container.spec.resources.devices:
        rows |= {row.path: row for row in _asked(wanted)}
    return tuple(rows.values())


def rate(item: DeviceRate) -> RateFact:
    """Return a block-device limit by the device's numbers."""
    fact = device(item.path, item.path, "r")
    return RateFact(major=fact.major, minor=fact.minor, rate=item.rate)


def user(root_fd: int, name: str, extra: tuple[str, ...]) -> UserFact:
    """Return the user as the container's own files tell."""
    found = rootfs.resolve_user(root_fd, name, extra)
    return UserFact(uid=found.uid, gid=found.gid, groups=found.groups, home=found.home)


def facts(
    container: Container,
    *,
    cgroup_path: str,
    cgroup_version: int,
    user_fact: UserFact,
    default_init: bool,
    runtime_kind: str,
    mounts: Iterable[HostMount] = (),
) -> HostFacts:
    """Return the facts of one launch.

    Raises:
        InvalidArgument: a device is missing, or an init program was asked for and the host has none.
    """
    wants_init = default_init if container.spec.init is None else container.spec.init
    init_path = init_program() if wants_init else ""
    if wants_init and not init_path:
        raise InvalidArgument(
            "an init process was asked for, but the host has no init program: install the package tini"
        )
    resources = container.spec.resources
    rates = {name: tuple(rate(item) for item in getattr(resources, name)) for name in RATE_FIELDS}
    return HostFacts(
        machine=os.uname().machine,
        capabilities=daemon_capabilities(),
        rlimits=daemon_rlimits(),
        oom_score_adj_floor=oom_score_adj_floor(),
        cgroup_version=cgroup_version,
        cgroup_path=cgroup_path,
        user=user_fact,
        devices=devices(container),
        rates={name: rows for name, rows in rates.items() if rows},
        init_path=init_path,
        masked_extra=per_cpu_masks(),
        rro=runtime_kind in RECURSIVE_READ_ONLY,
        files=frozenset(m.source for m in mounts if m.read_only and m.kind == "bind" and not os.path.isdir(m.source)),
    )
