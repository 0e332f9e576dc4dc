import pytest

from conformance.store import RecordStoreSuite
from sampan.base.errors import Exhausted
from sampan.store.memory import MemoryRecordStore
from sampan.store.port import Write


class TestMemoryRecordStore(RecordStoreSuite):
    @pytest.fixture
    def store(self):
        return MemoryRecordStore()

    async def test_full_refuses_new_records_and_takes_changes(self, store):
        await store.commit(Write("k", "old", b"1"))
        store.full = True
        with pytest.raises(Exhausted):
            await store.commit(Write("k", "old", b"2"), Write("k", "new", b"1"))
        assert store.load("k") == {"old": b"1"}
        await store.commit(Write("k", "old", b"2"))
        await store.commit(Write("k", "old", None))
        assert store.load("k") == {}
