"""What a container is in, seen from inside; and its limits, terminal, logs and slow clients."""

import asyncio
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from conformance.runtime import ENV, collect, container, read_logs
from host.runtime_fixtures import RUNTIMES, needs_runtime, rootfs, world  # noqa: F401 - fixtures
from sampan.base import ids
from sampan.base.errors import Exhausted, InvalidArgument, RuntimeFailed
from sampan.host import process, syscalls
from sampan.host.cgroup import Hierarchies
from sampan.host.launcher import UNIFIED
from sampan.host.syscalls import mount, umount
from sampan.model.container import (
    Device,
    LogSpec,
    MountKind,
    MountSpec,
    Namespaces,
    Process,
    Resources,
    Security,
    Ulimit,
)
from sampan.runtime.port import ExecSpec, HostMount, LaunchSpec

pytestmark = needs_runtime


@pytest.fixture
async def runtime(world):  # noqa: F811
    runtime = world.make()
    await runtime.prepare()
    return runtime


@pytest.fixture
def run(runtime, rootfs):  # noqa: F811
    """Run a container to its end; returns (exit, stdout, stderr)."""

    async def run(*args, launch=(), changes=(), **spec):
        of = msgspec.structs.replace(container(*args, **spec), **dict(changes))
        options = {"container": of, "rootfs": rootfs} | dict(launch)
        try:
            await runtime.create(LaunchSpec(**options))
            attached = await runtime.attach(of.id)
            await runtime.start(of.id)
            output = await asyncio.wait_for(collect(attached), 30)
            return await runtime.wait(of.id), output["stdout"].decode(), output["stderr"].decode()
        finally:
            await runtime.delete(of.id)
            await runtime.remove_logs(of.id)

    return run


@pytest.fixture
async def start(runtime, rootfs):  # noqa: F811
    """Start containers that are deleted after the test."""
    made = []

    async def start(*args, launch=(), **spec):
        of = container(*args, **spec)
        made.append(of.id)
        options = {"container": of, "rootfs": rootfs} | dict(launch)
        await runtime.create(LaunchSpec(**options))
        await runtime.start(of.id)
        return of

    yield start
    for container_id in made:
        await runtime.delete(container_id)
        await runtime.remove_logs(container_id)


# --- confinement ------------------------------------------------------------------------------------------------------


async def test_default_confinement(run):
    script = (
        "grep -E '^(CapEff|CapBnd|CapInh|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status; ls /proc/self/fd | wc -l; "
        "cat /proc/kcore | wc -c; (echo 1 > /proc/sys/kernel/hostname) 2>&1; mount -t tmpfs x /tmp 2>&1; hostname; "
        "cat /proc/1/comm; unshare -U true 2>&1; cat /proc/self/cgroup | grep -c sampan"
    )
    _, out, _ = await run("sh", "-c", script)
    lines = [line.replace("\t", " ") for line in out.splitlines()]
    caps = "00000000a80425fb"
    assert lines[:6] == [
        "CapInh: 0000000000000000",
        f"CapEff: {caps}",
        f"CapBnd: {caps}",
        "CapAmb: 0000000000000000",
        "NoNewPrivs: 0",
        "Seccomp: 2",
    ]
    # 0-2, and the directory that ls itself reads
    assert lines[6:8] == ["4", "0"]
    assert "Read-only" in lines[8]
    assert "denied" in lines[9] or "not permitted" in lines[9]
    assert lines[10:12] == ["boat", "sh"]
    assert "not permitted" in lines[12]
    assert lines[13] == "0"


async def test_privileges_by_option(run):
    security = Security(no_new_privileges=True, cap_drop=("ALL",), cap_add=("NET_ADMIN",), readonly_rootfs=True)
    _, out, _ = await run("sh", "-c", "grep -E 'NoNew|CapEff' /proc/self/status; touch /x 2>&1", security=security)
    assert "0000000000001000" in out
    assert "NoNewPrivs:\t1" in out
    assert "Read-only" in out


