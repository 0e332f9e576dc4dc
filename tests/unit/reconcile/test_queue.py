"""KeyedQueue and Loop: a key waits once, is never worked on twice at a time, and comes back after failures."""

import asyncio

from sampan.base.errors import Unavailable
from sampan.reconcile.loop import Loop
from sampan.reconcile.queue import KeyedQueue


async def test_a_key_waits_once():
    queue = KeyedQueue[str]()
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_that_is_worked_on_is_ready_again_afterwards():
    queue = KeyedQueue[str]()
    queue.add("a")
    await queue.get()
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await queue.get() == "a"


async def test_the_earliest_time_counts():
    queue = KeyedQueue[str]()
    queue.add_after("a", 60)
    queue.add_after("a", 0.001)
    queue.add_after("a", 30)
    assert await asyncio.wait_for(queue.get(), 5) == "a"


async def test_failures_wait_longer_and_longer():
    queue = KeyedQueue[str](first_delay_s=0.001, last_delay_s=0.004)
    queue.add("a")
    delays = [queue.failed(await queue.get()) for _ in range(5)]
    assert delays == [0.001, 0.002, 0.004, 0.004, 0.004]
    queue.done(await queue.get())
    queue.add("a")
    assert queue.failed(await queue.get()) == 0.001
    queue.close()


async def test_a_loop_goes_on_after_errors_and_looks_again_when_told():
    seen = []
    finished = asyncio.Event()

    async def reconcile(key):
        seen.append(key)
        if len(seen) == 1:
            raise Unavailable("not yet")
        if len(seen) == 2:
            raise ZeroDivisionError
        if len(seen) == 3:
            return 0.001
        finished.set()
        return None

    loop = Loop("test", reconcile)
    loop.start()
    loop.queue.add("a")
    await asyncio.wait_for(finished.wait(), 5)
    await loop.close()
    assert seen == ["a"] * 4


async def test_two_workers_never_share_a_key():
    busy, most = set(), 0
    done = asyncio.Event()
    left = 40

    async def reconcile(key):
        nonlocal most, left
        assert key not in busy
        busy.add(key)
        most = max(most, len(busy))
        await asyncio.sleep(0)
        busy.discard(key)
        left -= 1
        if left > 0:
            loop.queue.add((key + 1) % 3)
            loop.queue.add(key)
        else:
            done.set()

    loop = Loop("test", reconcile, workers=2)
    loop.start()
    for key in range(3):
        loop.queue.add(key)
    await asyncio.wait_for(done.wait(), 5)
    await loop.close()
    assert most == 2


async def test_a_key_may_fail_for_days() -> None:
    queue: KeyedQueue[str] = KeyedQueue()
    for _ in range(3000):
        queue.add("a")
        assert await queue.get() == "a"
        assert queue.failed("a") <= 60.0
    queue.close()
