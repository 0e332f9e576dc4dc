"""What every RecordStore does. Subclasses give a `store` fixture."""

import asyncio

import pytest

from sampan.base.errors import Unavailable
from sampan.store.port import RecordStore, Write


class RecordStoreSuite:
    async def test_a_commit_is_seen_by_load(self, store: RecordStore):
        await store.commit(Write("container", "a", b"1"), Write("network", "n", b"2"))
        assert store.load("container") == {"a": b"1"}
        assert store.load("network") == {"n": b"2"}
        assert store.load("volume") == {}

    async def test_put_replaces_and_none_deletes(self, store: RecordStore):
        await store.commit(Write("k", "a", b"1"), Write("k", "b", b"2"))
        await store.commit(Write("k", "a", b"3"), Write("k", "b", None), Write("k", "never", None))
        assert store.load("k") == {"a": b"3"}

    async def test_later_writes_of_one_batch_win(self, store: RecordStore):
        await store.commit(Write("k", "a", b"1"), Write("k", "a", None), Write("k", "b", None), Write("k", "b", b"2"))
        assert store.load("k") == {"b": b"2"}

    async def test_concurrent_commits_apply_in_call_order(self, store: RecordStore):
        await asyncio.gather(*(store.commit(Write("k", "a", str(n).encode())) for n in range(1000)))
        assert store.load("k") == {"a": b"999"}

    async def test_a_commit_is_accepted_by_the_call(self, store: RecordStore):
        first = store.commit(Write("k", "a", b"1"))
        second = store.commit(Write("k", "a", b"2"))
        await second
        assert store.load("k") == {"a": b"2"}
        await first

    async def test_load_is_ordered_by_key(self, store: RecordStore):
        await store.commit(*(Write("k", key, b"") for key in ("b", "c", "a", "é")))
        assert list(store.load("k")) == ["a", "b", "c", "é"]

    async def test_an_empty_commit_and_empty_or_big_values_are_legal(self, store: RecordStore):
        await store.commit()
        await store.commit(Write("k", "empty", b""), Write("k", "big", b"x" * 3_000_000))
        assert {key: len(value) for key, value in store.load("k").items()} == {"empty": 0, "big": 3_000_000}

    async def test_cancelling_the_caller_does_not_undo_the_batch(self, store: RecordStore):
        task = asyncio.ensure_future(store.commit(Write("k", "a", b"1")))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.commit(Write("k", "b", b"2"))
        assert store.load("k") == {"a": b"1", "b": b"2"}

    async def test_blocking_commits_come_from_threads(self, store: RecordStore):
        await asyncio.gather(*(asyncio.to_thread(store.commit_blocking, Write("k", str(n), b"v")) for n in range(50)))
        assert len(store.load("k")) == 50

    async def test_a_closed_store_takes_nothing(self, store: RecordStore):
        store.close()
        store.close()
        with pytest.raises(Unavailable):
            await store.commit(Write("k", "a", b"1"))
        with pytest.raises(Unavailable):
            store.commit_blocking(Write("k", "a", b"1"))
