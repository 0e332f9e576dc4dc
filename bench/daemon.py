"""Daemon: Sampan or dockerd as a private daemon in a fence: started, asked, killed and cleaned away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import process
from bench.client import ApiError, Client
from bench.fence import Fence
from bench.peers import Missing, Peer

READY_S = 60.0
SAMPAN = os.environ.get("SAMPAN_BENCH_SAMPAN", str(Path(sys.executable).parent / "sampan"))
SAMPAN_CIDR = "10.213.0.1/16"
DOCKER_CIDR = "10.214.0.1/16"


class DaemonFailed(Exception):
    """A daemon that does not answer, with the end of its log."""


class Daemon:
    """One daemon in its fence. `start` may be called again after `kill` or `stop`."""

    def __init__(self, label: str, fence: Fence, argv: Sequence[str], env: dict[str, str], *, helper: str = "") -> None:
        """`helper` is the name of a process that ends with the daemon, but a little later (containerd)."""
        self.label = label
        self.fence = fence
        self.socket = fence.root / "d.sock"
        self.log = fence.root / "log"
        self.argv = list(argv)
        self.env = env
        self.helper = helper
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The daemon's own process; 0 when none runs."""
        return self._process.pid if self._process else 0

    def start(self) -> float:
        """Start it and return the seconds until GET /_ping answered."""
        began = time.perf_counter()
        self._process = self.fence.spawn(self.argv, self.env, self.log)
        while not self._pings():
            if self._process.poll() is not None or time.perf_counter() - began > READY_S:
                raise DaemonFailed(f"{self.label} does not answer:\n{self._log_tail()}")
            time.sleep(0.002)
        return time.perf_counter() - began

    def client(self) -> Client:
        """Return a connection of its own."""
        return Client(str(self.socket))

    def kill(self) -> None:
        """End the daemon alone, as kill -9 does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and make it end after 30 s."""
        self._end(signal.SIGTERM)

    def signal(self, number: int) -> None:
        """Send a signal that does not end it."""
        os.kill(self.pid, number)

    def pss_bytes(self) -> int:
        """Return the memory of the daemon with its helpers, monitors and shims; containers are not in it."""
        return sum(process.pss_bytes(pid) for pid in self.fence.processes())

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        helpers = [pid for pid in self.fence.processes() if self.helper and process.name(pid) == self.helper]
        self._process.send_signal(number)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        while any(process.start_ticks(pid) for pid in helpers):
            time.sleep(0.01)  # a dockerd that is started while it is a zombie still waits 10 s for it

    def _pings(self) -> bool:
        try:
            with self.client() as client:
                client.call("GET", "/_ping", ok=(200,))
        except (TimeoutError, OSError, ApiError, ValueError):
            return False
        return True

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


def sampan(fence: Fence, prefix: Sequence[str] = ()) -> Daemon:
    """Return a Sampan daemon in the fence, not started. `prefix` replaces the program (a profiler). Raises Missing."""
    if not prefix and not os.access(SAMPAN, os.X_OK):
        raise Missing(f"no {SAMPAN}: run `make setup`, or set SAMPAN_BENCH_SAMPAN")
    root = fence.root
    argv = [*(prefix or [SAMPAN]), "daemon", "--data-root", str(root / "data"), "--exec-root", str(fence.exec_root)]
    argv += ["-H", f"unix://{root / 'd.sock'}", "--pidfile", str(root / "pid"), "--bridge", "sampanbench0"]
    argv += ["--bip", SAMPAN_CIDR, "--api-listen", "none"]
    # a shell's wish to write no bytecode would charge each start with a compiler that no installed daemon runs
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return Daemon("sampan", fence, argv, env)


def docker(fence: Fence, peer: Peer, *, live_restore: bool = False) -> Daemon:
    """Return a dockerd in the fence, not started, with no configuration of the machine's."""
    root = fence.root
    (root / "daemon.json").write_text("{}")
    argv = [peer.dockerd, "--config-file", str(root / "daemon.json"), "--data-root", str(root / "data")]
    argv += ["--exec-root", str(fence.exec_root), "-H", f"unix://{root / 'd.sock'}", "--pidfile", str(root / "pid")]
    argv += ["--bip", DOCKER_CIDR, "--storage-driver", "overlay2", "--cgroup-parent", f"/{fence.tag}"]
    argv += ["--live-restore"] if live_restore else []
    env = {"PATH": peer.path, "HOME": str(root), "TMPDIR": str(root)}
    env |= {"LD_LIBRARY_PATH": peer.libraries} if peer.libraries else {}
    return Daemon(peer.label, fence, argv, env, helper="containerd")
