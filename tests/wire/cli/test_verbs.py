"""`sampan`'s own docker verbs against a real daemon and real containers."""

from __future__ import annotations

import fcntl
import json
import os
import pty as pseudo_terminal
import re
import select
import signal
import struct
import subprocess
import tarfile
import termios
import time
import uuid

import pytest

from wire.cli_daemon import SAMPAN

pytestmark = pytest.mark.root


def name() -> str:
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture
def sleeper(daemon):
    made = name()
    daemon.sampan("run", "-d", "--name", made, "-e", "COLOR=blue", "-l", "kind=test", "busybox", "sleep", "600")
    yield made
    daemon.sampan("rm", "-f", made, check=False)


@pytest.mark.parametrize(
    ("argv", "code", "out", "err"),
    [
        (["busybox", "echo", "hi"], 0, "hi\n", ""),
        (["busybox", "sh", "-c", "echo out; echo err >&2; exit 7"], 7, "out\n", "err\n"),
        (["--entrypoint", "echo", "busybox", "a", "--b"], 0, "a --b\n", ""),
        (["-e", "A=1", "-w", "/tmp", "-u", "1:1", "busybox", "sh", "-c", "echo $A $PWD $(id -u)"], 0, "1 /tmp 1\n", ""),
        (["--hostname", "boat", "--network", "none", "busybox", "hostname"], 0, "boat\n", ""),
    ],
)
def test_run_gives_output_and_exit_code(daemon, argv, code, out, err):
    done = daemon.sampan("run", "--rm", *argv, check=False)
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (code, out, err)


@pytest.mark.parametrize("how", [[], ["-d"]])
@pytest.mark.parametrize(("program", "code"), [("nosuch", 127), ("/etc/passwd", 126)])
def test_a_program_that_cannot_start(daemon, program, code, how):
    made = name()
    done = daemon.sampan("run", "--rm", *how, "--name", made, "busybox", program, check=False)
    assert done.returncode == code, done.stderr
    assert made not in daemon.out("ps", "-a", "--format", "{{.Names}}")


def test_refusals_are_125(daemon):
    assert daemon.sampan("run", "--rm", "--pull", "never", "nosuch/image", check=False).returncode == 125
    assert daemon.sampan("run", "--rm", "-m", "1k", "busybox", "true", check=False).returncode == 125


def test_stdin_goes_in_and_its_end_too(daemon):
    data = os.urandom(3_000_000)
    done = daemon.sampan("run", "--rm", "-i", "busybox", "cat", stdin=data)
    assert done.stdout == data
    assert daemon.out("run", "--rm", "-i", "busybox", "wc", "-c", stdin="abc") == "3"


def test_detached_life(daemon, sleeper):
    row = json.loads(daemon.out("ps", "--filter", f"name={sleeper}", "--format", "json"))
    assert (row["Image"], row["State"], row["Names"], row["Labels"]) == ("busybox", "running", sleeper, "kind=test")
    assert daemon.out("exec", sleeper, "sh", "-c", "echo $COLOR") == "blue"
    assert daemon.sampan("exec", sleeper, "sh", "-c", "exit 9", check=False).returncode == 9
    assert daemon.out("exec", "-i", sleeper, "cat", stdin="x" * 100_000) == "x" * 100_000
    assert "sleep 600" in daemon.out("top", sleeper)
    assert (
        daemon.out("inspect", "--format", "{{.State.Status}} {{json .Config.Cmd}}", sleeper)
        == 'running ["sleep","600"]'
    )
    assert daemon.out("stop", "-t", "0", sleeper) == sleeper
    assert daemon.out("wait", sleeper) == "137"
    assert daemon.out("start", sleeper) == sleeper
    assert daemon.out("pause", sleeper) == sleeper
    assert daemon.out("ps", "-q", "--filter", "status=paused", "--no-trunc") in daemon.out("inspect", sleeper)
    assert daemon.out("unpause", sleeper) == sleeper
    other = name()
    daemon.sampan("rename", sleeper, other)
    daemon.sampan("rename", other, sleeper)
    assert daemon.out("kill", "-s", "KILL", sleeper) == sleeper
    assert daemon.out("rm", sleeper) == sleeper
    gone = daemon.sampan("rm", sleeper, check=False)
    assert gone.returncode == 1
    assert b"No such container" in gone.stderr


