import asyncio

import pytest

from sampan.base.errors import InvalidArgument
from sampan.engine.waiters import Waiters
from sampan.runtime.port import Exit


async def test_an_end_with_a_restart_resolves_only_next_exit():
    waiters = Waiters()
    made = {condition: waiters.add("c", condition) for condition in ("not-running", "next-exit", "removed")}
    waiters.ended("c", Exit(code=3), restarting=True)
    assert (await made["next-exit"].result()).code == 3
    waiters.ended("c", Exit(code=4))
    assert (await made["not-running"].result()).code == 4
    waiters.removed("c", Exit(code=5))
    assert (await made["removed"].result()).code == 5


async def test_a_cancelled_wait_takes_no_other_with_it():
    waiters = Waiters()
    first, second = waiters.add("c", "next-exit"), waiters.add("c", "next-exit")
    task = asyncio.ensure_future(first.result())
    await asyncio.sleep(0)
    task.cancel()
    waiters.ended("c", Exit(code=0))
    assert (await second.result()).code == 0


async def test_an_unknown_condition_is_refused():
    with pytest.raises(InvalidArgument, match="invalid condition"):
        Waiters().add("c", "someday")
