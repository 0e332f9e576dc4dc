"""KeyedQueue: keys to look at. A key waits at most once, and is never worked on twice at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
_MOST_DOUBLINGS = 62
"""What fails for days would reach numbers that are too large for seconds."""


class KeyedQueue(Generic[K]):
    """Call it on one event loop."""

    def __init__(self, *, first_delay_s: float = 0.005, last_delay_s: float = 60.0) -> None:
        """A key that failed n times in a row comes back after `first_delay_s` * 2**n, `last_delay_s` at most."""
        self._first_delay_s = first_delay_s
        self._last_delay_s = last_delay_s
        self._ready: deque[K] = deque()
        self._waiting: set[K] = set()
        self._busy: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        """Return how many keys are ready."""
        return len(self._ready)

    @property
    def idle(self) -> bool:
        """Return whether nothing is ready and nothing is being worked on; keys for later do not count."""
        return not self._ready and not self._busy and not self._waiting

    def add(self, key: K) -> None:
        """Make a key ready; one that is being worked on is ready again afterwards."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._waiting:
            return
        self._waiting.add(key)
        if key not in self._busy:
            self._ready.append(key)
            self._wake.set()

    def add_after(self, key: K, delay_s: float) -> None:
        """Make a key ready later; the earliest of several times counts."""
        if key in self._waiting:
            return
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= loop.time() + delay_s:
                return
            timer.cancel()
        self._timers[key] = loop.call_later(delay_s, self.add, key)

    async def get(self) -> K:
        """Return the next key; `done` or `failed` must follow."""
        while not self._ready:
            self._wake.clear()
            await self._wake.wait()
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._busy.add(key)
        return key

    def done(self, key: K) -> None:
        """Say that a key was worked on, and forget its failures."""
        self._failures.pop(key, None)
        self._leave(key)

    def failed(self, key: K) -> float:
        """Say that work on a key failed: it comes back later. Returns in how many seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self._leave(key)
        delay_s = min(self._last_delay_s, self._first_delay_s * float(2 ** min(failures, _MOST_DOUBLINGS)))
        self.add_after(key, delay_s)
        return delay_s

    def close(self) -> None:
        """Cancel what waits for later."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _leave(self, key: K) -> None:
        self._busy.discard(key)
        if key in self._waiting:
            self._ready.append(key)
            self._wake.set()
