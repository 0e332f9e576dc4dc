"""cgroups of containers: where they are, who is in them, freezing, and removing them. v1, hybrid and v2.

Detection is per controller: a v1 controller is a mount of its own, everything else is on the v2 hierarchy.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
from functools import cached_property

from sampan.base.errors import Unavailable
from sampan.host import process
from sampan.spec import cgroup as spec

FREEZE_TIMEOUT_S = 10.0


class Hierarchies:
    """The mounted hierarchies of this machine."""

    def __init__(self, mountinfo: str | None = None) -> None:
        if mountinfo is None:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
                mountinfo = table.read()
        self.v1: dict[str, str] = {}  # controller -> mount point; named hierarchies as "name=systemd"
        self.v2 = ""  # mount point of the v2 hierarchy
        for line in mountinfo.splitlines():
            left, _, right = line.partition(" - ")
            kind, _, options = right.split(" ", 2)
            target = left.split(" ")[4]
            if not target.startswith(spec.ROOT):
                continue
            if kind == "cgroup2":
                self.v2 = target
            elif kind == "cgroup":
                self.v1 |= {name: target for name in options.split(",") if name not in {"rw", "ro", "xattr"}}

    @property
    def version(self) -> int:
        """2 on a pure v2 host; 1 on v1 and hybrid ones, where limits are v1's."""
        return 1 if "memory" in self.v1 or "cpu" in self.v1 or not self.v2 else 2

    @property
    def hybrid(self) -> bool:
        return bool(self.v1) and bool(self.v2)

    @cached_property
    def controllers(self) -> tuple[str, ...]:
        """The controllers that can limit something."""
        named = [name for name in self.v1 if not name.startswith("name=")]
        return tuple(sorted({*named, *(_read(f"{self.v2}/cgroup.controllers").split() if self.v2 else ())}))

    def warm(self) -> None:
        """Take the kernel's lock on moving processes once, by moving this process to where it is. Blocks up to 25 ms.

        After 20 ms of idleness its first taker waits for a grace period of RCU (7.5 ms here); whoever comes soon after
        does not. Done while a start is being prepared, the runtime need not wait.
        """
        name = "pids" if "pids" in self.v1 else ""
        root = self.v1.get(name, self.v2)
        group = next((row[2] for row in _own_groups() if row[1] == name or name in row[1].split(",")), "/")
        with contextlib.suppress(OSError), open(f"{root}{group.rstrip('/')}/cgroup.procs", "w") as procs:
            procs.write(str(os.getpid()))

    def roots(self) -> tuple[str, ...]:
        """Return every hierarchy's mount point, each once."""
        return tuple(dict.fromkeys((*self.v1.values(), *((self.v2,) if self.v2 else ()))))


def _own_groups() -> list[list[str]]:
    """Return this process's rows of (hierarchy, controllers, path)."""
    with open("/proc/self/cgroup") as table:
        return [line.rstrip("\n").split(":", 2) for line in table]


def _read(path: str) -> str:
    try:
        with open(path) as source:
            return source.read()
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP, errno.EINVAL}:
            return ""
        raise