async def test_privileged_sees_the_devices_and_writes_proc(run):
    _, out, _ = await run(
        "sh", "-c", "ls /dev/loop0; grep Seccomp: /proc/self/status", security=Security(privileged=True)
    )
    assert "Seccomp:\t0" in out
    assert "/dev/loop0" in out or not os.path.exists("/dev/loop0")


async def test_host_namespaces(run):
    modes = Namespaces(pid="host", ipc="host", uts="host", cgroup="host")
    exited, out, _ = await run("sh", "-c", "hostname; ls /proc | grep -c '^[0-9]'", namespaces=modes)
    assert exited.code == 0
    hostname, count = out.split()
    assert hostname == os.uname().nodename
    assert int(count) > 5


async def test_a_host_pid_container_leaves_no_process(run):
    exited, out, _ = await run("sh", "-c", "sleep 1000 & echo $!; exit 3", namespaces=Namespaces(pid="host"))
    assert exited.code == 3
    assert not process.alive(int(out))


async def test_init_is_the_first_process(run):
    _, out, _ = await run("sh", "-c", "cat /proc/1/comm", init=True)
    assert out.strip() in ("docker-init", "tini", "catatonit")


async def test_runtime_annotations_are_refused(run):
    with pytest.raises(InvalidArgument, match="steers the OCI runtime"):
        await run("true", annotations={"run.oci.hooks.stdout": "/etc/passwd"})


# --- who, where, what -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "groups", "wanted"),
    [
        ("bob", (), "uid=1000(bob) gid=1000(bob) groups=1000(bob),2000(extra)"),
        ("1000", ("root",), "uid=1000(bob) gid=1000(bob) groups=0(root),1000(bob),2000(extra)"),
        ("bob:extra", (), "uid=1000(bob) gid=2000(extra) groups=2000(extra)"),
        ("4242", (), "uid=4242 gid=0(root) groups=0(root)"),
        ("4242:77", ("3000",), "uid=4242 gid=77 groups=77,3000"),
    ],
)
async def test_users(run, user, groups, wanted):
    _, out, _ = await run("id", process=Process(user=user, groups=groups))
    assert out.strip() == wanted


@pytest.mark.parametrize("user", ["nobody-here", "bob:nogroup", "4294967296"])
async def test_unknown_users_are_refused(run, user):
    with pytest.raises(InvalidArgument):
        await run("id", process=Process(user=user))


async def test_the_working_directory_is_made(run):
    changes = {"cwd": "/srv/new/dir"}
    _, out, _ = await run("sh", "-c", "pwd; stat -c %u /srv/new", changes=changes, process=Process(user="bob"))
    assert out.split() == ["/srv/new/dir", "1000"]


async def test_mounts(run, tmp_path):
    (tmp_path / "ro").mkdir()
    (tmp_path / "rw").mkdir()
    (tmp_path / "ro/file").write_text("seen")
    mounts = (
        HostMount(source=str(tmp_path / "ro"), target="/ro", read_only=True),
        HostMount(source=str(tmp_path / "rw"), target="/a/b"),
        HostMount(source="tmpfs", target="/t", kind="tmpfs", options=("size=1m", "mode=1777")),
    )
    script = "cat /ro/file; touch /ro/x 2>&1; echo hi > /a/b/out; df -k /t | tail -1; grep ' /t ' /proc/mounts"
    _, out, _ = await run("sh", "-c", script, launch={"mounts": mounts})
    assert "seen" in out
    assert "Read-only" in out
    assert (tmp_path / "rw/out").read_text() == "hi\n"
    assert "noexec" in out
    assert " 1024 " in out


async def test_a_mount_that_the_host_made_after_the_first_start_is_seen(run, tmp_path):
    await run("true")
    (tmp_path / "late").mkdir()
    mount("late", str(tmp_path / "late"), "tmpfs")
    try:
        (tmp_path / "late/file").write_text("late")
        mounts = (HostMount(source=str(tmp_path / "late"), target="/late"),)
        _, out, _ = await run("cat", "/late/file", launch={"mounts": mounts})
        assert out == "late"
    finally:
        umount(str(tmp_path / "late"))


