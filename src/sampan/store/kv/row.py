"""Row: one change of one key, as the log keeps it; and Head, what is remembered of a key's newest row."""

from __future__ import annotations

from typing import NamedTuple

SUB_BITS = 10
MAX_OPS = 1 << SUB_BITS


class Row(NamedTuple):
    """`id` holds the revision and the place in its transaction, so ids are ordered as changes are."""

    id: int
    key: str
    create_revision: int
    version: int
    lease: int
    previous: int  # id of the key's row before this one; 0 for a creation
    value: bytes | None  # None: the key was deleted

    @property
    def revision(self) -> int:
        return self.id >> SUB_BITS


class Head(NamedTuple):
    """A key that exists."""

    id: int
    create_revision: int
    version: int
    lease: int

    @property
    def revision(self) -> int:
        return self.id >> SUB_BITS


def row_id(revision: int, place: int = 0) -> int:
    """Return the id of a transaction's row; all rows of earlier revisions have smaller ones."""
    return revision << SUB_BITS | place
