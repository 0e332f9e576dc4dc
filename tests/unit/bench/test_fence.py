"""A fence ends all that came from inside, also when the bench itself was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench import fence, process

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces")]

ORPHAN = "sleep 1000 & echo $! > {path}; exec sleep 1000"
KILLED = """
import os, signal, sys
from pathlib import Path
from bench import fence
made = fence.Fence("killed", Path(sys.argv[1]))
made.spawn(["sh", "-c", sys.argv[2]], dict(os.environ), made.root / "log")
print(made.holder, flush=True)
signal.pause()
"""


def _pid(path: Path) -> int:
    deadline = time.monotonic() + 10
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return int(path.read_text())


def test_close_ends_orphans_and_removes_the_folder(tmp_path: Path) -> None:
    with fence.Fence("test", tmp_path) as made:
        shell = made.spawn(["sh", "-c", ORPHAN.format(path=tmp_path / "pid")], dict(os.environ), made.root / "log")
        orphan = _pid(tmp_path / "pid")
        assert process.namespace(orphan, "net") != process.namespace(os.getpid(), "net")
        assert orphan in made.processes()
        shell.kill()
        shell.wait()
    assert not process.namespace(orphan, "net")
    assert not process.namespace(made.holder, "net")
    assert not made.root.exists()


def test_sweep_ends_what_a_killed_bench_left_and_no_other(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", KILLED, str(tmp_path), ORPHAN.format(path=tmp_path / "pid")]
    root = Path(__file__).parents[3]
    with fence.Fence("living", tmp_path) as living, subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=root) as killed:
        assert killed.stdout is not None
        holder = int(killed.stdout.readline())
        orphan = _pid(tmp_path / "pid")
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        (name,) = fence.sweep(tmp_path)
        assert "killed" in name
        assert not process.namespace(orphan, "net")
        assert not process.namespace(holder, "net")
        assert process.namespace(living.holder, "net")
