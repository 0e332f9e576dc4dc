"""Follower: one etcd watch of everything below the store's prefix, told on to all watches of this process by a `Hub`.

One watch costs etcd as much as one client, however many watch here; and a bookmark for all comes with each change. The
newest changes are kept, so that who begins at the state just read costs nothing; who begins earlier reads etcd's history.
A watch that broke goes on from the last revision told, on the next member: nothing is lost, nothing comes twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Any

from sampan.base import log
from sampan.base.errors import DataLoss, SampanError, Unavailable
from sampan.spec import etcd
from sampan.store.kv.etcd_calls import CallFailed, EtcdCalls
from sampan.store.kv.etcd_keys import EtcdKeys
from sampan.store.kv.etcd_messages import message
from sampan.store.kv.etcd_stream import EtcdStream
from sampan.store.kv.hub import Hub
from sampan.store.kv.port import Compacted, Deliver, Event, Watch

_RING, _RING_BYTES = 4_000, 8 << 20
_CATCH_UP = 5_000
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.05, 1.0
_GRACE_S, _NUDGE_S = 0.02, 0.05
"""How long an event may take before it is asked where the watch stands, and how often then."""

_PATIENCE_S = 0.5
"""How long a write waits for its own event; one that has waited in vain lets those after it go at once."""

_log = log.get("store.kv")


class Follower:
    """Call it on one event loop. `revision`: where it begins."""

    def __init__(self, calls: EtcdCalls, keys: EtcdKeys, revision: int) -> None:
        self._calls = calls
        self._keys = keys
        self._hub = Hub(self._history, revision)
        self.told = self._seen = self._base = revision
        self.compacted = 0
        self._ring: deque[Event] = deque()  # all changes after `_base`, up to `told`
        self._ring_bytes = 0
        self._behind = asyncio.Event()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._current = False  # whether events come as they are made
        self._task = asyncio.ensure_future(self._follow())

    @property
    def revision(self) -> int:
        """Return the newest revision that any answer has shown."""
        return self._seen

    def see(self, revision: int) -> None:
        """Take note of a revision that an answer has shown; watches will be told that they are there, soon."""
        self._seen = max(self._seen, revision)
        if revision > self.told:
            self._behind.set()

    async def caught_up(self, revision: int) -> None:
        """Return when a revision was told to the watches here, or at once while etcd's events do not come."""
        if revision <= self.told or not self._current:
            await asyncio.sleep(0)  # what was taken in this turn of the loop is told at its end
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((revision, waiter))
        patience = asyncio.get_running_loop().call_later(_PATIENCE_S, self._let_go)
        try:
            await waiter
        finally:
            patience.cancel()

    def _let_go(self) -> None:
        self._current = False
        self._wake()

    def _wake(self) -> None:
        """End the waiting for what was told; of all, where events do not come."""
        waiting, self._waiting = self._waiting, []
        for revision, waiter in waiting:
            if self._current and revision > self.told:
                self._waiting.append((revision, waiter))
            elif not waiter.done():
                waiter.set_result(None)

    def watch(self, prefix: str, after: int, deliver: Deliver, failed: Callable[[SampanError], None]) -> Watch:
        return self._hub.watch(prefix, after, deliver, failed)

    async def close(self) -> None:
        """End all watches."""
        self._let_go()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._hub.close(Unavailable("the store is closed: the server is stopping"))

    # --- what happens -------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        pause_s, lost = _FIRST_PAUSE_S, False
        while True:
            try:
                await self._check_restored()
                async with contextlib.aclosing(self._responses("/", self.told, lambda: self._seen)) as responses:
                    async for response in responses:
                        if lost:
                            _log.info("etcd is back: watches go on after revision %d", self.told)
                        pause_s, lost = _FIRST_PAUSE_S, False
                        self._take(response)
            except Compacted as error:
                self._restart(error, error.revision)
            except SampanError as error:
                self._let_go()
                if not lost:
                    _log.warning("watches wait: %s", error)
                lost = True
                await asyncio.sleep(pause_s)
                pause_s = min(_LAST_PAUSE_S, pause_s * 2)

    async def _check_restored(self) -> None:
        """Ask the quorum where it stands: a member alone may lag behind.

        Raises:
            Compacted: it is not where it was, so an older state was restored.
        """
        seen = self._seen
        first, _ = self._keys.span("/")
        now = (await self._calls.read(etcd.RANGE, message["RangeRequest"](key=first, count_only=True))).header.revision
        if now < seen:
            _log.critical("etcd is at revision %d and was at %d: an older state was restored", now, seen)
            self._seen = now
            raise Compacted(now)

    def _take(self, response: Any) -> None:
        self._current = True
        if response.created:
            self.see(response.header.revision)
            return
        if not response.events:
            self._tell([], response.header.revision)
            return
        revision = response.events[-1].kv.mod_revision
        try:
            events = [self._keys.event(event) for event in response.events]
        except (Compacted, DataLoss) as error:
            self._restart(error, revision)
            return
        self._tell(events, revision)

    def _tell(self, events: list[Event], revision: int) -> None:
        if revision <= self.told:
            return
        self.told = revision
        self._seen = max(self._seen, revision)
        for event in events:
            self._ring.append(event)
            self._ring_bytes += _size(event)
        while len(self._ring) > _RING or self._ring_bytes > _RING_BYTES:
            gone = self._ring.popleft()
            self._ring_bytes -= _size(gone)
            self._base = gone.revision
        self._hub.publish(events, revision)
        self._wake()

    def _restart(self, error: SampanError, revision: int) -> None:
        """End all watches: what comes up to `revision` cannot be told. Who reads the state again can go on from there."""
        self.told = self._base = revision
        self._ring.clear()
        self._ring_bytes = 0
        self._hub.close(error)
        self._hub.publish([], revision)
        self._let_go()

    # --- what happened before -----------------------------------------------------------------------------------------

    async def _history(self, prefix: str, after: int) -> tuple[list[Event], int]:
        if after + 1 < self.compacted:
            raise Compacted(self.compacted)
        if after >= self._base:
            return self._remembered(prefix, after), self.told
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return await self._past(prefix, after)
            except Unavailable:
                await asyncio.sleep(pause_s)
                pause_s = min(_LAST_PAUSE_S, pause_s * 2)

    def _remembered(self, prefix: str, after: int) -> list[Event]:
        found: list[Event] = []
        for event in reversed(self._ring):
            if event.revision <= after:
                break
            if event.key.startswith(prefix):
                found.append(event)
        return found[::-1]

    async def _past(self, prefix: str, after: int) -> tuple[list[Event], int]:
        """Return whole revisions after `after`, at least up to what was told, or as many as are enough at once."""
        events: list[Event] = []
        target = self.told
        async with contextlib.aclosing(self._responses(prefix, after, lambda: target)) as responses:
            async for response in responses:
                if response.created:
                    continue
                events += [self._keys.event(event) for event in response.events]
                until = events[-1].revision if response.events else response.header.revision
                if until >= target or len(events) >= _CATCH_UP:
                    return events, until
        raise AssertionError  # it ends by an error only

    # --- the stream ---------------------------------------------------------------------------------------------------

    async def _responses(self, prefix: str, after: int, wanted: Callable[[], int]) -> AsyncGenerator[Any, None]:
        """Yield what a watch answers; while it is behind a wanted revision, it is asked to say where it stands.

        Raises:
            Compacted
            Unavailable: the stream broke, or the member has no leader.
        """
        stream = self._calls.watch()
        where = self._calls.endpoint(stream.member)
        first, end = self._keys.span(prefix)
        create = {"key": first, "range_end": end, "start_revision": after + 1, "prev_kv": True, "progress_notify": True}
        position = [after]
        nudging = asyncio.ensure_future(self._nudge(stream, position, wanted))
        try:
            stream.send(message["WatchRequest"](create_request=create))
            while True:
                for response in await stream.responses():
                    if response.compact_revision:
                        raise Compacted(response.compact_revision)
                    if response.canceled:
                        raise Unavailable(f"etcd ended the watch: {response.cancel_reason}")
                    if not response.created:
                        last = response.events[-1].kv if response.events else None
                        position[0] = last.mod_revision if last else response.header.revision
                    yield response
        except (CallFailed, EOFError) as error:
            self._calls.turn(stream.member)
            text = str(error) if isinstance(error, EOFError) else error.details()
            raise Unavailable(f"the watch of etcd at {where} broke ({text})") from error
        finally:
            nudging.cancel()
            stream.close()

    async def _nudge(self, stream: EtcdStream, position: list[int], wanted: Callable[[], int]) -> None:
        while True:
            if position[0] >= wanted():
                self._behind.clear()
                await self._behind.wait()
            target = wanted()
            await asyncio.sleep(_GRACE_S)
            while position[0] < target:
                stream.send(message["WatchRequest"](progress_request={}))
                await asyncio.sleep(_NUDGE_S)


def _size(event: Event) -> int:
    return len(event.value or b"") + len(event.previous or b"")
