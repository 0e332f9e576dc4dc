"""One suite for every form of the revisioned store."""

import asyncio
import random

import pytest

from sampan.base.clock import ManualClock
from sampan.base.errors import InvalidArgument, NotFound
from sampan.store.kv.port import Compacted, CompareFailed, FutureRevision, Op
from sampan.store.kv.sqlite import SqliteStore
from stores import FORMS, opened


@pytest.fixture(params=FORMS)
async def store(request, tmp_path):
    async with opened(request.param, tmp_path) as store:
        yield store


class Seen:
    """What a watch was told."""

    def __init__(self, store, prefix="/", after=0):
        self.events, self.revision, self.error = [], -1, None
        self.told = asyncio.Event()
        self.watch = store.watch(prefix, after, self.deliver, self.fail)

    def deliver(self, events, revision):
        assert revision >= self.revision
        self.events += events
        self.revision = revision
        self.told.set()

    def fail(self, error):
        self.error = error
        self.told.set()

    async def until(self, revision):
        while self.revision < revision and self.error is None:
            self.told.clear()
            await asyncio.wait_for(self.told.wait(), 10)


async def put(store, key, value=b"v", **options):
    return await store.commit([Op(key, value, **options)])


async def test_a_put_is_read_back_with_its_revisions(store):
    first = await put(store, "/a/x/1", b"one")
    second = await put(store, "/a/x/1", b"two")
    item = await store.get("/a/x/1")
    assert (item.value, item.create_revision, item.mod_revision, item.version) == (b"two", first, second, 2)
    assert second == first + 1 == store.revision == await store.current()
    assert await store.get("/a/x/2") is None


async def test_a_deleted_key_starts_again(store):
    await put(store, "/a/x/1")
    await store.commit([Op("/a/x/1", None)])
    assert await store.get("/a/x/1") is None
    third = await put(store, "/a/x/1")
    item = await store.get("/a/x/1")
    assert (item.create_revision, item.version) == (third, 1)


async def test_expectations(store):
    revision = await put(store, "/a/x/1", expect=0)
    with pytest.raises(CompareFailed) as failed:
        await put(store, "/a/x/1", expect=0)
    assert (failed.value.key, failed.value.mod_revision) == ("/a/x/1", revision)
    with pytest.raises(CompareFailed) as failed:
        await store.commit([Op("/a/x/2", b"v"), Op("/a/x/1", b"v", revision + 5)])
    assert failed.value.index == 1
    assert await store.get("/a/x/2") is None
    with pytest.raises(CompareFailed):
        await store.commit([Op("/a/x/9", None, 3)])
    assert await put(store, "/a/x/1", expect=revision) == revision + 1


async def test_a_transaction_has_one_revision(store):
    revision = await store.commit([Op("/a/x/1", b"1"), Op("/a/x/2", b"2")])
    page = await store.range("/a/x/")
    assert [(item.key, item.mod_revision) for item in page.items] == [("/a/x/1", revision), ("/a/x/2", revision)]


async def test_nothing_changed_makes_no_revision(store):
    revision = await put(store, "/a/x/1")
    assert await store.commit([Op("/a/x/2", None), Op("/a/x/3", None)]) == revision
    assert store.revision == revision


async def test_a_key_twice_is_refused(store):
    with pytest.raises(InvalidArgument):
        await store.commit([Op("/a/x/1", b"1"), Op("/a/x/1", b"2")])
    assert (await store.range("/")).items == []


async def test_ranges_and_pages(store):
    for number in (3, 1, 2, 0):
        await put(store, f"/a/x/{number}", b"%d" % number)
    await put(store, "/a/xx/0")
    await put(store, "/a/w/0")
    page = await store.range("/a/x/", limit=2)
    assert ([item.key[-1] for item in page.items], page.remaining) == (["0", "1"], 2)
    rest = await store.range("/a/x/", after=page.items[-1].key, limit=2, revision=page.revision)
    assert ([item.value for item in rest.items], rest.remaining) == ([b"2", b"3"], 0)


async def test_a_range_at_a_revision_is_a_snapshot(store):
    for number in range(6):
        await put(store, f"/a/x/{number}", b"old")
    page = await store.range("/a/x/", limit=3)
    await put(store, "/a/x/4", b"new")
    await store.commit([Op("/a/x/3", None)])
    await put(store, "/a/x/35", b"new")
    rest = await store.range("/a/x/", after=page.items[-1].key, revision=page.revision)
    assert [(item.key[-1], item.value) for item in rest.items] == [("3", b"old"), ("4", b"old"), ("5", b"old")]
    assert (await store.get("/a/x/3", revision=page.revision)).value == b"old"
    assert await store.get("/a/x/35", revision=page.revision) is None
    one = await store.range("/a/x/", after="/a/x/2", limit=1, revision=page.revision)
    assert [item.key[-1] for item in one.items] == ["3"]
    assert one.remaining


async def test_compaction(store):
    first = await put(store, "/a/x/1", b"1")
    await put(store, "/a/x/1", b"2")
    await store.commit([Op("/a/x/1", None)])
    last = await put(store, "/a/x/2", b"3")
    await store.compact(last)
    await store.compact(first)
    for read in (store.get("/a/x/1", revision=first), store.range("/a/", revision=first)):
        with pytest.raises(Compacted):
            await read
    assert [item.value for item in (await store.range("/a/", revision=last)).items] == [b"3"]
    seen = Seen(store, after=first)
    await seen.until(last)
    assert isinstance(seen.error, Compacted)