def test_logs(daemon):
    made = name()
    daemon.sampan("run", "--name", made, "busybox", "sh", "-c", "for i in 1 2 3; do echo $i; done; echo four >&2")
    assert daemon.out("logs", made) == "1\n2\n3"
    assert daemon.sampan("logs", made).stderr == b"four\n"
    assert daemon.out("logs", "--tail", "2", made) == "3"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z 3", daemon.out("logs", "-t", "-n", "2", made))
    assert daemon.out("logs", "--until", "1h", made) == ""
    daemon.sampan("rm", made)


def test_following_logs_ends_with_the_container(daemon):
    made = name()
    daemon.sampan("run", "-d", "--name", made, "busybox", "sh", "-c", "echo a; sleep 0.3; echo b")
    assert daemon.out("logs", "-f", made) == "a\nb"
    daemon.sampan("rm", made)


def test_published_port(daemon):
    made = name()
    daemon.sampan("run", "-d", "--name", made, "-p", "127.0.0.1::80", "busybox", "sleep", "60")
    assert re.fullmatch(r"127\.0\.0\.1:\d+", daemon.out("port", made, "80"))
    assert re.fullmatch(r"80/tcp -> 127\.0\.0\.1:\d+", daemon.out("port", made))
    daemon.sampan("rm", "-f", made)


