"""The data root's disk is full to the last byte: what exists can be stopped and removed, and nothing breaks."""

from __future__ import annotations

import contextlib
import os

import pytest

from crash.harness import CrashDaemon, Ops, Refused
from daemon import need_daemon
from sampan.host import syscalls


@pytest.fixture
def daemon(tmp_path):
    need_daemon()
    (tmp_path / "data").mkdir()
    try:
        syscalls.mount("tmpfs", str(tmp_path / "data"), "tmpfs", options="size=96m")
    except PermissionError:
        pytest.skip("cannot mount a tmpfs")
    daemon = CrashDaemon(tmp_path)
    assert daemon.launch()
    daemon.load("busybox")
    yield daemon
    daemon.purge()
    with contextlib.suppress(OSError):
        syscalls.umount(str(tmp_path / "data"), syscalls.MNT_DETACH)


def fill(daemon: CrashDaemon) -> str:
    path = f"{daemon.home}/data/filler"
    with open(path, "ab", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))
    return path


def logs(daemon: CrashDaemon, container: str) -> bytes:
    status, body = daemon.request("GET", f"/v1.51/containers/{container}/logs?stdout=1")
    assert status == 200
    return body


def refused(act) -> Refused:
    with pytest.raises(Refused) as info:
        for _ in range(2000):
            act()
    return info.value


def test_a_full_disk_can_be_cleaned_up(daemon):
    ops = Ops(daemon)
    talking = ops.run("sh", "-c", "echo hello; while true; do echo x; sleep 0.05; done")
    stopped, ended, removed = ops.run(), ops.run("true"), ops.run()
    ops.wait(ended)
    ops.call("POST", "/volumes/create", {"Name": "unused"})
    filler = fill(daemon)
    error = refused(lambda: ops.create(Labels={"big": "x" * 50_000}))
    assert "no space left" in str(error), error
    fill(daemon)

    ops.call("POST", f"/containers/{stopped}/stop?t=0")
    ops.remove(removed)
    assert b"hello" in logs(daemon, talking)
    assert ops.state(stopped)["Status"] == "exited"
    pruned = ops.call("POST", "/containers/prune")
    assert {stopped, ended} <= set(pruned["ContainersDeleted"])
    ops.call("DELETE", "/volumes/unused")
    assert ops.state(talking)["Running"]
    pid = ops.state(talking)["Pid"]

    fill(daemon)
    daemon.kill()
    assert daemon.launch()
    assert ops.state(talking)["Pid"] == pid
    told = {row["Id"] for row in ops.call("GET", "/containers/json?all=1")}
    assert talking in told
    assert not {stopped, ended, removed} & told
    daemon.assert_no_difference("on the full disk")

    os.unlink(filler)
    assert ops.wait(ops.run("true")) == 0
    ops.remove(talking)
    daemon.assert_no_difference("when there is room again")
