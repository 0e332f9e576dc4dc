"""One client's watch: what it selects, in the form that it wants. It holds no task while nothing has to be converted."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from sampan.api.kube import answers
from sampan.api.kube.negotiate import Form
from sampan.api.kube.reads import CHUNK
from sampan.api.kube.request import Sink
from sampan.api.kube.selection import Selection
from sampan.api.kube.served import Served
from sampan.api.kube.watch_forms import Entry, Shape, encode
from sampan.base import log
from sampan.base.errors import SampanError
from sampan.kube import status, stored
from sampan.kube.object import Object
from sampan.store.kv.port import Compacted, Event, Item

BUFFER_BYTES = 4 * 1024 * 1024
"""What a client may leave untaken before it is cut off."""
_HELD_BYTES = 4 * BUFFER_BYTES
"""What is kept back for one client at most: the beginning of its watch is taken too slowly, or is converted too slowly."""

_log = log.get("kube")


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


class Watcher:
    """Tells its client of changes. Who is too slow is cut off."""

    __slots__ = (
        "_backlog",
        "_converter",
        "_first",
        "_held_bytes",
        "_served",
        "_shape",
        "_timer",
        "_wanted",
        "after",
        "sink",
        "told",
        "where",
    )

    def __init__(self, served: Served, wanted: Wanted, shape: Shape, sink: Sink, where: str) -> None:
        self.sink = sink
        self.where = where  # of its keys, below the resource's prefix
        self.after = wanted.after
        self.told: Callable[[], int] = lambda: 0
        """Return up to which revision everything was told. Whoever tells it sets this."""
        self._converter: asyncio.Task[None] | None = None
        self._held_bytes = 0
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
        if self._backlog and self._served.conversion is not None:
            self._converter = asyncio.ensure_future(self._tell_converted(self._backlog))
            return
        backlog, self._backlog, self._held_bytes = self._backlog, None, 0
        for entry in backlog or ():
            self.tell(entry)

    def tell(self, entry: Entry) -> None:
        """Tell a change that is new to this client and that it selects."""
        event = entry.event
        if event.revision <= self.after:
            return
        if self._backlog is not None:
            self._keep_back(self._backlog, entry)
        elif kind := self._kind(event):
            if self._served.conversion is None:
                self._write(entry, kind)
            else:
                self.hold()
                self.tell(entry)
                self.release()

    def _keep_back(self, backlog: deque[Entry], entry: Entry) -> None:
        self._held_bytes += entry.size
        if self._held_bytes > _HELD_BYTES:
            backlog.clear()
            self.sink.abort()
        else:
            backlog.append(entry)

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
        if self._first:
            self._first = False
            self.sink.write(self._shape.event(kind, entry.object(kind), first=True))
        else:
            self.sink.write_shared(entry.told(kind, self._shape))
        self._look_at_buffer()

    def _look_at_buffer(self) -> None:
        if self.sink.buffered > BUFFER_BYTES:
            self.sink.abort()

    async def _tell_converted(self, backlog: deque[Entry]) -> None:
        """Tell what is kept back in the served version, in order, until there is no more of it."""
        try:
            while backlog:
                entry = backlog.popleft()
                self._held_bytes -= entry.size
                if kind := self._kind(entry.event):
                    decoded = msgspec.json.decode(entry.object(kind), type=Object)
                    [obj] = await answers.served_version(self._served, [decoded])
                    self.sink.write(self._shape.of_object(kind, obj, first=self._take_first()))
                    self._look_at_buffer()
        except status.ApiError as error:
            self.fail(error)
        except Exception as error:
            _log.exception("a watch of %s ends by a defect of ours", self._served.resource.plural)
            self.fail(status.internal(f"an event cannot be converted: {error}"))
        else:
            self._backlog = None

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
        self.sink.write(encode({"type": "ERROR", "object": error.status()}) + b"\n")
        self.sink.close()

    def _time_is_up(self) -> None:
        if revision := self.told():
            self.bookmark(revision)
        self.sink.close()

    def close(self) -> None:
        self._timer.cancel()
        if self._converter is not None:
            self._converter.cancel()


def gone(error: SampanError) -> status.ApiError:
    """Return why a watch ends, as its last event says it."""
    if isinstance(error, Compacted):
        return status.expired(f"The resourceVersion for the provided watch is too old: {error}")
    return status.ApiError(500, "InternalError", str(error))
