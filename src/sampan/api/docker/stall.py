"""The cut: a client that takes no byte for ten seconds while output waits for it loses its connection, nothing else."""

from __future__ import annotations

import asyncio

from sampan.base import log

STALL_S = 10.0

_logger = log.get("api")


class StallGuard:
    """Watches one transport between `pause_writing` and `resume_writing`; costs nothing otherwise."""

    def __init__(self, stall_s: float) -> None:
        self._stall_s = stall_s
        self._timer: asyncio.TimerHandle | None = None

    def pause(self, transport: asyncio.WriteTransport) -> None:
        """Output waits: look again later whether any of it was taken."""
        if self._timer is None:
            self._arm(transport)

    def resume(self) -> None:
        """The client took enough."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, transport: asyncio.WriteTransport) -> None:
        waiting = transport.get_write_buffer_size()
        self._timer = asyncio.get_running_loop().call_later(self._stall_s, self._look, transport, waiting)

    def _look(self, transport: asyncio.WriteTransport, waited: int) -> None:
        self._timer = None
        waiting = transport.get_write_buffer_size()
        if not waiting or transport.is_closing():
            return
        if waiting < waited:
            self._arm(transport)
            return
        _logger.warning("client cut: it took no byte for %.0f s, %d bytes wait for it", self._stall_s, waiting)
        transport.abort()
