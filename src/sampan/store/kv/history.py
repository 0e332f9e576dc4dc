"""How long history is kept: what is older than that is compacted, once a minute."""

from __future__ import annotations

import asyncio
from collections import deque

from sampan.base import log
from sampan.base.clock import Clock
from sampan.base.errors import SampanError
from sampan.store.kv.port import Store

_EVERY_S = 60.0

_log = log.get("store.kv")


async def keep(store: Store, clock: Clock, history_s: float) -> None:
    """Compact the store for ever, so that revisions of the last `history_s` seconds can be read at least."""
    ages: deque[tuple[float, int]] = deque()
    done = 0
    while True:
        ages.append((clock.monotonic_s(), store.revision))
        await asyncio.sleep(_EVERY_S)
        oldest = clock.monotonic_s() - history_s
        revision = 0
        while ages and ages[0][0] <= oldest:
            revision = ages.popleft()[1]
        if revision > done:
            try:
                await store.compact(revision)
            except SampanError as error:
                _log.warning("history is not compacted: %s", error)
            else:
                done = revision
