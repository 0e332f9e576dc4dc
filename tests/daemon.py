"""A real daemon for tests: own roots, own bridge, own socket; at the end nothing of it is left on the host.

with running_daemon(tmp_path_factory.mktemp("d")) as daemon:
    daemon.docker("run", "--rm", "busybox", "true")
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SAMPAN = ROOT / ".venv/bin/sampan"
DOCKER = shutil.which("docker")
PLUGINS = Path("/opt/clients/docker-config")
IMAGE_CACHE = Path(tempfile.gettempdir()) / f"sampan-test-images-{os.getuid()}"
START_S = 20.0


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("d", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Daemon:
    """One daemon and its clients. `restart` keeps its roots."""

    def __init__(self, home: Path, number: int, flags: tuple[str, ...] = (), env: dict[str, str] | None = None) -> None:
        self.home = home
        self.bridge = f"smt{os.getpid() % 100000:x}{number}"[:14]
        self.bip = f"10.{140 + os.getpid() % 50}.{(os.getpid() // 50 + number * 7) % 256}.1/24"
        self.socket = f"{home}/s.sock"
        self.host = f"unix://{self.socket}"
        self.roots = ("--data-root", f"{home}/data", "--exec-root", f"{home}/run")
        self.flags = (
            "-H",
            self.host,
            "--api-listen",
            "none",
            "--pidfile",
            f"{home}/pid",
            "--bridge",
            self.bridge,
            "--bip",
            self.bip,
            *flags,
        )
        self.env = os.environ | (env or {})
        self.log = home / "log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [SAMPAN, "daemon", *self.roots, *self.flags],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self.env,
            )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self.tail()}")
            with contextlib.suppress(OSError):
                if self.request("GET", "/_ping", timeout=2)[0] == 200:
                    return
            time.sleep(0.02)
        raise AssertionError(f"the daemon did not answer in {START_S} s:\n{self.tail()}")

    def kill(self) -> None:
        """End it as a crash does."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """End it by SIGTERM."""
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

    def request(
        self, method: str, path: str, body: object = None, timeout: float = 30, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return status and body of one API request; a body that is no bytes is sent as JSON."""
        connection = _UnixConnection(self.socket, timeout)
        try:
            raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            sent = {"Content-Type": "application/json"} if raw is not None and not isinstance(body, bytes) else {}
            connection.request(method, path, raw, sent | (headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def api(
        self, method: str, path: str, body: object = None, status: tuple[int, ...] = (200, 201, 204, 304)
    ) -> object:
        """Return the JSON of a request that must succeed, None when there is no body."""
        got, raw = self.request(method, path, body)
        assert got in status, f"{method} {path}: {got} {raw.decode(errors='replace')}"
        return json.loads(raw) if raw else None

    def environment(self) -> dict[str, str]:
        """Return the environment in which the docker CLI talks to this daemon."""
        return os.environ | {"DOCKER_HOST": self.host, "DOCKER_CONFIG": str(PLUGINS if PLUGINS.exists() else self.home)}

    def docker(
        self, *args: str, stdin: bytes = b"", timeout: float = 40, check: bool = True, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the docker CLI; a status other than 0 fails the test unless `check` is off."""
        done = subprocess.run(
            [str(DOCKER), *args],
            input=stdin,
            check=False,
            capture_output=True,
            timeout=timeout,
            env=self.environment(),
            cwd=cwd,
        )
        if check and done.returncode:
            text = (done.stdout + done.stderr).decode(errors="replace")
            raise AssertionError(f"docker {' '.join(args)}: {done.returncode}\n{text}\n--- daemon\n{self.tail(15)}")
        return done

    def out(self, *args: str, **options: object) -> str:
        """Return what the docker CLI printed, stripped."""
        return self.docker(*args, **options).stdout.decode().strip()  # type: ignore[arg-type]

    def load(self, *kinds: str) -> None:
        """Load bootstrapped images; their archives are made once a machine."""
        for kind in kinds:
            path = bootstrapped(kind)
            status, body = self.request("POST", "/images/load?quiet=1", path.read_bytes(), timeout=120)
            assert status == 200, body
            assert b'"error"' not in body, body

    # the end

    def remove_everything(self) -> None:
        """Remove all containers, networks and volumes over the API."""
        for row in self.api("GET", "/containers/json?all=1"):
            self.request("DELETE", f"/containers/{row['Id']}?force=1&v=1")
        for row in self.api("GET", "/networks"):
            if row["Name"] not in ("bridge", "host", "none"):
                self.request("DELETE", f"/networks/{row['Id']}")
        for row in self.api("GET", "/volumes")["Volumes"] or ():
            self.request("DELETE", f"/volumes/{row['Name']}?force=1")

    def ledger(self) -> tuple[int, str]:
        """Return the status and the text of `sampan ledger`: 0 when the host is as the API says."""
        if not (ROOT / "src/sampan/cmd/ledger.py").exists():
            return 0, "no ledger yet"
        done = subprocess.run(
            [SAMPAN, "ledger", *self.roots],
            check=False,
            capture_output=True,
            timeout=60,
            env=self.env | {"SAMPAN_HOST": self.host},
        )
        return done.returncode, (done.stdout + done.stderr).decode(errors="replace")

    def purge(self) -> None:
        """Take everything of these roots off the host, whatever state it is in."""
        self.kill()
        subprocess.run([SAMPAN, "down", "--purge", "--yes", *self.roots], check=False, capture_output=True, timeout=60)
        for mount in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            point = mount.split()[1]
            if point.startswith(f"{self.home}/"):
                subprocess.run(["umount", "-l", point], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self.bridge], check=False, capture_output=True)


def bootstrapped(kind: str) -> Path:
    """Return the archive of a bootstrapped image, made once a machine."""
    IMAGE_CACHE.mkdir(mode=0o700, exist_ok=True)
    path = IMAGE_CACHE / f"{kind}.tar"
    with (IMAGE_CACHE / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            asyncio.run(_write_archive(kind, f"{path}.new"))
            os.replace(f"{path}.new", path)
    return path


async def _write_archive(kind: str, path: str) -> None:
    from sampan.image.bootstrap import bootstrap

    with open(path, "wb") as file:
        async for chunk in bootstrap(kind):
            file.write(chunk)


_numbers = iter(range(10_000))


@contextlib.contextmanager
def running_daemon(
    home: Path,
    *flags: str,
    images: tuple[str, ...] = ("busybox",),
    env: dict[str, str] | None = None,
    check: bool = True,
) -> Iterator[Daemon]:
    """Yield a daemon that answers and has `images`; at the end, unless `check` is off, its ledger must be empty."""
    need_daemon()
    daemon = Daemon(home, next(_numbers), flags, env)
    try:
        daemon.start()
        daemon.load(*images)
        yield daemon
        if check:
            daemon.remove_everything()
            status, text = daemon.ledger()
            assert status == 0, f"the daemon left something behind:\n{text}"
        daemon.stop()
    finally:
        daemon.purge()


def need_daemon() -> None:
    """Skip the test where no daemon can run."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if not SAMPAN.exists():
        pytest.skip(f"{SAMPAN} is not there: run make setup")
    if not shutil.which("crun") and not shutil.which("runc"):
        pytest.skip("no OCI runtime: apt-get install crun")


def need_docker() -> None:
    """Skip the test where there is no docker CLI."""
    if DOCKER is None:
        pytest.skip("no docker CLI in PATH")
