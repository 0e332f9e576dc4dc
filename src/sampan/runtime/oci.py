"""OciRuntime: containers by an OCI runtime (crun, runc …), each with its own monitor outside the daemon.

runtime = OciRuntime(data_root=Path("/var/lib/sampan"), exec_root=Path("/run/sampan"), tag="a1b2", clock=SystemClock())
await runtime.prepare()                     # finds and tests the runtimes; cached per boot
for container in running: await runtime.adopt(container)
launched = await runtime.create(LaunchSpec(container=c, rootfs="/…/merged", netns="/run/…/netns/x"))
streams = await runtime.attach(c.id)        # before start: nothing of the output is missed
await runtime.start(c.id)
exit = await runtime.wait(c.id)
await runtime.delete(c.id)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec

from sampan.base import crash, log
from sampan.base.clock import Clock
from sampan.base.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, RuntimeFailed
from sampan.host import logfile, monitor, oci_cli, process, rootfs
from sampan.host.cgroup import Group, Hierarchies
from sampan.host.launcher import Launcher
from sampan.host.remove import remove_tree
from sampan.host.sealed import SealedPrograms
from sampan.host.stdin import PARKING_FD, StdinPipe
from sampan.model.container import Container, Phase, Ulimit
from sampan.runtime import filters, gather, limits, logs, parse, plan, usage, workdir
from sampan.runtime.entry import Entry
from sampan.runtime.execution import Execution, Executions
from sampan.runtime.facts import HostFacts
from sampan.runtime.inventory import Inventory
from sampan.runtime.layout import Layout
from sampan.runtime.port import (
    LOG_MAX_BYTES,
    LOG_MAX_FILES,
    ExecSpec,
    Exit,
    Found,
    Launched,
    LaunchSpec,
    LogLine,
    RuntimeInfo,
    Usage,
)
from sampan.runtime.streams import Client

_log = log.get("runtime")

STOP_TIMEOUT_S = 10.0


class OciRuntime:
    """The real `Runtime`. Not safe for threads: call it on one event loop."""

    def __init__(
        self,
        *,
        data_root: Path,
        exec_root: Path,
        tag: str,
        clock: Clock,
        default_runtime: str | None = None,
        runtimes: Mapping[str, str] | None = None,
        default_ulimits: tuple[Ulimit, ...] = (),
        default_init: bool = False,
        monitor_path: str = "conmon",
    ) -> None:
        """Args:
        data_root: holds the logs; when it is a shared mount of its own, mounts below it reach running launchers.
        exec_root: volatile state, as short a path as can be.
        tag: this daemon's mark in cgroup paths.
        default_runtime: a name in `runtimes`; None is crun where its self-test passes, else runc.
        runtimes: further runtimes, name -> path; they go before those found on PATH.
        default_ulimits: for names that a container does not set.
        """
        if ":" in str(data_root):
            raise InvalidArgument(f"the data root {data_root} has a colon in its path, which the monitor cannot take")
        self.layout = Layout(str(data_root), str(exec_root), tag)
        self.clock = clock
        self.launcher = Launcher(str(data_root))
        self.hierarchies = Hierarchies()
        self.inventory = Inventory(self.layout, self.launcher, default_runtime, dict(runtimes or {}), monitor_path)
        self._default_ulimits = default_ulimits
        self._default_init = default_init
        self._entries: dict[str, Entry] = {}
        self._executions = Executions(self)
        self._filters = filters.Filters()
        self._prepared = False
        self.sealed = SealedPrograms()
        self._warmer: asyncio.Future[None] | None = None

    async def prepare(self) -> None:
        """Find out which runtimes work here; what is known from this boot is not asked again. May be repeated."""
        for path in (self.layout.bundles, self.layout.states, self.layout.tmp, self.layout.logs):
            os.makedirs(path, mode=0o711 if path == self.layout.bundles else 0o700, exist_ok=True)
        if not self._prepared:
            self._prepared = True
            for name in os.listdir(self.layout.tmp):  # what an earlier daemon was in the middle of
                await asyncio.to_thread(_remove, f"{self.layout.tmp}/{name}")
        await asyncio.gather(self.inventory.prepare(), self._filters.warm())

    def expect(self) -> None:
        """Warm what makes the next process quick: the runtime's first move into a cgroup then waits for nothing."""
        if self._warmer is None or self._warmer.done():
            self._warmer = asyncio.get_running_loop().run_in_executor(None, self.hierarchies.warm)

    # --- create -------------------------------------------------------------------------------------------------------

    async def create(self, launch: LaunchSpec) -> Launched:
        """Write the bundle, start the monitor and the runtime; the init process waits. Undoes itself when it fails."""
        container = launch.container
        if container.id in self._entries and not self._entries[container.id].exit.done():
            raise AlreadyExists(f"container {container.short_id} has a process already: delete it first")
        runtime = await self.inventory.get(container.spec.runtime)
        if self._entries.get(container.id) or os.path.exists(self.layout.bundle(container.id)):
            await self.delete(container.id)
        try:
            return await self._create(launch, runtime)
        except BaseException:
            with contextlib.suppress(Exception):
                await asyncio.shield(self.delete(container.id))
            raise

    async def _create(self, launch: LaunchSpec, runtime: oci_cli.Runtime) -> Launched:
        container = launch.container
        netns = os.open(launch.netns, os.O_RDONLY) if launch.netns else -1
        try:
            if netns >= 0:
                # the runtime may run in a mount namespace that does not have this mount
                launch = msgspec.structs.replace(launch, netns=f"/proc/{os.getpid()}/fd/{netns}")
            entry = self._new_entry(container, runtime)
            directory = entry.files.directory
            crash.point("runtime.bundle.before")
            await self._write_bundle(launch, directory, runtime)
            crash.point("runtime.bundle.after")
            if container.spec.process.stdin_open and not entry.tty:
                entry.stdin = StdinPipe.create(entry.files.stdin)
            order = self._order(launch, runtime, entry)
            crash.point("runtime.create.before")
            root = launch.rootfs if os.path.ismount(launch.rootfs) else ""
            pid = await self._start_monitor(entry, order, container.args[0] if container.args else "", root)
            crash.point("runtime.create.after")
        finally:
            if netns >= 0:
                os.close(netns)
        self._take_up(entry, pid)
        workdir.check(entry.pid, container.cwd or "/")
        return Launched(pid=entry.pid, pid_start_ticks=entry.pid_start_ticks)

    def _new_entry(self, container: Container, runtime: oci_cli.Runtime) -> Entry:
        files = monitor.Files(self.layout.bundle(container.id))
        group = Group(self.hierarchies, self.layout.cgroup(container.id, container.spec.cgroup_parent))
        entry = Entry(container.id, files, group, self.clock)
        entry.runtime = runtime.name
        self._describe(entry, container)
        return entry

    def _describe(self, entry: Entry, container: Container) -> None:
        wanted = container.spec.process
        entry.tty = wanted.tty
        entry.fanout.close_stdin_once = wanted.stdin_once and not wanted.tty

    async def _write_bundle(self, launch: LaunchSpec, directory: str, runtime: oci_cli.Runtime) -> None:
        container = launch.container
        os.makedirs(directory, mode=0o700)
        root_fd = os.open(launch.rootfs, os.O_PATH | os.O_DIRECTORY)
        try:
            rootfs.check_mount_points(root_fd)
            user = gather.user(root_fd, container.user or container.spec.process.user, container.spec.process.groups)
            workdir.make(root_fd, container.cwd or "/", user)
        finally:
            os.close(root_fd)
        facts = gather.facts(
            container,
            cgroup_path=self.layout.cgroup(container.id, container.spec.cgroup_parent),
            cgroup_version=self.hierarchies.version,
            user_fact=user,
            default_init=self._default_init,
            runtime_kind=runtime.kind,
            mounts=launch.mounts,
        )
        bundle = plan.bundle(self._with_defaults(launch), facts)
        for warning in bundle.warnings:
            _log.warning("container %s: %s", container.short_id, warning)
        profile = bundle.document["linux"].get("seccomp")
        if profile and runtime.kind == "crun" and (program := await self._filters.get(profile)):
            bundle.document["annotations"][filters.ANNOTATION] = program
        with open(f"{directory}/config.json", "wb") as target:
            target.write(msgspec.json.encode(bundle.document))

    def _with_defaults(self, launch: LaunchSpec) -> LaunchSpec:
        resources = launch.container.spec.resources
        named = {item.name for item in resources.ulimits}
        missing = tuple(item for item in self._default_ulimits if item.name not in named)
        if not missing:
            return launch
        changed = msgspec.structs.replace(resources, ulimits=(*resources.ulimits, *missing))
        spec = msgspec.structs.replace(launch.container.spec, resources=changed)
        return msgspec.structs.replace(launch, container=msgspec.structs.replace(launch.container, spec=spec))

    def _order(self, launch: LaunchSpec, runtime: oci_cli.Runtime, entry: Entry) -> monitor.Order:
        container = launch.container
        wanted = container.spec.process
        log_path = ""
        if container.spec.log.driver != "none":
            log_path = self.layout.log(container.id)
            os.makedirs(os.path.dirname(log_path), mode=0o700, exist_ok=True)
            entry.log = self._log_file(entry, launch.log_max_bytes, launch.log_max_files)
            with open(entry.files.log_limits, "w") as limits_file:
                limits_file.write(f"{launch.log_max_bytes} {launch.log_max_files}")
        return monitor.Order(
            program=self.inventory.monitor,
            container_id=container.id,
            name=container.id,
            directory=entry.files.directory,
            runtime=self.sealed.path(runtime.path),
            runtime_args=self.inventory.arguments(runtime),
            log_path=log_path,
            tty=wanted.tty,
            stdin=wanted.stdin_open and wanted.tty,
            stdin_pipe=entry.stdin.path if entry.stdin else "",
        )

    def _log_file(self, entry: Entry, max_bytes: int, max_files: int) -> logfile.LogFile:
        return logfile.LogFile(
            self.layout.log(entry.id),
            max_bytes,
            max_files,
            reopen=lambda: monitor.control(entry.files.control, 2, 0, 0),
            cost=parse.logged_bytes,
            now_ns=self.clock.now_ns,
        )

    def _adopt_log(self, entry: Entry) -> None:
        """Rotate as the daemon that made the container was told to."""
        max_bytes, max_files = LOG_MAX_BYTES, LOG_MAX_FILES
        with contextlib.suppress(FileNotFoundError, ValueError), open(entry.files.log_limits) as source:
            max_bytes, max_files = (int(word) for word in source.read().split())
        entry.log = self._log_file(entry, max_bytes, max_files)
        entry.log.take_up()

    async def _start_monitor(self, entry: Entry, order: monitor.Order, program: str, root: str) -> int:
        """Start the monitor; returns the pid of the container's first process.

        Raises:
            RuntimeFailed: the runtime could not create it.
        """
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        try:
            try:
                entry.monitor_pid, entry.monitor_pidfd = await self.launcher.spawn(
                    monitor.command(order),
                    env=oci_cli.ENVIRONMENT
                    | {"_OCI_SYNCPIPE": str(monitor.SYNC_FD)}
                    # the terminal's socket is made there: a name in sockaddr_un has at most 107 bytes
                    | {"TMPDIR": os.path.relpath(self.layout.tmp, order.directory)},
                    cwd=order.directory,
                    descriptors={monitor.SYNC_FD: writer}
                    | ({PARKING_FD: entry.stdin.descriptor()} if entry.stdin else {}),
                    root=root,
                )
            finally:
                os.close(writer)
            self._entries[entry.id] = entry
            report = await monitor.read_report(reader)
        finally:
            os.close(reader)
        if report is not None and report.data > 0:
            if root:
                self.launcher.forget(root)
            if entry.stdin:
                entry.stdin.park()
            return report.data
        found = parse.failure(report.message if report else "the monitor ended without a word", program)
        raise RuntimeFailed(
            "failed to create task for container: failed to create shim task: OCI runtime create failed: "
            f"{entry.runtime} create failed: unable to start container process: {found.text}: unknown",
            found.exit_code,
        )

    def _take_up(self, entry: Entry, pid: int) -> None:
        """Hold the processes of a created container and watch its end."""
        entry.pid = pid
        entry.pidfd = process.open_pidfd(pid)
        found = process.stat(pid)
        entry.pid_start_ticks = found.start_ticks if found else 0
        self._entries[entry.id] = entry
        entry.connect()
        entry.watch(self._ended)

    def _ended(self, entry: Entry) -> None:
        self._executions.container_ended(entry.id)

    # --- the life of one container ------------------------------------------------------------------------------------

    def entry(self, container_id: str) -> Entry:
        """Return the live container.

        Raises:
            NotFound: this runtime has none of that id.
        """
        try:
            return self._entries[container_id]
        except KeyError:
            raise NotFound(f"container {container_id[:12]} has no process here") from None

    def running(self, container_id: str) -> Entry:
        """Return the live container that has not ended.

        Raises:
            Conflict: it has ended.
        """
        entry = self.entry(container_id)
        if entry.exit.done():
            raise Conflict(f"container {container_id} is not running")
        return entry

    async def start(self, container_id: str) -> None:
        """Let the init process run the program."""
        entry = self.running(container_id)
        crash.point("runtime.start.before")
        await self.inventory.start(entry.runtime, container_id)
        crash.point("runtime.start.after")

    async def wait(self, container_id: str) -> Exit:
        """Return when the container has ended, with the monitor's record."""
        return await asyncio.shield(self.entry(container_id).exit)

    async def signal(self, container_id: str, signal: int, *, every_process: bool = False) -> None:
        """Send a signal to the first process, or to every process of the container."""
        entry = self.running(container_id)
        crash.point("runtime.signal.before")
        if every_process:
            for pid in entry.group.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal)
        elif entry.pidfd < 0 or not process.send_signal(entry.pidfd, signal):
            raise Conflict(f"container {container_id} is not running")
        crash.point("runtime.signal.after")

    async def pause(self, container_id: str) -> None:
        """Freeze all of its processes. May be repeated."""
        group = self.running(container_id).group
        crash.point("runtime.pause.before")
        await asyncio.to_thread(group.freeze, frozen=True)
        crash.point("runtime.pause.after")

    async def resume(self, container_id: str) -> None:
        """Thaw all of its processes. May be repeated."""
        group = self.running(container_id).group
        crash.point("runtime.resume.before")
        await asyncio.to_thread(group.freeze, frozen=False)
        crash.point("runtime.resume.after")

    async def update(self, container: Container) -> None:
        """Apply `container.spec.resources` to the running container."""
        entry = self.running(container.id)
        wanted = container.spec.resources
        rates = {name: tuple(gather.rate(item) for item in getattr(wanted, name)) for name in limits.RATE_FIELDS}
        rates = {name: rows for name, rows in rates.items() if rows}
        facts = HostFacts(rates=rates, cgroup_version=self.hierarchies.version)
        sections = limits.resources(wanted, facts, privileged=False)
        sections.pop("devices", None)
        crash.point("runtime.update.before")
        await self.inventory.update(entry.runtime, container.id, msgspec.json.encode(sections))
        crash.point("runtime.update.after")

    async def attach(self, container_id: str) -> Client:
        """Join its stdio. Legal between `create` and exit; before `start` nothing of the output is missed."""
        return self.entry(container_id).fanout.attach()

    async def exec(self, container: Container, exec_id: str, spec: ExecSpec) -> Execution:
        """Start a further process in a running container."""
        return await self._executions.start(self.running(container.id), container, exec_id, spec)

    async def usage(self, container_id: str) -> Usage:
        """Return what it uses now."""
        return usage.read(self.running(container_id).group)

    async def processes(self, container_id: str) -> tuple[int, ...]:
        """Return the pids (host's) of all its processes."""
        return self.running(container_id).group.pids()

    # --- delete -------------------------------------------------------------------------------------------------------

    async def delete(self, container_id: str) -> None:
        """Kill what runs and remove all of it on the host but the log: state, cgroups, sockets, bundle. Idempotent."""
        entry = self._entries.get(container_id) or self._from_disk(container_id)
        if entry is not None:
            await self._end(entry)
            await self._executions.end_all(entry)
        group = entry.group if entry is not None else Group(self.hierarchies, self.layout.cgroup(container_id))
        crash.point("runtime.delete.before")
        await asyncio.to_thread(self._remove, container_id, group)
        crash.point("runtime.delete.after")
        if entry is not None:
            entry.close()
        self._entries.pop(container_id, None)

    async def _end(self, entry: Entry) -> None:
        """Bring the container and its monitor to their end."""
        if entry.exit.done() or entry.monitor_pidfd < 0:
            return
        await asyncio.to_thread(entry.kill_all)
        if not await self._monitor_ended(entry):
            # a monitor that blocks (a log on a dead disk) or that never got its container
            process.send_signal(entry.monitor_pidfd, 9)
            await self._monitor_ended(entry)
        process.reap(entry.monitor_pid)
        await entry.settled()  # before the records go that it reads, and before `close` would cancel it

    async def _monitor_ended(self, entry: Entry) -> bool:
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S if entry.pid else 0.5):
                await process.ended(entry.monitor_pidfd)
        except TimeoutError:
            return False
        return True

    def _remove(self, container_id: str, group: Group) -> None:
        group.remove()
        for path in self.inventory.state_directories(container_id):
            remove_tree(path)
        remove_tree(self.layout.bundle(container_id))

    def _from_disk(self, container_id: str) -> Entry | None:
        """Return an entry of what an earlier daemon left, None when there is nothing."""
        directory = self.layout.bundle(container_id)
        if not os.path.isdir(directory):
            return None
        files = monitor.Files(directory)
        entry = Entry(container_id, files, Group(self.hierarchies, self._cgroup_on_disk(container_id)), self.clock)
        entry.pid = files.container_pid()
        entry.pidfd = process.open_pidfd(entry.pid)
        if entry.pidfd >= 0 and not entry.group.holds(entry.pid):
            os.close(entry.pidfd)  # a pid is used again
            entry.pidfd = -1
        entry.monitor_pid = self.inventory.monitor_of(container_id)
        entry.monitor_pidfd = process.open_pidfd(entry.monitor_pid)
        entry.runtime = self.inventory.owner(container_id)
        entry.adopted = True
        return entry

    def _cgroup_on_disk(self, container_id: str) -> str:
        try:
            with open(f"{self.layout.bundle(container_id)}/config.json", "rb") as source:
                return str(msgspec.json.decode(source.read())["linux"]["cgroupsPath"])
        except (OSError, KeyError, msgspec.DecodeError):
            return self.layout.cgroup(container_id)

    # --- logs ---------------------------------------------------------------------------------------------------------

    def logs(
        self, container: Container, *, follow: bool, tail: int | None, since_ns: int, until_ns: int
    ) -> AsyncIterator[LogLine]:
        """Yield log lines oldest first over all rotated files; `follow` goes on until the container ends."""
        entry = self._entries.get(container.id) if follow else None
        reader = logs.Reader(self.layout.log(container.id), tail=tail, since_ns=since_ns, until_ns=until_ns)
        return reader.lines(entry.growth if entry is not None else None, self.clock)

    def log_path(self, container_id: str) -> str:
        """Return where the container's output is written."""
        return self.layout.log(container_id)

    async def remove_logs(self, container_id: str) -> None:
        """Delete the log with all its rotations. Idempotent."""
        crash.point("runtime.remove_logs.before")
        logfile.remove(self.layout.log(container_id))
        crash.point("runtime.remove_logs.after")

    # --- the whole ----------------------------------------------------------------------------------------------------

    async def survey(self) -> dict[str, Found]:
        """Return everything of this daemon's roots that is on the host, by container id."""
        await self.prepare()
        return await asyncio.to_thread(self._survey)

    def _survey(self) -> dict[str, Found]:
        monitors = self.inventory.monitors()
        ids = {*self._listing(self.layout.bundles), *monitors, *self.inventory.states()}
        ids |= set(self._listing_groups())
        return {container_id: self._found(container_id, monitors.get(container_id, 0)) for container_id in ids}

    def _found(self, container_id: str, monitor_pid: int) -> Found:
        files = monitor.Files(self.layout.bundle(container_id))
        group = Group(self.hierarchies, self._cgroup_on_disk(container_id))
        record = files.exit_code()
        pid = files.container_pid()
        here = process.stat(pid) if group.holds(pid) else None
        if record is None and here is None:
            record = files.exit_code()  # it may have ended between the two looks
        started = bool(record) or (here is not None and self.inventory.started(container_id, pid))
        return Found(
            container_id=container_id,
            pid=pid if here else 0,
            pid_start_ticks=here.start_ticks if here else 0,
            monitor_pid=monitor_pid,
            exit=Exit(
                code=record[0] & 0xFF,
                finished_at_ns=record[1],
                oom_killed=os.path.exists(files.oom) or group.oom_kills() > 0,
            )
            if record
            else None,
            started=started,
            ending=pid > 0 and here is None and record is None and monitor_pid > 0,
        )

    def _listing(self, directory: str) -> list[str]:
        try:
            return os.listdir(directory)
        except FileNotFoundError:
            return []

    def _group(self) -> Group:
        """Return the group that holds all of this daemon's containers."""
        return Group(self.hierarchies, self.layout.cgroup("x").rpartition("/")[0])

    def _listing_groups(self) -> set[str]:
        directories = self._group().directories()
        return {name for path in directories for name in self._listing(path) if os.path.isdir(f"{path}/{name}")}

    async def adopt(self, container: Container) -> None:
        """Take up a container that runs: reconnect its stdio and watch its end. Its pid is not changed."""
        if container.id in self._entries:
            return
        entry = self._from_disk(container.id)
        if entry is None:
            raise NotFound(f"container {container.short_id} has no process here")
        self._describe(entry, container)
        if os.path.exists(entry.files.stdin):
            entry.stdin = StdinPipe.adopt(entry.files.stdin, entry.monitor_pidfd)
        if container.spec.log.driver != "none":
            self._adopt_log(entry)
        found = process.stat(entry.pid)
        entry.pid_start_ticks = found.start_ticks if found else 0
        self._entries[container.id] = entry
        entry.connect()
        entry.watch(self._ended)
        # a daemon that died while it paused or resumed may have left the other state
        paused = container.state.phase is Phase.PAUSED
        if entry.group.frozen() != paused:
            await asyncio.to_thread(entry.group.freeze, frozen=paused)

    def info(self) -> RuntimeInfo:
        """Return the runtimes, their versions and what is wrong with them."""
        return self.inventory.info(self.hierarchies)

    async def close(self) -> None:
        """Let go; containers go on."""
        self._executions.close()
        for entry in self._entries.values():
            entry.close()
        self._entries.clear()
        self._group().remove_if_empty()
        self.launcher.close()
        self.sealed.close()


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        remove_tree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