class Group:
    """One container's cgroup: the same path in every hierarchy."""

    def __init__(self, hierarchies: Hierarchies, path: str) -> None:
        self.hierarchies = hierarchies
        self.path = path if path.startswith("/") else f"/{path}"

    def directory(self, controller: str) -> str:
        """Return the directory where `controller`'s files are, whichever version it has here."""
        return self.hierarchies.v1.get(controller, self.hierarchies.v2) + self.path

    def read(self, controller: str, name: str) -> str:
        """Return a file's text, "" when the kernel has no such file."""
        return _read(f"{self.directory(controller)}/{name}")

    def directories(self) -> list[str]:
        """Return those of its directories that exist."""
        return [root + self.path for root in self.hierarchies.roots() if os.path.isdir(root + self.path)]

    def pids(self) -> tuple[int, ...]:
        """Return the host's pids of all its processes, those in groups below it too."""
        found: set[int] = set()
        for directory in self.directories():
            for here, _, _ in os.walk(directory):
                found.update(int(pid) for pid in _read(f"{here}/{spec.PROCS}").split())
        return tuple(sorted(found - {0}))

    def holds(self, pid: int) -> bool:
        """Tell whether the process is in this group or below it."""
        try:
            text = _read(f"/proc/{pid}/cgroup") if pid > 0 else ""
        except ProcessLookupError:
            return False
        paths = (line.split(":", 2)[2] for line in text.splitlines())
        return any(path == self.path or path.startswith(f"{self.path}/") for path in paths)

    def oom_kills(self) -> int:
        """Return how many of its processes the kernel killed for memory."""
        if "memory" in self.hierarchies.v1:
            text = self.read("memory", spec.V1_OOM_CONTROL)
        else:
            text = self.read("memory", spec.V2_MEMORY_EVENTS)
        return flat(text).get("oom_kill", 0)

    def kill(self) -> None:
        """Send SIGKILL to all of its processes, frozen ones too. Blocks: call in a thread."""
        if self.hierarchies.version == 2:
            with contextlib.suppress(OSError), open(f"{self.directory('')}/{spec.KILL}", "w") as kill:
                kill.write("1")
                return
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if "freezer" in self.hierarchies.v1:
            # v1 delivers no signal to a frozen process; a group's state says nothing of the groups below it
            root = self.directory("freezer")
            for here, _, _ in os.walk(root):
                group = Group(self.hierarchies, self.path + here[len(root) :])
                if group.frozen():
                    group.freeze(frozen=False)

    def freeze(self, *, frozen: bool) -> None:
        """Freeze or thaw all of its processes; returns when the kernel has done so. Blocks: call in a thread.

        Raises:
            Unavailable: it did not happen in 10 s, or the host has no freezer.
        """
        if "freezer" in self.hierarchies.v1:
            self._freeze_v1("FROZEN" if frozen else "THAWED")
        elif self.hierarchies.v2:
            self._freeze_v2("1" if frozen else "0")
        else:
            raise Unavailable("this host has no freezer cgroup: mount it, or use cgroup v2")

    def _freeze_v1(self, wanted: str) -> None:
        path = f"{self.directory('freezer')}/{spec.V1_FREEZER_STATE}"
        # v1 has no event for this: reading the state is what makes the kernel look again
        never = select.poll()
        for _ in range(int(FREEZE_TIMEOUT_S * 1000)):
            with open(path, "w") as state:
                state.write(wanted)
            if _read(path).strip() == wanted:
                return
            never.poll(1)
        with open(path, "w") as state:
            state.write("THAWED")  # half frozen, a kill would never be seen
        raise Unavailable(f"the container's processes did not reach {wanted} in {FREEZE_TIMEOUT_S:.0f} s: try again")

    def _freeze_v2(self, wanted: str) -> None:
        directory = self.directory("")
        with open(f"{directory}/{spec.EVENTS}") as events:
            poller = select.poll()
            poller.register(events.fileno(), select.POLLPRI)
            with open(f"{directory}/{spec.FREEZE}", "w") as freeze:
                freeze.write(wanted)
            for _ in range(int(FREEZE_TIMEOUT_S)):
                events.seek(0)
                if flat(events.read()).get("frozen") == int(wanted):
                    return
                poller.poll(1000)
        raise Unavailable(f"the container's processes did not change in {FREEZE_TIMEOUT_S:.0f} s: try again")

    def frozen(self) -> bool:
        """Tell whether it is frozen."""
        if "freezer" in self.hierarchies.v1:
            return self.read("freezer", spec.V1_FREEZER_STATE).strip() in {"FROZEN", "FREEZING"}
        return flat(self.read("", spec.EVENTS)).get("frozen") == 1

    def remove(self) -> None:
        """Kill what is in it and remove all of its directories. Idempotent. Blocks: call in a thread.

        Raises:
            Unavailable: a process did not die in 10 s.
        """
        for root in self.hierarchies.roots():
            try:
                os.rmdir(root + self.path)
            except FileNotFoundError:
                continue
            except OSError:
                # a process is left, or the container made groups of its own
                for here, _, _ in os.walk(root + self.path, topdown=False):
                    self._remove_one(here)

    def remove_if_empty(self) -> None:
        """Remove those of its directories that hold neither a process nor a group."""
        for directory in self.directories():
            with contextlib.suppress(OSError):
                os.rmdir(directory)

    def _remove_one(self, directory: str) -> None:
        for _ in range(100):
            try:
                os.rmdir(directory)
            except FileNotFoundError:
                return
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                self.kill()
                self._await_empty(directory)
            else:
                return
        raise Unavailable(f"cgroup {directory} does not get empty: a process in it cannot be killed")

    def _await_empty(self, directory: str) -> None:
        """Wait for the end of the processes in `directory`, up to 0.1 s each."""
        for pid in _read(f"{directory}/{spec.PROCS}").split():
            descriptor = process.open_pidfd(int(pid))
            if descriptor >= 0:
                poller = select.poll()
                poller.register(descriptor, select.POLLIN)
                poller.poll(100)
                os.close(descriptor)


def flat(text: str) -> dict[str, int]:
    """Parse a flat keyed file (`name number` a line)."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].lstrip("-").isdigit()}
