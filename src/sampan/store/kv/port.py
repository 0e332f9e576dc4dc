"""Store: revisioned keys with compare-and-swap, snapshots at a revision, watch and leases. etcd's data model.

Every committed transaction has a revision, one more than the one before it; all of its operations share it. Reads at a
revision see exactly what was committed up to it. A completed write is durable (of stores on disk) and visible to every
later read: strict serializability for `get`, `range` and `commit`; a watch may lag, and is never out of order.

Spec: etcd v3.5 API guarantees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from sampan.base.errors import Conflict, InvalidArgument, SampanError, Unavailable


class CompareFailed(Conflict):
    """An operation's `expect` does not hold; nothing of the transaction was done. `index` is the first that failed."""

    def __init__(self, index: int, key: str, mod_revision: int) -> None:
        super().__init__(f"{key} is at revision {mod_revision}" if mod_revision else f"{key} does not exist")
        self.index = index
        self.key = key
        self.mod_revision = mod_revision
        """What the key's revision is; 0 when there is none."""


class Compacted(SampanError):
    """History before `revision` is gone: list again, and go on from there."""

    kind = "compacted"

    def __init__(self, revision: int) -> None:
        super().__init__(f"revisions before {revision} were compacted: read the current state and go on from there")
        self.revision = revision


class FutureRevision(InvalidArgument):
    """The asked revision was not made yet. `revision` is the current one."""

    def __init__(self, asked: int, revision: int) -> None:
        super().__init__(f"revision {asked} is in the future: the current one is {revision}")
        self.revision = revision


class OutcomeUnknown(Unavailable):
    """A write was sent and no answer came: it took place, will yet, or never does. Nobody has sent it again: read first."""

    kind = "outcome_unknown"
    retryable = False


class SlowWatcher(SampanError):
    """The watch was ended because what it had not been given yet passed a bound: watch again from the last revision seen."""

    kind = "slow_watcher"
    retryable = True


class Item(NamedTuple):
    """A key's value. `version` is 1 after its creation and grows with each put."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int
    version: int


class Page(NamedTuple):
    """A part of a range, all at one `revision`; `remaining` keys of the range come after the last item."""

    items: list[Item]
    revision: int
    remaining: int


class Op(NamedTuple):
    """Put `value` at `key`, or delete the key when `value` is None.

    `expect` is the mod revision that the key must have: 0 means that it must not exist, None that it does not matter.
    `lease`: the key is deleted when that lease ends; 0 for none. A put replaces the key's lease.
    """

    key: str
    value: bytes | None
    expect: int | None = None
    lease: int = 0


class Event(NamedTuple):
    """A change of one key at `revision`. `value` is None for a deletion; `previous` is None for a creation."""

    key: str
    value: bytes | None
    revision: int
    create_revision: int
    version: int
    previous: bytes | None
    previous_revision: int


Deliver = Callable[[Sequence[Event], int], None]
"""`deliver(events, revision)`: everything up to and including `revision` has now been told; `events` may be empty."""


class Watch(Protocol):
    """A running watch."""

    def close(self) -> None:
        """Nothing is delivered after this returns. May be repeated."""
        ...


class Store(Protocol):
    """Call it on one event loop. Cancelling a caller does not undo its write."""

    @property
    def revision(self) -> int:
        """The newest revision this process has seen committed."""
        ...

    async def current(self) -> int:
        """Return the store's revision now, no older than any write completed before the call."""
        ...

    async def get(self, key: str, *, revision: int = 0) -> Item | None:
        """Return the key's value at `revision` (0: now), None when there is none.

        Raises:
            Compacted, FutureRevision
        """
        ...

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """Return keys that begin with `prefix`, in byte order, after the key `after`, at most `limit` (0: all).

        Raises:
            Compacted, FutureRevision
        """
        ...

    async def commit(self, ops: Sequence[Op]) -> int:
        """Do all operations, or none; returns their revision. A key occurs once. Deleting what is not there is no change.

        When nothing changed (deletions of absent keys only) the current revision is returned and none is made. Watches of
        this process were told of it before this returns, those that have caught up, while the store can be reached.

        Raises:
            CompareFailed: an expectation does not hold.
            InvalidArgument: a key occurs twice, or a lease is unknown.
            Exhausted: the disk is full; nothing was done.
            Unavailable: the store cannot be reached; nothing was done.
            OutcomeUnknown: the store was lost meanwhile (of stores on other machines).
        """
        ...

    def watch(
        self,
        prefix: str,
        after: int,
        deliver: Deliver,
        failed: Callable[[SampanError], None],
    ) -> Watch:
        """Deliver every change of keys below `prefix` with a revision greater than `after`, from the loop, in order.

        A batch never splits a revision. `deliver` must not block. `failed` is called once, at the end of a watch that
        cannot go on (Compacted, SlowWatcher, Unavailable); nothing is delivered afterwards. With `after` in the future,
        what comes up to it is skipped.
        """
        ...

    async def compact(self, revision: int) -> None:
        """Forget what is only needed to read before `revision`. Reads below it raise `Compacted`. May be repeated."""
        ...

    async def grant(self, ttl_s: int) -> int:
        """Return a new lease that ends after `ttl_s` seconds unless kept alive. Its end is judged by monotonic time."""
        ...

    async def keep_alive(self, lease: int) -> None:
        """Give a lease its whole time again.

        Raises:
            NotFound: it has ended.
        """
        ...

    async def revoke(self, lease: int) -> None:
        """End a lease and delete its keys, in one transaction. May be repeated."""
        ...

    async def close(self) -> None:
        """Finish what was accepted, end watches, let go of files and connections. May be repeated."""
        ...
