"""etcd killed, paused and cut off under load: what the store said is judged, and so is what its watches told."""

from __future__ import annotations

import asyncio
import itertools
import random
import time

import pytest

from etcd import etcd
from judges.linearizable import INFINITE, Operation, check
from judges.watching import Told, faults
from sampan.base.clock import SystemClock
from sampan.base.errors import Unavailable
from sampan.store.kv.etcd import EtcdStore
from sampan.store.kv.port import CompareFailed, Op, OutcomeUnknown

KEYS = [f"/j/x/{letter}" for letter in "abcdefgh"]


class Load:
    """Clients that get, put, compare and swap until they are told to stop; what had no answer may have happened, or not."""

    def __init__(self, store, seed, clients=6):
        self.store = store
        self.history, self.clock, self.values = [], itertools.count(), itertools.count()
        self.stopped = False
        self.unknown = self.refused = self.done = 0
        self.told = []
        self.watch = store.watch("/j/x/", store.revision, self._deliver, self._failed)
        self.after = store.revision
        self.failure = None
        self.tasks = [asyncio.ensure_future(self._client(random.Random(seed * 100 + n))) for n in range(clients)]

    def _deliver(self, events, revision):
        self.told.append(Told([(event.revision, event.key, event.value) for event in events], revision))

    def _failed(self, error):
        self.failure = error

    async def _client(self, rng):
        while not self.stopped:
            key, roll = rng.choice(KEYS), rng.random()
            try:
                item = await self._get(key)
                if roll > 0.4:
                    await self._write(key, roll > 0.6, item)
            except Unavailable:
                await asyncio.sleep(0.02)
            await asyncio.sleep(rng.random() * 0.004)

    async def _get(self, key):
        start = next(self.clock)
        item = await self.store.get(key)
        self._took("get", key, start, answer=item.value if item else None)
        return item

    async def _write(self, key, compare, item):
        kind, start, value = "cas" if compare else "put", next(self.clock), b"%d" % next(self.values)
        expect = (item.value if item else None) if compare else None
        try:
            await self.store.commit([Op(key, value, (item.mod_revision if item else 0) if compare else None)])
        except CompareFailed:
            self._took(kind, key, start, value=value, expect=expect, answer=False)
        except OutcomeUnknown:
            self.unknown += 1
            self.history.append(Operation(key, kind, start, INFINITE, value=value, expect=expect))
            raise
        except Unavailable:
            self.refused += 1  # nothing was done, it says: so it is not in the history
            raise
        else:
            self._took(kind, key, start, value=value, expect=expect, answer=True)

    def _took(self, kind, key, start, **said):
        self.done += 1
        self.history.append(Operation(key, kind, start, next(self.clock), **said))

    async def works(self):
        """Return when something has been done from now on."""
        until = self.done + 100
        async with asyncio.timeout(20):
            while self.done < until:
                await asyncio.sleep(0.01)

    async def judged(self, address):
        """Stop, and judge: the history, and the watch against what etcd keeps."""
        self.stopped = True
        await asyncio.gather(*self.tasks)
        for key in KEYS:
            await self._get(key)
        assert check(self.history) == []
        fresh, truth = await EtcdStore.open(address, SystemClock()), []
        try:
            last = await fresh.current()
            reached = asyncio.Event()

            def deliver(events, revision):
                truth.extend((event.revision, event.key, event.value) for event in events)
                if revision >= last:
                    reached.set()

            fresh.watch("/j/x/", 0, deliver, lambda error: reached.set())
            await asyncio.wait_for(reached.wait(), 20)
            async with asyncio.timeout(10):
                while not self.told or self.told[-1].revision < last:
                    await asyncio.sleep(0.01)
        finally:
            await fresh.close()
        assert self.failure is None
        assert faults(self.told, truth, self.after) == []


async def test_kills_under_load(tmp_path):
    with etcd(tmp_path / "etcd", durable=True) as server:
        store = await EtcdStore.open(server.address, SystemClock(), timeout_s=2)
        load = Load(store, seed=1)
        for number in range(4):
            await load.works()
            await asyncio.to_thread(server.members[0].kill)
            await asyncio.sleep(0.05 * number)
            await asyncio.to_thread(server.members[0].restart)
        await load.works()
        await load.judged(server.address)
        assert load.unknown + load.refused > 0
        await store.close()


