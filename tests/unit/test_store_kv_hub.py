from __future__ import annotations

import asyncio

from sampan.base.errors import SampanError
from sampan.store.kv.memory import MemoryStore
from sampan.store.kv.port import Op


async def test_a_reader_that_breaks_harms_no_other() -> None:
    store = MemoryStore()
    told: list[str] = []
    failed: list[SampanError] = []

    def breaks(events, revision) -> None:
        if events:
            raise ValueError("cannot read it")

    watches = [
        store.watch("/a/b/", 0, breaks, failed.append),
        store.watch("/a/b/", 0, lambda events, _: told.extend(event.key for event in events), failed.append),
    ]
    await asyncio.sleep(0.01)
    await store.commit([Op("/a/b/x", b"1")])
    await store.commit([Op("/a/b/y", b"1")])
    await asyncio.sleep(0.01)
    assert told == ["/a/b/x", "/a/b/y"]
    assert [str(error) for error in failed] == ["what came could not be taken in: cannot read it"]
    for watch in watches:
        watch.close()
    await store.close()