def test_images(daemon, tmp_path):
    assert daemon.out("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines() == ["busybox:latest"]
    daemon.sampan("tag", "busybox", "copy:1")
    daemon.sampan("save", "-o", str(tmp_path / "a.tar"), "copy:1")
    assert daemon.out("rmi", "copy:1") == "Untagged: copy:1"
    assert "Loaded image: copy:1" in daemon.out("load", "-i", str(tmp_path / "a.tar"))
    assert "bootstrap" in daemon.out("history", "copy:1")
    daemon.sampan("rmi", "copy:1")


def test_copy_both_ways(daemon, sleeper, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_text("freight")
    daemon.sampan("cp", str(tmp_path / "in"), f"{sleeper}:/srv")
    assert daemon.out("exec", sleeper, "cat", "/srv/file") == "freight"
    daemon.sampan("cp", f"{sleeper}:/srv/file", str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "freight"
    daemon.sampan("cp", f"{sleeper}:/srv/.", str(tmp_path / "in"))
    missing = daemon.sampan("cp", f"{sleeper}:/nosuch", str(tmp_path), check=False)
    assert missing.returncode == 1
    assert b"nosuch" in missing.stderr


def test_commit_and_export(daemon, sleeper, tmp_path):
    daemon.sampan("exec", sleeper, "sh", "-c", "echo kept >/kept")
    made = daemon.out("commit", "-m", "why", "-c", "CMD cat /kept", sleeper, "committed:1")
    assert made.startswith("sha256:")
    assert daemon.out("run", "--rm", "committed:1") == "kept"
    daemon.sampan("export", "-o", str(tmp_path / "fs.tar"), sleeper)
    with tarfile.open(tmp_path / "fs.tar") as tar:
        assert tar.extractfile("kept").read() == b"kept\n"
    daemon.sampan("rmi", "committed:1")


def test_networks_and_volumes(daemon):
    network, volume = name(), name()
    daemon.sampan("network", "create", "--label", "a=b", network)
    assert network in daemon.out("network", "ls", "--format", "{{.Name}}").split()
    assert json.loads(daemon.out("network", "inspect", network))[0]["Labels"] == {"a": "b"}
    assert daemon.out("network", "rm", network) == network
    assert daemon.out("volume", "create", volume) == volume
    daemon.sampan("run", "--rm", "-v", f"{volume}:/v", "busybox", "sh", "-c", "echo kept >/v/f")
    assert daemon.out("run", "--rm", "-v", f"{volume}:/v", "busybox", "cat", "/v/f") == "kept"
    assert volume in daemon.out("volume", "ls", "-q").split()
    assert daemon.out("volume", "rm", volume) == volume
    assert daemon.sampan("volume", "inspect", volume, check=False).returncode == 1


def test_events_stats_info(daemon, sleeper):
    events = daemon.out(
        "events", "--since", "10m", "--until", "0s", "--filter", f"container={sleeper}", "--format", "{{.Action}}"
    )
    assert events.split()[:2] == ["create", "start"]
    assert sleeper in daemon.out("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", sleeper)
    assert int(daemon.out("info", "--format", "{{.ContainersRunning}}")) >= 1
    assert "Containers" in daemon.out("system", "df")


def test_update(daemon, sleeper):
    daemon.sampan("update", "--memory", "64m", "--memory-swap", "64m", sleeper)
    assert daemon.out("inspect", "--format", "{{.HostConfig.Memory}}", sleeper) == str(64 << 20)


# --- terminals and signals --------------------------------------------------------------------------------------------


class Terminal:
    """A `sampan` on a terminal of 40 x 100 cells."""

    def __init__(self, daemon, *argv: str) -> None:
        self.pid, self.fd = pseudo_terminal.fork()
        if self.pid == 0:
            os.execve(SAMPAN, [SAMPAN, *argv], daemon.environ)
        self.resize(40, 100)
        self.seen = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: bytes) -> None:
        os.write(self.fd, text)

    def until(self, text: bytes) -> None:
        deadline = time.monotonic() + 20
        while text not in self.seen:
            assert select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0], self.seen
            self.seen += os.read(self.fd, 4096)
        self.seen = self.seen.partition(text)[2]

    def end(self) -> int:
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return code


def test_a_terminal_resized_detached_and_attached_again(daemon):
    made = name()
    terminal = Terminal(daemon, "run", "-it", "--name", made, "busybox", "sh")
    terminal.until(b"# ")
    terminal.type(b"stty size\n")
    terminal.until(b"40 100")
    terminal.resize(30, 90)
    terminal.type(b"while [ \"$(stty size)\" != '30 90' ]; do :; done; echo re''sized\n")
    terminal.until(b"resized")
    terminal.type(b"\x10\x11")
    assert terminal.end() == 0
    assert made in daemon.out("ps", "--format", "{{.Names}}")
    terminal = Terminal(daemon, "attach", made)
    terminal.type(b"\necho a$((1+1))c\n")
    terminal.until(b"a2c")
    terminal.type(b"exit 3\n")
    assert terminal.end() == 3
    daemon.sampan("rm", made)


def test_exec_on_a_terminal(daemon, sleeper):
    terminal = Terminal(daemon, "exec", "-it", sleeper, "sh")
    terminal.until(b"# ")
    terminal.type(b"stty size; exit 4\n")
    terminal.until(b"40 100")
    assert terminal.end() == 4


def test_a_terminal_is_asked_for_where_there_is_none(daemon):
    done = daemon.sampan("run", "-it", "--rm", "busybox", "true", check=False)
    assert done.returncode == 125
    assert b"not a TTY" in done.stderr


def test_signals_are_passed_on(daemon):
    script = 'trap "echo got; exit 9" TERM; echo ready; while :; do sleep 0.05; done'
    with subprocess.Popen(
        [SAMPAN, "run", "--rm", "busybox", "sh", "-c", script], env=daemon.environ, stdout=subprocess.PIPE
    ) as run:
        assert run.stdout.readline() == b"ready\n"
        run.send_signal(signal.SIGTERM)
        assert run.stdout.read() == b"got\n"
        assert run.wait(20) == 9


# --- the service ------------------------------------------------------------------------------------------------------


def test_up_and_status_may_be_repeated(daemon):
    assert b"runs already" in daemon.service("up").stdout
    status = daemon.service("status")
    assert status.returncode == 0
    assert daemon.host.encode() in status.stdout


def test_containers_outlive_down_and_up(daemon, sleeper):
    before = daemon.out("inspect", "--format", "{{.State.Pid}}", sleeper)
    assert b"containers go on running" in daemon.service("down").stdout
    assert daemon.service("status").returncode == 3
    assert daemon.service("down").returncode == 0
    assert os.path.exists(f"/proc/{before}")
    assert daemon.service("up").returncode == 0
    assert daemon.out("inspect", "--format", "{{.State.Pid}}", sleeper) == before


def test_a_daemon_that_dies_is_told_and_costs_nothing(daemon):
    made = name()
    command = [SAMPAN, "run", "-i", "--name", made, "busybox", "sh", "-c", "echo ready; read line; exit 5"]
    with subprocess.Popen(
        command, env=daemon.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        assert run.stdout.readline() == b"ready\n"
        with open(f"{daemon.home}/run/sampan.pid") as file:
            os.kill(int(file.read()), signal.SIGKILL)
        assert run.wait(20) == 125
        assert b"runs on" in run.stderr.read()
    assert daemon.service("up").returncode == 0
    assert made in daemon.out("ps", "--format", "{{.Names}}")
    attached = daemon.sampan("attach", made, stdin="over\n", check=False)
    assert attached.returncode == 5
    daemon.sampan("rm", "-f", made)
