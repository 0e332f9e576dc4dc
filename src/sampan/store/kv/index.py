"""Index: which keys exist now, in order, and which were deleted since the last compaction. Values are not in it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from sortedcontainers import SortedList

from sampan.store.kv.row import Head, Row

Find = Callable[[str, int], Row | None]
"""`find(key, bound)`: the key's newest row with an id below `bound`, without its value."""


class Found(NamedTuple):
    """A key in a range, and the row it has there."""

    key: str
    head: Head


class Index:
    def __init__(self) -> None:
        self.heads: dict[str, Head] = {}
        self._keys: SortedList[str] = SortedList()
        self._ghosts: dict[str, int] = {}  # deleted key -> id of its deletion
        self._ghost_keys: SortedList[str] = SortedList()

    def load(self, rows: Iterable[Row], ghosts: Iterable[Row]) -> None:
        """Take in the newest row of every key: those that exist, and those that were deleted."""
        self.heads = {row.key: Head(row.id, row.create_revision, row.version, row.lease) for row in rows}
        self._keys = SortedList(self.heads)
        self._ghosts = {row.key: row.id for row in ghosts}
        self._ghost_keys = SortedList(self._ghosts)

    def apply(self, row: Row) -> None:
        """Take in a change."""
        key = row.key
        if row.value is None:
            if self.heads.pop(key, None) is not None:
                self._keys.remove(key)
            if key not in self._ghosts:
                self._ghost_keys.add(key)
            self._ghosts[key] = row.id
            return
        if key not in self.heads:
            self._keys.add(key)
        self.heads[key] = Head(row.id, row.create_revision, row.version, row.lease)

    def forget(self, bound: int) -> None:
        """Drop deletions with an id below `bound`."""
        for key in [key for key, deleted in self._ghosts.items() if deleted < bound]:
            del self._ghosts[key]
            self._ghost_keys.remove(key)

    def now(self, prefix: str, after: str, limit: int) -> tuple[list[Found], int]:
        """Return the keys of a range as they are now, and how many come after them."""
        first, last = self._span(self._keys, prefix, after)
        end = min(last, first + limit) if limit else last
        return [Found(key, self.heads[key]) for key in self._keys.islice(first, end)], last - end

    def at(self, prefix: str, after: str, limit: int, bound: int, find: Find) -> tuple[list[Found], int]:
        """Return the same as it was before the row `bound`; the number of keys that come after is an estimate."""
        found: list[Found] = []
        for key in self._candidates(prefix, after):
            head = self.heads.get(key)
            if head is None or head.id >= bound:
                row = find(key, bound)
                if row is None or row.value is None:
                    continue
                head = Head(row.id, row.create_revision, row.version, row.lease)
            if limit and len(found) == limit:
                first, last = self._span(self._keys, prefix, found[-1].key)
                return found, max(1, last - first)
            found.append(Found(key, head))
        return found, 0

    def _candidates(self, prefix: str, after: str) -> Iterator[str]:
        live = self._keys.islice(*self._span(self._keys, prefix, after))
        dead = self._ghost_keys.islice(*self._span(self._ghost_keys, prefix, after))
        before = ""
        for key in heapq.merge(live, dead):
            if key != before:
                yield key
            before = key

    @staticmethod
    def _span(keys: SortedList[str], prefix: str, after: str) -> tuple[int, int]:
        first = keys.bisect_right(after) if after >= prefix and after else keys.bisect_left(prefix)
        return first, keys.bisect_left(past(prefix)) if prefix else len(keys)


def past(prefix: str) -> str:
    """Return the smallest string that is greater than all that begin with `prefix`, which is not empty."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
