"""The forms of the store, for suites that judge them all."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from etcd import etcd
from sampan.base.clock import SystemClock
from sampan.store.kv.memory import MemoryStore
from sampan.store.kv.port import Store
from sampan.store.kv.sqlite import SqliteStore

FORMS = ("memory", "sqlite", "etcd")


@contextlib.asynccontextmanager
async def opened(form: str, home: Path) -> AsyncIterator[Store]:
    """Give an empty store of a form; the test is skipped where it cannot be."""
    with contextlib.ExitStack() as stack:
        if form == "memory":
            store: Store = MemoryStore(SystemClock())
        elif form == "sqlite":
            store = SqliteStore(home / "kv.db", SystemClock())
        else:
            from sampan.store.kv.etcd import EtcdStore

            server = stack.enter_context(etcd(home / "etcd"))
            store = await EtcdStore.open(server.address, SystemClock())
        try:
            yield store
        finally:
            await store.close()
