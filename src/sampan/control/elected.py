"""Controllers that act only where this process leads: of several on one store, one runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from sampan.base import log
from sampan.control.controller import Controller
from sampan.control.election import Election

_log = log.get("election")


class Elected:
    """Makes and starts its controllers when it begins to lead, closes them when it leads no more, and tries again."""

    name = "elected"

    def __init__(self, election: Election, make: Callable[[], Sequence[Controller]]) -> None:
        """`make`: new ones for each time of leading, as one that was closed is of no more use."""
        self._election = election
        self._make = make
        self._task: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="election")

    async def close(self) -> None:
        """Stop the controllers, then give the lease back: whoever takes it finds nobody at work."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._stopping is not None:
            await self._stopping
        await self._election.close()

    async def _run(self) -> None:
        while True:
            await self._election.lead()
            _log.info("this process leads: its controllers run")
            running = self._make()
            try:
                for controller in running:
                    await controller.start()
                await self._election.lost.wait()
            finally:
                # in a task of its own: what closes must not be cut short by the end of this one
                self._stopping = asyncio.create_task(_close(running))
                await asyncio.shield(self._stopping)


async def _close(running: Sequence[Controller]) -> None:
    for controller in reversed(running):
        await controller.close()
