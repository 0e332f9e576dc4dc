"""watch: one feed a resource follows the store; each event is made into a form at most once, and all who want it share it.

A watcher holds no task. Who is too slow is cut off and may go on from the last version it has seen.

Spec: Kubernetes API concepts, "Efficient detection of changes", "Watch bookmarks", "Streaming lists".
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from sampan.api.kube import answers
from sampan.api.kube.call import Call, invalid_option
from sampan.api.kube.negotiate import PARTIAL, TABLE, Form
from sampan.api.kube.reads import CHUNK, number_of, too_new
from sampan.api.kube.records import Records
from sampan.api.kube.request import Response, Shared, Sink
from sampan.api.kube.selection import Selection
from sampan.api.kube.served import Served
from sampan.base.clock import Clock
from sampan.base.errors import SampanError
from sampan.kube import status, stored
from sampan.kube.object import Object
from sampan.kube.printing import table
from sampan.store.kv.port import Compacted, Event, FutureRevision, Item, Store, Watch

BUFFER_BYTES = 4 * 1024 * 1024
"""What a client may leave untaken before it is cut off."""
BOOKMARK_S = 50.0
HISTORY_S = 330.0
_RING, _RING_BYTES = 2_000, 8 * 1024 * 1024
"""What a feed remembers for those who come back soon; others read the store's own history."""
_SHORTEST_S, _LONGEST_S, _MOST_S = 1800, 3600, 24 * 3600
"""For how long a watch goes on that names no time, and at most."""
_INITIAL_END = "k8s.io/initial-events-end"
_encode = msgspec.json.Encoder().encode


class Wanted(NamedTuple):
    """What a watch was asked for."""

    selection: Selection
    form: Form
    include: str
    bookmarks: bool
    initial: bool  # begin with everything there is
    initial_end: bool  # and say when that was all
    after: int
    timeout_s: float


class Entry:
    """A change, and the forms in which it was already told."""

    __slots__ = ("_forms", "at_s", "event")

    def __init__(self, event: Event, at_s: float) -> None:
        self.event = event
        self.at_s = at_s
        self._forms: dict[tuple[str, object], Shared] = {}

    def told(self, kind: str, shape: Shape) -> Shared:
        """Return the change as an event of a kind, in a form."""
        key = (kind, shape.key)
        found = self._forms.get(key)
        if found is None:
            found = self._forms[key] = Shared(shape.event(kind, self.object(kind)))
        return found

    def object(self, kind: str) -> bytes:
        """Return the object as JSON: of what is deleted or left the selection, how it last was."""
        event = self.event
        if kind == "DELETED":
            gone = event.previous if event.previous is not None else event.value
            return stored.with_revision(gone or b"", event.revision)
        return stored.with_revision(event.value or b"", event.revision)


class Shape:
    """A form of answers for one resource: how an object becomes an event's line."""

    def __init__(self, served: Served, form: Form, include: str, clock: Clock) -> None:
        self._served = served
        self._form = form
        self._include = include
        self._clock = clock
        self.columns = form.shape == TABLE
        """Whether a first event says more than later ones."""
        self.key: object = (served.resource.api_version, form, include)

    def event(self, kind: str, obj: bytes, *, first: bool = False) -> bytes:
        """Return an event's line."""
        if not self._form.shape:
            return b'{"type":"%b","object":%b}\n' % (kind.encode(), obj)
        return self.of_object(kind, msgspec.json.decode(obj, type=Object), first=first)

    def of_object(self, kind: str, obj: Object, *, first: bool = False) -> bytes:
        """Return the line of an object in the served version."""
        if self._form.shape == TABLE:
            obj = table.table(
                self._served.strategy.printer,
                [obj],
                now_s=self._clock.now_ns() / 1e9,
                include_object=self._include,
                list_metadata={"resourceVersion": obj["metadata"]["resourceVersion"]},
                version=self._form.version,
                columns=first,
            )
        elif self._form.shape == PARTIAL:
            obj = table.partial(obj, self._form.version)
        return _encode({"type": kind, "object": obj}) + b"\n"

    def bookmark(self, revision: int, *, initial_end: bool = False) -> bytes:
        """Return the line that says that everything up to a revision was told."""
        metadata: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
        if initial_end:
            metadata["annotations"] = {_INITIAL_END: "true"}
        kind, version = self._served.resource.kind, self._served.resource.api_version
        if self._form.shape == PARTIAL:
            kind, version = "PartialObjectMetadata", f"meta.k8s.io/{self._form.version}"
        obj: Object = {"kind": kind, "apiVersion": version, "metadata": metadata}
        if self._form.shape == TABLE:
            obj = {
                "kind": "Table",
                "apiVersion": f"meta.k8s.io/{self._form.version}",
                "metadata": {"resourceVersion": str(revision)},
                "columnDefinitions": None,
                "rows": [{"cells": [], "object": {**obj, "kind": "PartialObjectMetadata",
                                                  "apiVersion": f"meta.k8s.io/{self._form.version}"}}],
            }  # fmt: skip
        return _encode({"type": "BOOKMARK", "object": obj}) + b"\n"


