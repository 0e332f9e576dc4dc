"""The monitor is killed, alone or with the daemon: the container ends, and that is told as it was."""

from __future__ import annotations

import time

import pytest

from crash.harness import CrashDaemon, Ops, alive, kill, monitor_of
from daemon import need_daemon


@pytest.fixture
def daemon(tmp_path):
    need_daemon()
    daemon = CrashDaemon(tmp_path)
    assert daemon.launch()
    daemon.load("busybox")
    yield daemon
    daemon.purge()


def lost_monitor(daemon, ops, container, pid, codes=(137,)):
    """Check that the loss was reported and that nothing stayed."""
    ops.wait(container)
    state = ops.state(container)
    assert state["Status"] == "exited"
    assert state["ExitCode"] in codes
    assert "monitor" in state["Error"]
    assert not alive(pid)
    daemon.assert_no_difference()
    ops.start(container)
    assert ops.state(container)["Running"]


def test_a_killed_monitor_ends_its_container(daemon):
    ops = Ops(daemon)
    container, other = ops.run(), ops.run()
    pid = ops.state(container)["Pid"]
    kill(monitor_of(daemon, container))
    lost_monitor(daemon, ops, container, pid)
    assert ops.state(other)["Running"]


@pytest.mark.parametrize("order", ["daemon first", "monitor first"])
def test_daemon_and_monitor_killed(daemon, order):
    ops = Ops(daemon)
    container, other = ops.run(), ops.run()
    pid, other_pid = ops.state(container)["Pid"], ops.state(other)["Pid"]
    monitor = monitor_of(daemon, container)
    if order == "daemon first":
        daemon.kill()
        kill(monitor)
    else:
        kill(monitor)
        daemon.kill()
    assert daemon.launch()
    # 255, not seen: the first daemon may have killed the container and died before it could record that
    lost_monitor(daemon, ops, container, pid, codes=(137,) if order == "daemon first" else (137, 255))
    assert ops.state(other)["Pid"] == other_pid


def test_what_ended_while_no_daemon_was_there_has_its_exact_code(daemon):
    ops = Ops(daemon)
    codes = {ops.run("sh", "-c", f"sleep 0.5; exit {code}"): code for code in (0, 1, 42, 127, 255)}
    killed = ops.run()
    pid = ops.state(killed)["Pid"]
    daemon.kill()
    kill(pid)
    deadline = time.monotonic() + 10
    while any(True for container in codes if _has_monitor(daemon, container)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert daemon.launch()
    assert {container: ops.wait(container) for container in codes} == codes
    assert ops.wait(killed) == 137
    daemon.assert_no_difference()


def _has_monitor(daemon, container):
    try:
        monitor_of(daemon, container)
    except AssertionError:
        return False
    return True


def test_output_while_no_daemon_was_there_is_in_the_log(daemon):
    ops = Ops(daemon)
    container = ops.run("sh", "-c", "echo before; sleep 0.7; echo between; sleep 1.5; echo after; sleep 1000")
    time.sleep(0.2)
    daemon.kill()
    time.sleep(1)
    assert daemon.launch()
    deadline = time.monotonic() + 10
    log = b""
    while b"after" not in log and time.monotonic() < deadline:
        _, log = daemon.request("GET", f"/v1.51/containers/{container}/logs?stdout=1")
        time.sleep(0.05)
    assert [word for word in (b"before", b"between", b"after") if word in log] == [b"before", b"between", b"after"]
