"""What exists on the host for one daemon, found without it: by its roots and its tag."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from sampan.host import process
from sampan.host.cgroup import Group, Hierarchies
from sampan.host.mount import mounts_below
from sampan.network.survey import survey

_PROTOCOLS = {"6": "tcp", "17": "udp"}
_PROTOCOL = re.compile(r"(?<= )(?:6|17)(?= \. \d+ : )")  # some versions of nftables print the number

Found = dict[str, set[str]]
"""Names by kind. A container is named by the first 12 digits of its id."""


class Roots(NamedTuple):
    """Where one daemon's things are."""

    data: Path
    exec: Path
    tag: str
    hosts: tuple[str, ...] = ()


def short(container_id: str) -> str:
    return container_id[:12]


def names_in(directory: Path) -> list[str]:
    """Return what is in a directory; nothing when it is not there."""
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []


def found_on_host(roots: Roots) -> Found:
    """Return everything of the daemon that the host has now."""
    return _processes(roots) | _control(roots) | _network(roots) | _mounts(roots) | _files(roots)


def _control(roots: Roots) -> Found:
    """Return the control processes of the data root: there may be one, whether the engine lives or not."""
    words = ["-m", "sampan.cmd.control", "--data-root", str(roots.data)]
    pids = {str(pid) for pid, argv in process.command_lines() if argv[1:5] == words}
    return {"control process": pids} if pids else {}


def _processes(roots: Roots) -> Found:
    bundles = roots.exec / "containers"
    groups, by_container = _cgroups(roots)
    first: dict[str, int] = {}
    for container_id in {*names_in(bundles), *by_container}:
        pid = _recorded_pid(bundles / container_id / "pid")
        pids = by_container.get(container_id, set())
        if pid and (pid in pids or _in_group_of(pid, container_id)):
            first[container_id] = pid
        elif pids:
            first[container_id] = min(pids)
    monitors, exec_monitors = _monitors(f"{bundles}/")
    return {
        "process": {f"{short(container_id)} {pid}" for container_id, pid in first.items()},
        "monitor": monitors,
        "exec monitor": exec_monitors,
        "cgroup": groups,
    }


def _cgroups(roots: Roots) -> tuple[set[str], dict[str, set[int]]]:
    """Return "hierarchy container" rows, and the processes by full container id."""
    hierarchies = Hierarchies()
    rows: set[str] = set()
    pids: dict[str, set[int]] = {}
    for root in hierarchies.roots():
        for name in names_in(Path(root) / f"sampan-{roots.tag}"):
            if not os.path.isdir(f"{root}/sampan-{roots.tag}/{name}"):
                continue
            rows.add(f"{os.path.basename(root)} {short(name)}")
            if name not in pids:
                with contextlib.suppress(FileNotFoundError):
                    pids[name] = set(Group(hierarchies, f"/sampan-{roots.tag}/{name}").pids())
    return rows, pids


def _recorded_pid(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _in_group_of(pid: int, container_id: str) -> bool:
    try:
        return container_id in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False


def _monitors(prefix: str) -> tuple[set[str], set[str]]:
    """Return the containers that have a monitor, and those that have one of an exec."""
    whole: set[str] = set()
    of_execs: set[str] = set()
    for _, argv in process.command_lines():
        if os.path.basename(argv[0]) == "conmon" and "-b" in argv[:-1]:
            bundle = argv[argv.index("-b") + 1]
            if bundle.startswith(prefix):
                (of_execs if "-e" in argv else whole).add(short(bundle.removeprefix(prefix)))
    return whole, of_execs


def _network(roots: Roots) -> Found:
    found = survey(roots.exec, roots.tag)
    spaces = {
        os.path.basename(row.target) for row in mounts_below(str(roots.exec / "netns")) if row.filesystem == "nsfs"
    }
    files = {*found["netns"], *found["slots"]}
    return {
        "netns": {name if name in spaces else f"{name} (not mounted)" for name in files} | spaces,
        "veth": set(found["veths"]),
        "bridge": set(found["bridges"]),
        "bridge port": set(found["bridge_ports"]),
        "address": {row for row in found["addresses"] if not row.partition(" ")[2].startswith("fe80:")},
        "nft table": set(found["nft_tables"]),
        "nft rule": {_PROTOCOL.sub(lambda match: _PROTOCOLS[match[0]], row) for row in found["nft_elements"]},
    }


def _mounts(roots: Roots) -> Found:
    data, exec_ = os.path.realpath(roots.data), os.path.realpath(roots.exec)
    rows = [
        row.target
        for root in (data, exec_)
        for row in mounts_below(root)
        if not row.target.startswith(f"{exec_}/netns/")
    ]
    return {"mount": {_shortened(target, data, exec_) for target in rows}}


def _shortened(target: str, data: str, exec_: str) -> str:
    """Return a mount's place below its root, ids shortened: `data/containers/0123456789ab/merged`."""
    for root, name in ((data, "data"), (exec_, "exec")):
        if target == root or target.startswith(f"{root}/"):
            parts = target[len(root) :].split("/")
            return name + "/".join(short(part) if len(part) == 64 else part for part in parts)
    return target


def _files(roots: Roots) -> Found:
    data, exec_ = roots.data, roots.exec
    return {
        "bundle": _ids(exec_ / "containers"),
        "runtime state": {name for runtime in names_in(exec_ / "state") for name in _ids(exec_ / "state" / runtime)},
        "container files": _ids(exec_ / "etc"),
        "writable layer": _ids(data / "containers"),
        "shared memory": _ids(data / "shm"),
        "volume": set(names_in(data / "volumes")),
        "layer": {name for name in names_in(data / "layers") if not name.startswith("tmp-")},
        "blob": set(names_in(data / "images/blobs/sha256")),
        "socket": _sockets(
            [exec_, *(Path(h.removeprefix("unix://")).parent for h in roots.hosts if h.startswith("unix://"))]
        ),
        "temporary file": _temporary(data, exec_),
    }


def _ids(directory: Path) -> set[str]:
    return {short(name) for name in names_in(directory) if not name.startswith(".")}


def _sockets(directories: Iterable[Path]) -> set[str]:
    found = set()
    for directory in set(directories):
        for name in names_in(directory):
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISSOCK(os.lstat(directory / name).st_mode):
                    found.add(str(directory / name))
    return found


def _temporary(data: Path, exec_: Path) -> set[str]:
    rows = [(data / "images/ingest", ""), (data / "layers", "tmp-"), (exec_ / "tmp", ""), (data / "containers", ".")]
    found = {
        f"{directory.name}/{name}"
        for directory, start in rows
        for name in names_in(directory)
        if name.startswith(start)
    }
    layers = data / "layers"
    found |= {
        f"layers/{layer}/{name}"
        for layer in names_in(layers)
        for name in names_in(layers / layer)
        if name.startswith("init-")
    }
    return found | {f"data/{name}" for name in names_in(data) if name.endswith(".new")}
