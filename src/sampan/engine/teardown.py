"""Teardowns: what an ended container held on the host is freed in the background, off every reply path."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from sampan.base import log
from sampan.engine.connections import Connections
from sampan.engine.machine import Machine
from sampan.engine.rootfs import Rootfs
from sampan.engine.tasks import Tasks
from sampan.model.container import Container
from sampan.runtime.port import Runtime

_log = log.get("engine")
_TRIES = 5


class Teardowns:
    """At most one teardown a container; whoever wants to work on the same container waits for it."""

    def __init__(
        self, runtime: Runtime, rootfs: Rootfs, connections: Connections, machine: Machine, tasks: Tasks
    ) -> None:
        self._runtime = runtime
        self._rootfs = rootfs
        self._connections = connections
        self._machine = machine
        self._tasks = tasks
        self._running: dict[str, asyncio.Task[None]] = {}

    def begin(self, container: Container, *, keep_layer: bool, after: Coroutine[Any, Any, None] | None = None) -> None:
        """Free the host of a container, when `after` is done and no other teardown of it is under way."""
        before = self._running.get(container.id)
        task = self._tasks.spawn(self._after(before, after, container, keep_layer), f"tear down {container.short_id}")
        self._running[container.id] = task
        task.add_done_callback(lambda done: self._forget(container.id, done))

    def _forget(self, container_id: str, done: asyncio.Task[None]) -> None:
        if self._running.get(container_id) is done:
            del self._running[container_id]

    async def wait(self, container_id: str) -> None:
        """Return when no teardown of this container is under way."""
        if (task := self._running.get(container_id)) is not None:
            await asyncio.wait([task])

    def under_way(self) -> bool:
        return bool(self._running)

    async def _after(
        self,
        before: asyncio.Task[None] | None,
        after: Coroutine[Any, Any, None] | None,
        container: Container,
        keep_layer: bool,
    ) -> None:
        if after is not None:
            await after
        if before is not None:
            await asyncio.wait([before])
        await self.run(container, keep_layer=keep_layer)

    async def run(self, container: Container, *, keep_layer: bool) -> None:
        """Remove everything of a container from the host, trying each part again for a while; then say what is left."""
        for attempt in range(_TRIES):
            failures = await _run_all(
                network=self._connections.leave(container),
                processes=self._runtime.delete(container.id),
                shared_memory=self._machine.unmount_shm(container.id),
            )
            # The root can be unmounted only when nothing runs in it.
            if keep_layer:
                failures += await _run_all(root=self._rootfs.unmount(container))
            else:
                failures += await _run_all(
                    layer=self._rootfs.remove(container),
                    logs=self._runtime.remove_logs(container.id),
                    files=self._machine.discard(container.id),
                )
            if not failures:
                return
            _log.warning("teardown of %s, try %d: %s", container.short_id, attempt + 1, "; ".join(failures))
            await asyncio.sleep(0.1 * 2**attempt)
        _log.error("container %s left something on the host; `sampan ledger` names it", container.short_id)


async def _run_all(**steps: Coroutine[Any, Any, None]) -> list[str]:
    """Run every step to its end, whatever the others do; returns what failed."""
    failures = []
    for name, step in steps.items():
        try:
            await step
        except Exception as error:
            failures.append(f"{name}: {error}")
    return failures
