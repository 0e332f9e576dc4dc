import asyncio

import pytest

from sampan.base.clock import ManualClock
from sampan.base.errors import Exhausted, InvalidArgument
from sampan.engine.events import Events
from sampan.engine.port import Filters


async def take(stream, count):
    return [(await anext(stream)).action for _ in range(count)]


async def test_history_then_live_without_gap():
    clock = ManualClock()
    events = Events(clock)
    start = clock.now_ns()
    events.emit("container", "create", "a", {})
    stream = events.follow(since_ns=start, until_ns=0, filters=Filters())
    assert await take(stream, 1) == ["create"]
    events.emit("container", "start", "a", {})
    events.emit("container", "die", "a", {})
    assert await asyncio.wait_for(take(stream, 2), 1) == ["start", "die"]


async def test_times_increase_even_when_the_clock_stands():
    clock = ManualClock()
    events = Events(clock)
    for _ in range(3):
        events.emit("container", "x", "a", {})
    stream = events.follow(since_ns=1, until_ns=clock.now_ns() + 10**9, filters=Filters())
    times = [(await anext(stream)).time_ns for _ in range(3)]
    assert times == sorted(set(times))


async def test_a_window_in_the_past_ends():
    clock = ManualClock()
    events = Events(clock)
    events.emit("container", "create", "a", {})
    until = clock.now_ns() + 1
    clock.advance(5)
    events.emit("container", "start", "a", {})
    found = [e.action async for e in events.follow(since_ns=1, until_ns=until, filters=Filters())]
    assert found == ["create"]


async def test_a_follower_that_does_not_read_is_cut_and_costs_nobody():
    events = Events(ManualClock())
    stream = events.follow(since_ns=0, until_ns=0, filters=Filters())
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    for number in range(10_050):
        events.emit("container", str(number), "a", {})
    assert (await waiting).action == "0"
    with pytest.raises(Exhausted):
        async for _ in stream:
            pass


async def test_unknown_filter_keys_are_refused():
    with pytest.raises(InvalidArgument):
        await anext(Events(ManualClock()).follow(since_ns=0, until_ns=0, filters=Filters(terms={"colour": ("red",)})))
