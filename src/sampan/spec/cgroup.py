"""File names of the cgroup hierarchies.

Spec: Documentation/admin-guide/cgroup-v1/ and cgroup-v2.rst of the Linux kernel.
"""

from __future__ import annotations

from typing import Final

ROOT: Final = "/sys/fs/cgroup"
UNIFIED: Final = "unified"
"""Where the v2 hierarchy stands below ROOT on a hybrid host."""

PROCS: Final = "cgroup.procs"
KILL: Final = "cgroup.kill"
FREEZE: Final = "cgroup.freeze"
EVENTS: Final = "cgroup.events"

V1_FREEZER_STATE: Final = "freezer.state"
V1_OOM_CONTROL: Final = "memory.oom_control"
V2_MEMORY_EVENTS: Final = "memory.events"

UNLIMITED_V1: Final = 1 << 62
"""A v1 limit at or above this means none: the kernel rounds the largest number down to whole pages."""