@pytest.mark.parametrize("name", RUNTIMES)
async def test_a_read_only_bind_is_so_all_the_way_down(world, rootfs, tmp_path, name):  # noqa: F811
    runtime = world.make(default_runtime=name)
    await runtime.prepare()
    (tmp_path / "top/below").mkdir(parents=True)
    mount("below", str(tmp_path / "top/below"), "tmpfs")
    try:
        for shallow, wanted in ((False, "Read-only"), (True, "written")):
            asked = MountSpec(kind=MountKind.BIND, target="/top", read_only_non_recursive=shallow)
            of = container("sh", "-c", "touch /top/below/x 2>&1 && echo written", mounts=(asked,))
            mounts = (HostMount(source=str(tmp_path / "top"), target="/top", read_only=True),)
            await runtime.create(LaunchSpec(container=of, rootfs=rootfs, mounts=mounts))
            attached = await runtime.attach(of.id)
            await runtime.start(of.id)
            assert wanted in (await collect(attached))["stdout"].decode()
            await runtime.delete(of.id)
    finally:
        umount(str(tmp_path / "top/below"))


async def test_devices_and_shm(run):
    resources = Resources(devices=(Device(host_path="/dev/null", container_path="/dev/other", permissions="r"),))
    script = (
        "cat /dev/other | wc -c; mknod /tmp/k c 1 11; head -c 1 /tmp/k 2>&1; df -k /dev/shm | tail -1; ls /dev/mqueue"
    )
    _, out, _ = await run("sh", "-c", script, resources=resources, shm_size_bytes=2 << 20)
    assert out.startswith("0\n")
    assert "not permitted" in out
    assert " 2048 " in out


async def test_a_missing_device_is_refused(run):
    with pytest.raises(InvalidArgument, match="/dev/none"):
        await run("true", resources=Resources(devices=(Device(host_path="/dev/none", container_path="/dev/x"),)))


async def test_network_namespace_by_path(run, tmp_path):
    path = tmp_path / "netns"
    path.touch()
    await asyncio.to_thread(subprocess.run, ["unshare", f"--net={path}", "true"], check=True)
    try:
        sysctls = {"net.ipv4.ip_forward": "1"}
        script = "ls /sys/class/net; cat /proc/sys/net/ipv4/ip_forward"
        _, out, _ = await run("sh", "-c", script, launch={"netns": str(path)}, sysctls=sysctls)
        assert out.split() == ["lo", "1"]
    finally:
        umount(str(path))


# --- limits -----------------------------------------------------------------------------------------------------------


async def test_limits_are_in_the_cgroup(runtime, start):
    resources = Resources(
        memory_bytes=64 << 20,
        nano_cpus=500_000_000,
        pids_limit=20,
        cpuset_cpus="0",
        cpu_shares=512,
        memory_reservation_bytes=32 << 20,
    )
    of = await start("sleep", "100", resources=resources)
    usage = await runtime.usage(of.id)
    assert usage.memory_limit_bytes == 64 << 20
    assert usage.pids_limit == 20
    group = runtime.entry(of.id).group
    if group.hierarchies.version == 1:
        assert group.read("cpu", "cpu.cfs_quota_us").strip() == "50000"
        assert group.read("cpu", "cpu.shares").strip() == "512"
        assert group.read("memory", "memory.memsw.limit_in_bytes").strip() in ("", str(128 << 20))
    else:
        assert group.read("cpu", "cpu.max").split() == ["50000", "100000"]
    assert group.read("cpuset", "cpuset.cpus").strip() == "0"
    changed = msgspec.structs.replace(of.spec, resources=Resources(memory_bytes=128 << 20, pids_limit=30))
    await runtime.update(msgspec.structs.replace(of, spec=changed))
    usage = await runtime.usage(of.id)
    assert (usage.memory_limit_bytes, usage.pids_limit) == (128 << 20, 30)


