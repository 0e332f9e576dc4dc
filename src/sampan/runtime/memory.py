"""MemoryRuntime: the believable twin for simulation and tests. No process is started; programs are coroutines.

host = MemoryHost()                            # what survives the daemon: pass it to the next runtime
runtime = MemoryRuntime(clock=clock, host=host)
runtime.programs["server"] = my_program        # async def my_program(process: Process) -> int
"""

from __future__ import annotations

import asyncio
import itertools
import signal as signals
from collections.abc import AsyncIterator, Callable

from sampan.base.clock import Clock
from sampan.base.errors import AlreadyExists, Conflict, NotFound, RuntimeFailed
from sampan.model.container import Container
from sampan.runtime.port import ExecSpec, Exit, Found, Launched, LaunchSpec, LogLine, RuntimeInfo, Usage
from sampan.runtime.scripted import PROGRAMS, Process, Program, Terminated
from sampan.runtime.streams import Client, Fanout

FATAL = {int(signals.SIGKILL): 137}
WITH_INIT = {
    int(number): 128 + int(number) for number in (signals.SIGTERM, signals.SIGINT, signals.SIGHUP, signals.SIGQUIT)
}


class _Pipe:
    """The twin of an attach connection: a fan-out's source."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def pause(self) -> None:
        self._process.room.clear()

    def resume(self) -> None:
        self._process.room.set()

    async def write(self, data: bytes) -> None:
        self._process.stdin.feed(data)

    async def end_stdin(self) -> None:
        self._process.stdin.end()


class _Running:
    """One process with its stdio and its end; a container or an exec."""

    def __init__(self, pid: int, process: Process, clock: Clock) -> None:
        self.pid = pid
        self.process = process
        self.exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self.fanout = Fanout(self._resize)
        self.fanout.source = _Pipe(process)
        self.size: tuple[int, int] | None = None
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    async def _resize(self, height: int, width: int) -> None:
        self.size = (height, width)

    def run(self, program: Program) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(program))

    async def _run(self, program: Program) -> None:
        try:
            code = await program(self.process)
        except Terminated as ended:
            code = ended.code
        self.end(code)

    def end(self, code: int) -> None:
        if self.exit.done():
            return
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self.exit.set_result(Exit(code=code & 0xFF, finished_at_ns=self._clock.now_ns()))
        self.fanout.end()


class _Container(_Running):
    """A container: one process, its log, and its execs."""

    def __init__(self, pid: int, process: Process, clock: Clock, container: Container, program: Program) -> None:
        super().__init__(pid, process, clock)
        self.container = container
        self.program = program
        self.started = False
        self.grown = asyncio.Event()
        self.execs: list[_Running] = []


class MemoryHost:
    """What is outside of the daemon: containers and logs. It survives `MemoryRuntime.close`."""

    def __init__(self) -> None:
        self.containers: dict[str, _Container] = {}
        self.logs: dict[str, list[LogLine]] = {}
        self.pids = itertools.count(1000)


class MemoryExec:
    """A started exec process."""

    def __init__(self, running: _Running) -> None:
        self._running = running
        self._client = running.fanout.attach()
        self.pid = running.pid

    @property
    def streams(self) -> Client:
        return self._client

    async def wait(self) -> Exit:
        """Return how it ended."""
        return await asyncio.shield(self._running.exit)

    async def kill(self) -> None:
        """Kill the process; a no-op when it has ended."""
        self._running.end(137)


class MemoryRuntime:
    """See `runtime.port.Runtime`."""

    def __init__(self, *, clock: Clock, host: MemoryHost | None = None) -> None:
        self._clock = clock
        self.host = host or MemoryHost()
        self.programs: dict[str, Program] = dict(PROGRAMS)
        self._adopted: set[str] = set()

    async def prepare(self) -> None:
        """Nothing to find out."""

    def expect(self) -> None:
        """Nothing to warm."""

    def _program(self, args: tuple[str, ...], stage: str) -> Program:
        name = args[0] if args else ""
        program = self.programs.get(name.rsplit("/", 1)[-1])
        if program is None:
            raise RuntimeFailed(f'{stage}: exec: "{name}": executable file not found in $PATH: unknown', 127)
        return program

    def _get(self, container_id: str) -> _Container:
        try:
            return self.host.containers[container_id]
        except KeyError:
            raise NotFound(f"container {container_id[:12]} has no process here") from None

    def _alive(self, container_id: str) -> _Container:
        found = self._get(container_id)
        if found.exit.done():
            raise Conflict(f"container {container_id} is not running")
        return found

    async def create(self, launch: LaunchSpec) -> Launched:
        """Prepare the process; it waits for `start`."""
        container = launch.container
        existing = self.host.containers.get(container.id)
        if existing is not None and not existing.exit.done():
            raise AlreadyExists(f"container {container.short_id} has a process already: delete it first")
        program = self._program(container.args, "failed to create task for container: OCI runtime create failed")
        process = Process(args=container.args, env=container.env, stdin_open=container.spec.process.stdin_open)
        running = _Container(next(self.host.pids), process, self._clock, container, program)
        running.fanout.close_stdin_once = container.spec.process.stdin_once and not container.spec.process.tty
        process.write = self._writer(running)
        self.host.containers[container.id] = running
        self._adopted.add(container.id)
        return Launched(pid=running.pid, pid_start_ticks=running.pid)

    def _writer(self, running: _Container) -> Callable[[str, bytes], None]:
        def write(stream: str, data: bytes) -> None:
            lines = self.host.logs.setdefault(running.container.id, [])
            for piece in data.splitlines(keepends=True):
                partial = not piece.endswith(b"\n")
                lines.append(LogLine(time_ns=self._clock.now_ns(), stream=stream, data=piece, partial=partial))
            running.fanout.feed(stream, data)
            running.grown.set()

        return write

    async def start(self, container_id: str) -> None:
        """Run the program."""
        found = self._alive(container_id)
        if not found.started:
            found.started = True
            found.run(found.program)
            found.exit.add_done_callback(lambda _: found.grown.set())

    async def wait(self, container_id: str) -> Exit:
        """Return when the container has ended."""
        return await asyncio.shield(self._get(container_id).exit)

    async def signal(self, container_id: str, signal: int, *, every_process: bool = False) -> None:
        """SIGKILL ends it; other fatal signals do with an init process or a program that takes them."""
        found = self._alive(container_id)
        fatal = FATAL | (WITH_INIT if found.container.spec.init or every_process else {})
        if signal in fatal:
            self._end(found, fatal[signal])
        else:
            found.process.deliver(signal)

    def _end(self, found: _Container, code: int) -> None:
        for running in found.execs:
            running.end(137)
        found.end(code)
        found.grown.set()

    async def pause(self, container_id: str) -> None:
        self._alive(container_id).process.go.clear()

    async def resume(self, container_id: str) -> None:
        self._alive(container_id).process.go.set()

    async def update(self, container: Container) -> None:
        self._alive(container.id).container = container

    async def delete(self, container_id: str) -> None:
        """Idempotent."""
        found = self.host.containers.pop(container_id, None)
        if found is not None:
            self._end(found, 137)
        self._adopted.discard(container_id)

    async def attach(self, container_id: str) -> Client:
        return self._get(container_id).fanout.attach()

    async def exec(self, container: Container, exec_id: str, spec: ExecSpec) -> MemoryExec:
        """Run a further program."""
        found = self._alive(container.id)
        if not found.process.go.is_set():
            raise Conflict(f"Container {container.id} is paused, unpause the container before exec")
        program = self._program(spec.args, "OCI runtime exec failed: exec failed: unable to start container process")
        process = Process(args=spec.args, env=spec.env, stdin_open=spec.stdin)
        running = _Running(next(self.host.pids), process, self._clock)
        running.fanout.close_stdin_once = True
        process.write = running.fanout.feed
        execution = MemoryExec(running)
        found.execs.append(running)
        running.run(program)
        return execution

    async def usage(self, container_id: str) -> Usage:
        found = self._alive(container_id)
        limits = found.container.spec.resources
        return Usage(
            memory_bytes=1 << 20,
            memory_limit_bytes=limits.memory_bytes,
            pids=1 + sum(not running.exit.done() for running in found.execs),
            pids_limit=max(limits.pids_limit or 0, 0),
        )

    async def processes(self, container_id: str) -> tuple[int, ...]:
        found = self._alive(container_id)
        return (found.pid, *(running.pid for running in found.execs if not running.exit.done()))

    async def logs(
        self, container: Container, *, follow: bool, tail: int | None, since_ns: int, until_ns: int
    ) -> AsyncIterator[LogLine]:
        """Yield log lines oldest first; `follow` goes on until the container ends."""
        lines = self.host.logs.setdefault(container.id, [])
        found = self.host.containers.get(container.id)
        place = 0 if tail is None else max(len(lines) - tail, 0)
        while True:
            if found is not None:
                found.grown.clear()
            for line in lines[place:]:
                place += 1
                if until_ns and line.time_ns > until_ns:
                    return
                if line.time_ns >= since_ns:
                    yield line
            if not follow or found is None or found.exit.done():
                return
            await found.grown.wait()

    def log_path(self, container_id: str) -> str:
        return f"/memory/{container_id}/container.log"

    async def remove_logs(self, container_id: str) -> None:
        self.host.logs.pop(container_id, None)

    async def survey(self) -> dict[str, Found]:
        """Return every container of the host."""
        return {
            container_id: Found(
                container_id=container_id,
                pid=0 if found.exit.done() else found.pid,
                pid_start_ticks=found.pid,
                monitor_pid=found.pid,
                exit=found.exit.result() if found.exit.done() else None,
                started=found.started,
            )
            for container_id, found in self.host.containers.items()
        }

    async def adopt(self, container: Container) -> None:
        """Take up a container of the host."""
        self._get(container.id)
        self._adopted.add(container.id)

    def info(self) -> RuntimeInfo:
        return RuntimeInfo(
            default="memory", runtimes={"memory": "memory"}, versions={"memory": "1"}, controllers=("memory", "pids")
        )

    async def close(self) -> None:
        """Let go; containers go on."""
        self._adopted.clear()
