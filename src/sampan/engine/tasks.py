"""Background work that the engine owns: nothing is lost silently, and `close` waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from sampan.base import log

_log = log.get("engine")


class Tasks:
    """A set of running tasks. Failures are logged with their name."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run `work`; the set holds it until it ends."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("%s failed: %s", task.get_name(), error, exc_info=error)

    async def close(self, grace_s: float) -> None:
        """Let everything finish for `grace_s`, then cancel what is left."""
        if self._running and grace_s:
            await asyncio.wait(self._running, timeout=grace_s)
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
