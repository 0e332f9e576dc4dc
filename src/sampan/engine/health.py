"""HealthMonitor: runs each container's probe on its schedule and keeps the verdict. The only writer of health."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from sampan.base.clock import Clock
from sampan.base.errors import SampanError
from sampan.engine.plan import resolve_healthcheck
from sampan.engine.registry import Registry
from sampan.engine.tasks import Tasks
from sampan.model.container import Container, Health, Healthcheck, HealthResult, Phase
from sampan.model.image import Image
from sampan.runtime.port import Exec, ExecSpec, Runtime

_DEFAULT_INTERVAL_NS = 30_000_000_000
_DEFAULT_TIMEOUT_NS = 30_000_000_000
_DEFAULT_START_INTERVAL_NS = 5_000_000_000
_DEFAULT_RETRIES = 3
_KEPT_RESULTS = 5
_OUTPUT_LIMIT_BYTES = 4096


def judge(health: Health, result: HealthResult, *, in_start_period: bool, retries: int) -> Health:
    """Return the health after a probe. Failures count only after the start period, or after a first success."""
    log = (*health.log, result)[-_KEPT_RESULTS:]
    if result.exit_code == 0:
        return Health(status="healthy", failing_streak=0, log=log)
    if in_start_period and health.status == "starting":
        return replace(health, log=log)
    streak = health.failing_streak + 1
    status = "unhealthy" if streak >= retries else health.status
    return Health(status=status, failing_streak=streak, log=log)


class HealthMonitor:
    """One task per running container with a probe."""

    def __init__(
        self,
        registry: Registry,
        runtime: Runtime,
        image: Callable[[Container], Image | None],
        emit: Callable[[str, Container], None],
        new_id: Callable[[], str],
        tasks: Tasks,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._runtime = runtime
        self._image = image
        self._emit = emit
        self._new_id = new_id
        self._tasks = tasks
        self._clock = clock
        self._health: dict[str, Health] = {}
        self._probes: dict[str, asyncio.Task[None]] = {}

    def of(self, container: Container) -> Health | None:
        """Return the verdict so far; None without a probe."""
        return self._health.get(container.id)

    def status(self, container: Container) -> str:
        health = self._health.get(container.id)
        return health.status if health else "none"

    def begin(self, container: Container) -> None:
        """Probe a container that runs now."""
        self.end(container.id)
        self._health.pop(container.id, None)
        check = resolve_healthcheck(container.spec, self._image(container))
        if check is not None:
            self._health[container.id] = Health()
            self._probes[container.id] = self._tasks.spawn(self._run(container, check), f"health {container.short_id}")

    def end(self, container_id: str) -> None:
        """Stop probing; the last verdict stays to be told."""
        if (task := self._probes.pop(container_id, None)) is not None:
            task.cancel()

    def forget(self, container_id: str) -> None:
        self.end(container_id)
        self._health.pop(container_id, None)

    def close(self) -> None:
        """Stop all probes."""
        for container_id in list(self._probes):
            self.end(container_id)

    async def _run(self, container: Container, check: Healthcheck) -> None:
        began = self._clock.monotonic_s()
        interval_s = (check.interval_ns or _DEFAULT_INTERVAL_NS) / 1e9
        start_period_s = check.start_period_ns / 1e9
        start_interval_s = (check.start_interval_ns or _DEFAULT_START_INTERVAL_NS) / 1e9
        while True:
            age = self._clock.monotonic_s() - began
            starting = age < start_period_s and self._health[container.id].status == "starting"
            await asyncio.sleep(min(interval_s, start_interval_s) if starting else interval_s)
            now = self._registry.containers.get(container.id)
            if now is None or not now.running:
                return
            if now.state.phase is Phase.PAUSED:
                continue
            result = await self._probe(now, check)
            in_period = self._clock.monotonic_s() - began < start_period_s
            before = self._health[container.id]
            after = judge(before, result, in_start_period=in_period, retries=check.retries or _DEFAULT_RETRIES)
            self._health[container.id] = after
            if after.status != before.status:
                self._emit(f"health_status: {after.status}", now)

    async def _probe(self, container: Container, check: Healthcheck) -> HealthResult:
        start_ns = self._clock.now_ns()
        timeout_s = (check.timeout_ns or _DEFAULT_TIMEOUT_NS) / 1e9
        args = check.test[1:] if check.test[0] == "CMD" else ("/bin/sh", "-c", *check.test[1:])
        spec = ExecSpec(args=args, env=container.env, cwd=container.cwd, user=container.user)
        try:
            exec_ = await self._runtime.exec(container, self._new_id(), spec)
        except SampanError as error:
            return HealthResult(start_ns=start_ns, end_ns=self._clock.now_ns(), exit_code=-1, output=str(error))
        try:
            code, output = await asyncio.wait_for(_collect(exec_), timeout_s)
        except TimeoutError:
            code, output = -1, f"Health check exceeded timeout ({timeout_s:g}s)"
            await exec_.kill()
        return HealthResult(start_ns=start_ns, end_ns=self._clock.now_ns(), exit_code=code, output=output)


async def _collect(exec_: Exec) -> tuple[int, str]:
    kept = b""
    async for _, data in exec_.streams.output():
        kept = (kept + data)[:_OUTPUT_LIMIT_BYTES]
    exited = await exec_.wait()
    return exited.code, kept.decode(errors="replace")
