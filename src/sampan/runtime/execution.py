"""Further processes in running containers: each has a monitor of its own, as the container has."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from typing import TYPE_CHECKING

from sampan.base import crash
from sampan.base.errors import AlreadyExists, Conflict, RuntimeFailed
from sampan.host import monitor, oci_cli, process
from sampan.model.container import Container
from sampan.runtime import gather, parse, plan, workdir
from sampan.runtime.entry import KILLED, Entry
from sampan.runtime.facts import HostFacts
from sampan.runtime.port import ExecSpec, Exit
from sampan.runtime.streams import Client, Fanout

if TYPE_CHECKING:
    from sampan.runtime.oci import OciRuntime


class Execution:
    """A started exec process."""

    def __init__(self, directory: str, tty: bool) -> None:
        self.files = monitor.Files(directory)
        self.pid = 0
        self.monitor_pid = 0
        self.monitor_pidfd = -1
        self.exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._tty = tty
        self.fanout = Fanout(self._resize)
        self.fanout.close_stdin_once = True
        self._client: Client = self.fanout.attach()
        self.connection = monitor.Connection(self.fanout.feed, self.fanout.end)

    @property
    def streams(self) -> Client:
        return self._client

    async def wait(self) -> Exit:
        """Return how it ended. May be awaited by many."""
        return await asyncio.shield(self.exit)

    async def kill(self) -> None:
        """Kill the process; a no-op when it has ended."""
        pidfd = -1 if self.exit.done() else process.open_pidfd(self.pid)
        if pidfd is not None and pidfd >= 0:
            process.send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)

    async def _resize(self, height: int, width: int) -> None:
        if self._tty:
            monitor.control(self.files.control, 1, height, width)

    def connect(self) -> None:
        self.connection.connect(self.files.attach)
        self.fanout.source = self.connection


class Executions:
    """All execs of one runtime."""

    def __init__(self, runtime: OciRuntime) -> None:
        self._runtime = runtime
        self._running: dict[str, dict[str, tuple[Execution, asyncio.Task[None]]]] = {}

    async def start(self, entry: Entry, container: Container, exec_id: str, spec: ExecSpec) -> Execution:
        """Start one; returns when its program runs.

        Raises:
            Conflict: the container is paused.
            RuntimeFailed: the program cannot be started, with docker's words and exit code.
        """
        if entry.group.frozen():
            raise Conflict(f"Container {container.id} is paused, unpause the container before exec")
        directory = f"{self._runtime.layout.execs(container.id)}/{exec_id[:16]}"
        if os.path.exists(directory):
            raise AlreadyExists(f"exec {exec_id[:12]} was started already")
        os.makedirs(directory, mode=0o700)
        execution = Execution(directory, spec.tty)
        try:
            self._write_process(entry, container, spec, directory)
            crash.point("runtime.exec.before")
            await self._start_monitor(entry, execution, spec)
            crash.point("runtime.exec.after")
        except BaseException:
            await asyncio.shield(_discard(execution))
            shutil.rmtree(directory, ignore_errors=True)
            raise
        task = asyncio.get_running_loop().create_task(self._watch(entry.id, exec_id, execution))
        self._running.setdefault(entry.id, {})[exec_id] = (execution, task)
        return execution

    def _write_process(self, entry: Entry, container: Container, spec: ExecSpec, directory: str) -> None:
        try:
            root_fd = os.open(f"/proc/{entry.pid}/root", os.O_PATH | os.O_DIRECTORY)
        except (FileNotFoundError, ProcessLookupError):
            raise Conflict(f"container {container.id} is not running") from None
        try:
            workdir.check_exec(root_fd, spec.cwd or "/")
            name = spec.user or container.user or container.spec.process.user
            user = gather.user(root_fd, name, container.spec.process.groups)
        finally:
            os.close(root_fd)
        facts = HostFacts(
            machine=os.uname().machine,
            capabilities=gather.daemon_capabilities(),
            rlimits=gather.daemon_rlimits(),
            oom_score_adj_floor=gather.oom_score_adj_floor(),
            user=user,
        )
        with open(f"{directory}/process.json", "wb") as target:
            target.write(plan.exec_process(container, spec, facts))

    async def _start_monitor(self, entry: Entry, execution: Execution, spec: ExecSpec) -> None:
        runtime = await self._runtime.inventory.get(entry.runtime)
        directory = execution.files.directory
        order = monitor.Order(
            program=self._runtime.inventory.monitor,
            container_id=entry.id,
            name=os.path.basename(directory),
            directory=directory,
            runtime=self._runtime.sealed.path(runtime.path),
            runtime_args=self._runtime.inventory.arguments(runtime),
            tty=spec.tty,
            stdin=spec.stdin,
            process_file=f"{directory}/process.json",
        )
        sync_read, sync_write = os.pipe()
        start_read, start_write = os.pipe()
        attach_read, attach_write = os.pipe()
        child_ends = {monitor.SYNC_FD: sync_write, monitor.START_FD: start_read, monitor.ATTACH_FD: attach_write}
        try:
            for descriptor in (sync_read, attach_read):
                os.set_blocking(descriptor, False)
            os.write(start_write, b"1")
            try:
                execution.monitor_pid, execution.monitor_pidfd = await self._runtime.launcher.spawn(
                    monitor.command(order),
                    env=oci_cli.ENVIRONMENT
                    | {"_OCI_SYNCPIPE": "3", "_OCI_STARTPIPE": "4", "_OCI_ATTACHPIPE": "5"}
                    | {"TMPDIR": os.path.relpath(self._runtime.layout.tmp, directory)},
                    cwd=directory,
                    descriptors=child_ends,
                )
            finally:
                for descriptor in child_ends.values():
                    os.close(descriptor)
            if await monitor.read_report(attach_read) is not None:
                execution.connect()
                os.write(start_write, b"1")
            report = await monitor.read_report(sync_read)
        finally:
            for descriptor in (sync_read, attach_read, start_write):
                os.close(descriptor)
        if report is None or report.data < 0:
            raise self._failure(report, spec)
        execution.pid = report.data

    def _failure(self, report: monitor.Report | None, spec: ExecSpec) -> RuntimeFailed:
        found = parse.failure(report.message if report else "", spec.args[0] if spec.args else "")
        return RuntimeFailed(
            f"OCI runtime exec failed: exec failed: unable to start container process: {found.text}: unknown",
            found.exit_code,
        )

    async def _watch(self, container_id: str, exec_id: str, execution: Execution) -> None:
        await process.ended(execution.monitor_pidfd)
        process.reap(execution.monitor_pid)
        os.close(execution.monitor_pidfd)
        record = execution.files.exit_code()
        code, at_ns = record or (KILLED, self._runtime.clock.now_ns())
        error = "" if record else "the monitor of this exec was killed: its exit code is unknown"
        if not execution.exit.done():
            execution.exit.set_result(Exit(code=code & 0xFF, finished_at_ns=at_ns, error=error))
        shutil.rmtree(execution.files.directory, ignore_errors=True)
        self._running.get(container_id, {}).pop(exec_id, None)

    def container_ended(self, container_id: str) -> None:
        """The kernel ends a container's execs with it; nothing to do but forget the empty set."""
        if not self._running.get(container_id):
            self._running.pop(container_id, None)

    async def end_all(self, entry: Entry) -> None:
        """Wait until the monitors of a dead container's execs have ended; kill those that do not."""
        for execution, task in list(self._running.pop(entry.id, {}).values()):
            await _end(execution.monitor_pidfd)
            await task
        if not entry.adopted:
            return
        for pid in await asyncio.to_thread(self._runtime.inventory.exec_monitors, entry.id):
            descriptor = process.open_pidfd(pid)
            if descriptor >= 0:
                await _end(descriptor)
                os.close(descriptor)

    def close(self) -> None:
        """Let go; the processes go on."""
        for running in self._running.values():
            for execution, task in running.values():
                task.cancel()
                execution.connection.close()
        self._running.clear()


async def _discard(execution: Execution) -> None:
    """Take back an exec that did not come to run."""
    execution.connection.close()
    if execution.monitor_pidfd >= 0:
        await _end(execution.monitor_pidfd)
        process.reap(execution.monitor_pid)
        os.close(execution.monitor_pidfd)


async def _end(pidfd: int) -> None:
    """Wait up to 2 s for a monitor's own end, then kill it."""
    try:
        async with asyncio.timeout(2):
            await process.ended(pidfd)
    except TimeoutError:
        process.send_signal(pidfd, signal.SIGKILL)
        await process.ended(pidfd)
