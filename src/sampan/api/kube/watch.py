"""watch: one feed a resource follows the store; each event is made into a form at most once, and all who want it share it.

A watcher holds no task. Who is too slow is cut off and may go on from the last version it has seen.

Spec: Kubernetes API concepts, "Efficient detection of changes", "Watch bookmarks", "Streaming lists".
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from sampan.api.kube import answers
from sampan.api.kube.call import Call, invalid_option
from sampan.api.kube.feed import Feed
from sampan.api.kube.reads import number_of, too_new
from sampan.api.kube.records import Records
from sampan.api.kube.request import Response, Sink
from sampan.api.kube.selection import Selection
from sampan.api.kube.served import Registry, Served
from sampan.api.kube.watch_forms import Entry, Shape
from sampan.api.kube.watcher import Wanted, Watcher, gone
from sampan.base.clock import Clock
from sampan.store.kv.port import Event, FutureRevision, Store, Watch

BOOKMARK_S = 50.0
_SHORTEST_S, _LONGEST_S, _MOST_S = 1800, 3600, 24 * 3600
"""For how long a watch goes on that names no time, and at most."""


class Watches:
    """The verb watch."""

    def __init__(self, records: Records, clock: Clock, served: Registry) -> None:
        self._records = records
        self._served = served
        served.on_change(self._forget_unserved)
        self._clock = clock
        self._feeds: dict[str, Feed] = {}
        self._private: set[Watch] = set()
        self._bookmarks: asyncio.Task[None] | None = None

    def count(self) -> int:
        """Return how many watches are open on feeds."""
        return sum(len(feed) for feed in self._feeds.values())

    async def watch(self, call: Call) -> Response:
        """Answer with changes until the time is up, the client leaves, or history is gone.

        Raises:
            ApiError: 400, 422; 504, a version that was not made yet.
        """
        wanted = _wanted(call)
        store = self._records.store(call.served.resource)
        if wanted.after > store.revision and wanted.after > (revision := await store.current()):
            raise too_new(FutureRevision(wanted.after, revision))
        if self._bookmarks is None:
            self._bookmarks = asyncio.create_task(self._tell_bookmarks(), name="bookmarks")
        shape = Shape(call.served, wanted.form, wanted.include, self._clock)
        feed = self._feed(call.served, store)

        async def stream(sink: Sink) -> None:
            await self._begin(call, wanted, shape, feed, store, sink)

        def start(sink: Sink) -> None:
            self._attach(self._watcher(call, wanted, shape, sink), feed, store)

        headers = answers.warnings(call)
        return Response(headers=headers, stream=stream if wanted.initial else start)

    def _watcher(self, call: Call, wanted: Wanted, shape: Shape, sink: Sink) -> Watcher:
        target, resource = call.target, call.served.resource
        name = target.name or (wanted.selection.key.rpartition("/")[2] if wanted.selection.key else "")
        space = f"{target.namespace}/" if resource.namespaced and target.namespace else ""
        return Watcher(call.served, wanted, shape, sink, space + name)

    async def _begin(self, call: Call, wanted: Wanted, shape: Shape, feed: Feed, store: Store, sink: Sink) -> None:
        """Tell everything there is at one revision, then what changes after it."""
        watcher = self._watcher(call, wanted, shape, sink)
        prefix = call.served.resource.prefix
        page = await store.range(prefix + watcher.where)
        items = [item for item in page.items if wanted.selection.matches(item.key, item.value)]
        if watcher.where and watcher.where[-1] != "/":
            items = [item for item in items if item.key == prefix + watcher.where]
        watcher.after = page.revision
        watcher.hold()
        self._attach(watcher, feed, store)
        await watcher.begin(items)
        if wanted.initial_end:
            watcher.bookmark(page.revision, initial_end=True)
        watcher.release()

    def _attach(self, watcher: Watcher, feed: Feed, store: Store) -> None:
        def leave() -> None:
            feed.leave(watcher)
            watcher.close()
            if private is not None:
                private.close()
                self._private.discard(private)

        private: Watch | None = None
        if feed.failed is not None:
            watcher.fail(gone(feed.failed))
        elif watcher.after >= feed.base:
            feed.join(watcher)
        else:
            private = self._catch_up(watcher, feed, store)
        watcher.sink.on_close(leave)

    def _catch_up(self, watcher: Watcher, feed: Feed, store: Store) -> Watch:
        """Read the store's history for a watcher that begins before what the feed remembers; then the feed takes over."""
        prefix = feed.prefix + watcher.where

        def deliver(events: Sequence[Event], revision: int) -> None:
            now = self._clock.monotonic_s()
            for event in events:
                if event.key == prefix or not watcher.where or prefix[-1] == "/":
                    watcher.tell(Entry(event, now))
            if feed.failed is not None:
                watcher.fail(gone(feed.failed))
            elif revision >= feed.base:
                watch.close()
                self._private.discard(watch)
                watcher.after = max(watcher.after, revision)
                feed.join(watcher)

        watch = store.watch(prefix, watcher.after, deliver, lambda error: watcher.fail(gone(error)))
        self._private.add(watch)
        return watch

    def _forget_unserved(self) -> None:
        """End watches of what is served no more."""
        served = {item.resource.prefix for item in self._served}
        for prefix in [prefix for prefix in self._feeds if prefix not in served]:
            self._feeds.pop(prefix).end()

    def _feed(self, served: Served, store: Store) -> Feed:
        prefix = served.resource.prefix
        feed = self._feeds.get(prefix)
        if feed is None or feed.failed is not None:
            feed = self._feeds[prefix] = Feed(prefix, store, self._clock)
        return feed

    async def _tell_bookmarks(self) -> None:
        while True:
            await asyncio.sleep(BOOKMARK_S)
            for feed in list(self._feeds.values()):
                for number, watcher in enumerate(feed.watchers):
                    watcher.bookmark(feed.revision)
                    if number % 200 == 199:
                        await asyncio.sleep(0)

    async def close(self) -> None:
        if self._bookmarks is not None:
            self._bookmarks.cancel()
        for feed in self._feeds.values():
            feed.close()
        for watch in list(self._private):
            watch.close()


def _wanted(call: Call) -> Wanted:
    request = call.request
    after = number_of(request.parameter("resourceVersion"))
    match = request.parameter("resourceVersionMatch")
    stated = "sendInitialEvents" in request.parameters
    initial_end = stated and request.flag("sendInitialEvents")
    if stated and match != "NotOlderThan":
        raise invalid_option(
            "resourceVersionMatch", match, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        )
    if match and not stated:
        raise invalid_option(
            "resourceVersionMatch",
            match,
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        )
    if initial_end and not request.flag("allowWatchBookmarks"):
        raise invalid_option("sendInitialEvents", True, "sendInitialEvents requires allowWatchBookmarks")
    timeout_s = call.integer("timeoutSeconds")
    return Wanted(
        Selection.of(call),
        call.form,
        request.parameter("includeObject") or "Metadata",
        request.flag("allowWatchBookmarks"),
        initial_end or (not stated and after == 0),
        initial_end,
        after,
        # spread, so that clients that came together do not all come back together
        float(min(timeout_s, _MOST_S)) if timeout_s > 0 else random.uniform(_SHORTEST_S, _LONGEST_S),  # noqa: S311
    )
