"""LocalStore: a Store over a log in this process. What both the memory and the SQLite form do is done here, once.

Writes are judged on the loop against what is committed and what is on its way to the log, get their revisions there, and
become visible when the log has them. A refusal that rests on a write that is still on its way waits for that write:
nobody may see the effect of what a crash could still undo.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Sequence

from sampan.base import log as logging
from sampan.base.clock import Clock
from sampan.base.errors import InvalidArgument, NotFound, SampanError, Unavailable
from sampan.store.kv import history
from sampan.store.kv.hub import Hub
from sampan.store.kv.index import Found, Index
from sampan.store.kv.log import LeaseRow, Log
from sampan.store.kv.port import Compacted, CompareFailed, Deliver, Event, FutureRevision, Item, Op, Page, Watch
from sampan.store.kv.row import MAX_OPS, Head, Row, row_id

SLICE = 256
"""Values read in one turn of the loop: one or two milliseconds."""
_CATCH_UP = 1000

_logger = logging.get("store.kv")


class LocalStore:
    """A `Store`. Make it on a running event loop; `history_s`: for how long old revisions can be read at least."""

    def __init__(self, log: Log, clock: Clock, *, history_s: float = 300.0) -> None:
        self._log = log
        self._clock = clock
        opened = log.open()
        self._index = Index()
        self._index.load(opened.live, opened.deleted)
        self._revision = self._planned = opened.revision
        self._compacted = opened.compacted
        self._pending: dict[str, Head | None] = {}
        self._waiting = 0
        self._flushed: list[asyncio.Future[None]] = []
        self._epoch = 0
        self._hub = Hub(self._history, self._revision)
        self._leases = {lease.id: lease.ttl_s for lease in opened.leases}
        self._held: dict[int, set[str]] = {}
        for key, head in self._index.heads.items():
            if head.lease:
                self._held.setdefault(head.lease, set()).add(key)
        now = clock.monotonic_s()
        self._due = {lease: now + ttl_s for lease, ttl_s in self._leases.items()}
        self._heap = [(due, lease) for lease, due in self._due.items()]
        heapq.heapify(self._heap)
        self._next_lease = max(self._leases, default=0) + 1
        self._tasks = [
            asyncio.ensure_future(self._expire()),
            asyncio.ensure_future(history.keep(self, clock, history_s)),
        ]
        self._woken = asyncio.Event()
        self._closed = False

    # --- reads --------------------------------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        return self._revision

    async def current(self) -> int:
        return self._revision

    async def get(self, key: str, *, revision: int = 0) -> Item | None:
        self._check(revision)
        head = self._index.heads.get(key)
        if revision and (head is None or head.revision > revision):
            row = self._log.find(key, row_id(revision + 1))
            if row is None or row.value is None:
                return None
            head = Head(row.id, row.create_revision, row.version, row.lease)
        if head is None:
            return None
        return Item(key, self._log.values([head.id])[0], head.create_revision, head.revision, head.version)

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        self._check(revision)
        at = revision or self._revision
        if at == self._revision:
            found, remaining = self._index.now(prefix, after, limit)
        else:
            found, remaining = self._index.at(prefix, after, limit, row_id(at + 1), self._log.find)
        items: list[Item] = []
        for start in range(0, len(found), SLICE):
            items += self._items(found[start : start + SLICE])
            if start + SLICE < len(found):
                await asyncio.sleep(0)
        return Page(items, at, remaining)

    def _items(self, found: Sequence[Found]) -> list[Item]:
        values = self._log.values([head.id for _, head in found])
        return [
            Item(key, value, head.create_revision, head.revision, head.version)
            for (key, head), value in zip(found, values, strict=True)
        ]

    def _check(self, revision: int) -> None:
        if revision > self._revision:
            raise FutureRevision(revision, self._revision)
        if revision and revision < self._compacted:
            raise Compacted(self._compacted)

    # --- writes -------------------------------------------------------------------------------------------------------

    async def commit(self, ops: Sequence[Op]) -> int:
        return await self._write(ops, ())

    async def _write(self, ops: Sequence[Op], leases: Sequence[LeaseRow]) -> int:
        if self._closed:
            raise Unavailable("the store is closed: the server is stopping")
        try:
            rows = self._plan(ops)
        except CompareFailed as error:
            if error.key in self._pending:
                await self._flush()
            raise
        if not rows and not leases:
            if any(op.key in self._pending for op in ops):
                await self._flush()
            return self._revision
        revision = self._planned + 1 if rows else self._planned
        self._planned = revision
        for row in rows:
            self._pending[row.key] = (
                None if row.value is None else Head(row.id, row.create_revision, row.version, row.lease)
            )
        settled: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting += 1
        self._log.append(self._epoch, rows, leases, lambda error: self._settle(rows, revision, settled, error))
        return await asyncio.shield(settled)

    def _plan(self, ops: Sequence[Op]) -> list[Row]:
        """Return the rows of a transaction; all expectations hold."""
        if len({op.key for op in ops}) < len(ops):
            raise InvalidArgument("a key occurs twice in one transaction")
        if len(ops) > MAX_OPS:
            raise InvalidArgument(f"a transaction has at most {MAX_OPS} operations")
        revision, rows = self._planned + 1, []
        for place, (key, value, expect, lease) in enumerate(ops):
            head = self._pending[key] if key in self._pending else self._index.heads.get(key)
            if expect is not None and expect != (head.revision if head else 0):
                raise CompareFailed(place, key, head.revision if head else 0)
            if lease and lease not in self._leases:
                raise NotFound(f"lease {lease} has ended")
            if value is None:
                if head is not None:
                    rows.append(Row(row_id(revision, place), key, head.create_revision, 0, 0, head.id, None))
            elif head is None:
                rows.append(Row(row_id(revision, place), key, revision, 1, lease, 0, value))
            else:
                rows.append(
                    Row(row_id(revision, place), key, head.create_revision, head.version + 1, lease, head.id, value)
                )
        return rows

    def _settle(
        self, rows: Sequence[Row], revision: int, settled: asyncio.Future[int], error: SampanError | None
    ) -> None:
        self._waiting -= 1
        if error is not None:
            # what was planned after it rests on it and fails, too; planning begins again from what is there
            self._epoch += 1
            self._pending.clear()
            self._planned = self._revision
            if not settled.done():
                settled.set_exception(error)
        else:
            self._apply(rows, revision)
            if not settled.done():
                settled.set_result(revision)
        if not self._waiting:
            for waiter in self._flushed:
                waiter.set_result(None)
            self._flushed.clear()

    def _apply(self, rows: Sequence[Row], revision: int) -> None:
        events = []
        for row in rows:
            if self._hub.interested(row.key):
                events.append(self._event(row, self._log.values([row.previous])[0] if row.previous else None))
            self._move_lease(row)
            self._index.apply(row)
            pending = self._pending.get(row.key, _ABSENT)
            if (pending is None and row.value is None) or (isinstance(pending, Head) and pending.id == row.id):
                del self._pending[row.key]
        if rows:
            self._revision = revision
            self._hub.publish(events, revision)

    async def _flush(self) -> None:
        """Return when everything that is on its way now has arrived."""
        if self._waiting:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._flushed.append(waiter)
            await waiter

    # --- watches ------------------------------------------------------------------------------------------------------

    def watch(self, prefix: str, after: int, deliver: Deliver, failed: Callable[[SampanError], None]) -> Watch:
        return self._hub.watch(prefix, after, deliver, failed)

    async def _history(self, prefix: str, after: int) -> tuple[list[Event], int]:
        if after + 1 < self._compacted:
            raise Compacted(self._compacted)
        until = self._revision
        rows = await self._log.since(row_id(after + 1), row_id(until + 1), prefix, _CATCH_UP)
        if after + 1 < self._compacted:  # meanwhile
            raise Compacted(self._compacted)
        if len(rows) == _CATCH_UP:  # the last revision may not be whole
            until = rows[-1][0].revision - 1
            whole = [pair for pair in rows if pair[0].revision <= until]
            if not whole:
                rows = await self._log.since(row_id(after + 1), row_id(rows[-1][0].revision + 1), prefix, MAX_OPS)
                until = rows[-1][0].revision
            else:
                rows = whole
        return [self._event(row, previous) for row, previous in rows], until

    @staticmethod
    def _event(row: Row, previous: bytes | None) -> Event:
        return Event(row.key, row.value, row.revision, row.create_revision, row.version, previous, row.previous >> 10)

    # --- compaction ---------------------------------------------------------------------------------------------------

    async def compact(self, revision: int) -> None:
        if revision > self._revision:
            raise FutureRevision(revision, self._revision)
        if revision <= self._compacted:
            return
        self._compacted = revision
        self._index.forget(row_id(revision + 1))
        await self._log.compact(revision)

    # --- leases -------------------------------------------------------------------------------------------------------

    async def grant(self, ttl_s: int) -> int:
        lease, self._next_lease = self._next_lease, self._next_lease + 1
        await self._write((), [LeaseRow(lease, ttl_s)])
        self._leases[lease] = ttl_s
        self._renew(lease)
        return lease

    async def keep_alive(self, lease: int) -> None:
        if lease not in self._leases:
            raise NotFound(f"lease {lease} has ended")
        self._renew(lease)

    async def revoke(self, lease: int) -> None:
        if self._leases.pop(lease, None) is None:
            return
        self._due.pop(lease, None)
        keys = sorted(self._held.get(lease, ()))
        for start in range(0, len(keys), MAX_OPS):
            await self._write([Op(key, None) for key in keys[start : start + MAX_OPS] if self._still(key, lease)], ())
        await self._write((), [LeaseRow(lease, 0)])
        if not self._held.get(lease):
            self._held.pop(lease, None)

    def _still(self, key: str, lease: int) -> bool:
        head = self._index.heads.get(key)
        return head is not None and head.lease == lease

    def _renew(self, lease: int) -> None:
        due = self._clock.monotonic_s() + self._leases[lease]
        self._due[lease] = due
        heapq.heappush(self._heap, (due, lease))
        self._woken.set()

    def _move_lease(self, row: Row) -> None:
        before = self._index.heads.get(row.key)
        if before is not None and before.lease and before.lease != row.lease:
            self._held.get(before.lease, set()).discard(row.key)
        if row.lease:
            self._held.setdefault(row.lease, set()).add(row.key)

    async def _expire(self) -> None:
        """End leases when their time has come."""
        while True:
            while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
                heapq.heappop(self._heap)
            left_s = self._heap[0][0] - self._clock.monotonic_s() if self._heap else None
            if left_s is not None and left_s <= 0:
                try:
                    await self.revoke(heapq.heappop(self._heap)[1])
                except SampanError as error:
                    _logger.warning("a lease that is over is not ended yet: %s", error)
                    await asyncio.sleep(1.0)
                continue
            self._woken.clear()
            try:
                await asyncio.wait_for(self._woken.wait(), left_s)
            except TimeoutError:
                continue

    # --- the end ------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await self._flush()
        self._hub.close(Unavailable("the store is closed: the server is stopping"))
        await self._log.close()


_ABSENT = object()
