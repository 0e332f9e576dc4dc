"""`sampan down --purge`: take away everything that a daemon made on this machine, its data too.

Works with the daemon alive, dead, or killed half-way: what belongs to it is found by its tag and its roots.
"""

from __future__ import annotations

import os
import select
import signal

from sampan.base.errors import NotFound
from sampan.cmd.identity import tag_of
from sampan.cmd.settings import DaemonSettings
from sampan.host import process
from sampan.host.cgroup import Group, Hierarchies
from sampan.host.mount import mounts_below, unmount, unshare_data_root
from sampan.host.remove import remove_tree
from sampan.network.survey import remove_all

_END_TIMEOUT_MS = 10_000


def purge(settings: DaemonSettings) -> None:
    """Remove processes, networks, mounts, cgroups and both roots. The daemon must have ended. May be repeated.

    Raises:
        NotFound: there is no daemon's data under the data root, so nothing is touched.
    """
    data_root, exec_root = settings.data_root, settings.exec_root
    if not (data_root / "tag").exists():
        raise NotFound(f"{data_root} holds no data of a sampan daemon: nothing was removed")
    tag = tag_of(data_root)
    group = Group(Hierarchies(), f"/sampan-{tag}")
    _end([*group.pids(), *_monitors(str(exec_root)), *_control(str(data_root))])
    remove_all(exec_root, tag)
    unshare_data_root(str(data_root))
    for row in reversed(mounts_below(str(exec_root))):
        unmount(row.target)
    group.remove()
    remove_tree(str(exec_root))
    remove_tree(str(data_root))


def _monitors(exec_root: str) -> list[int]:
    """The monitors whose bundles lie under this daemon's exec root; they are outside of the containers' cgroups."""
    prefix = f"{exec_root}/containers/"
    return [
        pid
        for pid, argv in process.command_lines()
        if argv and os.path.basename(argv[0]) == "conmon" and any(word.startswith(prefix) for word in argv)
    ]


def _control(data_root: str) -> list[int]:
    """The control process of a data root."""
    words = ["-m", "sampan.cmd.control", "--data-root", data_root]
    return [pid for pid, argv in process.command_lines() if argv[1:5] == words]


def _end(pids: list[int]) -> None:
    """Kill and wait, so that no mount or cgroup is busy afterwards."""
    poller, waiting = select.poll(), set()
    for pid in pids:
        pidfd = process.open_pidfd(pid)
        if pidfd >= 0:
            process.send_signal(pidfd, signal.SIGKILL)
            poller.register(pidfd, select.POLLIN)
            waiting.add(pidfd)
    while waiting and (ended := poller.poll(_END_TIMEOUT_MS)):
        for pidfd, _ in ended:
            poller.unregister(pidfd)
            os.close(pidfd)
            waiting.discard(pidfd)