async def test_the_future_is_refused(store):
    with pytest.raises(FutureRevision):
        await store.get("/a", revision=7)
    with pytest.raises(FutureRevision):
        await store.range("/a", revision=7)


async def test_a_watch_tells_history_then_what_happens(store):
    await put(store, "/a/x/1", b"1")
    second = await put(store, "/a/x/1", b"2")
    await put(store, "/b/x/1", b"other")
    seen = Seen(store, "/a/x/", after=second - 1)
    await seen.until(store.revision)
    await store.commit([Op("/a/x/1", None), Op("/a/x/2", b"3")])
    await seen.until(store.revision)
    shown = [(event.key[-1], event.value, event.previous, event.previous_revision) for event in seen.events]
    assert shown == [("1", b"2", b"1", second - 1), ("1", None, b"2", second), ("2", b"3", None, 0)]
    seen.watch.close()
    await put(store, "/a/x/3")
    other = Seen(store, "/a/x/", after=store.revision - 1)
    await other.until(store.revision)
    assert len(seen.events) == 3


async def test_a_watch_from_the_future_skips_up_to_it(store):
    revision = await put(store, "/a/x/1")
    seen = Seen(store, after=revision + 2)
    for number in range(4):
        await put(store, f"/a/x/{number}")
    await seen.until(revision + 4)
    assert [event.revision for event in seen.events] == [revision + 3, revision + 4]


async def test_who_has_written_finds_it_told(store):
    seen = Seen(store, "/a/x/", store.revision)
    await seen.until(await put(store, "/a/x/0"))

    async def write(key):
        for number in range(20):
            revision = await put(store, key, b"%d" % number)
            assert seen.revision >= revision

    await asyncio.gather(*(write(f"/a/x/{number}") for number in range(10)))


async def test_a_long_history_is_told_in_order_and_whole(store):
    for start in range(0, 2600, 100):
        await store.commit([Op(f"/a/x/{start + number:05}", b"v") for number in range(100)])
    seen = Seen(store)
    await seen.until(store.revision)
    assert [event.key for event in seen.events] == [f"/a/x/{number:05}" for number in range(2600)]


async def test_leases_end_with_their_keys(store):
    lease = await store.grant(1)
    kept = await store.grant(3600)
    await put(store, "/a/x/1", lease=lease)
    await put(store, "/a/x/2", lease=kept)
    await put(store, "/a/x/3", lease=lease)
    await put(store, "/a/x/3")  # a put replaces the lease
    seen = Seen(store, "/a/", after=store.revision)
    await seen.until(store.revision + 1)
    assert [(event.key, event.value) for event in seen.events] == [("/a/x/1", None)]
    with pytest.raises(NotFound):
        await store.keep_alive(lease)
    await store.keep_alive(kept)
    await store.revoke(kept)
    await store.revoke(kept)
    assert [item.key for item in (await store.range("/a/")).items] == ["/a/x/3"]
    with pytest.raises((NotFound, InvalidArgument)):
        await put(store, "/a/x/1", lease=lease)


async def test_writers_at_once_lose_no_update(store):
    await put(store, "/a/x/n", b"0")
    refused = 0

    async def add():
        nonlocal refused
        while True:
            item = await store.get("/a/x/n")
            try:
                await put(store, "/a/x/n", b"%d" % (int(item.value) + 1), expect=item.mod_revision)
            except CompareFailed:
                refused += 1
            else:
                return

    await asyncio.gather(*(add() for _ in range(50)))
    assert (await store.get("/a/x/n")).value == b"50"
    assert refused


async def test_a_model_agrees(store):
    """Random operations against a dict, with every snapshot read back at the end."""
    rng = random.Random(7)
    model, snapshots = {}, {}
    for _ in range(300):
        ops = {}
        for key in rng.sample("abcdefgh", rng.randint(1, 3)):
            ops[f"/m/x/{key}"] = None if rng.random() < 0.3 else rng.randbytes(4)
        revision = await store.commit([Op(key, value) for key, value in ops.items()])
        for key, value in ops.items():
            model.pop(key, None) if value is None else model.update({key: value})
        snapshots[revision] = dict(model)
    for revision, expected in snapshots.items():
        page = await store.range("/m/x/", revision=revision)
        assert {item.key: item.value for item in page.items} == expected


async def test_sqlite_keeps_everything_over_a_restart(tmp_path):
    clock = ManualClock()
    store = SqliteStore(tmp_path / "kv.db", clock)
    lease = await store.grant(3600)
    first = await put(store, "/a/x/1", b"1", lease=lease)
    await put(store, "/a/x/2", b"2")
    await store.commit([Op("/a/x/2", None)])
    await store.compact(first + 2)
    await store.close()
    again = SqliteStore(tmp_path / "kv.db", clock)
    assert again.revision == first + 2
    assert [item[:3] for item in (await again.range("/a/")).items] == [("/a/x/1", b"1", first)]
    with pytest.raises(Compacted):
        await again.get("/a/x/2", revision=first + 1)
    assert await put(again, "/a/x/3") == first + 3
    await again.revoke(lease)
    assert await again.get("/a/x/1") is None
    await again.close()
