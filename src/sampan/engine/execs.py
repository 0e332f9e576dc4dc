"""Execs: further processes in running containers. Sessions live in memory only: they end with the daemon's clients."""

from __future__ import annotations

from typing import Protocol

from msgspec.structs import replace

from sampan.base.errors import Conflict, InvalidArgument, NotFound
from sampan.base.ids import IdSource
from sampan.engine.plan import merge_env
from sampan.engine.port import ExecRecord
from sampan.engine.registry import Registry
from sampan.engine.tasks import Tasks
from sampan.model.container import Container, Phase
from sampan.runtime.port import Exec, ExecSpec, Runtime, Streams

_KEPT_ENDED = 1000


class Emit(Protocol):
    """Tells an event of a container."""

    def __call__(self, action: str, container: Container, **attributes: str) -> None: ...


class Execs:
    """All exec sessions. The oldest ended ones are forgotten past 1,000."""

    def __init__(self, registry: Registry, runtime: Runtime, tasks: Tasks, emit: Emit, new_id: IdSource) -> None:
        self._registry = registry
        self._runtime = runtime
        self._tasks = tasks
        self._emit = emit
        self._new_id = new_id
        self._records: dict[str, ExecRecord] = {}
        self._running: dict[str, Exec] = {}

    def create(
        self,
        reference: str,
        spec: ExecSpec,
        attach: tuple[bool, bool, bool],
        detach_keys: str,
        extra_env: tuple[str, ...],
    ) -> ExecRecord:
        """Register a session on a running container."""
        container = self._ready(self._registry.container(reference))
        if not spec.args:
            raise InvalidArgument("No exec command specified")
        full = replace(
            spec,
            env=merge_env(container.env, extra_env, tty=spec.tty),
            cwd=spec.cwd or container.cwd,
            user=spec.user or container.user,
            stdin=attach[0],
        )
        record = ExecRecord(
            id=self._new_id(),
            container_id=container.id,
            spec=full,
            attach_stdin=attach[0],
            attach_stdout=attach[1],
            attach_stderr=attach[2],
            detach_keys=detach_keys,
        )
        self._records[record.id] = record
        self._tell(f"exec_create: {' '.join(spec.args)}", container, record)
        return record

    def _ready(self, container: Container) -> Container:
        if container.state.phase is Phase.PAUSED:
            raise Conflict(f"Container {container.id} is paused, unpause the container before exec")
        if container.state.phase is not Phase.RUNNING:
            raise Conflict(f"container {container.id} is not running")
        return container

    async def start(
        self, exec_id: str, *, tty: bool, detach: bool, console_size: tuple[int, int] | None
    ) -> Streams | None:
        """Run a session once; returns its stdio, or None when detached."""
        record = self.inspect(exec_id)
        if record.started:
            raise Conflict(f"Error: Exec command {exec_id} has already run")
        container = self._ready(self._registry.container(record.container_id))
        spec = replace(
            record.spec, tty=record.spec.tty or tty, stdin=record.attach_stdin and not detach, console_size=console_size
        )
        self._records[exec_id] = record = replace(record, started=True, running=True)
        try:
            running = await self._runtime.exec(container, exec_id, spec)
        except BaseException as error:
            code = getattr(error, "exit_code", 126)
            self._records[exec_id] = replace(record, running=False, exit_code=code)
            raise
        self._running[exec_id] = running
        self._records[exec_id] = replace(record, pid=running.pid)
        self._tell(f"exec_start: {' '.join(spec.args)}", container, record)
        self._tasks.spawn(self._follow(exec_id, container, running), f"exec {exec_id[:12]}")
        if detach:
            running.streams.detach()
            return None
        return running.streams

    async def _follow(self, exec_id: str, container: Container, running: Exec) -> None:
        exited = await running.wait()
        self._running.pop(exec_id, None)
        record = self._records.get(exec_id)
        if record is None:
            return
        self._records[exec_id] = replace(record, running=False, exit_code=exited.code)
        self._tell("exec_die", container, record, exitCode=str(exited.code))
        self._forget_old()

    def _forget_old(self) -> None:
        ended = [exec_id for exec_id, record in self._records.items() if record.started and not record.running]
        for exec_id in ended[: max(0, len(ended) - _KEPT_ENDED)]:
            del self._records[exec_id]

    def inspect(self, exec_id: str) -> ExecRecord:
        record = self._records.get(exec_id)
        if record is None:
            matches = [record for key, record in self._records.items() if exec_id and key.startswith(exec_id)]
            if len(matches) != 1:
                raise NotFound(f"No such exec instance: {exec_id}")
            record = matches[0]
        return record

    def of(self, container_id: str) -> tuple[str, ...]:
        """Return the ids of a container's running sessions."""
        return tuple(e for e, record in self._records.items() if record.container_id == container_id and record.running)

    async def resize(self, exec_id: str, height: int, width: int) -> None:
        running = self._running.get(self.inspect(exec_id).id)
        if running is None:
            raise Conflict(f"exec process {exec_id} is not running: start it before you resize it")
        await running.streams.resize(height, width)

    def forget(self, container_id: str) -> None:
        """Drop the sessions of a removed container."""
        for exec_id in [e for e, record in self._records.items() if record.container_id == container_id]:
            del self._records[exec_id]

    def _tell(self, action: str, container: Container, record: ExecRecord, **attributes: str) -> None:
        self._emit(action, container, execID=record.id, **attributes)