async def test_out_of_memory_is_told(run):
    resources = Resources(memory_bytes=16 << 20, memory_swap_bytes=16 << 20)
    exited, _, _ = await run("sh", "-c", "exec tail -c 100000000 /dev/zero", resources=resources)
    assert (exited.code, exited.oom_killed) == (137, True)


async def test_an_out_of_memory_child_is_told_too(run):
    resources = Resources(memory_bytes=16 << 20, memory_swap_bytes=16 << 20)
    exited, out, _ = await run("sh", "-c", "tail -c 100000000 /dev/zero; echo $?; exit 4", resources=resources)
    assert (exited.code, exited.oom_killed) == (4, True)
    assert "137" in out


async def test_a_plain_kill_is_no_oom(runtime, start):
    of = await start("sleep", "100", resources=Resources(memory_bytes=64 << 20))
    await runtime.signal(of.id, signal.SIGKILL)
    exited = await runtime.wait(of.id)
    assert (exited.code, exited.oom_killed) == (137, False)


async def test_ulimits_are_set_and_clamped(world, rootfs, caplog):  # noqa: F811
    runtime = world.make(default_ulimits=(Ulimit(name="core", soft=0, hard=0),))
    resources = Resources(ulimits=(Ulimit(name="nofile", soft=100, hard=1 << 40),))
    of = container("sh", "-c", "ulimit -n; ulimit -c; ulimit -Hn", resources=resources)
    await runtime.create(LaunchSpec(container=of, rootfs=rootfs))
    attached = await runtime.attach(of.id)
    await runtime.start(of.id)
    soft, core, hard = (await collect(attached))["stdout"].decode().split()
    assert (soft, core) == ("100", "0")
    assert int(hard) <= 1 << 40
    await runtime.delete(of.id)


async def test_signal_to_every_process(runtime, start):
    of = await start("sh", "-c", "trap 'exit 6' TERM; sleep 100 & echo; wait; exit 7", process=Process(stdin_open=True))
    lines = runtime.logs(of, follow=True, tail=None, since_ns=0, until_ns=0)
    await anext(lines)
    await runtime.signal(of.id, signal.SIGTERM, every_process=True)
    assert (await asyncio.wait_for(runtime.wait(of.id), 10)).code == 6


# --- terminal ---------------------------------------------------------------------------------------------------------


async def test_terminal_size_and_resize(runtime, start):
    of = await start("sh", process=Process(tty=True, stdin_open=True, console_size=(30, 90)))
    attached = await runtime.attach(of.id)
    output = attached.output()

    async def until(text: bytes) -> bytes:
        seen = b""
        while text not in seen:
            seen += (await asyncio.wait_for(anext(output), 10))[1]
        return seen

    await attached.write(b"stty size; tty\n")
    await until(b"30 90\r\n")
    await attached.resize(40, 120)
    for _ in range(50):
        await attached.write(b"stty size\n")
        if b"40 120" in await until(b"\r\n/ #"):
            break
    else:
        pytest.fail("the size did not change")
    await attached.write(b"exit 7\n")
    assert (await asyncio.wait_for(runtime.wait(of.id), 10)).code == 7


async def test_exec_with_a_terminal(runtime, start):
    of = await start("sleep", "100")
    spec = ExecSpec(args=("sh", "-c", "tty; stty size; exit 2"), env=ENV, tty=True, console_size=(20, 50))
    running = await runtime.exec(of, ids.random_id(), spec)
    out = (await collect(running.streams))["stdout"]
    assert b"/dev/pts/" in out
    assert b"20 50" in out
    assert (await running.wait()).code == 2


async def test_roots_may_have_long_paths(world, rootfs):  # noqa: F811
    world.exec_root = world.root / ("long" * 20)
    runtime = world.make()
    await runtime.prepare()
    of = container("sh", "-c", "tty; read x; echo $x", process=Process(tty=True, stdin_open=True))
    await runtime.create(LaunchSpec(container=of, rootfs=rootfs))
    attached = await runtime.attach(of.id)
    await runtime.start(of.id)
    running = await runtime.exec(of, ids.random_id(), ExecSpec(args=("tty",), env=ENV, tty=True))
    assert b"/dev/pts/" in (await collect(running.streams))["stdout"]
    await attached.write(b"typed\n")
    assert b"typed" in (await collect(attached))["stdout"]
    await runtime.delete(of.id)


