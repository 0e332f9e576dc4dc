"""Limits: what cgroups of best-effort pods are set to, in our words and as the kernel's files have it.

All best-effort pods of a node are in one group, below which each has its own. The group's CPU is idle-class: whatever else wants
to run goes first, in milliseconds; the ceiling is for what that does not help against, shared caches and memory bandwidth.

Spec: Linux cgroup-v2.rst (cpu, cpuset, memory, freezer), cgroup-v1/*.rst; weights as Kubernetes makes them of CPU requests.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

PERIOD_US = 100_000
LEAST_MILLI = 10
"""The kernel takes no quota below 1 ms of a period: what is below is none, and none is a frozen group."""
_LEAST_SHARES, _MOST_SHARES = 2, 262_144


class GroupLimits(msgspec.Struct, frozen=True):
    """Of all best-effort pods of a node. `cpus`: where they may run."""

    cpu_milli: int
    cpus: tuple[int, ...]

    @property
    def frozen(self) -> bool:
        return self.cpu_milli < LEAST_MILLI

    @property
    def quota_us(self) -> int:
        """Of each period. A frozen group has a quota too, which nobody uses."""
        return max(self.cpu_milli, LEAST_MILLI) * PERIOD_US // 1000

    def files_v2(self) -> dict[str, str]:
        return {
            "cpu.idle": "1",
            "cpu.max": f"{self.quota_us} {PERIOD_US}",
            "cpuset.cpus": ranges(self.cpus),
            "cgroup.freeze": "1" if self.frozen else "0",
        }

    def files_v1(self) -> dict[str, str]:
        """Return controller/file and value."""
        return {
            "cpu/cpu.shares": str(_LEAST_SHARES),
            "cpu/cpu.cfs_period_us": str(PERIOD_US),
            "cpu/cpu.cfs_quota_us": str(self.quota_us),
            "cpuset/cpuset.cpus": ranges(self.cpus),
            "freezer/freezer.state": "FROZEN" if self.frozen else "THAWED",
        }


class PodLimits(msgspec.Struct, frozen=True):
    """Of one best-effort pod. `weight_milli`: its part of the group's CPU is as this to the others'."""

    weight_milli: int
    memory_high_bytes: int  # beyond it the pod is slowed down and its pages are taken back
    memory_max_bytes: int  # beyond it the pod is killed

    @property
    def shares(self) -> int:
        return min(max(self.weight_milli * 1024 // 1000, _LEAST_SHARES), _MOST_SHARES)

    def files_v2(self) -> dict[str, str]:
        weight = 1 + (self.shares - _LEAST_SHARES) * 9999 // (_MOST_SHARES - _LEAST_SHARES)
        return {
            "cpu.weight": str(weight),
            "memory.high": str(self.memory_high_bytes),
            "memory.max": str(self.memory_max_bytes),
        }

    def files_v1(self) -> dict[str, str]:
        """Return controller/file and value. v1 knows no mark between nothing and death."""
        return {"cpu/cpu.shares": str(self.shares), "memory/memory.limit_in_bytes": str(self.memory_max_bytes)}


def ranges(cpus: Sequence[int]) -> str:
    """Return a list of numbers as cpuset files have it: `0-3,8`."""
    found: list[tuple[int, int]] = []
    for cpu in sorted(cpus):
        if found and cpu == found[-1][1] + 1:
            found[-1] = found[-1][0], cpu
        else:
            found.append((cpu, cpu))
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in found)
