"""A real server in memory for tests of controllers; everybody may do everything on it."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator

from sampan.api.kube.access import Attempt, Decision
from sampan.api.kube.admission import Chain
from sampan.api.kube.api import Api
from sampan.api.kube.authn import Authentication
from sampan.api.kube.records import Records
from sampan.api.kube.server import Randomness, build, registry
from sampan.base.clock import Clock
from sampan.store.kv.memory import MemoryStore


class Everybody:
    """The authorizer of a server that is not about rights."""

    def authorize(self, attempt: Attempt) -> Decision:
        return Decision(True)


@contextlib.asynccontextmanager
async def server(clock: Clock, store: MemoryStore | None = None) -> AsyncIterator[Api]:
    store, rights = store or MemoryStore(), Everybody()
    made = build(
        Records(store),
        registry(),
        Authentication([], rights, clock, ()),
        rights,
        Chain([]),
        clock,
        Randomness(lambda: str(uuid.uuid4()), lambda: uuid.uuid4().hex[:5]),
    )
    yield made.api
    await made.close()
    await store.close()
