"""A real etcd for tests: own directory, own ports on loopback, one member or several; at the end nothing of it is left."""

from __future__ import annotations

import contextlib
import functools
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from kube import client, free_port
from sampan.spec.etcd import OLDEST
from sampan.store.kv.etcd_address import Address

START_S = 20.0


@functools.cache
def program() -> str:
    """Return the path of etcd; the test is skipped, with the reason, where there is none or one that is too old."""
    found = client("etcd")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    version = said.split()[2]
    if tuple(map(int, version.split("-", maxsplit=1)[0].split("."))) < OLDEST:
        pytest.skip(f"{found} is {version}, and {'.'.join(map(str, OLDEST))} or newer is needed")
    return found


class Member:
    """One etcd process. `restart` keeps its data and its ports."""

    def __init__(self, home: Path, flags: Sequence[str], tls: dict[str, str] | None) -> None:
        self.home = home
        self.port, self.peer, self.metrics = free_port(), free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None
        scheme = "https" if tls else "http"
        self.argv = [program(), "--name", home.name, "--data-dir", str(home / "data"), "--log-level", "error"]
        self.argv += ["--listen-client-urls", f"{scheme}://127.0.0.1:{self.port}"]
        self.argv += ["--advertise-client-urls", f"{scheme}://127.0.0.1:{self.port}"]
        self.argv += ["--listen-metrics-urls", f"http://127.0.0.1:{self.metrics}"]
        self.argv += ["--listen-peer-urls", f"http://127.0.0.1:{self.peer}"]
        self.argv += ["--initial-advertise-peer-urls", f"http://127.0.0.1:{self.peer}", *flags]
        if tls:
            self.argv += ["--client-cert-auth", "--trusted-ca-file", tls["cacert"]]
            self.argv += ["--cert-file", tls["cert"], "--key-file", tls["key"]]

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def spawn(self) -> None:
        self.home.mkdir(exist_ok=True)
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(self.argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def ready(self) -> None:
        """Return when it answers, with a leader."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self.process is not None and self.process.poll() is None, (self.home / "log").read_text()
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/health") as told,
            ):
                if told.status == 200:
                    return
            time.sleep(0.01)
        raise AssertionError(f"etcd was not ready in {START_S} s:\n{(self.home / 'log').read_text()}")

    def restart(self) -> None:
        self.kill()
        self.spawn()
        self.ready()

    def pause(self) -> None:
        """Return when every thread of it stands still."""
        self.process.send_signal(signal.SIGSTOP)
        until = time.monotonic() + 10
        while not all(_stopped(path) for path in Path(f"/proc/{self.process.pid}/task").iterdir()):
            assert time.monotonic() < until
            time.sleep(0.001)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash does."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Etcd:
    """Some members, and how a store finds them."""

    def __init__(self, members: Sequence[Member], tls: dict[str, str] | None) -> None:
        self.members = members
        self.tls = tls or {}

    @property
    def address(self) -> Address:
        return Address(tuple(member.endpoint for member in self.members), **self.tls)

    @property
    def url(self) -> str:
        query = "&".join(f"{name}={path}" for name, path in self.tls.items())
        return f"etcd://{','.join(self.address.endpoints)}/sampan" + (f"?{query}" if query else "")


@contextlib.contextmanager
def etcd(
    home: Path, *, members: int = 1, tls: dict[str, str] | None = None, durable: bool = False, flags: Sequence[str] = ()
) -> Iterator[Etcd]:
    """Start one; without `durable` it does not wait for the disk."""
    home.mkdir(parents=True, exist_ok=True)
    flags = [
        "--heartbeat-interval",
        "50",
        "--election-timeout",
        "250",
        *([] if durable else ["--unsafe-no-fsync"]),
        *flags,
    ]
    made = [Member(home / f"m{number}", flags, tls) for number in range(members)]
    cluster = ",".join(f"{member.home.name}=http://127.0.0.1:{member.peer}" for member in made)
    try:
        for member in made:
            member.argv += ["--initial-cluster", cluster]
            member.spawn()
        for member in made:
            member.ready()
        yield Etcd(made, tls)
    finally:
        for member in made:
            member.kill()
        shutil.rmtree(home, ignore_errors=True)


def _stopped(task: Path) -> bool:
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0] in "TtXZ"
    except FileNotFoundError:
        return True
