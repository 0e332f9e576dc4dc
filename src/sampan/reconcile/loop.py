"""Loop: workers that take keys and reconcile them. Features write no retry, no timer and no loop of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic

from sampan.base import log
from sampan.base.errors import SampanError
from sampan.reconcile.queue import K, KeyedQueue

_log = log.get("reconcile")

Reconcile = Callable[[K], Awaitable[float | None]]
"""Bring what a key names to where it should be. Idempotent. Returns in how many seconds to look again, None for never."""


class Loop(Generic[K]):
    """Runs a reconcile function over a queue."""

    def __init__(
        self, name: str, reconcile: Reconcile[K], *, workers: int = 1, queue: KeyedQueue[K] | None = None
    ) -> None:
        self.name = name
        self.queue = queue or KeyedQueue()
        self._reconcile = reconcile
        self._workers = workers
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        for number in range(self._workers):
            self._tasks.append(asyncio.create_task(self._work(), name=f"{self.name} {number}"))

    async def close(self) -> None:
        """Stop; what is being worked on is cancelled."""
        self.queue.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            try:
                again_s = await self._reconcile(key)
            except SampanError as error:
                delay_s = self.queue.failed(key)
                _log.info("%s: %s: %s; again in %.3g s", self.name, key, error, delay_s)
            except Exception:
                delay_s = self.queue.failed(key)
                _log.exception("%s: %s failed by a defect of ours; again in %.3g s", self.name, key, delay_s)
            else:
                self.queue.done(key)
                if again_s is not None:
                    self.queue.add_after(key, again_s)