async def test_exec_user_directory_and_environment(runtime, start):
    of = await start("sleep", "100")
    spec = ExecSpec(args=("sh", "-c", "id -u; pwd; echo $A $HOME"), env=(*ENV, "A=b"), user="bob", cwd="/tmp")
    running = await runtime.exec(of, ids.random_id(), spec)
    assert (await collect(running.streams))["stdout"].split() == [b"1000", b"/tmp", b"b", b"/home/bob"]


async def test_execs_end_with_the_container(runtime, start):
    of = await start("sleep", "100")
    running = await runtime.exec(of, ids.random_id(), ExecSpec(args=("sleep", "100"), env=ENV))
    await runtime.signal(of.id, 9)
    assert (await asyncio.wait_for(running.wait(), 10)).code == 137


async def test_program_that_cannot_be_invoked_is_126(run):
    with pytest.raises(RuntimeFailed, match="permission denied") as failure:
        await run("/etc/passwd")
    assert failure.value.exit_code == 126
    with pytest.raises(RuntimeFailed) as failure:
        await run("/etc")
    assert failure.value.exit_code == 126


# --- logs and slow clients --------------------------------------------------------------------------------------------


async def test_rotation_loses_no_line(runtime, start):
    script = "i=0; while [ $i -lt 20 ]; do seq $((i*1000)) $((i*1000+999)); i=$((i+1)); sleep 0.03; done"  # rotations are looked for now and then
    of = await start("sh", "-c", script, launch={"log_max_bytes": 100_000, "log_max_files": 50})
    await runtime.wait(of.id)
    lines = await read_logs(runtime, of)
    assert [int(line.data) for line in lines] == list(range(20_000))
    assert (
        len([name for name in os.listdir(runtime.layout.log_directory(of.id)) if name.startswith("container.log")]) > 3
    )
    assert [int(line.data) for line in await read_logs(runtime, of, tail=15_000)] == list(range(5_000, 20_000))


async def test_rotation_keeps_a_bounded_number_of_files(runtime, start):
    of = await start("seq", "40000", launch={"log_max_bytes": 100_000, "log_max_files": 3})
    await runtime.wait(of.id)
    names = os.listdir(runtime.layout.log_directory(of.id))
    assert len(names) <= 3
    assert (await read_logs(runtime, of, tail=1))[0].data == b"40000\n"


async def test_followed_logs_over_rotations(runtime, start):
    of = await start("sh", "-c", "sleep 0.2; seq 20000", launch={"log_max_bytes": 100_000, "log_max_files": 50})
    lines = await asyncio.wait_for(read_logs(runtime, of, follow=True), 30)
    assert [int(line.data) for line in lines] == list(range(1, 20_001))


async def test_long_lines_are_rejoined_and_bounded(runtime, start):
    script = "head -c 9000 /dev/zero | tr '\\0' x; echo; head -c 40000 /dev/zero | tr '\\0' y; echo; printf end"
    of = await start("sh", "-c", script)
    await runtime.wait(of.id)
    lines = await read_logs(runtime, of)
    assert lines[0].data == b"x" * 9000 + b"\n"
    assert b"".join(line.data for line in lines[1:]) == b"y" * 40000 + b"\nend"
    assert all(len(line.data) < 32768 for line in lines)
    assert lines[-1].partial


async def test_no_log_when_none_is_wanted(runtime, start):
    of = await start("sh", "-c", "echo x; exit 3", log=LogSpec(driver="none"))
    assert (await runtime.wait(of.id)).code == 3
    assert await read_logs(runtime, of) == []
    assert not os.path.exists(runtime.layout.log_directory(of.id))


