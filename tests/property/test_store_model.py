"""A RecordStore is a dict, whatever is written and however often it is reopened."""

import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.store.memory import MemoryRecordStore
from sampan.store.port import Write
from sampan.store.sqlite import SqliteRecordStore

keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=3)
writes = st.builds(
    Write, st.sampled_from(["a", "b"]), st.sampled_from(["k", "l", "m"]) | keys, st.none() | st.binary(max_size=50)
)
steps = st.lists(st.just("reopen") | st.lists(writes, max_size=4), max_size=12)


@settings(max_examples=40, deadline=None)
@given(steps)
def test_sqlite_behaves_as_a_dict(steps):
    model = MemoryRecordStore()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        store = SqliteRecordStore(place + "/engine.db")
        for step in steps:
            if step == "reopen":
                store.close()
                store = SqliteRecordStore(place + "/engine.db")
            else:
                store.commit_blocking(*step)
                model.commit_blocking(*step)
        for kind in ("a", "b"):
            assert store.load(kind) == model.load(kind)
        store.close()
