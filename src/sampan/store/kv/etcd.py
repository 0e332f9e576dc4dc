"""EtcdStore: the store in an etcd 3.5, on one machine or on several. Its revisions are etcd's own.

etcd's keys below a prefix belong to the store alone; its history is compacted for all who use that etcd.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from sampan.base.clock import Clock
from sampan.base.errors import InvalidArgument, NotFound, SampanError, Unavailable
from sampan.spec import etcd
from sampan.store.kv import etcd_errors, history
from sampan.store.kv.cipher import Packer, Plain
from sampan.store.kv.etcd_address import Address
from sampan.store.kv.etcd_calls import CallFailed, Ended, EtcdCalls
from sampan.store.kv.etcd_follower import Follower
from sampan.store.kv.etcd_keys import EtcdKeys
from sampan.store.kv.etcd_messages import message
from sampan.store.kv.port import Compacted, CompareFailed, Deliver, FutureRevision, Item, Op, Page, Watch

_PAGE = 500
"""Keys of one answer of etcd: a range of any size does not hold up the loop, and etcd, for long."""
_SLICE = 256

_T = TypeVar("_T")


class EtcdStore:
    """A `Store`. Get it by `open`."""

    def __init__(self, calls: EtcdCalls, keys: EtcdKeys, revision: int) -> None:
        self._calls = calls
        self._keys = keys
        self._follower = Follower(calls, keys, revision)
        self._aging: asyncio.Task[None] | None = None
        self._sent: set[asyncio.Task[Any]] = set()
        self._closed = False

    @classmethod
    async def open(
        cls,
        address: Address,
        clock: Clock,
        *,
        packer: Packer | None = None,
        history_s: float = 300.0,
        timeout_s: float = 10.0,
    ) -> EtcdStore:
        """Return a store that is connected. `history_s` of 0: somebody else compacts this etcd.

        Raises:
            InvalidArgument: a certificate cannot be read.
            Unavailable: no member answers, or it is too old.
        """
        calls = EtcdCalls(address, timeout_s=timeout_s)
        try:
            _check_version((await calls.read(etcd.STATUS, message["StatusRequest"]())).version)
            # what one member says of itself may be old; this answer needs a quorum
            now = await calls.read(etcd.RANGE, message["RangeRequest"](key=address.prefix.encode(), count_only=True))
            store = cls(calls, EtcdKeys(address.prefix, packer or Plain()), now.header.revision)
        except BaseException:
            await calls.close()
            raise
        if history_s:
            store._aging = asyncio.ensure_future(history.keep(store, clock, history_s))
        return store

    # --- reads --------------------------------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        return self._follower.revision

    async def current(self) -> int:
        response = await self._read(etcd.RANGE, message["RangeRequest"](key=self._keys.key("/"), count_only=True))
        return int(response.header.revision)

    async def get(self, key: str, *, revision: int = 0) -> Item | None:
        response = await self._range(message["RangeRequest"](key=self._keys.key(key), revision=revision))
        return self._keys.item(response.kvs[0]) if response.kvs else None

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        items: list[Item] = []
        while True:
            wanted = min(limit - len(items), _PAGE) if limit else _PAGE
            first, end = self._keys.span(prefix, after)
            response = await self._range(
                message["RangeRequest"](key=first, range_end=end, limit=wanted, revision=revision)
            )
            revision = revision or response.header.revision  # the pages of one range are one snapshot
            for start in range(0, len(response.kvs), _SLICE):
                items += map(self._keys.item, response.kvs[start : start + _SLICE])
                await asyncio.sleep(0)
            remaining = response.count - len(response.kvs)
            if not remaining or len(items) == limit:
                return Page(items, revision, remaining)
            after = items[-1].key

    async def _range(self, request: Any) -> Any:
        try:
            return await self._read(etcd.RANGE, request)
        except CallFailed as failed:
            if etcd.FUTURE in failed.details():
                raise FutureRevision(request.revision, await self.current()) from failed
            raise Compacted(max(request.revision + 1, self._follower.compacted)) from failed

    async def _read(self, method: tuple[str, str, str], request: Any) -> Any:
        self._check_open()
        response = await self._calls.read(method, request)
        self._follower.see(response.header.revision)
        return response

    # --- writes -------------------------------------------------------------------------------------------------------

    async def commit(self, ops: Sequence[Op]) -> int:
        if len({op.key for op in ops}) < len(ops):
            raise InvalidArgument("a key occurs twice in one transaction")
        expecting = [(place, op) for place, op in enumerate(ops) if op.expect is not None]
        request = message["TxnRequest"](
            compare=[
                {"target": etcd.COMPARE_MOD, "key": self._keys.key(op.key), "mod_revision": op.expect}
                for _, op in expecting
            ],
            success=[self._request(op) for op in ops],
            failure=[{"request_range": {"key": self._keys.key(op.key), "keys_only": True}} for _, op in expecting],
        )
        response = await self._finish(self._calls.write(etcd.TXN, request))
        self._follower.see(response.header.revision)
        if not response.succeeded:
            raise _first_failed(expecting, response.responses)
        revision = int(response.header.revision)
        if any(found.response_delete_range.deleted or found.HasField("response_put") for found in response.responses):
            await self._follower.caught_up(revision)  # as with the local forms: who wrote finds it told here
        return revision

    def _request(self, op: Op) -> dict[str, Any]:
        key = self._keys.key(op.key)
        if op.value is None:
            return {"request_delete_range": {"key": key}}
        return {"request_put": {"key": key, "value": self._keys.pack(op.key, op.value), "lease": op.lease}}

    async def _finish(self, sending: Coroutine[Any, Any, _T]) -> _T:
        """Return what a write returns; it goes on when its caller is cancelled, and `close` waits for it."""
        if self._closed:
            sending.close()
        self._check_open()
        task = asyncio.ensure_future(sending)
        self._sent.add(task)
        task.add_done_callback(self._arrived)
        return await asyncio.shield(task)

    def _arrived(self, task: asyncio.Task[Any]) -> None:
        self._sent.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be there any more to whom it matters

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the store is closed: the server is stopping")

    # --- watches and compaction ---------------------------------------------------------------------------------------

    def watch(self, prefix: str, after: int, deliver: Deliver, failed: Callable[[SampanError], None]) -> Watch:
        return self._follower.watch(prefix, after, deliver, failed)

    async def compact(self, revision: int) -> None:
        try:
            await self._read(etcd.COMPACT, message["CompactionRequest"](revision=revision))
        except CallFailed as failed:
            if etcd.FUTURE in failed.details():
                raise FutureRevision(revision, await self.current()) from failed
        self._follower.compacted = max(self._follower.compacted, revision)

    # --- leases -------------------------------------------------------------------------------------------------------

    async def grant(self, ttl_s: int) -> int:
        # a second one, should the first answer be lost, ends by itself
        response = await self._read(etcd.LEASE_GRANT, message["LeaseGrantRequest"](TTL=ttl_s))
        return int(response.ID)

    async def keep_alive(self, lease: int) -> None:
        self._check_open()
        member, stream = self._calls.stream(etcd.LEASE_KEEP_ALIVE)
        try:
            async with asyncio.timeout(self._calls.timeout_s):
                await stream.write(message["LeaseKeepAliveRequest"](ID=lease))
                response = await stream.read()
        except TimeoutError:
            self._calls.turn(member)
            raise Unavailable(f"etcd at {self._calls.endpoint(member)} did not answer in time: try again") from None
        except (CallFailed, asyncio.InvalidStateError) as failed:
            self._calls.turn(member)
            if isinstance(failed, CallFailed):
                raise etcd_errors.unavailable(self._calls.endpoint(member), failed) from failed
            raise Unavailable(f"etcd at {self._calls.endpoint(member)} ended the stream: try again") from failed
        finally:
            stream.cancel()
        if response is Ended or response.TTL <= 0:
            raise NotFound(f"lease {lease} has ended")

    async def revoke(self, lease: int) -> None:
        try:
            await self._read(etcd.LEASE_REVOKE, message["LeaseRevokeRequest"](ID=lease))
        except NotFound:
            return

    # --- the end ------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._aging is not None:
            self._aging.cancel()
        await asyncio.gather(*self._sent, return_exceptions=True)
        await self._follower.close()
        await self._calls.close()


def _first_failed(expecting: Sequence[tuple[int, Op]], responses: Sequence[Any]) -> CompareFailed:
    for (place, op), response in zip(expecting, responses, strict=True):
        found = response.response_range.kvs
        revision = found[0].mod_revision if found else 0
        if revision != op.expect:
            return CompareFailed(place, op.key, revision)
    raise AssertionError  # etcd compares what it then reads at the same revision


def _check_version(text: str) -> None:
    parts = tuple(int(part) for part in text.split("-", maxsplit=1)[0].split(".")[:3])
    if parts < etcd.OLDEST:
        raise Unavailable(
            f"etcd {text} is too old: {'.'.join(map(str, etcd.OLDEST))} or newer is needed (its watches may skip events)"
        )
