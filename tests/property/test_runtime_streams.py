"""Laws of the fan-out: every client gets every byte in order, no buffer grows past its bound, the slowest sets the pace."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.base.errors import Exhausted
from sampan.runtime.streams import BUFFER_BYTES, Fanout


class Source:
    """Hands out chunks while it is not paused."""

    def __init__(self, fanout, chunks):
        self.fanout, self.chunks, self.paused = fanout, list(chunks), False
        fanout.source = self

    def pause(self):
        self.paused = True

    def resume(self):
        self.paused = False

    async def write(self, data):
        raise AssertionError

    async def end_stdin(self):
        raise AssertionError

    async def run(self):
        while self.chunks:
            if not self.paused:
                self.fanout.feed("stdout", self.chunks.pop(0))
            await asyncio.sleep(0)
        self.fanout.end()


async def no_resize(height, width):
    raise AssertionError


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, BUFFER_BYTES // 2), max_size=12),
    paces=st.lists(st.integers(0, 5), min_size=1, max_size=4),
)
def test_every_client_gets_every_byte(sizes, paces):
    async def scenario():
        fanout = Fanout(no_resize)
        chunks = [bytes([index % 256]) * size for index, size in enumerate(sizes)]
        source = Source(fanout, chunks)
        clients = [fanout.attach() for _ in paces]

        async def read(client, pace):
            found = b""
            async for _, data in client.output():
                found += data
                assert client._bytes <= BUFFER_BYTES + max(sizes)
                for _ in range(pace):
                    await asyncio.sleep(0)
            return found

        results = await asyncio.gather(*map(read, clients, paces), source.run())
        assert results[:-1] == [b"".join(chunks)] * len(paces)

    asyncio.run(scenario())


async def test_a_client_that_leaves_frees_the_others():
    fanout = Fanout(no_resize)
    source = Source(fanout, [b"x" * BUFFER_BYTES] * 3)
    stuck, other = fanout.attach(), fanout.attach()
    running = asyncio.ensure_future(source.run())
    assert len((await anext(other.output()))[1]) == BUFFER_BYTES
    await asyncio.sleep(0)
    assert source.paused
    stuck.detach()
    stuck.detach()
    assert not source.paused
    total = sum([len(data) async for _, data in other.output()])
    assert total == 2 * BUFFER_BYTES
    await running


async def test_the_clock_runs_only_for_who_takes_nothing():
    fanout = Fanout(no_resize, stall_s=0.05)
    source = Source(fanout, [b"y" * BUFFER_BYTES] * 4)
    slow, stuck = fanout.attach(), fanout.attach()
    running = asyncio.ensure_future(source.run())
    total = 0
    async for _, data in slow.output():
        total += len(data)
        await asyncio.sleep(0.03)
    assert total == 4 * BUFFER_BYTES
    with pytest.raises(Exhausted, match="attach again"):
        async for _ in stuck.output():
            raise AssertionError
    await running


async def test_attaching_after_the_end_gives_nothing():
    fanout = Fanout(no_resize)
    fanout.end()
    assert [item async for item in fanout.attach().output()] == []
