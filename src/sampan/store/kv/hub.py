"""Hub: watches on a local store. A new one catches up from the log, then gets each change when it happens.

Delivery is a plain call, so there is no queue that a slow watcher could fill: who is slow keeps its own buffer, or loses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from sampan.base import log
from sampan.base.errors import SampanError
from sampan.store.kv.port import Deliver, Event

_log = log.get("store.kv")

History = Callable[[str, int], Awaitable[tuple[list[Event], int]]]
"""`history(prefix, after)`: whole revisions greater than `after`, and the revision up to which that is all."""


def bucket(key: str) -> str:
    """Return the resource part of a key, `/core/pods/`; "" of what has none."""
    second = key.find("/", 1)
    third = key.find("/", second + 1) if second > 0 else -1
    return key[: third + 1] if third > 0 else ""


class Hub:
    """Call it on one event loop."""

    def __init__(self, history: History, revision: int) -> None:
        self._history = history
        self._revision = revision
        self._live: dict[str, dict[HubWatch, None]] = {}
        self._news: list[Event] = []
        self._flushing = False
        self._all: set[HubWatch] = set()

    def interested(self, key: str) -> bool:
        """Return whether anybody would be told of a change of this key now."""
        return bool(self._live.get(bucket(key)) or self._live.get(""))

    def publish(self, events: Sequence[Event], revision: int) -> None:
        """Tell live watches of a revision; those of one turn of the loop are told together."""
        self._news.extend(events)
        self._revision = revision
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def watch(self, prefix: str, after: int, deliver: Deliver, failed: Callable[[SampanError], None]) -> HubWatch:
        watch = HubWatch(self, prefix, after, deliver, failed)
        self._all.add(watch)
        watch.catching_up = asyncio.ensure_future(self._catch_up(watch))
        return watch

    def close(self, error: SampanError) -> None:
        """End all watches."""
        for watch in list(self._all):
            watch.fail(error)

    async def _catch_up(self, watch: HubWatch) -> None:
        try:
            while not watch.closed:
                if watch.told >= self._revision and not self._news:
                    self._live.setdefault(bucket(watch.prefix), {})[watch] = None
                    watch.deliver([], max(watch.told, self._revision))
                    return
                if watch.told >= self._revision:
                    await asyncio.sleep(0)  # what is about to be told to the others is not for us
                    continue
                events, revision = await self._history(watch.prefix, watch.told)
                if not watch.closed:
                    watch.told = revision
                    watch.deliver(events, revision)
        except SampanError as error:
            watch.fail(error)
        except Exception as error:
            _log.exception("a watch of %s ends by a defect of ours", watch.prefix)
            watch.fail(SampanError(f"what came could not be taken in: {error}"))

    def _flush(self) -> None:
        self._flushing = False
        news, self._news = self._news, []
        by_bucket: dict[str, list[Event]] = {}
        for event in news:
            by_bucket.setdefault(bucket(event.key), []).append(event)
        for name, watches in list(self._live.items()):
            events = news if name == "" else by_bucket.get(name, [])
            for watch in list(watches):
                watch.tell(events, self._revision)

    def leave(self, watch: HubWatch) -> None:
        self._all.discard(watch)
        watches = self._live.get(bucket(watch.prefix), {})
        watches.pop(watch, None)
        if not watches:
            self._live.pop(bucket(watch.prefix), None)


class HubWatch:
    def __init__(
        self, hub: Hub, prefix: str, after: int, deliver: Deliver, failed: Callable[[SampanError], None]
    ) -> None:
        self.prefix = prefix
        self.told = after
        self.deliver = deliver
        self.closed = False
        self.catching_up: asyncio.Future[None] | None = None
        self._hub = hub
        self._failed = failed
        self._narrow = prefix != bucket(prefix)

    def tell(self, events: Sequence[Event], revision: int) -> None:
        """Deliver what is below the prefix and was not told."""
        if self.closed or revision <= self.told:
            return
        if self._narrow:
            events = [event for event in events if event.key.startswith(self.prefix)]
        if events and events[0].revision <= self.told:
            events = [event for event in events if event.revision > self.told]
        self.told = revision
        try:
            self.deliver(events, revision)
        except Exception as error:  # the others are told all the same
            _log.exception("a watch of %s ends by a defect of ours", self.prefix)
            self.fail(SampanError(f"what came could not be taken in: {error}"))

    def fail(self, error: SampanError) -> None:
        if not self.closed:
            self.close()
            self._failed(error)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._hub.leave(self)
            if self.catching_up is not None and self.catching_up is not _current():
                self.catching_up.cancel()


def _current() -> asyncio.Task[None] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
