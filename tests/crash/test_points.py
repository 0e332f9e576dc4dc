"""Every crash point, once, in the cheapest operation that passes it; each restart arms the next one.

After each crash: containers that ran have their pids, acknowledged objects are there, and nothing else is on the host.
"""

from __future__ import annotations

import contextlib
import time

import pytest

from crash.harness import CrashDaemon, Gone, Ops, Refused, alive
from crash.operations import OPERATIONS, Operation
from daemon import need_daemon

START_UP = Operation("start-up", lambda ops, _: None)
REACHED_S = 3.0
SOAKED = {
    "volume create", "volume rm", "network create", "network rm", "import", "rmi", "create", "start", "exit", "exec",
    "stop", "rm", "rm -f", "run --rm", "publish", "connect",
}  # fmt: skip


def learn(daemon: CrashDaemon, listing) -> dict[str, Operation]:
    """Return each point with the first operation that passes it."""
    points: dict[str, Operation] = {}

    def attribute(operation: Operation) -> None:
        names = listing.read_text().split() if listing.exists() else []
        for name in names:
            points.setdefault(name, operation)

    assert daemon.launch()
    daemon.load("busybox")
    daemon.kill()
    assert daemon.launch(listing=listing)  # not the first start: what that alone passes belongs to an operation, too
    attribute(START_UP)
    ops = Ops(daemon)
    for operation in OPERATIONS:
        operation.act(ops, operation.prepare(ops))
        daemon.assert_no_difference(operation.name)
        attribute(operation)
    ops.sweep(())
    return points


def crash_at(daemon: CrashDaemon, ops: Ops, operation: Operation, keep: tuple[str, ...]) -> bool:
    """Run an operation on a daemon that is armed; returns whether it died of it."""
    with contextlib.suppress(Gone):
        ops.sweep(keep)
        operation.act(ops, operation.prepare(ops))
    return daemon.died(REACHED_S)


@pytest.fixture
def daemon(tmp_path):
    need_daemon()
    daemon = CrashDaemon(tmp_path)
    yield daemon
    daemon.purge()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", [0, 1])
def test_every_point_once(daemon, tmp_path, part):
    points = learn(daemon, tmp_path / "points")
    ops = Ops(daemon)
    resident = ops.run("sleep", "1000")
    pid = ops.state(resident)["Pid"]
    daemon.kill()
    unreached, slowest, first = [], 0.0, time.monotonic()
    for number, (point, operation) in enumerate(points.items()):
        if number % 2 != part:
            continue
        print(f"{time.monotonic() - first:6.1f} {number} {point} in {operation.name}", flush=True)
        begun = time.monotonic()
        if not daemon.launch(point):
            continue
        slowest = max(slowest, time.monotonic() - begun)
        try:
            verify(daemon, ops, resident, pid, f"before {point} in {operation.name}")
        except Gone:
            continue
        if not crash_at(daemon, ops, operation, (resident,)):
            unreached.append(f"{point} in {operation.name}")
            daemon.kill()
    assert daemon.launch()
    verify(daemon, ops, resident, pid, "at the end")
    ops.sweep(())
    daemon.assert_no_difference("when all is removed")
    print(f"{len(points)} points, {len(unreached)} not reached again, slowest start {slowest:.2f} s: {unreached}")
    assert len(unreached) <= len(points) // 10, unreached


def verify(daemon: CrashDaemon, ops: Ops, resident: str, pid: int, context: str) -> None:
    state = ops.state(resident)
    assert (state["Status"], state["Pid"]) == ("running", pid), context
    assert alive(pid), context
    daemon.assert_no_difference(context)


def test_an_operation_that_was_cut_can_be_done_again(daemon):
    """After a crash at either end of a start, the same start works."""
    assert daemon.launch()
    daemon.load("busybox")
    ops = Ops(daemon)
    container = ops.create("sleep", "1000")
    for point in ("runtime.create.before", "runtime.create.after", "runtime.start.before", "runtime.start.after"):
        daemon.kill()
        assert daemon.launch(point)
        with pytest.raises(Gone):
            ops.start(container)
        assert daemon.died(REACHED_S)
        assert daemon.launch()
        with contextlib.suppress(Refused):
            ops.start(container)
        assert ops.state(container)["Running"], point
        ops.call("POST", f"/containers/{container}/kill")
        ops.wait(container)
        daemon.assert_no_difference(point)


def interfaces(ops: Ops, container: str) -> int:
    """Return how many interfaces the container sees, `lo` among them."""
    return len(ops.output(container, "ls", "/sys/class/net").split())


def test_connect_and_disconnect_that_were_cut(tmp_path):
    """A running container has the interfaces that its record says, whichever that is."""
    need_daemon()
    daemon = CrashDaemon(tmp_path, "--netns-pool", "0")  # the pool makes interfaces at start, too
    try:
        connect_and_disconnect(daemon)
    finally:
        daemon.purge()


def connect_and_disconnect(daemon: CrashDaemon) -> None:
    assert daemon.launch()
    daemon.load("busybox")
    ops = Ops(daemon)
    network = ops.call("POST", "/networks/create", {"Name": "other"})["Id"]
    container = ops.run("sleep", "1000")
    for verb in ("connect", "disconnect"):
        step = "network.veth.create" if verb == "connect" else "network.veth.delete"
        for point in (f"{step}.before", f"{step}.after"):
            _settle(ops, network, container, connected=verb == "disconnect")
            daemon.kill()
            assert daemon.launch(point)
            with contextlib.suppress(Gone):
                ops.call("POST", f"/networks/{network}/{verb}", {"Container": container})
            assert daemon.died(REACHED_S)
            assert daemon.launch()
            daemon.assert_no_difference(f"{verb} at {point}")
            told = ops.call("GET", f"/containers/{container}/json")["NetworkSettings"]["Networks"]
            assert interfaces(ops, container) == 1 + len(told), f"{verb} at {point}: {told}"


def _settle(ops: Ops, network: str, container: str, *, connected: bool) -> None:
    told = ops.call("GET", f"/containers/{container}/json")["NetworkSettings"]["Networks"]
    if ("other" in told) != connected:
        ops.call("POST", f"/networks/{network}/{'connect' if connected else 'disconnect'}", {"Container": container})


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_every_point_in_every_operation(daemon, tmp_path):
    points = learn(daemon, tmp_path / "points")
    ops = Ops(daemon)
    resident = ops.run("sleep", "1000")
    pid = ops.state(resident)["Pid"]
    died = 0
    soaked = [operation for operation in OPERATIONS if operation.name in SOAKED]
    for operation in soaked:
        for point in points:
            daemon.kill()
            assert daemon.launch()
            verify(daemon, ops, resident, pid, f"before {point} in {operation.name}")
            ops.sweep((resident,))
            subject = operation.prepare(ops)
            daemon.kill()
            if daemon.launch(point):
                with contextlib.suppress(Gone):
                    operation.act(ops, subject)
                    daemon.died(0.2)
            died += daemon.process.poll() is not None
    assert daemon.launch()
    verify(daemon, ops, resident, pid, "at the end")
    print(f"{len(soaked)} operations x {len(points)} points: {died} crashes")
