"""The daemon, the monitor, or both die: what runs goes on, what ended is told exactly, and nothing is left behind."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from conformance.runtime import collect
from host.runtime_fixtures import needs_runtime, rootfs, world  # noqa: F401 - fixtures
from sampan.base.crash import EXIT_CODE
from sampan.model.container import Container

pytestmark = needs_runtime
TESTS = Path(__file__).parent.parent
LIFE = ("create", "start", "exec", "pause", "resume", "update", "kill", "wait", "delete", "remove_logs")


def run_daemon(world, rootfs, *operations, crash="", listing="", program=""):  # noqa: F811
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{TESTS.parent / 'src'}:{TESTS}"}
    env |= {"SAMPAN_CRASH": crash} if crash else {}
    env |= {"SAMPAN_CRASH_LIST": listing} if listing else {}
    env |= {"PROGRAM": program} if program else {}
    argv = [
        sys.executable,
        str(TESTS / "host/runtime_daemon.py"),
        str(world.base / "d"),
        str(world.exec_root),
        world.tag,
    ]
    return subprocess.run(
        [*argv, rootfs, *operations], env=env, check=False, capture_output=True, text=True, timeout=60
    )


def recorded(world) -> Container:  # noqa: F811
    return msgspec.json.decode((world.base / "d/container").read_bytes(), type=Container)


async def processes_of(world) -> list[str]:  # noqa: F811
    marks = (str(world.exec_root), world.tag)
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                text = Path(f"/proc/{name}/cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if any(mark in text for mark in marks) and int(name) != os.getpid():
                found.append(text.replace("\0", " "))
    return found


async def test_a_running_container_outlives_the_daemon(world, rootfs):  # noqa: F811
    assert run_daemon(world, rootfs, "create", "start", "die").returncode == -signal.SIGKILL
    of = recorded(world)
    runtime = world.make()
    found = (await runtime.survey())[of.id]
    assert found.started
    assert found.exit is None
    await runtime.adopt(of)
    await runtime.adopt(of)
    assert (await runtime.survey())[of.id].pid == found.pid
    streams = await runtime.attach(of.id)
    await streams.write(b"again\n")
    assert (await anext(streams.output()))[1] == b"got again\n"
    await runtime.signal(of.id, 9)
    assert (await runtime.wait(of.id)).code == 137


async def test_stdin_does_not_end_with_the_daemon(world, rootfs):  # noqa: F811
    run_daemon(world, rootfs, "create", "start", "die", program="cat; exit 9")
    of = recorded(world)
    for number in range(2):  # a daemon that adopted it may be killed too
        runtime = world.make()
        await asyncio.sleep(0.1)
        assert (await runtime.survey())[of.id].exit is None
        await runtime.adopt(of)
        streams = await runtime.attach(of.id)
        await streams.write(b"%d" % number)
        assert (await anext(streams.output()))[1] == b"%d" % number
        await runtime.close()
    runtime = world.make()
    await runtime.survey()
    await runtime.adopt(of)
    await (await runtime.attach(of.id)).close_stdin()
    assert (await asyncio.wait_for(runtime.wait(of.id), 10)).code == 9


async def test_an_exit_while_the_daemon_was_away_is_exact(world, rootfs):  # noqa: F811
    run_daemon(world, rootfs, "create", "start", "die", program="sleep 0.3; echo bye; exit 42")
    of = recorded(world)
    runtime = world.make()
    await runtime.prepare()
    await runtime.adopt(of)
    ended = await asyncio.wait_for(runtime.wait(of.id), 10)
    assert (ended.code, ended.error) == (42, "")
    assert abs(ended.finished_at_ns - runtime.clock.now_ns()) < 60e9
    assert (await runtime.survey())[of.id].exit.code == 42
    lines = [line.data async for line in runtime.logs(of, follow=False, tail=None, since_ns=0, until_ns=0)]
    assert lines == [b"bye\n"]


async def test_a_created_container_is_known_as_not_started(world, rootfs):  # noqa: F811
    run_daemon(world, rootfs, "create", "die")
    of = recorded(world)
    runtime = world.make()
    found = (await runtime.survey())[of.id]
    assert found.pid
    assert not found.started
    await runtime.adopt(of)
    await runtime.start(of.id)
    assert (await runtime.survey())[of.id].started


async def test_a_killed_monitor_is_reported_and_the_container_killed(world, rootfs):  # noqa: F811
    run_daemon(world, rootfs, "create", "start", "die")
    of = recorded(world)
    runtime = world.make()
    found = (await runtime.survey())[of.id]
    await runtime.adopt(of)
    streams = await runtime.attach(of.id)
    os.kill(found.monitor_pid, signal.SIGKILL)
    ended = await asyncio.wait_for(runtime.wait(of.id), 10)
    assert ended.code == 137
    assert "monitor" in ended.error
    assert await collect(streams) == {"stdout": b"", "stderr": b""}
    assert not os.path.exists(f"/proc/{found.pid}") or Path(f"/proc/{found.pid}/stat").read_text().split()[2] == "Z"


async def test_daemon_and_monitor_killed_together(world, rootfs):  # noqa: F811
    run_daemon(world, rootfs, "create", "start", "die")
    of = recorded(world)
    runtime = world.make()
    os.kill((await runtime.survey())[of.id].monitor_pid, signal.SIGKILL)
    await runtime.adopt(of)
    assert (await asyncio.wait_for(runtime.wait(of.id), 10)).code == 137
    await runtime.delete(of.id)
    assert await processes_of(world) == []


def crash_points() -> list[str]:
    names = "bundle create start exec pause resume update signal delete remove_logs".split()
    return [f"runtime.{name}.{side}" for name in names for side in ("before", "after")]


def test_every_crash_point_is_known(world, rootfs):  # noqa: F811
    listing = world.base / "points"
    world.exec_root.mkdir()
    ended = run_daemon(world, rootfs, *LIFE, listing=str(listing))
    assert ended.returncode == 0, ended.stderr
    assert set(listing.read_text().split()) == set(crash_points())


@pytest.mark.parametrize("point", crash_points())
async def test_nothing_is_left_after_a_crash(world, rootfs, point):  # noqa: F811
    ended = run_daemon(world, rootfs, *LIFE, crash=f"{point}:1")
    assert ended.returncode == EXIT_CODE, ended.stderr
    of = recorded(world)
    runtime = world.make()
    for container_id in await runtime.survey():
        assert container_id == of.id
        await runtime.delete(container_id)
    await runtime.remove_logs(of.id)
    assert await runtime.survey() == {}
    assert await processes_of(world) == []
    assert not os.listdir(world.exec_root / "containers")
    assert not (world.base / "d/containers" / of.id).exists()
