"""The real docker CLI against a real daemon: life of a container, streams, files, images, networks, volumes."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import tarfile
import time

import pytest

from daemon import DOCKER, Daemon


def sleeper(daemon: Daemon, *flags: str) -> str:
    return daemon.out("run", "-d", *flags, "busybox", "sleep", "1000")


# --- run --------------------------------------------------------------------------------------------------------------


def test_run_prints_and_is_gone(daemon):
    assert daemon.out("run", "--rm", "busybox", "echo", "hello") == "hello"
    assert daemon.out("ps", "-aq") == ""


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (("busybox", "sh", "-c", "exit 7"), 7, ""),
        (("busybox", "no-such-command"), 127, "executable file not found"),
        (("busybox", "/etc/passwd"), 126, "permission denied"),
        (("--network", "no-such-network", "busybox", "true"), 125, "no-such-network"),
        (("-m", "1m", "busybox", "true"), 125, "Minimum memory limit allowed is 6MB"),
        (("-v", "/a:/b:rx", "busybox", "true"), 125, "invalid mode: rx"),
    ],
)
def test_run_exit_status(daemon, args, status, message):
    done = daemon.docker("run", "--rm", *args, check=False)
    assert done.returncode == status, done.stderr
    assert message in done.stderr.decode()


def test_run_keeps_the_streams_apart(daemon):
    done = daemon.docker("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


def test_stdin_to_its_end_and_all_of_the_output(daemon):
    data = os.urandom(3_000_000)
    assert daemon.docker("run", "--rm", "-i", "busybox", "cat", stdin=data).stdout == data


def test_output_after_the_end_of_stdin(daemon):
    done = daemon.docker("run", "--rm", "-i", "busybox", "sh", "-c", "cat; sleep 0.3; echo tail", stdin=b"head\n")
    assert done.stdout == b"head\ntail\n"


def on_terminal(daemon: Daemon, *args: str):
    """Start the CLI on a terminal; returns its process and our end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [DOCKER, *args], stdin=theirs, stdout=theirs, stderr=theirs, env=daemon.environment(), start_new_session=True
    )
    os.close(theirs)
    return process, ours


def read_until(fd: int, wanted: bytes, timeout: float = 10) -> bytes:
    import select

    seen = b""
    deadline = time.monotonic() + timeout
    while wanted not in seen:
        ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"{wanted!r} did not come, only {seen!r}"
        try:
            seen += os.read(fd, 65536)
        except OSError:
            raise AssertionError(f"{wanted!r} did not come, only {seen!r}") from None
    return seen


def test_a_terminal_its_size_and_detaching(daemon):
    process, terminal = on_terminal(daemon, "run", "-it", "--name", "term", "busybox", "sh")
    try:
        read_until(terminal, b"#")
        os.write(terminal, b"stty size; echo ready\n")
        read_until(terminal, b"ready\r\n")
        os.write(terminal, b"\x10\x11")
        assert process.wait(timeout=10) == 0
        assert daemon.out("inspect", "-f", "{{.State.Status}}", "term") == "running"
    finally:
        os.close(terminal)
    process, terminal = on_terminal(daemon, "attach", "term")
    try:
        time.sleep(0.2)  # the CLI resizes the terminal once it is attached
        os.write(terminal, b"\nexit 5\n")
        assert process.wait(timeout=10) == 5
    finally:
        os.close(terminal)


