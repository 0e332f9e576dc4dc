"""MemoryRecordStore: records that live as long as the object; for simulation and fast tests."""

from __future__ import annotations

import asyncio

from sampan.base.errors import Exhausted, SampanError, Unavailable
from sampan.store.port import Write


class MemoryRecordStore:
    """A RecordStore in a dict. `full` makes it behave as on a full disk: nothing new is taken."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], bytes] = {}
        self._closed = False
        self.full = False

    def load(self, kind: str) -> dict[str, bytes]:
        return {key: value for (row_kind, key), value in sorted(self._records.items()) if row_kind == kind}

    def commit(self, *writes: Write) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            self.commit_blocking(*writes)
        except SampanError as error:
            future.set_exception(error)
        else:
            future.set_result(None)
        return future

    def commit_blocking(self, *writes: Write) -> None:
        if self._closed:
            raise Unavailable("the record store is closed: the daemon is stopping")
        if self.full and any(w.value is not None and (w.kind, w.key) not in self._records for w in writes):
            raise Exhausted("no space left for new records: remove containers, images or volumes and try again")
        for write in writes:
            if write.value is None:
                self._records.pop((write.kind, write.key), None)
            else:
                self._records[write.kind, write.key] = bytes(write.value)

    def close(self) -> None:
        self._closed = True
