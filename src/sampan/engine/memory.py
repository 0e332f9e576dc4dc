"""MemoryMachine: the twin of `engine.linux`, for engines that run in memory only."""

from __future__ import annotations

from sampan.base.errors import InvalidArgument
from sampan.engine.machine import MachineFacts
from sampan.engine.port import ProcessRow


class MemoryMachine:
    """A machine without files: bind sources exist when they were named in `paths`."""

    def __init__(self, paths: frozenset[str] = frozenset()) -> None:
        self._paths = set(paths)
        self._files: dict[str, dict[str, str]] = {}
        self._shm: set[str] = set()

    def facts(self) -> MachineFacts:
        return MachineFacts(
            name="memory",
            kernel="6.1.0",
            operating_system="memory",
            os_version="1",
            architecture="x86_64",
            cpus=4,
            memory_bytes=8 << 30,
            backing_filesystem="memory",
        )

    def system_cpu_ns(self) -> int:
        return 0

    def online_cpus(self) -> int:
        return 4

    async def process_table(self, pids: tuple[int, ...], ps_args: str) -> ProcessRow:
        return ProcessRow(titles=("PID",), rows=tuple((str(pid),) for pid in pids))

    def check_bind(self, source: str, *, create: bool) -> None:
        if create:
            self._paths.add(source)
        elif source not in self._paths:
            raise InvalidArgument(f'invalid mount config for type "bind": bind source path does not exist: {source}')

    def resolve_below(self, root: str, subpath: str) -> str:
        if ".." in subpath.split("/") or subpath.startswith("/"):
            raise InvalidArgument(f"cannot access path {subpath} of the volume: it must exist and stay inside")
        return f"{root}/{subpath}"

    def resolv_conf(self) -> str:
        return "nameserver 192.0.2.53\n"

    def write_files(self, container_id: str, files: dict[str, str]) -> dict[str, str]:
        self._files.setdefault(container_id, {}).update(files)
        return self.files(container_id)

    def files(self, container_id: str) -> dict[str, str]:
        return {name: f"/memory/{container_id}/{name}" for name in self._files.get(container_id, {})}

    async def mount_shm(self, container_id: str, size_bytes: int) -> str:
        self._shm.add(container_id)
        return f"/memory/{container_id}/shm"

    async def unmount_shm(self, container_id: str) -> None:
        self._shm.discard(container_id)

    async def discard(self, container_id: str) -> None:
        self._shm.discard(container_id)
        self._files.pop(container_id, None)

    async def survey(self) -> tuple[str, ...]:
        return tuple(self._files.keys() | self._shm)
