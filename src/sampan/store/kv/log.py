"""Log: where rows are kept. The store above it decides; a log only remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from sampan.base.errors import SampanError
from sampan.store.kv.row import Row


class LeaseRow(NamedTuple):
    """A lease that was granted; `ttl_s` of 0 takes it out."""

    id: int
    ttl_s: int


class Opened(NamedTuple):
    """What a log holds when it is opened: newest rows without values, leases, and the revisions it spans."""

    live: Iterable[Row]
    deleted: Iterable[Row]
    leases: Sequence[LeaseRow]
    revision: int
    compacted: int


Done = Callable[[SampanError | None], None]


class Log(Protocol):
    """Reads are quick and may be called from the loop; `append` answers later."""

    def open(self) -> Opened:
        """Return what is there."""
        ...

    def append(self, epoch: int, rows: Sequence[Row], leases: Sequence[LeaseRow], done: Done) -> None:
        """Make rows durable in call order, all or none; then call `done` on the loop, in call order.

        After `done(Exhausted)` every batch of the same or an older epoch fails, too: it was planned on what is not there.
        """
        ...

    def values(self, ids: Sequence[int]) -> list[bytes]:
        """Return the values of rows, in the order of `ids`."""
        ...

    def find(self, key: str, bound: int) -> Row | None:
        """Return the key's newest row with an id below `bound`; its value is None for a deletion, else just not None."""
        ...

    async def since(self, first: int, bound: int, prefix: str, limit: int) -> list[tuple[Row, bytes | None]]:
        """Return at most `limit` rows with first <= id < bound below a prefix, whole, each with the value before it."""
        ...

    async def compact(self, revision: int) -> None:
        """Drop rows that only reads before `revision` need, and remember that revision."""
        ...

    async def close(self) -> None:
        """Finish, and let go."""
        ...
