"""What only the store in etcd promises: the way there may be cut, others use the same etcd, it says no in its own words."""

import asyncio
import contextlib
import random
import subprocess
import sys

import pytest

from certificates import make_certificates
from etcd import etcd
from kube import client
from sampan.base.clock import SystemClock
from sampan.base.errors import DataLoss, Exhausted, InvalidArgument, NotFound, TooLarge, Unavailable
from sampan.store.kv.cipher import Sealed
from sampan.store.kv.etcd import EtcdStore
from sampan.store.kv.etcd_address import Address, parse
from sampan.store.kv.port import Compacted, CompareFailed, Op, OutcomeUnknown

CLOCK = SystemClock()


@pytest.fixture
def server(tmp_path):
    with etcd(tmp_path / "etcd") as server:
        yield server


def ctl(*words):
    """Run etcdctl; return what it printed."""
    return subprocess.run([client("etcdctl"), *words], check=True, capture_output=True).stdout


class Wire:
    """A way to etcd that can be cut: what goes over it is lost from then on, and nobody can connect."""

    def __init__(self, endpoint):
        self.to = endpoint.split(":")
        self.writers, self.passes = set(), True

    async def open(self):
        self.server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return f"127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def _carry(self, reader, writer):
        if not self.passes:
            writer.close()
            return
        other, back = await asyncio.open_connection(*self.to)
        self.writers |= {writer, back}
        await asyncio.gather(self._pump(reader, back), self._pump(other, writer))

    async def _pump(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self.passes:
                    writer.write(data)
        writer.close()

    def cut(self):
        self.passes = False
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()

    def mend(self):
        self.passes = True

    async def close(self):
        self.cut()
        self.server.close()
        await self.server.wait_closed()


@contextlib.asynccontextmanager
async def over_a_wire(server, **options):
    """Give a store over a wire that can be cut, the wire, and a store beside it whose way is whole."""
    wire = Wire(server.members[0].endpoint)
    store = await EtcdStore.open(Address((await wire.open(),)), CLOCK, timeout_s=2, **options)
    beside = await EtcdStore.open(server.address, CLOCK)
    try:
        yield store, wire, beside
    finally:
        await store.close()
        await beside.close()
        await wire.close()


class Seen:
    def __init__(self, store, prefix, after):
        self.events, self.revision, self.error, self.news = [], -1, None, asyncio.Event()
        self.watch = store.watch(prefix, after, self._deliver, self._fail)

    def _deliver(self, events, revision):
        assert revision >= self.revision
        self.events += events
        self.revision = revision
        self.news.set()

    def _fail(self, error):
        self.error = error
        self.news.set()

    async def until(self, revision):
        async with asyncio.timeout(15):
            while self.revision < revision and self.error is None:
                self.news.clear()
                await self.news.wait()


# --- the way there ----------------------------------------------------------------------------------------------------


async def test_a_watch_goes_on_where_its_connection_broke(server):
    async with over_a_wire(server) as (store, wire, beside):
        seen = Seen(store, "/a/x/", store.revision)
        for turn in range(4):
            await beside.commit([Op(f"/a/x/{turn}", b"before"), Op("/a/x/n", b"%d" % turn)])
            if turn % 2:
                await seen.until(beside.revision)
            wire.cut()
            for number in range(20):
                await beside.commit([Op(f"/a/x/{turn}", b"%d" % number)])
            await asyncio.sleep(0.1)
            wire.mend()
        await seen.until(await beside.current())
        whole = Seen(beside, "/a/x/", 0)
        await whole.until(beside.revision)
        assert seen.error is None
        assert seen.events == whole.events
        assert len(seen.events) == 4 * 22
        assert all(event.previous_revision for event in seen.events if event.version > 1)


async def test_what_was_compacted_meanwhile_is_said_and_the_store_works_on(server):
    async with over_a_wire(server) as (store, wire, beside):
        await beside.commit([Op("/a/x/1", b"1")])
        seen = Seen(store, "/a/x/", store.revision)
        await seen.until(beside.revision)
        wire.cut()
        for number in range(5):
            await beside.commit([Op("/a/x/1", b"%d" % number)])
        await beside.compact(beside.revision)
        wire.mend()
        await seen.until(beside.revision)
        assert isinstance(seen.error, Compacted)
        assert seen.error.revision == beside.revision
        page = await store.range("/a/x/")
        again = Seen(store, "/a/x/", page.revision)
        await beside.commit([Op("/a/x/1", b"new")])
        await again.until(beside.revision)
        assert [event.value for event in again.events] == [b"new"]


async def test_a_write_whose_connection_broke_is_not_repeated(server):
    async with over_a_wire(server) as (store, wire, beside):
        unknown = 0
        for number in range(10):
            sending = asyncio.ensure_future(store.commit([Op(f"/a/x/{number}", b"v")]))
            await asyncio.sleep(0.001 * (number % 3))
            wire.cut()
            try:
                await sending
            except OutcomeUnknown:
                unknown += 1
            except Unavailable:
                assert await beside.get(f"/a/x/{number}") is None
            wire.mend()
            async with asyncio.timeout(10):
                while True:
                    with contextlib.suppress(Unavailable):
                        await store.current()
                        break
        assert unknown
        assert all(item.version == 1 for item in (await beside.range("/a/x/")).items)


async def test_a_watch_from_long_ago_is_read_while_connections_break(server):
    async with over_a_wire(server) as (store, wire, beside):
        for start in range(0, 7000, 100):
            await beside.commit([Op(f"/a/x/{start + number:05}", b"v" * 200) for number in range(100)])
        await store.current()
        store._follower._base = store._follower.told  # forget what was just told, so that etcd's history is read
        seen = Seen(store, "/a/", 0)
        for _ in range(3):
            await asyncio.sleep(0.03)
            wire.cut()
            wire.mend()
        await seen.until(beside.revision)
        assert [event.key for event in seen.events] == [f"/a/x/{number:05}" for number in range(7000)]


async def test_it_asks_the_next_member_and_says_which_did_not_answer(tmp_path):
    with etcd(tmp_path / "etcd") as server:
        nobody = "127.0.0.1:1"
        store = await EtcdStore.open(server.address._replace(endpoints=(nobody, server.members[0].endpoint)), CLOCK)
        await asyncio.gather(*(store.commit([Op(f"/a/x/{number}", b"v")]) for number in range(5)))
        await store.close()
        with pytest.raises(
            Unavailable, match=r"etcd at 127\.0\.0\.1:1 cannot be reached .*Connection refused.*endpoint health"
        ):
            await EtcdStore.open(Address((nobody,)), CLOCK, timeout_s=2)


async def test_a_snapshot_of_the_past_ends_watches(tmp_path):
    """Restored under our feet: whoever watches reads again."""
    with etcd(tmp_path / "etcd") as server:
        [member] = server.members
        store = await EtcdStore.open(server.address, CLOCK, timeout_s=2)
        await store.commit([Op("/a/x/1", b"old")])
        snapshot, restored = str(tmp_path / "snapshot"), str(tmp_path / "restored")
        ctl("--endpoints", member.endpoint, "snapshot", "save", snapshot)
        for _ in range(5):
            await store.commit([Op("/a/x/1", b"new")])
        seen = Seen(store, "/a/x/", store.revision)
        await asyncio.to_thread(member.kill)
        where = ["--name", "m0", "--initial-cluster", f"m0=http://127.0.0.1:{member.peer}"]
        where += ["--initial-advertise-peer-urls", f"http://127.0.0.1:{member.peer}"]
        ctl("snapshot", "restore", snapshot, "--data-dir", restored, *where)
        member.argv[member.argv.index("--data-dir") + 1] = restored
        await asyncio.to_thread(member.restart)
        await seen.until(10**9)
        assert isinstance(seen.error, Compacted)
        assert store.revision == await store.current()
        page = await store.range("/a/x/")
        assert [item.value for item in page.items] == [b"old"]
        again = Seen(store, "/a/x/", page.revision)
        revision = await store.commit([Op("/a/x/1", b"newer")])
        await again.until(revision)
        assert [event.value for event in again.events] == [b"newer"]
        await store.close()


async def test_tls_with_a_clients_certificate(tmp_path):
    tls = make_certificates(tmp_path)
    with etcd(tmp_path / "etcd", tls=tls) as server:
        store = await EtcdStore.open(parse(server.url), CLOCK)
        await store.commit([Op("/a/x/1", b"1")])
        assert (await store.get("/a/x/1")).value == b"1"
        await store.close()
        for wrong in ({"cert": "", "key": ""}, {"cacert": "", "cert": "", "key": ""}):
            with pytest.raises(Unavailable, match=server.members[0].endpoint):
                await EtcdStore.open(server.address._replace(**wrong), CLOCK, timeout_s=1)
        with pytest.raises(InvalidArgument, match="cannot read /nowhere"):
            await EtcdStore.open(server.address._replace(cert="/nowhere"), CLOCK)


# --- others in the same etcd ------------------------------------------------------------------------------------------


async def test_prefixes_are_worlds_of_their_own(server):
    one = await EtcdStore.open(server.address.below("one"), CLOCK)
    other = await EtcdStore.open(server.address.below("oneother"), CLOCK)
    await one.commit([Op("/a/x/1", b"1")])
    seen = Seen(one, "/", one.revision)
    await other.commit([Op("/a/x/1", b"2")])
    assert [item.value for item in (await one.range("")).items] == [b"1"]
    assert [item.value for item in (await other.range("/")).items] == [b"2"]
    await seen.until(await one.current())  # it is told where it stands, though nothing happened there
    assert seen.events == []
    await one.close()
    await other.close()


async def test_values_are_sealed_as_in_a_file(server):
    keys = {"k1": b"1" * 32}
    store = await EtcdStore.open(server.address, CLOCK, packer=Sealed(keys, ("/core/secrets/",)))
    await store.commit([Op("/core/secrets/a/b", b"hunter2"), Op("/core/pods/a/b", b"plain")])
    assert (await store.get("/core/secrets/a/b")).value == b"hunter2"
    raw = ctl("--endpoints", server.members[0].endpoint, "get", "--prefix", "/", "--print-value-only")
    assert b"hunter2" not in raw
    assert b"plain" in raw
    seen = Seen(store, "/core/secrets/", store.revision)
    stranger = await EtcdStore.open(server.address, CLOCK, packer=Sealed({"k2": b"2" * 32}, ("/core/secrets/",)))
    with pytest.raises(DataLoss, match="k1"):
        await stranger.get("/core/secrets/a/b")
    await stranger.commit([Op("/core/secrets/a/c", b"unreadable")])
    await seen.until(stranger.revision)
    assert isinstance(seen.error, DataLoss)
    await stranger.close()
    await store.close()


async def test_a_range_of_many_keys_is_one_snapshot(server):
    store = await EtcdStore.open(server.address, CLOCK)
    for start in range(0, 1300, 100):
        await store.commit([Op(f"/a/x/{start + number:04}", b"old") for number in range(100)])

    async def overwrite():
        for number in range(1299, -1, -50):
            await store.commit([Op(f"/a/x/{number:04}", b"new")])

    page, _ = await asyncio.gather(store.range("/a/x/"), overwrite())
    assert (len(page.items), page.remaining) == (1300, 0)
    assert max(item.mod_revision for item in page.items) <= page.revision
    part = await store.range("/a/x/", limit=700)
    assert (len(part.items), part.remaining) == (700, 600)
    await store.close()


# --- what etcd refuses ------------------------------------------------------------------------------------------------


async def test_a_full_etcd_takes_nothing_and_says_what_to_do(tmp_path):
    with etcd(tmp_path / "etcd", flags=["--quota-backend-bytes", "2000000"]) as server:
        store = await EtcdStore.open(server.address, CLOCK)
        with pytest.raises(Exhausted, match="defragment"):
            for number in range(100):
                await store.commit([Op(f"/a/x/{number}", random.randbytes(100_000), 0), Op("/a/x/n", b"%d" % number)])
        done = int((await store.get("/a/x/n")).value)
        assert len((await store.range("/a/x/")).items) == done + 2
        await store.close()


async def test_refusals_in_the_stores_words(server):
    store = await EtcdStore.open(server.address, CLOCK)
    with pytest.raises(InvalidArgument, match="max-txn-ops"):
        await store.commit([Op(f"/a/x/{number}", b"v") for number in range(129)])
    with pytest.raises(TooLarge, match="max-request-bytes"):
        await store.commit([Op("/a/x/1", random.Random(1).randbytes(2_000_000))])
    with pytest.raises(NotFound, match="lease"):
        await store.commit([Op("/a/x/1", b"v", lease=7)])
    with pytest.raises(InvalidArgument, match="slash"):
        await store.get("a")
    assert (await store.range("/")).items == []
    await store.close()
    await store.close()
    with pytest.raises(Unavailable, match="closed"):
        await store.commit([Op("/a/x/1", b"v")])


async def test_the_first_expectation_that_fails_is_named(server):
    store = await EtcdStore.open(server.address, CLOCK)
    revision = await store.commit([Op("/a/x/1", b"v"), Op("/a/x/2", b"v")])
    with pytest.raises(CompareFailed) as failed:
        await store.commit(
            [Op("/a/x/1", b"w", revision), Op("/a/x/3", None), Op("/a/x/2", b"w", 1), Op("/a/x/4", b"w", 9)]
        )
    assert (failed.value.index, failed.value.key, failed.value.mod_revision) == (2, "/a/x/2", revision)
    await store.close()


# --- addresses --------------------------------------------------------------------------------------------------------


def test_addresses():
    assert parse("etcd://a:1,[::1]:2") == Address(("a:1", "[::1]:2"), "/sampan")
    assert parse("etcd://a:1/x/y/?cacert=/c&cert=/d&key=/e") == Address(("a:1",), "/x/y", "/c", "/d", "/e")
    for wrong in ("http://a:1", "etcd://a", "etcd://a:1,", "etcd://u:p@a:1", "etcd://a:99999", "etcd://a:1?cert=/c",
                  "etcd://a:1?cert=/c&key=/k", "etcd://a:1?pass=x"):  # fmt: skip
        with pytest.raises(InvalidArgument, match="--store"):
            parse(wrong)


def test_without_grpc_it_says_what_to_install():
    code = (
        "import sys; sys.modules['grpc'] = None\n"
        "from sampan.store.kv import sqlite\n"
        "assert not any(name.startswith(('google', 'sampan.store.kv.etcd')) for name in sys.modules)\n"
        "from sampan.base.errors import Unavailable\n"
        "try:\n    import sampan.store.kv.etcd\nexcept Unavailable as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'sampan[ha]'" in done.stdout
