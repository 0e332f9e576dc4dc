"""Machine: the few things of the host that belong to no capability. `sampan.host` has the real one."""

from __future__ import annotations

from typing import Protocol

from sampan.engine.port import ProcessRow
from sampan.model.container import Struct


class MachineFacts(Struct, frozen=True, kw_only=True):
    """What the host is. Read once."""

    name: str
    kernel: str
    operating_system: str
    os_version: str
    architecture: str
    cpus: int
    memory_bytes: int
    backing_filesystem: str


class Machine(Protocol):
    """Small files of a container, bind sources, and what the kernel says of the whole machine."""

    def facts(self) -> MachineFacts: ...

    def system_cpu_ns(self) -> int:
        """Return CPU time that the whole machine has used since boot, summed over CPUs (idle included)."""
        ...

    def online_cpus(self) -> int: ...

    async def process_table(self, pids: tuple[int, ...], ps_args: str) -> ProcessRow: ...

    def check_bind(self, source: str, *, create: bool) -> None:
        """Make sure that a bind's source exists; with `create` make a missing one a directory.

        Raises:
            InvalidArgument: it does not exist, with docker's words.
        """
        ...

    def resolve_below(self, root: str, subpath: str) -> str:
        """Return the host path of `subpath` inside `root`; raises `InvalidArgument` when it leaves it or is not there."""
        ...

    def resolv_conf(self) -> str:
        """Return the host's resolver configuration."""
        ...

    def write_files(self, container_id: str, files: dict[str, str]) -> dict[str, str]:
        """Write a container's small files; returns name -> host path. Replaces them in place when they exist."""
        ...

    def files(self, container_id: str) -> dict[str, str]:
        """Return the small files that a container has: name -> host path."""
        ...

    async def mount_shm(self, container_id: str, size_bytes: int) -> str:
        """Mount a tmpfs that other containers can share as /dev/shm; returns its path. Idempotent."""
        ...

    async def unmount_shm(self, container_id: str) -> None: ...

    async def discard(self, container_id: str) -> None:
        """Remove all of a container's small files. Idempotent."""
        ...

    async def survey(self) -> tuple[str, ...]:
        """Return the ids of containers that have files here."""
        ...
