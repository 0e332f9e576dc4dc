"""RecordStore: the engine's durable records. What `commit` returned for survives any crash.

Values are opaque bytes (msgspec JSON of a model type). Everything is small enough to be held in memory by its owner;
the store is read once, at start.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Protocol


class Write(NamedTuple):
    """Put `value` at (`kind`, `key`), or delete it when `value` is None."""

    kind: str
    key: str
    value: bytes | None


class RecordStore(Protocol):
    """Durable, atomic batches of writes, applied in call order.

    `commit` may be called concurrently from one event loop; calls are grouped into one transaction and one sync.
    Cancelling a caller does not undo its batch. A failed commit raises `Exhausted` when the disk is full (nothing of
    the batch is kept) and otherwise ends the process: after a failed sync no later answer could be trusted.
    """

    def load(self, kind: str) -> dict[str, bytes]:
        """Return every record of `kind` by key."""
        ...

    def commit(self, *writes: Write) -> asyncio.Future[None]:
        """Make all of `writes` durable, or none. They are accepted, in order, by the call; durable when awaited."""
        ...

    def commit_blocking(self, *writes: Write) -> None:
        """As `commit`, for threads and for start-up."""
        ...

    def close(self) -> None:
        """Finish what was accepted and let go of the files. May be repeated."""
        ...
