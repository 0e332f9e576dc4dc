"""The store's process killed at any moment: what it acknowledged is there, whole, and nothing is damaged."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sampan.base.clock import SystemClock
from sampan.base.crash import EXIT_CODE
from sampan.store.kv.sqlite import SqliteStore

ROOT = Path(__file__).parents[2]


def written(path, prefix, *, seconds=0.0, crash="", wrapped=()):
    """Run the child until it is killed or crashes; return what it said was acknowledged, and how it ended."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "SAMPAN_CRASH": crash}
    argv = [*wrapped, sys.executable, str(ROOT / "tests/crash/kv_child.py"), str(path), prefix]
    child = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True)
    first = child.stdout.readline()  # from here on it writes
    if seconds:
        time.sleep(seconds)
        child.kill()
    text = first + child.stdout.read()
    # a death may cut the last line short
    lines = [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [(key, value, int(revision)) for key, value, revision in lines], child.wait()


async def judged(path, acknowledged):
    """Open the store again: the newest acknowledged value of each key, or a later one, and both keys of a transaction."""
    with sqlite3.connect(path) as plain:
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store = SqliteStore(path, SystemClock())
    try:
        for key, value, revision in acknowledged:
            then = await store.get(key, revision=revision)
            assert then.value.decode() == value, (key, value, revision, then)
            assert (await store.get(f"{key}-{value.rpartition('-')[2]}")).mod_revision == revision
        assert store.revision >= max((revision for *_, revision in acknowledged), default=0)
    finally:
        await store.close()


async def kills(path, count, seed):
    rng, acknowledged = random.Random(seed), []
    for number in range(count):
        said, code = written(path, f"r{number}", seconds=rng.uniform(0.01, 0.25))
        assert code == -9
        acknowledged += said
        await judged(path, said)
    assert len(acknowledged) > count
    await judged(path, acknowledged)


async def test_kills(tmp_path):
    await kills(tmp_path / "kv.db", 6, seed=1)


@pytest.mark.soak
async def test_200_kills(tmp_path):
    await kills(tmp_path / "kv.db", 200, seed=time.time_ns())


@pytest.mark.parametrize("point", ["kv.commit.before", "kv.commit.after"])
async def test_crash_points(tmp_path, point):
    path = tmp_path / "kv.db"
    said, code = written(path, "a", crash=f"{point}:20")
    assert code == EXIT_CODE
    await judged(path, said)


@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
@pytest.mark.parametrize("when", [5, 30])
async def test_a_disk_that_fails_ends_the_process_and_loses_nothing(tmp_path, call, when):
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("no strace: apt-get install strace")
    path = tmp_path / "kv.db"
    written(path, "first", seconds=0.05)
    inject = (
        strace,
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:error=EIO:when={when}",
    )
    said, code = written(path, "second", wrapped=inject)
    assert code == 74 or (when, code, said) == (5, 1, []), "74, or 1 where the file could not be opened"
    await judged(path, said)
