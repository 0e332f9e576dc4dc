"""PendingStreams: stdio of a container that is not started yet. Clients attach first, then start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from sampan.runtime.port import Runtime, Streams


class PendingStreams:
    """Implements `Streams`; nothing flows until `bind`, and nothing ever does when the start fails."""

    def __init__(self) -> None:
        self._bound: asyncio.Future[Streams | None] = asyncio.get_running_loop().create_future()
        self._size: tuple[int, int] | None = None
        self._detached = False

    async def bind(self, streams: Streams) -> None:
        """Become `streams`."""
        if self._detached or self._bound.done():
            streams.detach()
            return
        if self._size is not None:
            await streams.resize(*self._size)
        self._bound.set_result(streams)

    def fail(self) -> None:
        """End: the container did not start."""
        if not self._bound.done():
            self._bound.set_result(None)

    async def output(self) -> AsyncIterator[tuple[str, bytes]]:
        streams = await asyncio.shield(self._bound)
        if streams is not None:
            async for piece in streams.output():
                yield piece

    async def write(self, data: bytes) -> None:
        streams = await asyncio.shield(self._bound)
        if streams is not None:
            await streams.write(data)

    async def close_stdin(self) -> None:
        streams = await asyncio.shield(self._bound)
        if streams is not None:
            await streams.close_stdin()

    async def resize(self, height: int, width: int) -> None:
        if self._bound.done() and (streams := self._bound.result()) is not None:
            await streams.resize(height, width)
        else:
            self._size = (height, width)

    def detach(self) -> None:
        self._detached = True
        if self._bound.done() and (streams := self._bound.result()) is not None:
            streams.detach()
        else:
            self.fail()


class Attachments:
    """The clients that wait for containers to start."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._pending: dict[str, list[PendingStreams]] = {}

    def add(self, container_id: str) -> PendingStreams:
        pending = PendingStreams()
        self._pending.setdefault(container_id, []).append(pending)
        return pending

    async def bind(self, container_id: str) -> None:
        """Give everybody who waits the stdio of the created container, before its program runs."""
        for pending in self._pending.pop(container_id, ()):
            await pending.bind(await self._runtime.attach(container_id))

    def fail(self, container_id: str) -> None:
        """Tell everybody who waits that there will be no output."""
        for pending in self._pending.pop(container_id, ()):
            pending.fail()
