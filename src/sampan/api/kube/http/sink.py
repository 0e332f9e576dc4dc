"""The body of an answer that goes on, in chunks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sampan.api.kube.http import wire
from sampan.api.kube.request import Shared


class StreamSink:
    """A chunked body. `drained` returns when the client has taken most of what was written; `over` is told of its end.

    Spec: RFC 9112 section 7.1.
    """

    __slots__ = ("_callbacks", "_closed", "_drained", "_over", "_transport")

    def __init__(
        self, transport: asyncio.Transport, drained: Callable[[], Awaitable[None]], over: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._over = over
        self._closed = False  # the last chunk was written
        self._drained: Callable[[], Awaitable[None]] | None = drained  # None when the connection is gone
        self._callbacks: tuple[Callable[[], None], ...] = ()

    def write(self, data: bytes) -> None:
        if data and self._open:
            self._transport.write(wire.chunk(data))

    def write_shared(self, shared: Shared) -> None:
        if self._open:
            if not shared.framed:
                shared.framed = wire.chunk(shared.data)
            self._transport.write(shared.framed)

    @property
    def buffered(self) -> int:
        return self._transport.get_write_buffer_size()

    @property
    def _open(self) -> bool:
        return not self._closed and self._drained is not None and not self._transport.is_closing()

    def close(self) -> None:
        if self._open:
            self._transport.write(wire.LAST_CHUNK)
            self._closed = True
            asyncio.get_running_loop().call_soon(self._over)

    def abort(self) -> None:
        self._transport.abort()

    def on_close(self, callback: Callable[[], None]) -> None:
        if self._drained is None:
            callback()
        else:
            self._callbacks += (callback,)

    async def drain(self) -> None:
        if self._drained is not None:
            await self._drained()
        await asyncio.sleep(0)  # others have their turn, too

    def ended(self) -> None:
        """The answer is over, or the connection is gone."""
        self._drained = None
        callbacks, self._callbacks = self._callbacks, ()
        for callback in callbacks:
            callback()
