"""Where a container's things are on disk. Everything derives from the roots, the tag and the id. Pure.

exec_root/containers/ID/       bundle: config.json, attach, ctl, pid, exit, oom; short, as socket names are bounded
exec_root/containers/ID/exec/N  the same for an exec
exec_root/state/RUNTIME/ID/    the runtime's own state
exec_root/tmp/                 console sockets of the moment
data_root/containers/ID/       container.log and its rotations: they outlive the container's deletion
"""

from __future__ import annotations


class Layout:
    """Paths of one daemon."""

    def __init__(self, data_root: str, exec_root: str, tag: str) -> None:
        self.data_root, self.exec_root, self.tag = data_root, exec_root, tag
        self.bundles = f"{exec_root}/containers"
        self.states = f"{exec_root}/state"
        self.tmp = f"{exec_root}/tmp"
        self.probe = f"{exec_root}/runtimes.json"
        self.logs = f"{data_root}/containers"

    def bundle(self, container_id: str) -> str:
        return f"{self.bundles}/{container_id}"

    def execs(self, container_id: str) -> str:
        return f"{self.bundle(container_id)}/exec"

    def state_root(self, runtime: str) -> str:
        return f"{self.states}/{runtime}"

    def log_directory(self, container_id: str) -> str:
        return f"{self.logs}/{container_id}"

    def log(self, container_id: str) -> str:
        return f"{self.logs}/{container_id}/container.log"

    def cgroup(self, container_id: str, parent: str = "") -> str:
        """Return the cgroup path; `parent` is --cgroup-parent, else the daemon's own group."""
        return f"/{parent.strip('/')}/{container_id}" if parent.strip("/") else f"/sampan-{self.tag}/{container_id}"
