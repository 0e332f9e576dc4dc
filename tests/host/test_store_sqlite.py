"""SqliteRecordStore on a real disk: durability against kill -9, atomicity, full disks."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from conformance.store import RecordStoreSuite
from sampan.base.crash import EXIT_CODE
from sampan.base.errors import DataLoss, Exhausted, Unavailable
from sampan.store.port import Write
from sampan.store.sqlite import SqliteRecordStore

COMMITS = """
import sys
from sampan.store.port import Write
from sampan.store.sqlite import SqliteRecordStore
store = SqliteRecordStore(sys.argv[1])
for n in range(int(sys.argv[2])):
    store.commit_blocking(Write("k", "left", b"%d" % n), Write("k", "right", b"%d" % n), Write("k", f"own{n}", b"x" * 2000))
    print(n, flush=True)
"""


@pytest.fixture
def store(tmp_path):
    store = SqliteRecordStore(str(tmp_path / "engine.db"))
    yield store
    store.close()


class TestSqliteRecordStore(RecordStoreSuite):
    @pytest.fixture
    def store(self, store):
        return store

    async def test_reopened_it_has_everything(self, tmp_path, store):
        await store.commit(Write("k", "a", b"1"))
        store.close()
        again = SqliteRecordStore(str(tmp_path / "engine.db"))
        assert again.load("k") == {"a": b"1"}
        again.close()

    async def test_commits_that_wait_share_one_sync(self, store):
        await store.commit(Write("k", "first", b""))
        statements = []
        store._connection.set_trace_callback(statements.append)
        await asyncio.gather(*(store.commit(Write("k", str(n), b"v" * 600)) for n in range(200)))
        assert statements.count("COMMIT") <= 10

    async def test_an_unfit_value_fails_its_caller_only(self, store):
        bad, good = await asyncio.gather(
            store.commit(Write("k", "\ud800", b"1"), Write("k", "with-bad", b"1")),
            store.commit(Write("k", "good", b"1")),
            return_exceptions=True,
        )
        assert isinstance(bad, ValueError)
        assert good is None
        assert store.load("k") == {"good": b"1"}

    async def test_the_log_is_folded_into_the_database(self, tmp_path, store):
        for n in range(1000):
            await store.commit(Write("k", str(n), os.urandom(4000)))
        assert os.path.getsize(tmp_path / "engine.db-wal") <= 6 * 1024 * 1024
        assert os.path.getsize(tmp_path / "engine.db") >= 3_000_000


def run(path, commits, crash=""):
    env = {**os.environ, "PYTHONPATH": "src", "SAMPAN_CRASH": crash}
    return subprocess.run(  # noqa: PLW1510
        [sys.executable, "-c", COMMITS, path, str(commits)], env=env, capture_output=True, text=True, timeout=30
    )


def acknowledged(output):
    return int(output.split()[-1]) if output.split() else -1


def check(path, at_least):
    """Whatever was acknowledged is there, and every batch is whole."""
    store = SqliteRecordStore(path)
    records = store.load("k")
    store.close()
    last = int(records.get("left", b"-1"))
    assert last >= at_least
    assert records.get("right", b"-1") == (b"%d" % last)
    assert [f"own{n}" in records for n in range(last + 1)] == [True] * (last + 1)
    assert f"own{last + 1}" not in records
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return last


@pytest.mark.parametrize("step", ["before", "after"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_crash_at_any_commit_loses_nothing_acknowledged(tmp_path, step, count):
    path = str(tmp_path / "engine.db")
    done = run(path, 20, f"store.commit.{step}:{count}")
    assert done.returncode == EXIT_CODE
    assert acknowledged(done.stdout) == count - 2
    assert check(path, count - 2) == count - 2 + (step == "after")


def test_kill_9_at_random_moments_loses_nothing_acknowledged(tmp_path):
    path = str(tmp_path / "engine.db")
    env = {**os.environ, "PYTHONPATH": "src"}
    for lines in (1, 3, 30, 250):
        with subprocess.Popen(
            [sys.executable, "-c", COMMITS, path, "100000"], env=env, stdout=subprocess.PIPE, text=True
        ) as writer:
            seen = [writer.stdout.readline() for _ in range(lines)]
            writer.send_signal(signal.SIGKILL)
            rest = writer.stdout.read()
        check(path, acknowledged("".join(seen) + rest.rpartition("\n")[0]))
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path + suffix)


def test_a_damaged_or_newer_file_is_refused(tmp_path):
    damaged, newer = str(tmp_path / "damaged.db"), str(tmp_path / "newer.db")
    with open(damaged, "wb") as file:
        file.write(b"no database at all" * 1000)
    with pytest.raises(DataLoss, match="damaged"):
        SqliteRecordStore(damaged)
    with contextlib.closing(sqlite3.connect(newer)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(DataLoss, match="newer"):
        SqliteRecordStore(newer)
    with pytest.raises(Unavailable):
        SqliteRecordStore(str(tmp_path / "absent" / "engine.db"))


@pytest.fixture
def small_disk(tmp_path):
    libc = ctypes.CDLL(None, use_errno=True)
    place = str(tmp_path / "disk")
    os.mkdir(place)
    if libc.mount(b"tmpfs", place.encode(), b"tmpfs", 0, b"size=32m"):
        pytest.skip(f"cannot mount a tmpfs: {os.strerror(ctypes.get_errno())}")
    yield place
    libc.umount2(place.encode(), 2)


def fill(place):
    with open(place + "/filler", "ab", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))


async def test_on_a_full_disk_records_change_and_go_and_new_ones_wait(small_disk):
    path = small_disk + "/engine.db"
    store = SqliteRecordStore(path)
    await store.commit(*(Write("k", str(n), os.urandom(2000)) for n in range(500)))
    fill(small_disk)
    with pytest.raises(Exhausted, match="no space left"):
        for n in range(10_000):
            await store.commit(Write("new", str(n), os.urandom(2000)))
    fill(small_disk)
    for n in range(500):
        await store.commit(Write("k", str(n), b"stopped" * 300))
    with pytest.raises(Exhausted):
        await store.commit(Write("k", "1", b"kept out with it"), Write("new", "x", b"1"))
    store.close()

    store = SqliteRecordStore(path)
    assert store.load("k")["1"] == b"stopped" * 300
    await store.commit(*(Write("k", str(n), None) for n in range(500)))
    assert store.load("k") == {}
    os.unlink(small_disk + "/filler")
    await store.commit(Write("new", "x", b"1"))
    assert os.stat(path + ".reserve").st_blocks * 512 >= 4 * 1024 * 1024
    store.close()


def test_any_other_failure_ends_the_process(tmp_path):
    path = str(tmp_path / "engine.db")
    script = COMMITS.replace(
        "    print", "    if n == 2: store._connection.execute('PRAGMA query_only = 1')\n    print"
    )
    done = subprocess.run(  # noqa: PLW1510
        [sys.executable, "-c", script, path, "5"],
        env={**os.environ, "PYTHONPATH": "src"}, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 74
    assert done.stdout.split() == ["0", "1", "2"]
    assert "the record store failed" in done.stderr
    check(path, 2)
