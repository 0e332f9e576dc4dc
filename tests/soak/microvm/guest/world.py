"""One daemon in the microVM, `sampan` as its client, and the files of its containers' cgroups."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import daemon
import sampan.cli
from daemon import Daemon
from sampan.cmd.main import main

CGROUPS = Path("/sys/fs/cgroup")
TIMEOUT_S = 120.0
"""An emulated machine on a busy host is a hundred times slower than this one."""
daemon.START_S = TIMEOUT_S
for _module in pkgutil.iter_modules(sampan.cli.__path__, "sampan.cli."):
    importlib.import_module(_module.name)  # once, not in each process that is the CLI


class Done(NamedTuple):
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


def _become_cli(words: tuple[str, ...], environment: dict[str, str], out: int, err: int) -> NoReturn:
    """Run the CLI's main in this, a forked, process: starting Python anew takes seconds in an emulated machine."""
    status = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.environ |= environment
        sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        status = main(list(words))
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


class World:
    """The daemon's users."""

    def __init__(self) -> None:
        self.daemon = Daemon(Path("/var/lib/sampan-check"), 0)
        self.daemon.home.mkdir()

    @property
    def tag(self) -> str:
        return (self.daemon.home / "data/tag").read_text()[:6]

    def call(self, *words: str) -> Done:
        """Run `sampan`, whatever its status is."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            pid = os.fork()
            if pid == 0:
                _become_cli(words, {"SAMPAN_HOST": self.daemon.host}, out.fileno(), err.fileno())
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            out.seek(0)
            err.seek(0)
            return Done(status, out.read(), err.read())

    def sampan(self, *words: str, status: int = 0) -> str:
        """Return what `sampan` prints."""
        done = self.call(*words)
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.stderr}{self.daemon.tail(8)}"
        return done.stdout.strip()

    def start(self, runtime: str, *flags: str, script: str = "exec sleep 1000") -> Box:
        """Return a container that runs a shell script."""
        return Box(self, self.sampan("run", "-d", "--runtime", runtime, *flags, "busybox", "sh", "-c", script))

    def ledger(self) -> str:
        """Return the difference between the host and the daemon: "" for none."""
        status, text = self.daemon.ledger()
        return text if status else ""


class Box:
    """A container and its cgroup."""

    def __init__(self, world: World, container_id: str) -> None:
        self.world = world
        self.id = container_id
        self.group = CGROUPS / f"sampan-{world.tag}" / container_id

    def file(self, name: str) -> str:
        """Return the text of one of its cgroup's files."""
        return (self.group / name).read_text().strip()

    def keyed(self, name: str) -> dict[str, int]:
        """Return a flat keyed file."""
        return {key: int(value) for key, value in (line.split() for line in self.file(name).splitlines())}

    def inspect(self) -> Any:
        return self.world.daemon.api("GET", f"/containers/{self.id}/json")

    @property
    def state(self) -> Any:
        return self.inspect()["State"]

    def exec(self, script: str) -> str:
        """Return what a shell script prints in it, whatever its status is."""
        done = self.world.call("exec", self.id, "sh", "-c", script)
        return (done.stdout + done.stderr).strip()

    def wait(self) -> int:
        """Return its exit code."""
        status, body = self.world.daemon.request("POST", f"/containers/{self.id}/wait", timeout=TIMEOUT_S)
        assert status == 200, body
        return int(json.loads(body)["StatusCode"])

    def remove(self) -> None:
        """Remove it by force; its cgroup goes soon after."""
        self.world.sampan("rm", "-f", self.id)
        eventually(lambda: not self.group.exists(), "the cgroup of a removed container is gone")


def eventually(holds: Callable[[], Any], what: str) -> Any:
    """Return what `holds` does as soon as it is true."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if found := holds():
                return found
        time.sleep(0.1)
    raise AssertionError(f"not in {TIMEOUT_S:.0f} s: {what}")
