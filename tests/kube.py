"""A real control process for tests: own data root, own ports on loopback; at the end nothing of it is left.

with control_plane(tmp_path) as plane:
    plane.kubectl("get", "namespaces")
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
START_S = 30.0
COMMANDS: Counter[str] = Counter()
"""Program -> how many of its commands the tests of this process have run and looked at."""


def client(name: str) -> str:
    """Return the path of a client; the test is skipped, with the reason, where there is none."""
    own = os.environ.get("SAMPAN_CLIENTS", "/opt/clients") + "/bin"
    found = shutil.which(name, path=f"{own}:{os.environ.get('PATH', '')}")
    if found is None:
        pytest.skip(f"no {name} in PATH or in {own} (SAMPAN_CLIENTS)")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(holds: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Return what `holds` does as soon as that is true."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"it did not come to be in {seconds} s"
        time.sleep(0.02)
    return found


class ControlPlane:
    """One control process and its clients. `restart` keeps its data.

    `store`: the address of an etcd; "" for files. `audit`: its audit policy. `scheduler`: it schedules pods, which most tests
    mind; `scheduler_policy`: how.
    """

    def __init__(
        self,
        home: Path,
        *,
        store: str = "",
        policies: tuple[Path, ...] = (),
        audit: str = "",
        scheduler: bool = False,
        scheduler_policy: str = "default",
    ) -> None:
        self.home = home
        self.scheduler_policy = scheduler_policy
        self.scheduler = scheduler
        self.store = store
        self.policies = policies
        self.port, self.plain = free_port(), free_port()
        self.log = home / "log"
        self.kubeconfig = home / "kubeconfig"
        self.process: subprocess.Popen[bytes] | None = None
        self.directory = home / "data" / "control"
        self.directory.mkdir(mode=0o700, parents=True)
        self.token = "of-the-tests"
        (self.directory / "tokens.csv").write_text(f'{self.token},tester,1,"system:masters"\n')
        if audit:
            (self.directory / "audit-policy.yaml").write_text(audit)

    def start(self) -> None:
        """Start it and wait until it is ready."""
        argv = [sys.executable, "-m", "sampan.cmd.control", "--data-root", str(self.home / "data")]
        argv += ["--listen", f"127.0.0.1:{self.port}", "--plain-listen", f"127.0.0.1:{self.plain}"]
        argv += ["--store", self.store] if self.store else []
        argv += ["--scheduler-policy", self.scheduler_policy] if self.scheduler else ["--no-scheduler"]
        argv += [word for folder in self.policies for word in ("--policies", str(folder))]
        with self.log.open("ab") as log:
            env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the control process ended with {self.process.returncode}:\n{self.tail()}")
            with contextlib.suppress(OSError):
                if self.call("GET", "/readyz")[0] == 200:
                    break
            time.sleep(0.02)
        else:
            raise AssertionError(f"the control process did not answer in {START_S} s:\n{self.tail()}")
        text = subprocess.run(
            [ROOT / ".venv/bin/sampan", "kubeconfig", "--data-root", str(self.home / "data")],
            capture_output=True, check=True, text=True,
        ).stdout  # fmt: skip
        self.kubeconfig.write_text(text)

    def kill(self) -> None:
        """End it as a crash does."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=20)

    def restart(self) -> None:
        self.kill()
        self.start()

    def tail(self, lines: int = 40) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    # clients

    @property
    def environ(self) -> dict[str, str]:
        home = {"HOME": str(self.home), "KUBECONFIG": str(self.kubeconfig), "HELM_CACHE_HOME": str(self.home / "helm")}
        return {
            **os.environ,
            **home,
            "HELM_CONFIG_HOME": str(self.home / "helm"),
            "HELM_DATA_HOME": str(self.home / "helm"),
        }

    def run(self, program: str, *argv: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        COMMANDS[program] += 1
        done = subprocess.run(
            [client(program), *argv],
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert not check or done.returncode == 0, (
            f"{program} {argv}: {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.tail()}"
        )
        return done

    def kubectl(self, *argv: str, stdin: str = "", check: bool = True) -> str:
        """Run kubectl; return what it printed, with its errors where it may fail."""
        done = self.run("kubectl", *argv, stdin=stdin, check=check)
        return done.stdout if check else done.stdout + done.stderr

    def background(self, *argv: str, watches: bool = True) -> subprocess.Popen[str]:
        """Start a kubectl; return when its watch has begun, which it tells in its log only."""
        argv = (client("kubectl"), "-v=6", *argv)
        process = subprocess.Popen(argv, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert not watches or any("watch=true" in line for line in process.stderr), (
            f"{argv} ended with {process.wait()}"
        )
        return process

    def helm(self, *argv: str, check: bool = True) -> str:
        return self.run("helm", *argv, check=check).stdout

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Return status and body of one request over plain HTTP; without a token given, as one who may do everything."""
        code, _, raw = self.exchange(method, path, body, token=token, headers=headers)
        return code, raw

    def exchange(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """The same with the answer's headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.plain, timeout=30)
        token = self.token if token is None else token
        try:
            raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            sent = {"Content-Type": "application/json"} if raw is not None else {}
            sent |= {"Authorization": f"Bearer {token}"} if token else {}
            connection.request(method, path, raw, sent | (headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def json(self, method: str, path: str, body: object = None, **options: object) -> dict:
        """Return a decoded answer that is no refusal."""
        code, raw = self.call(method, path, body, **options)
        assert code < 400, f"{method} {path}: {code} {raw.decode(errors='replace')[:600]}"
        return json.loads(raw)

    def refused(self, method: str, path: str, body: object = None, **options: object) -> dict:
        """Return the Status of a refusal."""
        code, raw = self.call(method, path, body, **options)
        assert code >= 400, f"{method} {path}: {code} {raw.decode(errors='replace')[:300]}"
        return json.loads(raw)

    def tls(self) -> ssl.SSLContext:
        """Return a context that trusts the server."""
        return ssl.create_default_context(cafile=str(self.directory / "pki" / "ca.crt"))


@contextlib.contextmanager
def control_plane(home: Path, **options: Any) -> Iterator[ControlPlane]:
    """Start one with these options of ControlPlane; nothing of it is left."""
    plane = ControlPlane(home, **options)
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()
        plane.kill()
        shutil.rmtree(home, ignore_errors=True)
