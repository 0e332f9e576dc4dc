"""The engine on pure cgroup v2. Run in the microVM, by both runtimes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from soak.microvm.guest.world import CGROUPS, Box, World, eventually

MB = 1 << 20
DISK = "/dev/vda"
RUNTIMES = ("crun", "runc")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    world.daemon.start()
    try:
        world.sampan("image", "bootstrap", "busybox")
        yield world
    finally:
        world.daemon.purge()


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    return request.param


def disk_number() -> str:
    number = os.stat(DISK).st_rdev
    return f"{os.major(number)}:{os.minor(number)}"


# --- what the host is -----------------------------------------------------------------------------------------------


def test_the_host_is_pure_v2_and_the_daemon_says_so(world):
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    assert [(row[1], row[2]) for row in mounts if row[2].startswith("cgroup")] == [(str(CGROUPS), "cgroup2")]
    info = world.daemon.api("GET", "/info")
    assert (info["CgroupVersion"], info["CgroupDriver"], info["DefaultRuntime"]) == ("2", "cgroupfs", "crun")
    assert "name=cgroupns" in info["SecurityOptions"]
    assert info["MemoryLimit"] and info["PidsLimit"] and info["CpuCfsQuota"] and info["CPUSet"] and info["CPUShares"]


def test_doctor_finds_v2_and_runs_both_runtimes(world):
    text = world.call("doctor").stdout
    assert "v2: " in text
    assert "fail" not in text.lower(), text


def test_both_runtimes_are_there(world):
    assert {"crun", "runc"} <= set(world.daemon.api("GET", "/info")["Runtimes"])


# --- run ------------------------------------------------------------------------------------------------------------


def test_run_prints_and_leaves_nothing(world, runtime):
    assert world.sampan("run", "--rm", "--runtime", runtime, "busybox", "echo", "boat") == "boat"
    eventually(lambda: not children(world), "the cgroup of a --rm container is gone")


def test_exit_codes(world, runtime):
    world.sampan("run", "--rm", "--runtime", runtime, "busybox", "sh", "-c", "exit 7", status=7)
    world.sampan("run", "--rm", "--runtime", runtime, "busybox", "no-such-program", status=127)
    world.sampan("run", "--rm", "--runtime", runtime, "busybox", "/etc", status=126)


def test_cgroupns_host_sees_the_whole_path(world):
    text = world.sampan("run", "--rm", "--cgroupns", "host", "busybox", "cat", "/proc/self/cgroup")
    assert text.startswith(f"0::/sampan-{world.tag}/")


# --- one container with every limit, looked at and changed ----------------------------------------------------------


@pytest.fixture(scope="class", params=RUNTIMES)
def box(request: pytest.FixtureRequest, world: World) -> Iterator[Box]:
    box = world.start(
        request.param,
        *("-m", "64m", "--memory-swap", "96m", "--memory-reservation", "32m", "--pids-limit", "20"),
        *("--cpus", "0.5", "--cpu-shares", "512", "--cpuset-cpus", "0", "--device-write-bps", f"{DISK}:2mb"),
    )
    yield box
    box.remove()


class TestOneContainer:
    def test_the_container_sees_its_own_group_as_the_root_and_cannot_write_it(self, world, box):
        assert box.exec("cat /proc/self/cgroup") == "0::/"
        assert box.exec("cat /sys/fs/cgroup/memory.max") == str(64 * MB)
        assert "Read-only" in box.exec("echo max >/sys/fs/cgroup/memory.max")

    def test_limits_are_in_the_files(self, box):
        assert box.file("memory.max") == str(64 * MB)
        assert box.file("memory.swap.max") == str(32 * MB)
        assert box.file("memory.low") == str(32 * MB)
        assert box.file("pids.max") == "20"
        assert box.file("cpu.max") == "50000 100000"
        assert box.file("cpuset.cpus") == "0"
        assert box.file("io.max").startswith(f"{disk_number()} ")
        assert f"wbps={2 * MB}" in box.file("io.max")

    def test_shares_become_a_weight(self, box):
        """512 of 1024 shares: 20 by the linear formula, 59 by the newer one."""
        assert box.file("cpu.weight") in ("20", "59")

    def test_controllers_are_enabled_down_to_the_container(self, box):
        wanted = {"cpu", "cpuset", "io", "memory", "pids"}
        assert wanted <= set((CGROUPS / "cgroup.subtree_control").read_text().split())
        assert wanted <= set((box.group.parent / "cgroup.subtree_control").read_text().split())
        assert wanted <= set(box.file("cgroup.controllers").split())

    def test_a_device_that_was_not_given_is_refused(self, world, box):
        major, minor = disk_number().split(":")
        assert "Operation not permitted" in box.exec(f"mknod /tmp/d b {major} {minor}; head -c 1 /tmp/d")
        assert box.exec("echo x >/dev/null && head -c 1 /dev/zero | wc -c") == "1"

    def test_processes_are_in_the_group_and_the_monitor_is_not(self, world, box):
        pid = box.state["Pid"]
        path = f"0::/sampan-{world.tag}/{box.id}"
        assert Path(f"/proc/{pid}/cgroup").read_text().strip() == path
        monitor = next(
            line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("PPid:")
        )
        assert box.id not in Path(f"/proc/{monitor.split()[1]}/cgroup").read_text()

    def test_an_exec_is_in_the_group(self, world, box):
        world.sampan("exec", "-d", box.id, "sleep", "777")

        def found():
            names = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in box.file("cgroup.procs").split()}
            return [pid for pid, name in names.items() if name == b"sleep\x00777\x00"]

        (pid,) = eventually(found, "the exec runs in the group")
        assert pid in world.sampan("top", box.id)

    def test_pause_freezes_and_unpause_thaws(self, world, box):
        world.sampan("pause", box.id)
        assert box.file("cgroup.freeze") == "1"
        assert box.keyed("cgroup.events")["frozen"] == 1
        assert box.state["Status"] == "paused"
        assert "paused" in world.call("exec", box.id, "true").stderr
        world.sampan("unpause", box.id)
        assert box.keyed("cgroup.events")["frozen"] == 0
        assert box.exec("echo thawed") == "thawed"

    def test_update_while_running(self, world, box):
        world.sampan("update", "-m", "128m", "--memory-swap", "128m", "--cpus", "0.25", "--pids-limit", "30", box.id)
        assert (box.file("memory.max"), box.file("memory.swap.max")) == (str(128 * MB), "0")
        assert (box.file("cpu.max"), box.file("pids.max")) == ("25000 100000", "30")
        before = box.file("cpu.weight")
        world.sampan("update", "--cpu-shares", "1024", box.id)
        assert int(box.file("cpu.weight")) > int(before)
        assert (box.file("memory.max"), box.file("cpu.max")) == (str(128 * MB), "25000 100000")
        host = box.inspect()["HostConfig"]
        assert (host["Memory"], host["NanoCpus"], host["PidsLimit"], host["CpuShares"]) == (
            128 * MB,
            250_000_000,
            30,
            1024,
        )
        assert box.exec("head -c 1 /dev/zero | wc -c") == "1"
        major, minor = disk_number().split(":")
        assert "not permitted" in box.exec(f"mknod /tmp/d b {major} {minor}; head -c 1 /tmp/d"), (
            "the device rules are lost"
        )

    def test_restart_keeps_the_updated_limits(self, world, box):
        world.sampan("restart", "-t", "0", box.id)
        assert (box.file("memory.max"), box.file("pids.max"), box.file("cpu.max")) == (
            str(128 * MB),
            "30",
            "25000 100000",
        )
        assert (box.state["Running"], box.state["OOMKilled"]) == (True, False)


# --- other limits ---------------------------------------------------------------------------------------------------


def test_no_limits_are_no_limits(world):
    box = world.start("crun")
    assert (box.file("memory.max"), box.file("pids.max"), box.file("cpu.weight")) == ("max", "max", "100")
    assert box.file("cpu.max").startswith("max ")
    box.remove()


def test_what_v2_has_not_is_left_out(world, runtime):
    box = world.start(runtime, "-m", "32m", "--memory-swappiness", "10", "--oom-kill-disable")
    world.sampan("update", "-m", "24m", "--memory-swap", "24m", box.id)
    assert box.file("memory.max") == str(24 * MB)
    box.remove()


def test_block_weight_is_converted(world, runtime):
    box = world.start(runtime, "--blkio-weight", "300")
    assert box.file("io.weight") == "default 2930"
    box.remove()


def test_swap(world, runtime):
    none = world.start(runtime, "-m", "32m", "--memory-swap", "32m")
    assert none.file("memory.swap.max") == "0"
    unlimited = world.start(runtime, "-m", "32m", "--memory-swap", "-1")
    assert unlimited.file("memory.swap.max") == "max"
    twice = world.start(runtime, "-m", "32m")
    assert twice.file("memory.swap.max") == str(32 * MB)
    for box in (none, unlimited, twice):
        box.remove()


# --- limits hold ----------------------------------------------------------------------------------------------------


def test_out_of_memory_is_told(world, runtime):
    box = world.start(runtime, "-m", "16m", "--memory-swap", "16m", script="exec tail /dev/zero")
    assert box.wait() == 137
    state = box.state
    assert (state["OOMKilled"], state["ExitCode"], state["Status"]) == (True, 137, "exited")
    box.remove()


def test_out_of_memory_of_a_child_does_not_end_the_container(world, runtime):
    box = world.start(runtime, "-m", "16m", "--memory-swap", "16m", script="tail /dev/zero; echo $?; exec sleep 1000")
    eventually(lambda: "137" in world.sampan("logs", box.id), "the child is killed")
    assert box.state["Running"]
    assert box.keyed("memory.events")["oom_kill"] >= 1
    box.remove()


def test_a_plain_kill_is_not_out_of_memory(world):
    box = world.start("crun", "-m", "16m")
    world.sampan("kill", box.id)
    assert box.wait() == 137
    assert box.state["OOMKilled"] is False
    box.remove()


def test_an_exec_lives_under_the_limit(world):
    box = world.start("crun", "-m", "16m", "--memory-swap", "16m")
    assert "137" in box.exec("tail /dev/zero; echo $?")
    assert box.state["Running"]
    box.remove()


def test_process_limit_holds(world, runtime):
    box = world.start(runtime, "--pids-limit", "6")
    text = box.exec("for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; wait")
    assert "fork" in text
    assert box.keyed("pids.events")["max"] >= 1
    box.remove()


def test_cpu_quota_throttles(world):
    box = world.start("crun", "--cpus", "0.1", script="while :; do :; done")
    eventually(lambda: box.keyed("cpu.stat")["nr_throttled"] > 2, "the kernel throttles it")
    box.remove()


def test_a_cpu_that_is_not_there_is_refused(world, runtime):
    done = world.call("run", "--rm", "--runtime", runtime, "--cpuset-cpus", "63", "busybox", "true")
    assert done.returncode == 125
    assert "63" in done.stderr
    eventually(lambda: not children(world), "what was made of it is gone")


# --- devices, by eBPF -----------------------------------------------------------------------------------------------


def test_a_device_given_for_reading_cannot_be_written(world, runtime):
    box = world.start(runtime, "--device", f"{DISK}:/dev/disk:r")
    assert box.exec("head -c 512 /dev/disk | wc -c") == "512"
    assert "Operation not permitted" in box.exec("echo x >>/dev/disk")
    box.remove()


def test_a_device_rule(world, runtime):
    major, minor = disk_number().split(":")
    box = world.start(runtime, "--device-cgroup-rule", f"b {major}:* rm")
    assert box.exec(f"mknod /tmp/d b {major} {minor}; head -c 512 /tmp/d | wc -c") == "512"
    box.remove()


def test_privileged_has_all_devices(world):
    command = ("sh", "-c", f"head -c 512 {DISK} | wc -c")
    assert world.sampan("run", "--rm", "--privileged", "busybox", *command) == "512"


# --- pause ----------------------------------------------------------------------------------------------------------


def test_a_paused_container_can_be_killed_and_removed(world, runtime):
    box = world.start(runtime)
    world.sampan("pause", box.id)
    world.sampan("kill", box.id)
    assert box.wait() == 137
    box.remove()
    other = world.start(runtime)
    world.sampan("pause", other.id)
    other.remove()


# --- update ---------------------------------------------------------------------------------------------------------


# --- stats ----------------------------------------------------------------------------------------------------------


def test_stats_are_the_numbers_of_the_files(world):
    box = world.start(
        "crun",
        *("-m", "64m", "--pids-limit", "20"),
        script="head -c 4000000 /dev/zero >/f; sync; cat /f >/dev/null; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done;"
        " echo done; exec sleep 1000",
    )
    eventually(lambda: "done" in world.sampan("logs", box.id), "it has used something")
    stats = world.daemon.api("GET", f"/containers/{box.id}/stats?stream=0&one-shot=1")
    memory, cpu = stats["memory_stats"], stats["cpu_stats"]
    assert memory["limit"] == 64 * MB
    assert abs(memory["usage"] - int(box.file("memory.current"))) < 2 * MB
    assert {"anon", "file", "inactive_file"} <= set(memory["stats"])
    assert memory["stats"]["file"] >= 3_000_000
    assert stats["pids_stats"] == {"current": 1, "limit": 20}
    usage = cpu["cpu_usage"]
    assert 0 < usage["total_usage"] <= box.keyed("cpu.stat")["usage_usec"] * 1000
    assert usage["usage_in_usermode"] + usage["usage_in_kernelmode"] <= usage["total_usage"] + 1_000_000
    assert cpu["online_cpus"] == 1
    written = [row["value"] for row in stats["blkio_stats"]["io_service_bytes_recursive"] if row["op"] == "write"]
    assert sum(written) >= 4_000_000
    assert "64MiB" in world.sampan("stats", "--no-stream", box.id)
    box.remove()


# --- whose group ----------------------------------------------------------------------------------------------------


def test_removal_kills_everything(world, runtime):
    script = "for i in 1 2 3; do setsid sh -c 'sleep 1000 & sleep 1000' & done; trap '' TERM; sleep 1000 & wait"
    box = world.start(runtime, script=script)
    eventually(lambda: len(box.file("cgroup.procs").split()) >= 5, "its processes run")
    pids = box.file("cgroup.procs").split()
    box.remove()
    eventually(lambda: not [pid for pid in pids if os.path.exists(f"/proc/{pid}")], "all of them have ended")


def test_groups_inside_a_container_go_with_it(world, runtime):
    script = "mkdir -p /sys/fs/cgroup/a/b; sleep 1000 & echo $! >/sys/fs/cgroup/a/b/cgroup.procs; exec sleep 1000"
    box = world.start(runtime, "--privileged", script=script)
    eventually(lambda: (box.group / "a/b/cgroup.procs").read_text().strip(), "a process is in the inner group")
    assert len(world.daemon.api("GET", f"/containers/{box.id}/top")["Processes"]) == 2
    world.sampan("pause", box.id)
    world.sampan("unpause", box.id)
    box.remove()


def test_a_parent_of_ones_own(world):
    box = world.start("crun", "--cgroup-parent", "/harbour/west", "-m", "32m")
    group = CGROUPS / "harbour/west" / box.id
    assert (group / "memory.max").read_text().strip() == str(32 * MB)
    world.sampan("pause", box.id)
    assert (group / "cgroup.freeze").read_text().strip() == "1"
    box.remove()
    eventually(lambda: not group.exists(), "its cgroup is gone")


def test_an_end_takes_the_group_away_and_a_start_makes_it_again(world, runtime):
    box = world.start(runtime, "-m", "32m")
    world.sampan("stop", "-t", "0", box.id)
    eventually(lambda: not box.group.exists(), "its cgroup is gone")
    world.sampan("start", box.id)
    assert box.file("memory.max") == str(32 * MB)
    box.remove()


# --- the daemon dies ------------------------------------------------------------------------------------------------


def test_kill_and_adoption(world, runtime):
    running = world.start(runtime, "-m", "48m")
    paused = world.start(runtime)
    world.sampan("pause", paused.id)
    short = world.start(runtime, script="while [ ! -e /go ]; do sleep 0.1; done; exit 5")
    hungry = world.start(
        runtime, "-m", "16m", "--memory-swap", "16m", script="while [ ! -e /go ]; do sleep 0.1; done; tail /dev/zero"
    )
    pids = {box.id: box.state["Pid"] for box in (running, paused)}
    ending = [box.state["Pid"] for box in (short, hungry)]
    world.daemon.kill()
    for pid in ending:
        Path(f"/proc/{pid}/root/go").touch()
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in ending), "two end without a daemon")
    world.daemon.start()

    assert {box.id: box.state["Pid"] for box in (running, paused)} == pids
    assert (running.state["Status"], paused.state["Status"]) == ("running", "paused")
    assert (short.state["ExitCode"], short.state["OOMKilled"]) == (5, False)
    assert (hungry.state["ExitCode"], hungry.state["OOMKilled"]) == (137, True)
    eventually(lambda: not short.group.exists(), "the cgroup of the one that ended is gone")
    assert running.file("memory.max") == str(48 * MB)
    assert running.exec("echo still here") == "still here"
    stats = world.daemon.api("GET", f"/containers/{running.id}/stats?stream=0&one-shot=1")
    assert stats["memory_stats"]["limit"] == 48 * MB
    world.sampan("update", "-m", "40m", "--memory-swap", "40m", running.id)
    assert running.file("memory.max") == str(40 * MB)
    world.sampan("unpause", paused.id)
    assert paused.exec("echo thawed") == "thawed"
    assert world.ledger() == ""
    for box in (running, paused, short, hungry):
        box.remove()


def test_a_killed_monitor_takes_its_container_along(world):
    box = world.start("crun")
    status = Path(f"/proc/{box.state['Pid']}/status").read_text()
    pid = box.state["Pid"]
    os.kill(int(next(line.split()[1] for line in status.splitlines() if line.startswith("PPid:"))), signal.SIGKILL)
    assert box.wait() == 137
    eventually(lambda: not os.path.exists(f"/proc/{pid}"), "the container's process has ended")
    box.remove()


# --- the end --------------------------------------------------------------------------------------------------------


def test_nothing_is_left(world):
    assert json.dumps(world.daemon.api("GET", "/containers/json?all=1")) == "[]"
    assert world.ledger() == ""
    assert children(world) == []


def test_purge_takes_what_runs_and_the_daemons_group_away(world):
    box = world.start("crun")
    pid = box.state["Pid"]
    world.daemon.stop()
    assert box.group.exists()
    world.sampan("down", "--purge", "--yes", *world.daemon.roots)
    assert not os.path.exists(f"/proc/{pid}")
    assert not box.group.parent.exists()


def children(world: World) -> list[str]:
    """Return the cgroups of the daemon's containers."""
    parent = CGROUPS / f"sampan-{world.tag}"
    return [path.name for path in parent.iterdir() if path.is_dir()] if parent.exists() else []
