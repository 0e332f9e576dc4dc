"""A private daemon for tests of the CLI: own roots, own bridge; started by `sampan up`, taken away by `sampan down --purge`."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile

import pytest

SAMPAN = os.path.join(os.path.dirname(sys.executable), "sampan")


class PrivateDaemon:
    def __init__(self) -> None:
        self.home = tempfile.mkdtemp(prefix="smpcli-")  # short: socket names are bounded
        self.bridge = f"spc{secrets.token_hex(3)}"
        third = secrets.randbelow(250)
        self.flags = [
            "--data-root", f"{self.home}/data", "--exec-root", f"{self.home}/run", "--bridge", self.bridge,
            "--bip", f"10.211.{third}.1/24", "--netns-pool", "2", "--api-listen", "none",
        ]  # fmt: skip
        self.host = f"unix://{self.home}/run/sampan.sock"
        self.environ = {**os.environ, "SAMPAN_HOST": self.host, "DOCKER_HOST": self.host, "DOCKER_CONFIG": self.home}

    def sampan(self, *argv: str, stdin: str | bytes = "", check: bool = True) -> subprocess.CompletedProcess:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [SAMPAN, *argv], env=self.environ, input=data, capture_output=True, timeout=60, check=False
        )
        assert not check or done.returncode == 0, (argv, done.returncode, done.stdout, done.stderr)
        return done

    def out(self, *argv: str, stdin: str | bytes = "") -> str:
        return self.sampan(*argv, stdin=stdin).stdout.decode().strip()

    def service(self, verb: str, *further: str) -> subprocess.CompletedProcess:
        return self.sampan(verb, *self.flags, *further, check=False)

    def log(self) -> str:
        with open(f"{self.home}/data/daemon.log") as file:
            return file.read()

    def remove(self) -> None:
        done = self.service("down", "--purge", "--yes")
        shutil.rmtree(self.home, ignore_errors=True)
        assert done.returncode == 0, done.stderr


def reason_to_skip() -> str:
    if os.geteuid() != 0:
        return "needs root"
    missing = [name for name in ("crun", "conmon", "busybox") if not shutil.which(name)]
    return f"not installed: {', '.join(missing)}" if missing else ""


@pytest.fixture(scope="session")
def daemon():
    if reason := reason_to_skip():
        pytest.skip(reason)
    private = PrivateDaemon()
    try:
        started = private.service("up")
        assert started.returncode == 0, (started.stderr, private.log())
        private.sampan("image", "bootstrap", "busybox")
        yield private
    finally:
        private.remove()
