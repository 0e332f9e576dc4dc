"""Waiters: those who want to know how a container ends. A waiter registered before an end never misses it."""

from __future__ import annotations

import asyncio

from sampan.base.errors import InvalidArgument
from sampan.runtime.port import Exit

CONDITIONS = ("not-running", "next-exit", "removed")


class _Waiter:
    """Implements `engine.port.Waiter`."""

    def __init__(self, owner: Waiters, container_id: str, condition: str) -> None:
        self._owner = owner
        self._id = container_id
        self.condition = condition
        self._future: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    async def result(self) -> Exit:
        try:
            return await asyncio.shield(self._future)
        finally:
            self.cancel()

    def resolve(self, exited: Exit) -> None:
        if not self._future.done():
            self._future.set_result(exited)

    def cancel(self) -> None:
        self._owner.drop(self._id, self)


class Waiters:
    """All waits of the engine, by container."""

    def __init__(self) -> None:
        self._by_id: dict[str, set[_Waiter]] = {}

    def add(self, container_id: str, condition: str) -> _Waiter:
        """Register a wait; `next-exit` is resolved by every end, `not-running` only when no restart follows."""
        if condition not in CONDITIONS:
            raise InvalidArgument(f'invalid condition: "{condition}"; one of {", ".join(CONDITIONS)}')
        waiter = _Waiter(self, container_id, condition)
        self._by_id.setdefault(container_id, set()).add(waiter)
        return waiter

    def drop(self, container_id: str, waiter: _Waiter) -> None:
        waiters = self._by_id.get(container_id)
        if waiters is not None:
            waiters.discard(waiter)
            if not waiters:
                del self._by_id[container_id]

    def ended(self, container_id: str, exited: Exit, *, restarting: bool = False, removed: bool = False) -> None:
        """Tell an end."""
        for waiter in list(self._by_id.get(container_id, ())):
            if (
                waiter.condition == "next-exit"
                or (waiter.condition == "not-running" and not restarting)
                or (waiter.condition == "removed" and removed)
            ):
                waiter.resolve(exited)

    def removed(self, container_id: str, exited: Exit) -> None:
        """Tell a removal: nobody has anything left to wait for."""
        for waiter in list(self._by_id.get(container_id, ())):
            waiter.resolve(exited)
