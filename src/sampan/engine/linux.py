"""LinuxMachine: what the kernel says of the whole machine, and containers' small files. Implements `engine.machine.Machine`."""

from __future__ import annotations

import asyncio
import os
import platform
import subprocess
from pathlib import Path

from sampan.base import crash
from sampan.base.errors import InvalidArgument, Unavailable
from sampan.engine.machine import MachineFacts
from sampan.engine.port import ProcessRow
from sampan.host import syscalls
from sampan.host.mount import is_mount_point, unmount
from sampan.host.remove import remove_tree

_TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")


class LinuxMachine:
    """Small files stand in `exec_root`/etc/ID; shared /dev/shm mounts in `data_root`/shm/ID, which every namespace sees."""

    def __init__(self, data_root: Path, exec_root: Path) -> None:
        self._etc = exec_root / "etc"
        self._shm = data_root / "shm"
        self._data_root = data_root
        for directory in (self._etc, self._shm):
            directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._facts: MachineFacts | None = None

    def facts(self) -> MachineFacts:
        if self._facts is None:
            release = _os_release()
            self._facts = MachineFacts(
                name=platform.node(),
                kernel=platform.release(),
                operating_system=release.get("PRETTY_NAME", "Linux"),
                os_version=release.get("VERSION_ID", ""),
                architecture=platform.machine(),
                cpus=len(os.sched_getaffinity(0)),
                memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
                backing_filesystem=_filesystem(self._data_root),
            )
        return self._facts

    def system_cpu_ns(self) -> int:
        with open("/proc/stat", "rb") as stat:
            return sum(map(int, stat.readline().split()[1:9])) * _TICK_NS

    def online_cpus(self) -> int:
        return os.sysconf("SC_NPROCESSORS_ONLN")

    async def process_table(self, pids: tuple[int, ...], ps_args: str) -> ProcessRow:
        """Run the host's `ps` and keep the rows of `pids`."""
        words = ps_args.split()
        if any(word.startswith(("-p", "p", "--pid", "-q", "q", "--quick")) for word in words):
            raise InvalidArgument("ps: options that choose processes are not allowed; the container chooses them")

        def run() -> subprocess.CompletedProcess[bytes]:
            return subprocess.run(["ps", *words], capture_output=True, timeout=10, check=False)

        try:
            done = await asyncio.to_thread(run)
        except FileNotFoundError:
            raise Unavailable("`ps` is not installed on this host; apt install procps") from None
        if done.returncode:
            raise InvalidArgument(f"ps: {done.stderr.decode(errors='replace').strip() or 'bad arguments'}")
        return _parse_ps(done.stdout.decode(errors="replace"), set(pids))

    def check_bind(self, source: str, *, create: bool) -> None:
        if os.path.exists(source):
            return
        if not create:
            raise InvalidArgument(f'invalid mount config for type "bind": bind source path does not exist: {source}')
        try:
            os.makedirs(source, mode=0o755, exist_ok=True)
        except OSError as error:
            raise InvalidArgument(f"error while creating mount source path '{source}': {error.strerror}") from None

    def resolve_below(self, root: str, subpath: str) -> str:
        directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            resolve = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_MAGICLINKS
            found = syscalls.openat2(directory, subpath, os.O_PATH, resolve=resolve)
        except OSError as error:
            raise InvalidArgument(
                f"cannot access path {subpath} of the volume: {error.strerror}; it must exist and stay inside"
            ) from None
        finally:
            os.close(directory)
        try:
            return os.readlink(f"/proc/self/fd/{found}")
        finally:
            os.close(found)

    def resolv_conf(self) -> str:
        try:
            return Path("/etc/resolv.conf").read_text(errors="replace")
        except OSError:
            return ""

    def write_files(self, container_id: str, files: dict[str, str]) -> dict[str, str]:
        directory = self._etc / container_id
        directory.mkdir(mode=0o711, exist_ok=True)
        paths = {}
        for name, text in files.items():
            path = paths[name] = f"{directory}/{name}"
            with open(path, "w") as target:  # in place: it may be bind-mounted into a running container
                target.write(text)
        return paths

    def files(self, container_id: str) -> dict[str, str]:
        try:
            return {name: f"{self._etc}/{container_id}/{name}" for name in os.listdir(self._etc / container_id)}
        except FileNotFoundError:
            return {}

    async def mount_shm(self, container_id: str, size_bytes: int) -> str:
        path = self._shm / container_id
        path.mkdir(exist_ok=True)
        if size_bytes and not is_mount_point(str(path)):
            crash.point("shm.mount.before")
            flags = syscalls.MS_NOSUID | syscalls.MS_NOEXEC | syscalls.MS_NODEV
            syscalls.mount("shm", str(path), "tmpfs", flags, f"mode=1777,size={size_bytes}")
            crash.point("shm.mount.after")
        return str(path)

    async def unmount_shm(self, container_id: str) -> None:
        path = self._shm / container_id
        if path.exists():
            await asyncio.to_thread(unmount, str(path))
            path.rmdir()

    async def discard(self, container_id: str) -> None:
        await self.unmount_shm(container_id)
        await asyncio.to_thread(remove_tree, str(self._etc / container_id))

    async def survey(self) -> tuple[str, ...]:
        return tuple({*os.listdir(self._etc), *os.listdir(self._shm)})


def _os_release() -> dict[str, str]:
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key: value.strip('"') for key, _, value in pairs}


def _filesystem(path: Path) -> str:
    """Return the type of the filesystem that holds `path`."""
    device = os.stat(path).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo") as table:
        for line in table:
            left, _, right = line.partition(" - ")
            if left.split()[2] == number:
                return right.split()[0]
    return ""


def _parse_ps(text: str, pids: set[int]) -> ProcessRow:
    """Return the titles, and the rows whose PID column is in `pids`."""
    lines = text.splitlines()
    titles = tuple(lines[0].split()) if lines else ()
    if "PID" not in titles:
        raise InvalidArgument("Couldn't find PID field in ps output; add pid to the columns")
    column = titles.index("PID")
    rows = []
    for line in lines[1:]:
        fields = line.split(None, len(titles) - 1)
        if len(fields) > column and fields[column].isdigit() and int(fields[column]) in pids:
            rows.append(tuple(fields))
    return ProcessRow(titles=titles, rows=tuple(rows))
