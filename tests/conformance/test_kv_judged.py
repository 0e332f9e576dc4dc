"""The stores under many clients at once, judged from outside; and three broken stores, which the judges must catch."""

import asyncio
import itertools
import random

import pytest

from judges.linearizable import INFINITE, Operation, check
from judges.watching import Told, faults
from sampan.base.clock import SystemClock
from sampan.store.kv.memory import MemoryStore
from sampan.store.kv.port import CompareFailed, Op
from sampan.store.kv.sqlite import SqliteStore
from stores import FORMS, opened


@pytest.fixture(params=FORMS)
async def store(request, tmp_path):
    async with opened(request.param, tmp_path) as store:
        yield store


def keys_of(seed):
    return [f"/j/{seed}/{letter}" for letter in "abcde"]


async def worked_on(store, *, clients=8, operations=40, seed=1):
    """Let clients get, put, compare and swap; return the history, in steps of one clock."""
    history, clock, values = [], itertools.count(), itertools.count()
    keys = keys_of(seed)

    async def client(number):
        rng = random.Random(seed * 1000 + number)
        for _ in range(operations):
            key, start = rng.choice(keys), next(clock)
            roll = rng.random()
            if roll < 0.4:
                item = await store.get(key)
                history.append(Operation(key, "get", start, next(clock), answer=item.value if item else None))
            elif roll < 0.6:
                value = b"%d" % next(values)
                await store.commit([Op(key, value)])
                history.append(Operation(key, "put", start, next(clock), value=value))
            else:
                item = await store.get(key)
                history.append(Operation(key, "get", start, next(clock), answer=item.value if item else None))
                start, value = next(clock), b"%d" % next(values)
                try:
                    await store.commit([Op(key, value, item.mod_revision if item else 0)])
                except CompareFailed:
                    # which value it found is not said; that it was another state is, and values never come twice
                    took = False
                else:
                    took = True
                expect = item.value if item else None
                history.append(Operation(key, "cas", start, next(clock), value=value, expect=expect, answer=took))
            if rng.random() < 0.3:
                await asyncio.sleep(0)

    await asyncio.gather(*(client(number) for number in range(clients)))
    return history


async def test_many_clients_see_one_register(store):
    for seed in range(5):
        assert check(await worked_on(store, seed=seed)) == []


@pytest.mark.soak
async def test_a_thousand_histories(tmp_path):
    for seed in range(1000):
        store = SqliteStore(tmp_path / f"{seed}.db", SystemClock())
        try:
            assert check(await worked_on(store, operations=25, seed=seed)) == []
        finally:
            await store.close()


async def test_watches_keep_their_promises(store):
    """Watchers join, leave and come back at random while 600 transactions of one to three keys are made."""
    rng = random.Random(3)
    truth, watchers = [], []
    whole = store.watch("/w/x/", 0, lambda events, _: truth.extend(_plain(events)), lambda error: None)

    def join(after):
        told = []
        watch = store.watch(
            "/w/x/", after, lambda events, revision: told.append(Told(_plain(events), revision)), lambda _: None
        )
        return [watch, after, told]

    for number in range(600):
        keys = rng.sample(range(20), rng.randint(1, 3))
        await store.commit([Op(f"/w/x/{key:02}", b"%d" % number if rng.random() < 0.8 else None) for key in keys])
        if rng.random() < 0.1:
            watchers.append(join(rng.randint(0, store.revision)))
        if watchers and rng.random() < 0.08:
            rng.choice(watchers)[0].close()
        if rng.random() < 0.05:
            await asyncio.sleep(0.001)
    until = store.revision
    await _until(lambda: truth and truth[-1][0] == until)
    await asyncio.sleep(0.05)
    whole.close()
    assert len(watchers) > 20
    for _, after, told in watchers:
        assert faults(told, truth, after) == []
        if told:  # going on from where it stood tells the rest
            again = join(told[-1].revision)
            await _until(lambda again=again: again[2] and again[2][-1].revision >= until)
            assert faults(again[2], truth, told[-1].revision) == []


def _plain(events):
    return [(event.revision, event.key, event.value) for event in events]


async def _until(holds):
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to that")


# --- the judges bite --------------------------------------------------------------------------------------------------


class StaleReads(MemoryStore):
    """Answers some reads with what was there before."""

    async def get(self, key, *, revision=0):
        item = await super().get(key, revision=revision)
        if item is not None and item.version > 1 and item.mod_revision % 3 == 0:
            return await super().get(key, revision=item.mod_revision - 1)
        return item


class LostUpdates(MemoryStore):
    """Does not look at what a write expects, now and then."""

    async def commit(self, ops):
        if self.revision % 4 == 0:
            ops = [op._replace(expect=None) for op in ops]
        return await super().commit(ops)


class DoubleApply(MemoryStore):
    """Writes some values a second time, later."""

    async def commit(self, ops):
        revision = await super().commit(ops)
        if revision % 5 == 0:
            asyncio.get_running_loop().call_later(
                0.001,
                lambda: asyncio.ensure_future(
                    super(DoubleApply, self).commit([op._replace(expect=None) for op in ops])
                ),
            )
        return revision


@pytest.mark.parametrize("broken", [StaleReads, LostUpdates, DoubleApply])
async def test_broken_stores_are_caught(broken):
    caught = False
    for seed in range(10):
        store = broken()
        history = await worked_on(store, seed=seed, operations=30)
        await asyncio.sleep(0.01)
        if broken is DoubleApply:
            history += [
                Operation(key, "get", 10**6, 10**6 + 1, answer=item.value if (item := await store.get(key)) else None)
                for key in keys_of(seed)
            ]
        caught = caught or check(history) != []
        await store.close()
    assert caught


async def test_broken_watches_are_caught():
    truth = [(1, "a", b"1"), (2, "b", b"2"), (2, "c", b"2"), (3, "a", b"3")]
    assert faults([Told(truth[:1], 1), Told(truth[1:], 3)], truth, 0) == []
    assert faults([Told([truth[0], truth[3]], 3)], truth, 0) != []
    assert "not atomic" in faults([Told(truth[:2], 2), Told(truth[2:], 3)], truth, 0)
    assert "not ordered" in faults([Told(truth[::-1], 3)], truth, 0)
    assert "not unique" in faults([Told([*truth, truth[3]], 3)], truth, 0)
    assert "not bookmarkable" in faults([Told(truth, 2)], truth, 0)


def test_an_operation_without_an_answer_is_open():
    assert check([Operation("k", "put", 0, INFINITE, value="a"), Operation("k", "get", 1, 2, answer=None)]) == []
