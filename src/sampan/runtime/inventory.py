"""The runtimes of this host: which there are, which work, which is the default, and their commands.

crun is the default where its self-test passes: it is three times as fast as runc, and the equal fallback is runc. What
was found out is kept per boot in exec_root, as starting each program only to ask costs milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from typing import Any

import msgspec

from sampan.base import log
from sampan.base.errors import Conflict, InvalidArgument, RuntimeFailed, Unavailable
from sampan.host import oci_cli, process
from sampan.host.cgroup import Hierarchies
from sampan.host.launcher import Launcher
from sampan.host.oci_cli import Runtime
from sampan.runtime import advisories, parse
from sampan.runtime.layout import Layout
from sampan.runtime.port import RuntimeInfo
from sampan.spec import oci_runtime

_log = log.get("runtime")

KNOWN = ("crun", "runc")
_TEST_MOUNTS = (("proc", "proc"), ("dev", "tmpfs"))


class _Probe(msgspec.Struct):
    """What is remembered of one program."""

    stamp: str
    kind: str
    version: str
    works: bool


class Inventory:
    """The runtimes by name."""

    def __init__(
        self, layout: Layout, launcher: Launcher, default: str | None, configured: dict[str, str], monitor: str
    ) -> None:
        self._layout = layout
        self._launcher = launcher
        self._wanted_default = default
        self._configured = configured
        self._monitor_name = monitor
        self._runtimes: dict[str, Runtime] = {}
        self._lock = asyncio.Lock()
        self._monitor_version = ""
        self._monitors: dict[str, int] = {}  # as last seen: pids may be used again meanwhile
        self.default = ""
        self.monitor = ""

    async def prepare(self) -> None:
        """Find the programs and choose the default. May be repeated."""
        async with self._lock:
            if self.default:
                return
            self.monitor = oci_cli.find(self._monitor_name)
            if not self.monitor:
                raise Unavailable("no container monitor: install the package conmon")
            remembered = self._remembered()
            found = await self._probe_all(remembered)
            self._monitor_version = (await self._probe(remembered, "conmon", self.monitor, test=False)).version
            self._remember(remembered)
            self.default = self._choose(found)

    def _choose(self, works: dict[str, bool]) -> str:
        if self._wanted_default:
            if self._wanted_default not in self._runtimes:
                raise Unavailable(
                    f"the default runtime {self._wanted_default} is not installed: install it or name another"
                )
            return self._wanted_default
        for name in (*KNOWN, *self._runtimes):
            if works.get(name):
                return name
        raise Unavailable("no OCI runtime works here: install the package crun or runc, and run `sampan doctor`")

    async def _probe_all(self, remembered: dict[str, _Probe]) -> dict[str, bool]:
        works = {}
        for name, path in {**{name: name for name in KNOWN}, **self._configured}.items():
            full = oci_cli.find(path)
            if not full:
                continue
            probe = await self._probe(remembered, name, full, test=name == "crun")
            self._runtimes[name] = Runtime(name, full, probe.kind, probe.version)
            works[name] = probe.works
        return works

    async def _probe(self, remembered: dict[str, _Probe], name: str, path: str, *, test: bool) -> _Probe:
        stamp = _stamp(path)
        known = remembered.get(path)
        if known is not None and known.stamp == stamp:
            return known
        runtime = await oci_cli.identify(self._launcher, name, path)
        works = runtime.kind != "unknown" and (not test or await self._self_test(runtime))
        remembered[path] = _Probe(stamp, runtime.kind, runtime.version, works)
        return remembered[path]

    def _remembered(self) -> dict[str, _Probe]:
        try:
            with open(self._layout.probe, "rb") as source:
                return msgspec.json.decode(source.read(), type=dict[str, _Probe])
        except (FileNotFoundError, msgspec.DecodeError, msgspec.ValidationError):
            return {}

    def _remember(self, probes: dict[str, _Probe]) -> None:
        os.makedirs(self._layout.exec_root, mode=0o711, exist_ok=True)
        temporary = f"{self._layout.probe}.{os.getpid()}"
        with open(temporary, "wb") as target:
            target.write(msgspec.json.encode(probes))
        os.replace(temporary, self._layout.probe)

    async def _self_test(self, runtime: Runtime) -> bool:
        """Run /usr/bin/true in a container with limits; says why when that does not work."""
        directory = f"{self._layout.tmp}/test-{os.getpid()}"
        os.makedirs(f"{directory}/rootfs", mode=0o700, exist_ok=True)
        container_id = f"test-{self._layout.tag}-{os.getpid()}"
        cgroup = self._layout.cgroup(container_id)
        try:
            with open(f"{directory}/config.json", "wb") as target:
                target.write(msgspec.json.encode(_test_config(f"{directory}/rootfs", cgroup)))
            argv = [runtime.path, f"--root={directory}/state", "run", "--bundle", directory, container_id]
            result = await oci_cli.run(self._launcher, argv)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        if result.exit_code:
            _log.warning(
                "runtime %s fails its self-test and is not the default: %s", runtime.path, result.output.strip()
            )
        return result.exit_code == 0

    # --- by name ------------------------------------------------------------------------------------------------------

    async def get(self, name: str = "") -> Runtime:
        """Return a runtime; "" is the default.

        Raises:
            InvalidArgument: there is none of that name.
        """
        await self.prepare()
        wanted = {"": self.default, "io.containerd.runc.v2": "runc"}.get(name, name)
        try:
            return self._runtimes[wanted]
        except KeyError:
            known = ", ".join(sorted(self._runtimes))
            raise InvalidArgument(f"unknown or invalid runtime name: {name}: there are {known}") from None

    def arguments(self, runtime: Runtime) -> tuple[str, ...]:
        """Return the arguments ahead of any of its commands."""
        return (f"--root={self._layout.state_root(runtime.name)}",)

    async def command(self, name: str, *words: str, stdin: bytes = b"") -> oci_cli.Result:
        """Run one command of a runtime to its end."""
        runtime = await self.get(name)
        return await oci_cli.run(self._launcher, [runtime.path, *self.arguments(runtime), *words], stdin=stdin)

    async def start(self, name: str, container_id: str) -> None:
        """Let a created container run.

        crun's init waits for one byte on a pipe in its state directory; writing it here saves a process (3 ms).
        """
        if self._runtimes[name].kind == "crun":
            self._write_fifo(name, container_id)
            return
        result = await self.command(name, "start", container_id)
        if result.exit_code:
            found = parse.failure(result.output, "")
            raise RuntimeFailed(f"OCI runtime start failed: {found.text}: unknown", found.exit_code)

    def _write_fifo(self, name: str, container_id: str) -> None:
        path = f"{self._layout.state_root(name)}/{container_id}/exec.fifo"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # started already
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            raise Conflict(f"container {container_id} is not running: its process ended before the start") from error
        try:
            os.write(descriptor, b"\0")
        finally:
            os.close(descriptor)
        # written first: a daemon that dies in between has started it, and `started` sees that
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    async def update(self, name: str, container_id: str, resources: bytes) -> None:
        """Change the limits of a running container."""
        result = await self.command(name, "update", "--resources", "-", container_id, stdin=resources)
        if result.exit_code:
            found = parse.failure(result.output, "")
            raise RuntimeFailed(f"Cannot update container {container_id}: {found.text}")

    # --- what is on the host ------------------------------------------------------------------------------------------

    def monitors(self) -> dict[str, int]:
        """Return the monitors of this daemon's containers: id -> pid. Execs' monitors are not among them."""
        self._monitors = {name: pid for name, pid in self._scan() if "/" not in name}
        return dict(self._monitors)

    def exec_monitors(self, container_id: str) -> list[int]:
        """Return the pids of the monitors of one container's execs."""
        return [pid for name, pid in self._scan() if name.startswith(f"{container_id}/")]

    def _scan(self) -> Iterator[tuple[str, int]]:
        """Yield (directory below the bundles, pid) of every monitor."""
        prefix = f"{self._layout.bundles}/"
        for pid, argv in process.command_lines():
            if "-b" in argv and os.path.basename(argv[0]) == "conmon":
                directory = argv[argv.index("-b") + 1]
                if directory.startswith(prefix):
                    yield directory[len(prefix) :], pid

    def monitor_of(self, container_id: str) -> int:
        """Return the pid of one container's monitor, 0 when it has none."""
        pid = self._monitors.get(container_id, 0)
        if pid and self._layout.bundle(container_id) in process.command_line(pid):
            return pid
        return self.monitors().get(container_id, 0)

    def states(self) -> set[str]:
        """Return the ids that any runtime has a state of."""
        found = set()
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self._layout.states):
                found |= {item for item in os.listdir(self._layout.state_root(name)) if not item.startswith(".")}
        return found

    def owner(self, container_id: str) -> str:
        """Return the name of the runtime that has a state of this container, "" when none has."""
        return next((path.split("/")[-2] for path in self.state_directories(container_id)), "")

    def state_directories(self, container_id: str) -> list[str]:
        """Return the state directories of one container that exist."""
        try:
            names = os.listdir(self._layout.states)
        except FileNotFoundError:
            return []
        paths = (f"{self._layout.state_root(name)}/{container_id}" for name in names)
        return [path for path in paths if os.path.isdir(path)]

    def started(self, container_id: str, pid: int) -> bool:
        """Tell whether the process has become the user's program."""
        if any(os.path.exists(f"{path}/exec.fifo") for path in self.state_directories(container_id)):
            found = process.stat(pid)
            if found is None or found.flags & process.PF_FORKNOEXEC:
                return False
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as source:
                return not source.read().startswith(b"runc\0init")
        return bool(self.state_directories(container_id))

    def info(self, hierarchies: Hierarchies) -> RuntimeInfo:
        """Return the runtimes, their versions and what is wrong with them."""
        packages = advisories.package_versions()
        warnings = [
            text
            for runtime in self._runtimes.values()
            for text in advisories.warnings(runtime.kind, runtime.version, packages.get(runtime.kind, ""))
        ]
        return RuntimeInfo(
            default=self.default,
            runtimes={runtime.name: runtime.path for runtime in self._runtimes.values()},
            versions={runtime.name: runtime.version for runtime in self._runtimes.values()},
            monitor_version=self._monitor_version,
            cgroup_version=str(hierarchies.version),
            controllers=hierarchies.controllers,
            warnings=tuple(dict.fromkeys(warnings)),
            security_options=("name=seccomp,profile=builtin", "name=cgroupns"),
        )


def _stamp(path: str) -> str:
    """Return what changes when the program does, or the machine was booted."""
    found = os.stat(path)
    with open("/proc/sys/kernel/random/boot_id") as source:
        return f"{source.read().strip()} {found.st_ino} {found.st_size} {found.st_mtime_ns}"


def _test_config(rootfs: str, cgroup: str) -> dict[str, Any]:
    parts = [part for part in ("/usr", "/bin", "/lib", "/lib64") if os.path.isdir(part)]
    mounts: list[dict[str, Any]] = [
        {"destination": part, "type": "bind", "source": os.path.realpath(part), "options": ["rbind", "ro"]}
        for part in parts
    ]
    mounts += [{"destination": f"/{kind[0]}", "type": kind[1], "source": kind[1]} for kind in _TEST_MOUNTS]
    return {
        "ociVersion": oci_runtime.VERSION,
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["/usr/bin/true"], "cwd": "/", "env": ["PATH=/usr/bin"]},
        "root": {"path": rootfs},
        "mounts": mounts,
        "linux": {
            "cgroupsPath": cgroup,
            "namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "network", "cgroup")],
            "resources": {"memory": {"limit": 64 << 20}, "pids": {"limit": 32}},
        },
    }