async def test_a_client_that_takes_nothing_is_cut_and_the_container_goes_on(runtime, start):
    of = await start("sh", "-c", "sleep 0.2; seq 300000; exit 5")
    runtime.entry(of.id).fanout.stall_s = 0.3
    stuck, reading = await runtime.attach(of.id), await runtime.attach(of.id)
    out = await asyncio.wait_for(collect(reading), 30)
    assert out["stdout"].count(b"\n") == 300_000
    assert (await runtime.wait(of.id)).code == 5
    with pytest.raises(Exhausted):
        await collect(stuck)


async def test_a_slow_client_gets_every_byte(runtime, start):
    of = await start("sh", "-c", "sleep 0.1; seq 200000")
    attached = await runtime.attach(of.id)
    size, turns = 0, 0
    async for _, data in attached.output():
        size += len(data)
        turns += 1
        if turns % 20 == 0:
            await asyncio.sleep(0.005)
    assert size == sum(len(str(number)) + 1 for number in range(1, 200_001))


async def test_delete_leaves_no_group(runtime, start):
    of = await start("sleep", "100")
    path = runtime.entry(of.id).group.path
    assert any(os.path.isdir(root + path) for root in Hierarchies().roots())
    await runtime.delete(of.id)
    assert not any(os.path.isdir(root + path) for root in Hierarchies().roots())


async def test_nothing_is_hidden_below_the_unified_hierarchy(runtime, run):
    await run("true")

    def below() -> list[str]:
        syscalls.unshare(syscalls.CLONE_FS)
        syscalls.unshare(syscalls.CLONE_NEWNS)
        mount(None, "/", flags=syscalls.MS_PRIVATE | syscalls.MS_REC)
        if os.path.ismount(UNIFIED):
            umount(UNIFIED, syscalls.MNT_DETACH)
        return os.listdir(UNIFIED) if os.path.isdir(UNIFIED) else []

    with ThreadPoolExecutor(1) as thread:
        assert f"sampan-{runtime.layout.tag}" not in thread.submit(below).result()


async def test_lines_that_a_full_disk_refused_are_counted_and_told(world, rootfs):  # noqa: F811
    (world.base / "d").mkdir()
    mount("small", str(world.base / "d"), "tmpfs", options="size=256k")
    try:
        runtime = world.make()
        await runtime.prepare()
        of = container("sh", "-c", "seq 20000; sleep 0.3; echo after; exit 3")
        await runtime.create(LaunchSpec(container=of, rootfs=rootfs))
        attached = await runtime.attach(of.id)
        await runtime.start(of.id)
        assert (await collect(attached))["stdout"].count(b"\n") == 20_001
        assert (await runtime.wait(of.id)).code == 3
        *kept, told = await read_logs(runtime, of)
        assert told.stream == "stderr"
        lines = int(told.data.split()[1])
        assert abs(len(kept) + lines - 20_001) <= 20  # a torn line is in both or none
        await runtime.delete(of.id)
        await runtime.remove_logs(of.id)
        assert await read_logs(runtime, of) == []
    finally:
        umount(str(world.base / "d"))


async def test_cancelled_calls_leave_nothing(world, runtime, start, rootfs):  # noqa: F811
    of = container("sleep", "100")
    for delay in (0, 0.001, 0.005, 0.01, 0.02):
        creating = asyncio.ensure_future(runtime.create(LaunchSpec(container=of, rootfs=rootfs)))
        await asyncio.sleep(delay)
        creating.cancel()
        await asyncio.wait({creating})
        await runtime.delete(of.id)
        assert runtime.inventory.monitors() == {}
    running = await start("sleep", "100")
    for delay in (0, 0.001, 0.005, 0.01, 0.02):
        spec = ExecSpec(args=("sleep", "100"), env=ENV)
        executing = asyncio.ensure_future(runtime.exec(running, ids.random_id(), spec))
        await asyncio.sleep(delay)
        executing.cancel()
        await asyncio.wait({executing})
    await runtime.delete(running.id)
    assert runtime.inventory.exec_monitors(running.id) == []
