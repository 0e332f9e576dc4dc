"""A daemon that dies on demand, and the check that nothing was lost and nothing was left."""

from __future__ import annotations

import atexit
import contextlib
import http.client
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any, NoReturn

from daemon import ROOT, START_S, Daemon
from sampan.base.crash import EXIT_CODE
from sampan.base.errors import NotFound
from sampan.cmd.ledger_host import Roots
from sampan.cmd.purge import purge
from sampan.cmd.settings import load

REQUEST_S = 20.0
_numbers = itertools.count(500)


class Gone(Exception):
    """The daemon ended while a request was under way: whether it took effect is not known."""


class Refused(Exception):
    """The daemon's error answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Helper:
    """A process that answers one JSON line to each; started when it is first asked, and again when it died."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: subprocess.Popen[str] | None = None

    def ask(self, question: str) -> Any:
        for _ in range(3):
            answer = self._once(question)
            if answer:
                return json.loads(answer)
        raise AssertionError(f"{self._module} does not answer {question}")

    def _once(self, question: str) -> str:
        if self._process is None or self._process.poll() is not None:
            environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                env=environment,
            )  # fmt: skip
            atexit.register(self._process.kill)
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(question + "\n")
            self._process.stdin.flush()
            return self._process.stdout.readline()
        return ""


_daemons = Helper("crash.daemon_main")
_ledgers = Helper("crash.ledger_main")
"""In a process of its own: libnftables dies when it meets a set that a newer one made."""


class Forked:
    """What `Daemon` needs of subprocess.Popen, for a daemon that `crash.daemon_main` forked."""

    def __init__(self, order: dict[str, object]) -> None:
        self.pid: int = _daemons.ask(json.dumps(order))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = _daemons.ask(json.dumps({"poll": self.pid}))
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float = 60) -> int:
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the daemon {self.pid} does not end")
            time.sleep(0.002)
        return self.returncode


class CrashDaemon(Daemon):
    """A daemon that can be armed with a crash point. Calls raise `Gone` when it dies, never block for ever."""

    def __init__(self, home: Path, *flags: str) -> None:
        super().__init__(home, next(_numbers), ("--netns-pool", "3", *flags))

    def launch(self, crash: str = "", listing: Path | None = None) -> bool:
        """Start it; returns whether it got ready. False: it ended at its crash point on the way."""
        with self.log.open("a") as log:
            log.write(f"--- armed with {crash or 'nothing'}\n")
        environment = {"SAMPAN_CRASH": crash, "SAMPAN_CRASH_LIST": str(listing or "")}
        self.process = Forked({"start": [*self.roots, *self.flags], "log": str(self.log), "env": environment})
        deadline = time.monotonic() + START_S
        while self.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.request("GET", "/_ping", timeout=1)[0] == 200:
                    return True
            if time.monotonic() > deadline:
                self.fail_hung("start")
            time.sleep(0.01)
        assert self.process.returncode == EXIT_CODE, f"ended with {self.process.returncode}:\n{self.tail()}"
        return False

    def fail_hung(self, what: str) -> NoReturn:
        """Fail with what the daemon waits for."""
        self.process.send_signal(signal.SIGUSR1)
        time.sleep(0.5)
        raise AssertionError(f"{what}: no answer\n--- daemon\n{self.tail(150)}")

    def purge(self) -> None:
        """Take everything off the host, whatever state it is in."""
        self.kill()
        with contextlib.suppress(NotFound):
            purge(load(list(self.roots)))

    def died(self, within_s: float) -> bool:
        """Wait for its end at the crash point; returns False when it lives on."""
        deadline = time.monotonic() + within_s
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        assert self.process.returncode == EXIT_CODE, f"ended with {self.process.returncode}:\n{self.tail()}"
        return True

    def call(self, method: str, path: str, body: object = None, *, ok: tuple[int, ...] = (), raw: bytes | None = None):
        """Return the decoded answer of a request that is a success or has one of the `ok` statuses."""
        try:
            status, text = self.request(method, f"/v1.51{path}", raw if raw is not None else body, timeout=REQUEST_S)
        except TimeoutError:
            self.fail_hung(f"{method} {path}")
        except (OSError, http.client.HTTPException) as error:
            raise Gone(f"{method} {path}: {error}") from error
        value = None
        with contextlib.suppress(ValueError):
            value = json.loads(text) if text else None
        if status >= 400 and status not in ok:
            raise Refused(status, f"{method} {path}: {status} {text.decode(errors='replace')}")
        return value

    @property
    def where(self) -> Roots:
        tag = (self.home / "data/tag").read_text().strip()[:6]
        return Roots(self.home / "data", self.home / "run", tag, (self.host,))

    def assert_no_difference(self, context: str = "") -> None:
        where = self.where
        rows = "\n".join(_ledgers.ask(f"{where.data} {where.exec} {where.tag} {self.host}"))
        assert not rows, f"{context}: host and records differ:\n{rows}\n--- daemon\n{self.tail()}"