def test_a_signal_reaches_the_process(daemon):
    command = "trap 'echo got; exit 3' TERM; echo up; while true; do sleep 0.05; done"
    process = subprocess.Popen(
        [DOCKER, "run", "--rm", "busybox", "sh", "-c", command], stdout=subprocess.PIPE, env=daemon.environment()
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.read() == b"got\n"
    assert process.wait(timeout=10) == 3


def test_a_killed_client_leaves_the_container(daemon):
    process = subprocess.Popen(
        [DOCKER, "run", "--name", "orphan", "busybox", "sh", "-c", "echo up; sleep 1000"],
        stdout=subprocess.PIPE,
        env=daemon.environment(),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.kill()
    process.wait()
    assert daemon.out("inspect", "-f", "{{.State.Running}}", "orphan") == "true"


# --- life -------------------------------------------------------------------------------------------------------------


def test_life(daemon):
    name = sleeper(daemon, "--name", "life")
    assert "Up " in daemon.out("ps", "--format", "{{.Status}}")
    daemon.docker("pause", "life")
    assert "(Paused)" in daemon.out("ps", "--format", "{{.Status}}")
    assert b"paused" in daemon.docker("exec", "life", "true", check=False).stderr
    daemon.docker("unpause", "life")
    daemon.docker("rename", "life", "living")
    daemon.docker("stop", "-t", "0", "living")
    assert daemon.out("wait", "living") == "137"
    assert "Exited (137)" in daemon.out("ps", "-a", "--format", "{{.Status}}")
    daemon.docker("start", "living")
    daemon.docker("restart", "-t", "0", "living")
    assert b"container is running" in daemon.docker("rm", "living", check=False).stderr
    daemon.docker("update", "--memory", "64m", "--memory-swap", "64m", "living")
    assert daemon.out("inspect", "-f", "{{.HostConfig.Memory}}", "living") == str(64 << 20)
    daemon.docker("kill", "living")
    daemon.docker("rm", "living")
    assert name not in daemon.out("ps", "-aq", "--no-trunc")


def test_conflicts_and_unknown_names(daemon):
    sleeper(daemon, "--name", "taken")
    assert (
        b"is already in use by container" in daemon.docker("create", "--name", "taken", "busybox", check=False).stderr
    )
    assert b"No such container: nope" in daemon.docker("start", "nope", check=False).stderr
    assert b"Invalid container name" in daemon.docker("create", "--name", "-x/", "busybox", check=False).stderr


def test_start_attached_and_the_exit_status(daemon):
    daemon.docker("create", "--name", "again", "busybox", "sh", "-c", "echo once more; exit 4")
    for _ in range(2):
        done = daemon.docker("start", "-a", "again", check=False)
        assert (done.stdout, done.returncode) == (b"once more\n", 4)


def test_restart_policy(daemon):
    daemon.docker("run", "-d", "--name", "flaky", "--restart", "on-failure:2", "busybox", "false")
    for _ in range(100):
        state = json.loads(daemon.out("inspect", "flaky"))[0]
        if state["RestartCount"] == 2 and state["State"]["Status"] == "exited":
            return
        time.sleep(0.05)
    raise AssertionError(state)


def test_inspect_and_filters(daemon):
    sleeper(daemon, "--name", "seen", "-l", "tier=web", "-e", "A=b", "--hostname", "hh")
    shown = json.loads(daemon.out("inspect", "seen"))[0]
    assert shown["Config"]["Hostname"] == "hh"
    assert "A=b" in shown["Config"]["Env"]
    assert shown["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    assert daemon.out("ps", "-q", "--filter", "label=tier=web") == shown["Id"][:12]
    assert daemon.out("ps", "-q", "--filter", "label=tier=db") == ""
    assert daemon.out("ps", "-q", "--filter", "name=see", "--filter", "status=running")
    assert b"invalid filter" in daemon.docker("ps", "--filter", "nope=1", check=False).stderr
    assert "sleep 1000" in daemon.out("top", "seen")
    assert "seen" in daemon.out("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}")


# --- exec, logs, events -----------------------------------------------------------------------------------------------


def test_exec(daemon):
    sleeper(daemon, "--name", "host1")
    assert daemon.out("exec", "-e", "X=1", "-w", "/tmp", "host1", "sh", "-c", "echo $X; pwd") == "1\n/tmp"
    assert daemon.docker("exec", "-i", "host1", "cat", stdin=b"abc").stdout == b"abc"
    assert daemon.docker("exec", "host1", "sh", "-c", "exit 9", check=False).returncode == 9
    assert daemon.docker("exec", "host1", "no-such", check=False).returncode == 127
    assert daemon.out("exec", "-u", "nobody", "host1", "id", "-un") == "nobody"
    daemon.docker("exec", "-d", "host1", "touch", "/tmp/made")
    for _ in range(50):
        if daemon.docker("exec", "host1", "test", "-e", "/tmp/made", check=False).returncode == 0:
            break
    else:
        raise AssertionError("the detached exec did not run")


def test_exec_on_a_terminal(daemon):
    sleeper(daemon, "--name", "host2")
    process, terminal = on_terminal(daemon, "exec", "-it", "host2", "sh")
    try:
        read_until(terminal, b"#")
        os.write(terminal, b"tty; exit 6\n")
        read_until(terminal, b"/dev/")
        assert process.wait(timeout=10) == 6
    finally:
        os.close(terminal)


def test_logs(daemon):
    daemon.docker("run", "--name", "talk", "busybox", "sh", "-c", "for i in 1 2 3; do echo $i; echo e$i >&2; done")
    assert daemon.docker("logs", "talk").stdout == b"1\n2\n3\n"
    assert daemon.docker("logs", "talk").stderr == b"e1\ne2\ne3\n"
    last = daemon.docker("logs", "-n", "2", "talk")
    assert len((last.stdout + last.stderr).splitlines()) == 2
    assert daemon.out("logs", "-t", "talk").splitlines()[0].endswith("Z 1")
    assert daemon.docker("logs", "--since", "1h", "talk").stdout == b"1\n2\n3\n"
    assert daemon.docker("logs", "--until", "1h", "talk").stdout == b""


def test_logs_follow_to_the_end(daemon):
    daemon.docker("run", "-d", "--name", "slow", "busybox", "sh", "-c", "echo a; sleep 0.4; echo b")
    assert daemon.docker("logs", "-f", "slow").stdout == b"a\nb\n"


def test_many_log_lines_are_all_there(daemon):
    daemon.docker("run", "--name", "loud", "busybox", "seq", "1", "60000")
    assert daemon.docker("logs", "loud").stdout == b"".join(b"%d\n" % i for i in range(1, 60001))


def test_events(daemon):
    since = str(int(time.time()) - 1)
    daemon.docker("run", "--rm", "--name", "evented", "busybox", "true")
    text = daemon.out(
        "events", "--since", since, "--until", str(int(time.time()) + 1), "--filter", "container=evented", "--format",
        "{{.Action}}",
    )  # fmt: skip
    actions = text.splitlines()
    for action in ("create", "attach", "start", "die", "destroy"):
        assert action in actions
    assert actions.index("create") < actions.index("start") < actions.index("die") < actions.index("destroy")


def test_health(daemon):
    sleeper(daemon, "--name", "well", "--health-cmd", "true", "--health-interval", "100ms")
    for _ in range(100):
        if daemon.out("ps", "--format", "{{.Status}}").endswith("(healthy)"):
            return
        time.sleep(0.05)
    raise AssertionError(daemon.out("inspect", "well"))


# --- files ------------------------------------------------------------------------------------------------------------


def test_cp_both_ways(daemon, tmp_path):
    sleeper(daemon, "--name", "files")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("text")
    daemon.docker("cp", str(tmp_path / "d"), "files:/tmp/")
    assert daemon.out("exec", "files", "cat", "/tmp/d/f") == "text"
    daemon.docker("cp", "files:/etc/passwd", str(tmp_path / "passwd"))
    assert "root" in (tmp_path / "passwd").read_text()
    assert b"Could not find the file" in daemon.docker("cp", "files:/nope", str(tmp_path), check=False).stderr
    assert "A /tmp/d/f" in daemon.out("diff", "files")
    exported = tmp_path / "all.tar"
    daemon.docker("export", "-o", str(exported), "files")
    with tarfile.open(exported) as tar:
        assert "tmp/d/f" in tar.getnames()


# --- images -----------------------------------------------------------------------------------------------------------


def test_images(daemon, tmp_path):
    daemon.docker("tag", "busybox", "local/second:v1")
    assert "local/second:v1" in daemon.out("images", "--format", "{{.Repository}}:{{.Tag}}")
    assert json.loads(daemon.out("inspect", "local/second:v1"))[0]["Os"] == "linux"
    archive = tmp_path / "i.tar"
    daemon.docker("save", "-o", str(archive), "local/second:v1")
    assert "Untagged: local/second:v1" in daemon.out("rmi", "local/second:v1")
    assert "Loaded image: local/second:v1" in daemon.out("load", "-i", str(archive))
    assert daemon.out("run", "--rm", "local/second:v1", "echo", "x") == "x"
    daemon.docker("rmi", "local/second:v1")
    assert daemon.out("history", "-q", "busybox")
    assert b"No such image" in daemon.docker("image", "inspect", "nope", check=False).stderr.replace(
        b"no such", b"No such"
    )


def test_commit_and_import(daemon, tmp_path):
    daemon.docker("run", "--name", "base", "busybox", "sh", "-c", "echo kept > /kept")
    daemon.docker("commit", "-c", 'CMD ["cat", "/kept"]', "base", "local/kept:1")
    assert daemon.out("run", "--rm", "local/kept:1") == "kept"
    daemon.docker("export", "-o", str(tmp_path / "fs.tar"), "base")
    daemon.docker("import", "-c", "CMD cat /kept", str(tmp_path / "fs.tar"), "local/flat:1")
    assert daemon.out("run", "--rm", "local/flat:1") == "kept"
    daemon.docker("rmi", "local/kept:1", "local/flat:1")


def test_a_container_that_never_started_has_no_changes(daemon):
    daemon.docker("create", "--name", "still", "busybox")
    assert daemon.out("diff", "still") == ""
    daemon.docker("commit", "still", "local/still:1")
    assert daemon.out("run", "--rm", "local/still:1", "echo", "x") == "x"
    daemon.docker("rmi", "local/still:1")


def test_a_broken_archive_is_refused_and_changes_nothing(daemon):
    before = daemon.out("images", "-q", "--no-trunc")
    done = daemon.docker("load", stdin=b"no tar" * 1000, check=False)
    assert done.returncode
    assert daemon.out("images", "-q", "--no-trunc") == before


# --- networks, volumes ------------------------------------------------------------------------------------------------


def test_networks(daemon):
    daemon.docker("network", "create", "--subnet", "10.233.7.0/24", "netone")
    try:
        sleeper(daemon, "--name", "serve", "--network", "netone", "--ip", "10.233.7.9")
        assert "10.233.7.9" in daemon.out("run", "--rm", "--network", "netone", "busybox", "nslookup", "serve")
        shown = json.loads(daemon.out("network", "inspect", "netone"))[0]
        assert [row["Name"] for row in shown["Containers"].values()] == ["serve"]
        assert shown["IPAM"]["Config"][0]["Subnet"] == "10.233.7.0/24"
        daemon.docker("network", "connect", "bridge", "serve")
        assert set(json.loads(daemon.out("inspect", "serve"))[0]["NetworkSettings"]["Networks"]) == {"netone", "bridge"}
        daemon.docker("network", "disconnect", "bridge", "serve")
        assert b"active endpoints" in daemon.docker("network", "rm", "netone", check=False).stderr
        daemon.docker("rm", "-f", "serve")
    finally:
        daemon.docker("network", "rm", "netone")
    assert daemon.docker("network", "rm", "bridge", check=False).returncode == 1


def test_published_port(daemon):
    import urllib.request

    daemon.docker(
        "run",
        "-d",
        "--name",
        "site",
        "-p",
        "127.0.0.1::80",
        "busybox",
        "sh",
        "-c",
        "echo hi > /index.html; httpd -f -p 80 -h /",
    )
    address = daemon.out("port", "site", "80")
    for _ in range(50):
        try:
            with urllib.request.urlopen(f"http://{address}/", timeout=5) as answer:
                assert answer.read() == b"hi\n"
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"no answer at {address}")


def test_volumes(daemon):
    daemon.docker("volume", "create", "--label", "a=b", "store1")
    daemon.docker("run", "--rm", "-v", "store1:/data", "busybox", "sh", "-c", "echo kept > /data/f")
    assert daemon.out("run", "--rm", "-v", "store1:/data:ro", "busybox", "cat", "/data/f") == "kept"
    assert json.loads(daemon.out("volume", "inspect", "store1"))[0]["Labels"] == {"a": "b"}
    sleeper(daemon, "--name", "user1", "-v", "store1:/data")
    assert b"volume is in use" in daemon.docker("volume", "rm", "store1", check=False).stderr
    daemon.docker("rm", "-f", "user1")
    daemon.docker("volume", "rm", "store1")
    assert b"no such volume" in daemon.docker("volume", "inspect", "store1", check=False).stderr


def test_prune_and_df(daemon):
    daemon.docker("run", "--name", "done", "busybox", "true")
    daemon.docker("system", "df", "-v")
    daemon.docker("system", "prune", "-f", "--volumes")
    assert daemon.out("ps", "-aq") == ""


def test_info_and_version(daemon):
    assert json.loads(daemon.out("version", "-f", "{{json .Server}}"))["ApiVersion"] == "1.51"
    assert json.loads(daemon.out("info", "-f", "{{json .}}"))["OSType"] == "linux"


# --- what Sampan does not have ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("swarm", "init"), "not a swarm manager"),
        (("service", "ls"), "not a swarm manager"),
        (("search", "x"), "not supported by Sampan"),
    ],
)
def test_absent_parts_say_so(daemon, args, message):
    done = daemon.docker(*args, check=False)
    assert done.returncode
    assert message in done.stderr.decode()


def test_old_api_versions(daemon):
    for version in ("1.24", "1.41", "1.47"):
        rows = daemon.api("GET", f"/v{version}/containers/json")
        assert rows == []
    assert daemon.request("GET", "/v1.23/info")[0] == 400


def test_read_only_files_and_roots(daemon, tmp_path):
    (tmp_path / "file").write_text("text")
    assert daemon.out("run", "--rm", "-v", f"{tmp_path}/file:/f:ro", "busybox", "cat", "/f") == "text"
    assert daemon.docker(
        "run", "--rm", "-v", f"{tmp_path}/file:/f:ro", "busybox", "touch", "/f", check=False
    ).returncode
    done = daemon.docker(
        "run", "--rm", "--read-only", "busybox", "sh", "-c", "cat /etc/hosts >/dev/null && touch /x", check=False
    )
    assert b"Read-only file system" in done.stderr
