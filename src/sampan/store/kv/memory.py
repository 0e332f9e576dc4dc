"""MemoryStore: everything in this process, nothing on a disk. For simulation, and the twin of the others in tests."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Sequence

from sampan.base.clock import Clock, SystemClock
from sampan.store.kv.local import LocalStore
from sampan.store.kv.log import Done, LeaseRow, Opened
from sampan.store.kv.row import SUB_BITS, Row


class MemoryLog:
    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}
        self._ids: list[int] = []
        self._by_key: dict[str, list[int]] = {}

    def open(self) -> Opened:
        return Opened((), (), (), 0, 0)

    def append(self, epoch: int, rows: Sequence[Row], leases: Sequence[LeaseRow], done: Done) -> None:
        for row in rows:
            self._rows[row.id] = row
            self._ids.append(row.id)
            self._by_key.setdefault(row.key, []).append(row.id)
        asyncio.get_running_loop().call_soon(done, None)

    def values(self, ids: Sequence[int]) -> list[bytes]:
        return [self._rows[number].value or b"" for number in ids]

    def find(self, key: str, bound: int) -> Row | None:
        ids = self._by_key.get(key, [])
        place = bisect_left(ids, bound)
        return self._rows[ids[place - 1]] if place else None

    async def since(self, first: int, bound: int, prefix: str, limit: int) -> list[tuple[Row, bytes | None]]:
        found: list[tuple[Row, bytes | None]] = []
        for place in range(bisect_left(self._ids, first), bisect_left(self._ids, bound)):
            row = self._rows[self._ids[place]]
            if row.key.startswith(prefix):
                before = self._rows.get(row.previous)
                found.append((row, before.value if before else None))
                if len(found) == limit:
                    break
        return found

    async def compact(self, revision: int) -> None:
        bound = (revision + 1) << SUB_BITS
        kept: list[int] = []
        for number in self._ids:
            row = self._rows[number]
            ids = self._by_key[row.key]
            superseded = len(ids) > 1 and ids[0] == number and ids[1] < bound
            if number < bound and (row.value is None or superseded):
                del self._rows[number]
                ids.remove(number)
                if not ids:
                    del self._by_key[row.key]
            else:
                kept.append(number)
        self._ids = kept

    async def close(self) -> None:
        pass


class MemoryStore(LocalStore):
    """A `Store`. Make it on a running event loop."""

    def __init__(self, clock: Clock | None = None, *, history_s: float = 300.0) -> None:
        super().__init__(MemoryLog(), clock or SystemClock(), history_s=history_s)
