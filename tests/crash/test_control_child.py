"""The control process as the engine's child: each is killed alone, and both; the API comes back and keeps what it had."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from daemon import SAMPAN, Daemon, need_daemon
from kube import free_port


def eventually(condition, seconds: float = 15.0):
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return found


class Both:
    """An engine with its control process."""

    def __init__(self, home: Path) -> None:
        self.port = free_port()
        self.engine = Daemon(home, 0, ("--api-listen", f"127.0.0.1:{self.port}", "--netns-pool", "1"))
        self.control = home / "data" / "control"

    @property
    def pid(self) -> int:
        """Return the pid of the control process, 0 while none runs."""
        try:
            pid = int((self.control / "pid").read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return 0
        return pid if b"sampan.cmd.control" in words else 0

    def call(self, method: str, path: str, body: object = None) -> tuple[int, dict]:
        context = ssl.create_default_context(cafile=str(self.control / "pki" / "ca.crt"))
        context.load_cert_chain(self.control / "pki" / "admin.crt", self.control / "pki" / "admin.key")
        raw = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", raw, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, context=context, timeout=5) as answer:
            return answer.status, json.loads(answer.read())

    def up(self) -> bool:
        with contextlib.suppress(OSError):
            return self.call("GET", "/version")[0] == 200
        return False

    def keep(self, name: str) -> None:
        self.call("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": name}})

    def kept(self) -> set[str]:
        items = self.call("GET", "/api/v1/namespaces/default/configmaps")[1]["items"]
        return {item["metadata"]["name"] for item in items} - {"kube-root-ca.crt"}

    def sampan(self, verb: str) -> str:
        done = subprocess.run(
            [SAMPAN, verb, *self.engine.roots, "--api-listen", f"127.0.0.1:{self.port}", "-H", self.engine.host],
            capture_output=True,
            check=False,
            timeout=60,
            env=os.environ | {"SAMPAN_HOST": self.engine.host},
        )
        return (done.stdout + done.stderr).decode()


@pytest.fixture
def both(tmp_path):
    need_daemon()
    both = Both(tmp_path)
    try:
        both.engine.start()
        eventually(both.up)
        yield both
    finally:
        both.engine.stop()
        if pid := both.pid:
            os.kill(pid, signal.SIGKILL)
        both.engine.purge()


def gone(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


@pytest.mark.root
def test_an_engine_that_was_killed_takes_up_the_control_process(both) -> None:
    both.keep("before")
    pid = both.pid
    both.engine.kill()
    assert both.up(), "the API does not need the engine"
    both.keep("meanwhile")
    both.engine.start()
    eventually(lambda: f"the control process {pid} was running and is kept" in both.engine.tail())
    assert (both.pid, both.kept()) == (pid, {"before", "meanwhile"})
    os.kill(pid, signal.SIGKILL)  # looked after like one of its own
    eventually(lambda: both.pid not in (0, pid) and both.up())
    assert both.kept() == {"before", "meanwhile"}
    last = both.pid
    both.engine.stop()
    assert gone(last), "it ends with the engine that took it up"


@pytest.mark.root
def test_a_control_process_that_is_killed_comes_back_and_waits_longer_each_time(both) -> None:
    both.keep("kept")
    waits = []
    for _ in range(4):
        pid = both.pid
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        eventually(lambda pid=pid: both.pid not in (0, pid) and both.up())
        waits.append(time.monotonic() - began)
        assert both.engine.request("GET", "/_ping")[0] == 200, "the engine does not need the API"
    assert both.kept() == {"kept"}
    told = [
        float(line.rpartition(" in ")[2].split()[0])
        for line in both.engine.tail(200).splitlines()
        if "the Kubernetes API is started again in" in line
    ]
    assert len(told) == 4
    assert all(later == 2 * sooner for sooner, later in itertools.pairwise(told))
    assert waits[-1] > told[-1]


@pytest.mark.root
def test_the_ledger_tells_of_the_control_process_and_of_strays(both, tmp_path) -> None:
    status, text = both.engine.ledger()
    assert (status, "control process " in text) == (0, True), text
    script = tmp_path / "stray" / "sampan.cmd.control"
    script.parent.mkdir()
    script.write_text("read line\n")
    stray = subprocess.Popen(
        ["bash", "-m", script.name, "--data-root", f"{both.engine.home}/data"], cwd=script.parent, stdin=subprocess.PIPE
    )
    try:
        status, text = both.engine.ledger()
        assert (status, f"EXTRA    control process: {stray.pid}" in text) == (1, True), text
    finally:
        stray.kill()
        stray.communicate()


@pytest.mark.root
def test_both_may_be_killed(both) -> None:
    both.keep("kept")
    pid = both.pid
    both.engine.kill()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: gone(pid))
    both.engine.start()
    eventually(both.up)
    assert both.pid != pid
    assert both.kept() == {"kept"}


@pytest.mark.root
def test_one_with_other_flags_is_replaced(both) -> None:
    both.keep("kept")
    pid = both.pid
    both.engine.kill()
    both.port = free_port()
    index = both.engine.flags.index("--api-listen", both.engine.flags.index("--api-listen") + 1)
    flags = list(both.engine.flags)
    flags[index + 1] = f"127.0.0.1:{both.port}"
    both.engine.flags = tuple(flags)
    both.engine.start()
    eventually(both.up)
    assert gone(pid)
    assert both.kept() == {"kept"}


@pytest.mark.root
def test_a_stale_pid_is_nobody_to_end(both) -> None:
    """The store is held, but the pid beside it is by now that of a process which has nothing to do with it."""
    both.engine.stop()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with (both.control / "lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (both.control / "pid").write_text(f"{stranger.pid}\n")
            both.engine.start()
            eventually(lambda: "the Kubernetes API is started again" in both.engine.tail())
            assert stranger.poll() is None
        eventually(both.up)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.root
def test_status_and_doctor_say_how_it_stands(both) -> None:
    line = next(line for line in both.sampan("status").splitlines() if "Kubernetes" in line)
    assert f"https://127.0.0.1:{both.port} (pid {both.pid})" in line
    assert "no audit log" in both.sampan("doctor")
    assert "https://127.0.0.1" in next(line for line in both.sampan("doctor").splitlines() if "kubernetes" in line)
    (both.control / "audit-policy.yaml").write_text(
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n"
    )
    pid = both.pid
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: both.pid not in (0, pid) and both.up())
    eventually(lambda: "audit log" in both.sampan("status"))
    assert str(both.control / "audit.log") in both.sampan("doctor")
    both.engine.stop()
    assert "does not run" in next(line for line in both.sampan("doctor").splitlines() if "kubernetes" in line)
