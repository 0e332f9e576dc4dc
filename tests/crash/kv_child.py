"""A process that writes to a store as fast as it can, and says what was acknowledged: `KEY VALUE REVISION` a line."""

from __future__ import annotations

import asyncio
import sys

from sampan.base.clock import SystemClock
from sampan.store.kv.port import Op
from sampan.store.kv.sqlite import SqliteStore


async def main(path: str, prefix: str) -> None:
    store = SqliteStore(path, SystemClock())

    async def write(worker: int) -> None:
        number = 0
        while True:
            key, value = f"/k/x/{prefix}-{worker}", f"{prefix}-{number}"
            revision = await store.commit([Op(key, value.encode()), Op(f"{key}-{number}", b"x")])
            print(key, value, revision, flush=True)
            number += 1

    await asyncio.gather(*(write(worker) for worker in range(8)))


asyncio.run(main(sys.argv[1], sys.argv[2]))
