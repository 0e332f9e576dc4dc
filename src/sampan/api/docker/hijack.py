"""A connection taken over from HTTP: raw bytes both ways, half-close, back-pressure both ways.

Spec: Docker Engine API v1.51, "Attach to a container", sections "Hijacking" and "Stream format".
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol, cast

from sampan.api.docker.stall import StallGuard
from sampan.spec.docker.api import FRAME_STREAMS

_INPUT_HIGH_BYTES = 256 * 1024
_OUTPUT_HIGH_BYTES = 64 * 1024
_OUTPUT_LOW_BYTES = 48 * 1024  # near the high mark, so that a slow reader shows progress soon


def frame(stream: str, data: bytes) -> bytes:
    """Return `data` as one frame of the multiplexed stream."""
    return bytes((FRAME_STREAMS[stream], 0, 0, 0)) + len(data).to_bytes(4, "big") + data


class Owner(Protocol):
    """The HTTP protocol that had the connection; it must learn of its end. `early`: what came after the request's head."""

    guard: StallGuard
    early: bytearray
    surrendered: bool

    def connection_lost(self, exc: BaseException | None) -> None: ...


class Hijacked(asyncio.Protocol):
    """One taken connection. `read` gives b"" at the client's end of input, `write` waits while the client is slow."""

    def __init__(self, transport: asyncio.Transport, owner: Owner, head: bytes) -> None:
        self._transport = transport
        self._owner = owner
        self._input: deque[bytes] = deque([bytes(owner.early)] if owner.early else ())
        self._input_bytes = len(owner.early)
        self._input_wake: asyncio.Future[None] | None = None
        self._eof = False
        self._writable: asyncio.Future[None] | None = None
        self._guard = owner.guard
        self.lost = False
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=_OUTPUT_HIGH_BYTES, low=_OUTPUT_LOW_BYTES)
        if not transport.is_reading():
            transport.resume_reading()
        transport.write(head)

    # called by the transport

    def data_received(self, data: bytes) -> None:
        self._input.append(data)
        self._input_bytes += len(data)
        if self._input_bytes > _INPUT_HIGH_BYTES:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._eof = True
        self._wake()
        return True  # the client has only ended its input: output still flows

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost = self._eof = True
        self._guard.resume()
        self._wake()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._owner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()
        self._guard.pause(self._transport)

    def resume_writing(self) -> None:
        self._guard.resume()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def _wake(self) -> None:
        if self._input_wake is not None and not self._input_wake.done():
            self._input_wake.set_result(None)

    # called by the handler

    async def read(self) -> bytes:
        """Return what has arrived, b"" when nothing will come any more."""
        while not self._input:
            if self._eof:
                return b""
            self._input_wake = asyncio.get_running_loop().create_future()
            await self._input_wake
        data = self._input.popleft()
        self._input_bytes -= len(data)
        if self._input_bytes <= _INPUT_HIGH_BYTES // 2 and not self.lost and not self._transport.is_reading():
            self._transport.resume_reading()
        return data

    async def wait_lost(self) -> None:
        """Return when the connection has ended; input is thrown away."""
        while not self.lost:
            self._input.clear()
            self._input_bytes = 0
            if not self._transport.is_reading() and not self._eof:
                self._transport.resume_reading()
            self._input_wake = asyncio.get_running_loop().create_future()
            await self._input_wake

    async def write(self, data: bytes) -> None:
        """Send, then wait while too much is unsent.

        Raises:
            ConnectionResetError: the client is gone.
        """
        if self.lost or self._transport.is_closing():
            raise ConnectionResetError("the client is gone")
        self._transport.write(data)
        if self._writable is not None:
            await self._writable
            if self.lost:
                raise ConnectionResetError("the client is gone")

    def close(self) -> None:
        """Send what is unsent, then end the connection."""
        if not self.lost:
            self._transport.close()

    def abort(self) -> None:
        """End the connection now."""
        if not self.lost:
            self._transport.abort()


def take(request_protocol: object, transport: asyncio.BaseTransport | None, head: bytes) -> Hijacked:
    """Take the connection over and send `head`."""
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client is gone")
    owner = cast("Owner", request_protocol)
    owner.surrendered = True
    return Hijacked(cast("asyncio.Transport", transport), owner, head)
