"""Runtime: one container's processes, from bundle to exit code, through an OCI runtime and a monitor.

The monitor is a process outside the daemon. It owns stdio, the log file and the exit code, so the daemon can die at
any instant. Everything of a container on the host derives from its id; `adopt` finds it again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from sampan.model.container import Container, Struct

LOG_MAX_BYTES = 10_000_000
LOG_MAX_FILES = 5


class HostMount(Struct, frozen=True, kw_only=True):
    """One resolved mount to put into the bundle: `source` is a host path, or "tmpfs"."""

    source: str
    target: str
    kind: str = "bind"  # "bind", "tmpfs"
    options: tuple[str, ...] = ()
    read_only: bool = False
    propagation: str = ""


class LaunchSpec(Struct, frozen=True, kw_only=True):
    """Everything that `create` needs, resolved. Nothing in it is looked up again."""

    container: Container
    rootfs: str  # mounted root filesystem
    mounts: tuple[
        HostMount, ...
    ] = ()  # volumes, binds, tmpfs and the files /etc/hosts, /etc/hostname, /etc/resolv.conf
    netns: str = ""  # path of the network namespace; "" is the host's
    joined_pid: str = ""  # /proc/PID/ns/pid of a container whose PID namespace is shared
    joined_ipc: str = ""
    shm_path: str = ""  # host directory to mount at /dev/shm (shareable IPC); "" for an own tmpfs
    log_max_bytes: int = LOG_MAX_BYTES
    log_max_files: int = LOG_MAX_FILES


class Launched(Struct, frozen=True, kw_only=True):
    """A created container: its init process waits for `start`."""

    pid: int
    pid_start_ticks: int


class Exit(Struct, frozen=True, kw_only=True):
    """How a container's (or exec's) first process ended. `error` says why when the code is not the program's own."""

    code: int
    oom_killed: bool = False
    finished_at_ns: int = 0
    error: str = ""


class ExecSpec(Struct, frozen=True, kw_only=True):
    """A further process in a running container."""

    args: tuple[str, ...]
    env: tuple[str, ...] = ()  # complete environment
    cwd: str = "/"
    user: str = ""  # "" is the container's
    tty: bool = False
    console_size: tuple[int, int] | None = None
    stdin: bool = False
    privileged: bool = False


class LogLine(Struct, frozen=True, kw_only=True):
    """One piece of output. `data` ends with a newline unless `partial`."""

    time_ns: int
    stream: str  # "stdout" or "stderr"
    data: bytes
    partial: bool = False


