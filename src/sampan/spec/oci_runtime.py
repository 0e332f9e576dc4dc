"""Constants of the OCI runtime specification's config.json, with the defaults of a container.

Spec: opencontainers/runtime-spec config.md and config-linux.md (v1.0.2); the default values are Docker's.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = "1.0.2"

MASKED_PATHS: Final = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)

READONLY_PATHS: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

DEFAULT_SHM_BYTES: Final = 64 * 1024 * 1024

MOUNTS: Final[tuple[tuple[str, str, str, tuple[str, ...]], ...]] = (
    ("/proc", "proc", "proc", ("nosuid", "noexec", "nodev")),
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    ("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
    ("/sys", "sysfs", "sysfs", ("nosuid", "noexec", "nodev", "ro")),
    ("/sys/fs/cgroup", "cgroup", "cgroup", ("ro", "nosuid", "noexec", "nodev")),
    ("/dev/mqueue", "mqueue", "mqueue", ("nosuid", "noexec", "nodev")),
)
"""Rows (destination, type, source, options) that every container has, in the order in which they are made."""

DEFAULT_DEVICE_RULES: Final[tuple[tuple[int, int], ...]] = ((1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1))
"""Character devices (major, minor) a container may use: zero, null, urandom, random, tty, console. Runtimes add
`full`, `ptmx` and the pseudo-terminals themselves.
"""

DEFAULT_SYSCTLS: Final = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}
"""For a container with a network namespace of its own: low ports and ping need no privilege inside it."""

NAMESPACED_SYSCTLS_IPC: Final = frozenset(
    {
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    }
)
"""Sysctls of the IPC namespace, besides everything below fs.mqueue."""

RLIMITS: Final = tuple(
    "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split()
)
"""Names of resource limits, lower case, without RLIMIT_."""

RLIM_INFINITY: Final = 2**64 - 1
