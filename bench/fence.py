"""Fence: a network and a mount namespace of its own for a daemon, so that it changes nothing of the machine.

dockerd sets the machine's FORWARD policy to drop and leaves rules, bridges and mounts. In a fence all of that ends with
the last process. Every side is fenced in the same way, so the fence costs everybody the same. A fence has a root folder
(state, sockets, logs); a lock in it tells whether the bench that made it is still there, so that a later run can end
what a killed one left.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from bench import process

BASE = Path(os.environ.get("SAMPAN_BENCH_ROOT", "/var/tmp"))
PREFIX = "sampan-bench-"
HOLDER = (
    'ip link set lo up && mkdir "$0" && mount -t tmpfs -o mode=0755 sampan-bench "$0" && echo $$ && exec sleep infinity'
)
"""The exec root is in memory, as /run is on a usual machine."""


class Fence:
    """The two namespaces, held by one sleeping process, and a folder. Close it, or use it as a context."""

    def __init__(self, name: str, base: Path = BASE) -> None:
        self.root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{name}-", dir=base))
        self._lock = _locked(self.root)
        argv = ["unshare", "--net", "--mount", "--propagation", "slave", "sh", "-c", HOLDER, str(self.exec_root)]
        self._sleeper = subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert self._sleeper.stdout is not None
        self.holder = int(self._sleeper.stdout.readline())
        (self.root / "holder").write_text(f"{self.holder} {process.start_ticks(self.holder)}")

    @property
    def exec_root(self) -> Path:
        """A folder in memory that only programs inside see the content of."""
        return self.root / "exec"

    @property
    def tag(self) -> str:
        """A name that is this fence's alone, for cgroups."""
        return self.root.name

    def spawn(self, argv: Sequence[str], env: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
        """Start a program inside; its id is the program's own (nsenter executes it in its place)."""
        with log.open("ab") as output:
            return subprocess.Popen(
                ["nsenter", "--target", str(self.holder), "--net", "--mount", "--", *argv],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def processes(self) -> list[int]:
        """Return the ids of all that is in its network namespace but the holder: daemons, monitors and shims.

        Containers are not among them: they have a network namespace of their own.
        """
        home = process.namespace(self.holder, "net")
        return [pid for pid in process.pids() if pid != self.holder and home and process.namespace(pid, "net") == home]

    def close(self) -> None:
        """End everything that came from inside and remove the folder."""
        _end(self.holder, self.root)
        self._sleeper.wait()
        if self._sleeper.stdout is not None:
            self._sleeper.stdout.close()
        shutil.rmtree(self.root)
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sweep(base: Path = BASE) -> list[str]:
    """End and remove the fences of earlier runs that were killed; return their names."""
    swept = []
    for root in base.glob(f"{PREFIX}*"):
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            lock = _locked(root)
            pid, _, ticks = (
                (root / "holder").read_text().partition(" ") if (root / "holder").exists() else ("0", "", "0")
            )
            if int(pid) and process.start_ticks(int(pid)) == int(ticks):
                _end(int(pid), root)
            shutil.rmtree(root)
            os.close(lock)
            swept.append(root.name)
    return swept


def _locked(root: Path) -> int:
    """Return a descriptor of the folder with an exclusive lock on it. Raises BlockingIOError when its bench lives."""
    handle = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise
    return handle


def _end(holder: int, root: Path) -> None:
    """Kill all in the holder's namespaces with their descendants, the holder last, and remove their cgroups."""
    homes = {kind: process.namespace(holder, kind) for kind in ("net", "mnt")}
    ours = process.cgroups(os.getpid())
    left: set[str] = set()
    for _ in range(20):  # a dying shim may still have started something
        seeds = [
            pid
            for pid in process.pids()
            if pid not in (holder, os.getpid())
            and any(home and process.namespace(pid, kind) == home for kind, home in homes.items())
        ]
        found = process.descendants(seeds) - {holder, os.getpid()}
        if not found:
            break
        for pid in found:
            left |= process.cgroups(pid) - ours
        for pid in found:
            process.kill(pid)
    process.kill(holder)
    _remove_cgroups(left, root)


def _remove_cgroups(left: set[str], root: Path) -> None:
    """Remove the groups of processes that were killed, and all below the daemons' own names. Groups in use stay."""
    mounts = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]
    names = {line.partition(":")[2].lstrip("/") for line in left} | {root.name}
    if (root / "data" / "tag").exists():  # Sampan's
        names.add("sampan-" + (root / "data" / "tag").read_text()[:6])
    for top in (mount / name for mount in mounts for name in names if name):
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