class Streams(Protocol):
    """One client's view of a process's stdio. Every client sees all output from its `attach` on.

    A client that does not read costs only itself: it is fed by back-pressure from a bounded buffer, and after 10 s
    without taking a byte it is cut with `Exhausted`; the process goes on.
    """

    def output(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield ("stdout"|"stderr", data) until the process has ended and all was delivered."""
        ...

    async def write(self, data: bytes) -> None:
        """Send to stdin; returns when accepted (back-pressure)."""
        ...

    async def close_stdin(self) -> None:
        """Half-close. May be repeated."""
        ...

    async def resize(self, height: int, width: int) -> None:
        """Set the terminal's size; a no-op without one."""
        ...

    def detach(self) -> None:
        """Leave; the process goes on. May be repeated."""
        ...


class Exec(Protocol):
    """A started exec process."""

    pid: int

    @property
    def streams(self) -> Streams: ...

    async def wait(self) -> Exit:
        """Return how it ended. May be awaited by many."""
        ...

    async def kill(self) -> None:
        """Kill the process; a no-op when it has ended."""
        ...


class Usage(Struct, frozen=True, kw_only=True):
    """What a container uses now. Counters are since its start; None when the kernel does not tell."""

    cpu_total_ns: int = 0
    cpu_user_ns: int = 0
    cpu_system_ns: int = 0
    cpu_per_cpu_ns: tuple[int, ...] = ()
    throttled_periods: int = 0
    throttled_count: int = 0
    throttled_ns: int = 0
    memory_bytes: int = 0
    memory_max_bytes: int = 0
    memory_limit_bytes: int = 0
    memory_failcnt: int = 0
    memory_stats: dict[str, int] = {}
    pids: int = 0
    pids_limit: int = 0
    blkio: tuple[tuple[int, int, str, int], ...] = ()  # (major, minor, op, bytes)
    blkio_ops: tuple[tuple[int, int, str, int], ...] = ()
    cgroup_version: int = 1


class RuntimeInfo(Struct, frozen=True, kw_only=True):
    """The default runtime, the others, and what is wrong with them."""

    default: str
    runtimes: dict[str, str] = {}  # name -> path
    versions: dict[str, str] = {}  # name -> version
    monitor_version: str = ""
    cgroup_version: str = "1"  # "1" or "2"
    cgroup_driver: str = "cgroupfs"
    controllers: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    security_options: tuple[str, ...] = ()  # as `docker info` tells them


class Found(Struct, frozen=True, kw_only=True):
    """What `survey` found on the host of one container."""

    container_id: str
    pid: int = 0  # 0: no process
    pid_start_ticks: int = 0
    monitor_pid: int = 0
    exit: Exit | None = None  # the monitor's record, when it ended
    started: bool = False  # the user's program runs (or ran): `start` took effect
    ending: bool = False  # its process is gone, and its monitor is about to record how


class Runtime(Protocol):
    """Containers' processes. All methods name a container by id; each may be repeated after a crash.

    Errors are `RuntimeFailed` (with docker's exit code rule), `NotFound` when there is no such container here.
    """

    async def prepare(self) -> None:
        """Find out what works on this host; `survey` does it too. Before it `info` knows nothing. May be repeated."""
        ...

    def expect(self) -> None:
        """Take the hint that a process will be asked for within milliseconds. Costs nothing when none comes."""
        ...

    async def create(self, launch: LaunchSpec) -> Launched:
        """Write the bundle, start the monitor and the runtime; the init process waits. Undoes itself when it fails."""
        ...

    async def start(self, container_id: str) -> None:
        """Let the init process run the program."""
        ...

    async def wait(self, container_id: str) -> Exit:
        """Return when the container has ended, with the monitor's record. A killed monitor is reported in `error`
        (the container is killed first, exit code 137).
        """
        ...

    async def signal(self, container_id: str, signal: int, *, every_process: bool = False) -> None: ...

    async def pause(self, container_id: str) -> None: ...

    async def resume(self, container_id: str) -> None: ...

    async def update(self, container: Container) -> None:
        """Apply `container.spec.resources` to the running container."""
        ...

    async def delete(self, container_id: str) -> None:
        """Kill what runs and remove all of it on the host but the log: state, cgroups, sockets, bundle. Idempotent."""
        ...

    async def attach(self, container_id: str) -> Streams:
        """Join its stdio. Legal between `create` and exit; before `start` nothing of the output is missed."""
        ...

    async def exec(self, container: Container, exec_id: str, spec: ExecSpec) -> Exec: ...

    async def usage(self, container_id: str) -> Usage: ...

    async def processes(self, container_id: str) -> tuple[int, ...]:
        """Return the pids (host's) of all its processes."""
        ...

    def logs(
        self, container: Container, *, follow: bool, tail: int | None, since_ns: int, until_ns: int
    ) -> AsyncIterator[LogLine]:
        """Yield log lines oldest first over all rotated files; `follow` goes on until the container ends."""
        ...

    def log_path(self, container_id: str) -> str:
        """Return the host path of its log."""
        ...

    async def remove_logs(self, container_id: str) -> None: ...

    async def survey(self) -> dict[str, Found]:
        """Return everything of this daemon's roots that is on the host, by container id."""
        ...

    async def adopt(self, container: Container) -> None:
        """Take up a container that runs: reconnect its stdio and watch its end. Its pid is not changed."""
        ...

    def info(self) -> RuntimeInfo: ...

    async def close(self) -> None:
        """Let go; containers go on."""
        ...