class Watcher:
    """One client's watch."""

    __slots__ = (
        "_backlog",
        "_first",
        "_served",
        "_shape",
        "_timer",
        "_wanted",
        "after",
        "converter",
        "feed",
        "sink",
        "where",
    )

    def __init__(self, served: Served, wanted: Wanted, shape: Shape, sink: Sink, where: str) -> None:
        self.sink = sink
        self.where = where  # of its keys, below the resource's prefix
        self.after = wanted.after
        self.feed: Feed | None = None
        self.converter: asyncio.Task[None] | None = None
        self._served = served
        self._wanted = wanted
        self._shape = shape
        self._first = shape.columns
        self._backlog: deque[Entry] | None = None  # while the beginning is being written, or objects are converted
        self._timer = asyncio.get_running_loop().call_later(wanted.timeout_s, self._time_is_up)

    def hold(self) -> None:
        """Keep changes back until the beginning was told."""
        self._backlog = deque()

    def release(self) -> None:
        """Tell what was kept back, and go on."""
        backlog, self._backlog = self._backlog, None
        for entry in backlog or ():
            self.tell(entry)

    def tell(self, entry: Entry) -> None:
        """Tell a change that is new to this client and that it selects."""
        event = entry.event
        if event.revision <= self.after:
            return
        if self._backlog is not None:
            self._backlog.append(entry)
            return
        kind = self._kind(event)
        if kind:
            self._write(entry, kind)

    def _kind(self, event: Event) -> str:
        """Return ADDED, MODIFIED or DELETED as this client sees it, "" for nothing."""
        selection = self._wanted.selection
        if selection.everything:
            if event.value is None:
                return "DELETED"
            return "ADDED" if event.previous is None else "MODIFIED"
        now = event.value is not None and selection.matches(event.key, event.value)
        before = event.previous is not None and selection.matches(event.key, event.previous)
        if now:
            return "MODIFIED" if before else "ADDED"
        return "DELETED" if before else ""

    def _write(self, entry: Entry, kind: str) -> None:
        if self._served.conversion is not None:
            self._convert_later(entry, kind)
        elif self._first:
            self._first = False
            self.sink.write(self._shape.event(kind, entry.object(kind), first=True))
        else:
            self.sink.write_shared(entry.told(kind, self._shape))
        if self.sink.buffered > BUFFER_BYTES:
            self.sink.abort()

    def _convert_later(self, entry: Entry, kind: str) -> None:
        """Tell it converted; events keep their order, as each waits for the one before."""
        before = self.converter

        async def convert() -> None:
            if before is not None:
                await before
            [obj] = await answers.served_version(self._served, [msgspec.json.decode(entry.object(kind), type=Object)])
            first, self._first = self._first, False
            self.sink.write(self._shape.of_object(kind, obj, first=first))

        self.converter = asyncio.ensure_future(convert())

    async def begin(self, items: Sequence[Item]) -> None:
        """Tell what is there, a slice at a time."""
        for start in range(0, len(items), CHUNK // 5):
            part = [stored.with_revision(item.value, item.mod_revision) for item in items[start : start + CHUNK // 5]]
            if self._served.conversion is not None:
                decoded = [msgspec.json.decode(value, type=Object) for value in part]
                objects = await answers.served_version(self._served, decoded)
                lines = [self._shape.of_object("ADDED", obj, first=self._take_first()) for obj in objects]
            else:
                lines = [self._shape.event("ADDED", value, first=self._take_first()) for value in part]
            self.sink.write(b"".join(lines))
            await self.sink.drain()

    def _take_first(self) -> bool:
        first, self._first = self._first, False
        return first

    def bookmark(self, revision: int, *, initial_end: bool = False) -> None:
        """Say that everything up to a revision was told."""
        if initial_end or (self._wanted.bookmarks and self._backlog is None):
            self.sink.write(self._shape.bookmark(revision, initial_end=initial_end))

    def fail(self, error: status.ApiError) -> None:
        """End with an event that says why."""
        self.sink.write(_encode({"type": "ERROR", "object": error.status()}) + b"\n")
        self.sink.close()

    def _time_is_up(self) -> None:
        if self.feed is not None:
            self.bookmark(self.feed.revision)
        self.sink.close()

    def close(self) -> None:
        self._timer.cancel()
        if self.converter is not None:
            self.converter.cancel()


class Feed:
    """What all watchers of one resource's keys share."""

    def __init__(self, prefix: str, store: Store, clock: Clock) -> None:
        self.prefix = prefix
        self._clock = clock
        self._ring: deque[Entry] = deque()
        self._ring_bytes = 0
        self._watchers: dict[str, set[Watcher]] = {}
        self.base = self.revision = store.revision
        """The ring has every change after `base`, and everything up to `revision` was told."""
        self.failed: SampanError | None = None
        self._watch: Watch = store.watch(prefix, self.base, self._deliver, self._fail)

    def join(self, watcher: Watcher) -> None:
        """Tell a watcher what it has missed, and what comes."""
        watcher.feed = self
        for entry in self._ring:
            if entry.event.revision > watcher.after and self._concerns(watcher, entry.event.key):
                watcher.tell(entry)
        self._watchers.setdefault(watcher.where, set()).add(watcher)

    def leave(self, watcher: Watcher) -> None:
        group = self._watchers.get(watcher.where, set())
        group.discard(watcher)
        if not group:
            self._watchers.pop(watcher.where, None)

    @property
    def watchers(self) -> list[Watcher]:
        return [watcher for group in self._watchers.values() for watcher in group]

    def __len__(self) -> int:
        return sum(map(len, self._watchers.values()))

    def close(self) -> None:
        self._watch.close()

    def _concerns(self, watcher: Watcher, key: str) -> bool:
        rest = key[len(self.prefix) :]
        return (
            not watcher.where or rest == watcher.where or (watcher.where[-1] == "/" and rest.startswith(watcher.where))
        )

    def _deliver(self, events: Sequence[Event], revision: int) -> None:
        now = self._clock.monotonic_s()
        for event in events:
            entry = Entry(event, now)
            self._ring.append(entry)
            self._ring_bytes += _size(event)
            rest = event.key[len(self.prefix) :]
            space = rest[: rest.find("/") + 1]
            for where in ("", space, rest) if space else ("", rest):
                for watcher in list(self._watchers.get(where, ())):
                    watcher.tell(entry)
        self.revision = revision
        oldest = now - HISTORY_S
        while self._ring and (self._ring[0].at_s < oldest or len(self._ring) > _RING or self._ring_bytes > _RING_BYTES):
            event = self._ring.popleft().event
            self._ring_bytes -= _size(event)
            self.base = event.revision

    def _fail(self, error: SampanError) -> None:
        self.failed = error
        for watcher in self.watchers:
            watcher.fail(gone(error))


def _size(event: Event) -> int:
    return len(event.value or b"") + len(event.previous or b"")


class Watches:
    """The verb watch."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
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
            private = self._follow_alone(watcher, feed, store)
        watcher.sink.on_close(leave)

    def _follow_alone(self, watcher: Watcher, feed: Feed, store: Store) -> Watch:
        """Follow the store for a watcher that begins before what the feed remembers."""
        prefix = feed.prefix + watcher.where

        def deliver(events: Sequence[Event], revision: int) -> None:
            now = self._clock.monotonic_s()
            for event in events:
                if event.key == prefix or not watcher.where or prefix[-1] == "/":
                    watcher.tell(Entry(event, now))

        watch = store.watch(prefix, watcher.after, deliver, lambda error: watcher.fail(gone(error)))
        self._private.add(watch)
        return watch

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


def gone(error: SampanError) -> status.ApiError:
    """Return why a watch ends, as its last event says it."""
    if isinstance(error, Compacted):
        return status.expired(f"The resourceVersion for the provided watch is too old: {error}")
    return status.ApiError(500, "InternalError", str(error))


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