@pytest.mark.soak
async def test_60_kills_under_load(tmp_path):
    rng = random.Random(time.time_ns())
    with etcd(tmp_path / "etcd", durable=True) as server:
        for number in range(15):
            store = await EtcdStore.open(server.address, SystemClock(), timeout_s=2)
            load = Load(store, seed=number)
            for _ in range(4):
                await asyncio.sleep(rng.random() * 0.3)
                await asyncio.to_thread(server.members[0].kill)
                await asyncio.to_thread(server.members[0].restart)
            await load.works()
            await load.judged(server.address)
            await store.commit([Op(key, None) for key in KEYS])
            await store.close()


async def test_a_pause_under_load(tmp_path):
    with etcd(tmp_path / "etcd") as server:
        store = await EtcdStore.open(server.address, SystemClock(), timeout_s=0.4)
        load = Load(store, seed=2)
        for pauses in range(12):  # a pause may come when no write is under way
            if pauses >= 3 and load.unknown:
                break
            await load.works()
            server.members[0].pause()
            await asyncio.sleep(0.6)
            server.members[0].go_on()
        assert load.unknown > 0
        await load.works()
        await load.judged(server.address)
        await store.close()


@pytest.mark.parametrize("how", ["kill", "pause"])
async def test_a_member_of_three_that_goes_does_not_stop_the_store(tmp_path, how):
    with etcd(tmp_path / "etcd", members=3) as server:
        store = await EtcdStore.open(server.address, SystemClock(), timeout_s=1)
        load = Load(store, seed=3)
        for member in server.members:  # one of them leads
            await load.works()
            getattr(member, how)()
            await load.works()
            if how == "kill":
                await asyncio.to_thread(member.restart)
            else:
                member.go_on()
            await asyncio.to_thread(member.ready)
        await load.works()
        await load.judged(server.address)
        await store.close()


async def test_what_had_no_answer_is_not_sent_twice(tmp_path):
    with etcd(tmp_path / "etcd") as server:
        store = await EtcdStore.open(server.address, SystemClock(), timeout_s=0.3)
        server.members[0].pause()
        with pytest.raises(OutcomeUnknown, match="not known: read") as failed:
            await store.commit([Op("/a/x/1", b"1")])
        assert server.address.endpoints[0] in str(failed.value)
        assert not failed.value.retryable
        server.members[0].go_on()
        await store.commit([Op("/a/x/2", b"2")])
        item = await store.get("/a/x/1")
        assert item is None or item.version == 1
        await store.close()


async def test_where_nothing_listens_nothing_was_done(tmp_path):
    with etcd(tmp_path / "etcd") as server:
        store = await EtcdStore.open(server.address, SystemClock(), timeout_s=1)
        server.members[0].kill()
        # the read finds out that the connection is gone
        for attempt in (store.get("/a/x/1"), store.commit([Op("/a/x/1", b"1")]), store.grant(5), store.keep_alive(1)):
            with pytest.raises(Unavailable, match=server.address.endpoints[0]) as failed:
                await attempt
            assert not isinstance(failed.value, OutcomeUnknown)
        await asyncio.to_thread(server.members[0].restart)
        async with asyncio.timeout(10):
            while True:
                try:
                    await store.commit([Op("/a/x/1", b"1")])
                except OutcomeUnknown:
                    raise
                except Unavailable:
                    await asyncio.sleep(0.05)
                else:
                    break
        await store.close()


async def test_without_a_quorum_it_says_so_in_time(tmp_path):
    with etcd(tmp_path / "etcd", members=3) as server:
        store = await EtcdStore.open(server.address, SystemClock(), timeout_s=1)
        for member in server.members[:2]:
            member.pause()
        began = time.monotonic()
        with pytest.raises(Unavailable, match="did not answer"):
            await store.get("/a/x/1")
        assert time.monotonic() - began < 2
        for member in server.members[:2]:
            member.go_on()
        async with asyncio.timeout(10):
            while True:
                try:
                    await store.get("/a/x/1")
                except Unavailable:
                    continue
                break
        await store.close()
