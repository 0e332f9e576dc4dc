"""Events: a bounded history and live followers that never hold the engine up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping

from sampan.base.clock import Clock
from sampan.base.errors import Exhausted
from sampan.engine.filters import EVENT_KEYS, check_keys, match_event
from sampan.engine.port import Filters
from sampan.model.event import Event

_HISTORY = 1024
_FOLLOWER_BACKLOG = 10_000


class _Follower:
    def __init__(self) -> None:
        self.queue: deque[Event] = deque()
        self.wake = asyncio.Event()
        self.overrun = False


class Events:
    """Tells what happened, to whoever follows. Memory is bounded: a follower 10,000 events behind is cut."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._history: deque[Event] = deque(maxlen=_HISTORY)
        self._followers: set[_Follower] = set()
        self._last_ns = 0

    def emit(self, kind: str, action: str, object_id: str, attributes: Mapping[str, str]) -> None:
        """Record an event and wake the followers. Times are strictly increasing."""
        self._last_ns = max(self._last_ns + 1, self._clock.now_ns())
        event = Event(kind=kind, action=action, id=object_id, attributes=dict(attributes), time_ns=self._last_ns)
        self._history.append(event)
        for follower in self._followers:
            if len(follower.queue) >= _FOLLOWER_BACKLOG:
                follower.overrun = True
            else:
                follower.queue.append(event)
            follower.wake.set()

    async def follow(self, *, since_ns: int, until_ns: int, filters: Filters) -> AsyncIterator[Event]:
        """Yield past events from `since_ns` on (none when 0), then live ones until `until_ns` (0: for ever)."""
        check_keys(filters, EVENT_KEYS)
        follower = _Follower()
        self._followers.add(follower)
        past = [event for event in self._history if since_ns and event.time_ns >= since_ns]
        try:
            for event in past:
                if (not until_ns or event.time_ns <= until_ns) and match_event(event, filters):
                    yield event
            while not until_ns or self._clock.now_ns() < until_ns:
                while follower.queue:
                    event = follower.queue.popleft()
                    if match_event(event, filters):
                        yield event
                if follower.overrun:
                    raise Exhausted("this follower is 10,000 events behind and was cut: follow again with since=")
                follower.wake.clear()
                await self._sleep(follower, until_ns)
        finally:
            self._followers.discard(follower)

    async def _sleep(self, follower: _Follower, until_ns: int) -> None:
        if not until_ns:
            await follower.wake.wait()
            return
        left_s = (until_ns - self._clock.now_ns()) / 1e9
        if left_s > 0:
            try:
                await asyncio.wait_for(follower.wake.wait(), left_s)
            except TimeoutError:
                return