class Ops:
    """What a client does, each as small as it can be. Names are fresh ones."""

    def __init__(self, daemon: CrashDaemon, prefix: str = "") -> None:
        self.daemon = daemon
        self._prefix = prefix
        self.call = daemon.call
        self._count = itertools.count()

    def name(self, kind: str) -> str:
        return f"{self._prefix}{kind}{next(self._count)}"

    def create(self, *command: str, host: dict | None = None, name: str = "", **config: object) -> str:
        body = {"Image": "busybox", "Cmd": list(command or ("sleep", "1000")), "HostConfig": host or {}, **config}
        return self.call("POST", f"/containers/create?name={name or self.name('c')}", body)["Id"]

    def start(self, container: str) -> None:
        self.call("POST", f"/containers/{container}/start")

    def run(self, *command: str, **options: object) -> str:
        container = self.create(*command, **options)
        self.start(container)
        return container

    def wait(self, container: str) -> int:
        return self.call("POST", f"/containers/{container}/wait")["StatusCode"]

    def remove(self, container: str) -> None:
        self.call("DELETE", f"/containers/{container}?force=1&v=1")

    def exec(self, container: str, *command: str) -> int:
        body = {"Cmd": list(command), "AttachStdout": True}
        exec_id = self.call("POST", f"/containers/{container}/exec", body)["Id"]
        self.call("POST", f"/exec/{exec_id}/start", {"Detach": False})
        return self.call("GET", f"/exec/{exec_id}/json")["ExitCode"]

    def output(self, container: str, *command: str) -> str:
        """Return what a command in the container prints on its terminal."""
        body = {"Cmd": list(command), "AttachStdout": True, "Tty": True}
        exec_id = self.call("POST", f"/containers/{container}/exec", body)["Id"]
        _, text = self.daemon.request("POST", f"/v1.51/exec/{exec_id}/start", {"Detach": False, "Tty": True})
        return text.decode()

    def state(self, container: str) -> dict:
        return self.call("GET", f"/containers/{container}/json")["State"]

    def import_image(self) -> str:
        name = self.name("image")
        self.call("POST", f"/images/create?fromSrc=-&repo={name}&tag=x", raw=tar_of({"file": name.encode()}))
        return f"{name}:x"

    def sweep(self, keep: tuple[str, ...]) -> None:
        """Remove all objects but the containers `keep` and the image busybox."""
        for row in self.call("GET", "/containers/json?all=1"):
            if row["Id"] not in keep:
                self.call("DELETE", f"/containers/{row['Id']}?force=1&v=1", ok=(404,))
        for row in self.call("GET", "/networks"):
            if row["Name"] not in ("bridge", "host", "none"):
                self.call("DELETE", f"/networks/{row['Id']}", ok=(404,))
        for row in self.call("GET", "/volumes")["Volumes"] or ():
            self.call("DELETE", f"/volumes/{row['Name']}?force=1", ok=(404,))
        for row in self.call("GET", "/images/json"):
            if not any(tag.startswith("busybox") for tag in row["RepoTags"] or ()):
                self.call("DELETE", f"/images/{row['Id']}?force=1", ok=(404,))


def tar_of(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def monitor_of(daemon: CrashDaemon, container: str) -> int:
    """Return the pid of a container's monitor."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as source:
            words = source.read().split(b"\0")
            if b"conmon" in words[0] and f"{daemon.home}/run/containers/{container}".encode() in words:
                return int(pid)
    raise AssertionError(f"container {container} has no monitor")


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as source:
            return source.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
