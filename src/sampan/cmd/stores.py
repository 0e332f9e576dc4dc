"""The control process's stores: files in its directory, or an etcd."""

from __future__ import annotations

import contextlib
from pathlib import Path

from sampan.base.clock import Clock
from sampan.store.kv import etcd_address
from sampan.store.kv.cipher import Packer
from sampan.store.kv.port import Store
from sampan.store.kv.sqlite import SqliteStore

Stores = tuple[Store, Store, Store]


async def open_stores(url: str, directory: Path, packer: Packer, clock: Clock) -> Stores:
    """Return the store of everything, that of events, which may be lost, and that of leases, with a budget of its own.

    `url`: an etcd, where each has a prefix of its own; "" for files.

    Raises:
        InvalidArgument: the URL is no address.
        Unavailable: etcd does not answer, or what it takes to ask it is not installed.
    """
    if url:
        return await _in_etcd(etcd_address.parse(url), packer, clock)
    return (
        SqliteStore(directory / "state.db", clock, packer=packer),
        SqliteStore(directory / "events.db", clock, synchronous="OFF", history_s=60, cache_bytes=1 << 20),
        SqliteStore(directory / "leases.db", clock, synchronous="NORMAL", cache_bytes=1 << 20),
    )


async def _in_etcd(address: etcd_address.Address, packer: Packer, clock: Clock) -> Stores:
    from sampan.store.kv.etcd import EtcdStore  # 130 ms that files do not need

    async with contextlib.AsyncExitStack() as undo:
        state = await EtcdStore.open(address.below("state"), clock, packer=packer)
        undo.push_async_callback(state.close)
        # history belongs to all keys of an etcd: one of the stores compacts it
        events = await EtcdStore.open(address.below("events"), clock, history_s=0)
        undo.push_async_callback(events.close)
        leases = await EtcdStore.open(address.below("leases"), clock, history_s=0)
        undo.pop_all()
    return state, events, leases
