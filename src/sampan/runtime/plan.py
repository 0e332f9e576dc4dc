"""LaunchSpec and host facts -> the bundle's config.json. Pure.

Spec: opencontainers/runtime-spec v1.0.2, config.md and config-linux.md.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sampan.base.errors import InvalidArgument
from sampan.model.container import Container, Struct
from sampan.runtime import confine, limits
from sampan.runtime.facts import DeviceFact, HostFacts, UserFact
from sampan.runtime.port import ExecSpec, HostMount, LaunchSpec
from sampan.spec import oci_runtime

INIT_TARGET = "/sbin/docker-init"
"""Where the host's init program appears in a container that asked for one."""

RUNTIME_ANNOTATIONS = "run.oci."

_SHARED_MODES = ("shared", "rshared")
_SLAVE_MODES = ("slave", "rslave")


class Bundle(Struct, frozen=True, kw_only=True):
    """The document of config.json and what the user should be told."""

    document: dict[str, Any]
    warnings: tuple[str, ...] = ()


def bundle(launch: LaunchSpec, facts: HostFacts) -> Bundle:
    """Return the bundle of a launch.

    Raises:
        InvalidArgument: the spec asks for what no runtime can do (unknown capability, ulimit, sysctl …).
    """
    rlimits, warnings = limits.rlimits(launch.container.spec.resources.ulimits, facts.rlimits)
    document = {
        "ociVersion": oci_runtime.VERSION,
        "process": process(launch.container, facts, rlimits),
        "root": {"path": launch.rootfs, "readonly": launch.container.spec.security.readonly_rootfs},
        "mounts": mounts(launch, facts),
        "linux": _linux(launch, facts),
        "annotations": passed_annotations(launch.container),
    }
    if launch.container.spec.namespaces.uts != "host" and launch.container.hostname:
        document["hostname"] = launch.container.hostname
        if launch.container.spec.network.domainname:
            document["domainname"] = launch.container.spec.network.domainname
    return Bundle(document=document, warnings=warnings + _oom_warnings(launch.container, facts))


def passed_annotations(container: Container) -> dict[str, str]:
    """Return the annotations for the runtime.

    Raises:
        InvalidArgument: one would steer the runtime itself (files it writes, filters it loads) past this plan.
    """
    for name in container.spec.annotations:
        if name.startswith(RUNTIME_ANNOTATIONS):
            raise InvalidArgument(f'the annotation "{name}" steers the OCI runtime and is not taken from a container')
    return dict(container.spec.annotations)


def _oom_warnings(container: Container, facts: HostFacts) -> tuple[str, ...]:
    if container.spec.oom_score_adj >= facts.oom_score_adj_floor:
        return ()
    floor = facts.oom_score_adj_floor
    return (f"oom_score_adj was raised to {floor}, the daemon's own: give it CAP_SYS_RESOURCE to go lower",)


# --- the process ------------------------------------------------------------------------------------------------------


def environment(container: Container, user: UserFact) -> list[str]:
    """Return the environment: the container's, with HOME, HOSTNAME and TERM where it does not set them."""
    env = list(container.env)
    names = {item.partition("=")[0] for item in env}
    defaults = {"HOSTNAME": container.hostname, "HOME": user.home}
    if container.spec.process.tty:
        defaults["TERM"] = "xterm"
    return env + [f"{name}={value}" for name, value in defaults.items() if value and name not in names]


def _user(user: UserFact) -> dict[str, Any]:
    return {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)}


def _capability_sets(names: tuple[str, ...]) -> dict[str, list[str]]:
    """Never inheritable nor ambient: they would pass to programs of other users (CVE-2022-24769)."""
    return {"bounding": list(names), "effective": list(names), "permitted": list(names)}


def process(container: Container, facts: HostFacts, rlimits: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the `process` section of the container's first process."""
    spec = container.spec
    section: dict[str, Any] = {
        "terminal": spec.process.tty,
        "user": _user(facts.user),
        "args": [*((INIT_TARGET, "--") if facts.init_path else ()), *container.args],
        "env": environment(container, facts.user),
        "cwd": container.cwd or "/",
        "capabilities": _capability_sets(confine.capabilities(spec.security, facts.capabilities)),
        "noNewPrivileges": spec.security.no_new_privileges,
        "oomScoreAdj": max(spec.oom_score_adj, facts.oom_score_adj_floor),
    }
    if rlimits:
        section["rlimits"] = rlimits
    if spec.process.tty and spec.process.console_size:
        height, width = spec.process.console_size
        section["consoleSize"] = {"height": height, "width": width}
    return section | _labels(container)


def _labels(container: Container) -> dict[str, str]:
    apparmor = container.spec.security.apparmor
    return {"apparmorProfile": apparmor} if apparmor and apparmor != "unconfined" else {}


def exec_process(container: Container, spec: ExecSpec, facts: HostFacts) -> bytes:
    """Return the process document of an exec: the container's confinement, its own program."""
    security = container.spec.security
    granted = confine.capabilities(
        msgspec.structs.replace(security, privileged=security.privileged or spec.privileged), facts.capabilities
    )
    rlimits, _ = limits.rlimits(container.spec.resources.ulimits, facts.rlimits)
    section: dict[str, Any] = {
        "terminal": spec.tty,
        "user": _user(facts.user),
        "args": list(spec.args),
        "env": _exec_environment(container, spec, facts.user),
        "cwd": spec.cwd or "/",
        "capabilities": _capability_sets(granted),
        "noNewPrivileges": security.no_new_privileges,
        "oomScoreAdj": max(container.spec.oom_score_adj, facts.oom_score_adj_floor),
    }
    if rlimits:
        section["rlimits"] = rlimits
    if spec.tty and spec.console_size:
        section["consoleSize"] = {"height": spec.console_size[0], "width": spec.console_size[1]}
    return msgspec.json.encode(section | _labels(container))


def _exec_environment(container: Container, spec: ExecSpec, user: UserFact) -> list[str]:
    env = list(spec.env)
    names = {item.partition("=")[0] for item in env}
    defaults = {"HOSTNAME": container.hostname, "HOME": user.home} | ({"TERM": "xterm"} if spec.tty else {})
    return env + [f"{name}={value}" for name, value in defaults.items() if value and name not in names]


# --- mounts -----------------------------------------------------------------------------------------------------------


def _mount(destination: str, kind: str, source: str, options: tuple[str, ...]) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}


def _depth(mount: dict[str, Any]) -> int:
    return str(mount["destination"]).rstrip("/").count("/")


def mounts(launch: LaunchSpec, facts: HostFacts) -> list[dict[str, Any]]:
    """Return all mounts, parents before children; a mount asked for replaces a default one of the same target."""
    asked = {_clean(item.target): item for item in launch.mounts}
    defaults = [row for row in _default_mounts(launch) if row["destination"] not in asked]
    shallow = {_clean(item.target) for item in launch.container.spec.mounts if item.read_only_non_recursive}
    # crun opens the target of a recursive bind as a directory; below a file nothing is mounted anyhow.
    extra = [
        _asked_mount(item, recursive=facts.rro and target not in shallow and item.source not in facts.files)
        for target, item in asked.items()
    ]
    if facts.init_path:
        extra.append(_mount(INIT_TARGET, "bind", facts.init_path, ("bind", "ro")))
    return defaults + sorted(extra, key=_depth)


def _clean(path: str) -> str:
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def _default_mounts(launch: LaunchSpec) -> list[dict[str, Any]]:
    spec = launch.container.spec
    rows = []
    for destination, kind, source, options in oci_runtime.MOUNTS:
        if spec.security.privileged and destination.startswith("/sys"):
            options = tuple(option for option in options if option != "ro")
        rows.append(_mount(destination, kind, source, options))
    return rows + _shm(launch)


def _shm(launch: LaunchSpec) -> list[dict[str, Any]]:
    spec = launch.container.spec
    if spec.namespaces.ipc == "none":
        return []
    source = launch.shm_path or ("/dev/shm" if spec.namespaces.ipc == "host" else "")
    if source:
        return [_mount("/dev/shm", "bind", source, ("rbind", "rprivate"))]
    size = spec.shm_size_bytes or oci_runtime.DEFAULT_SHM_BYTES
    return [_mount("/dev/shm", "tmpfs", "shm", ("nosuid", "noexec", "nodev", "mode=1777", f"size={size}"))]


def _asked_mount(item: HostMount, *, recursive: bool) -> dict[str, Any]:
    """`recursive`: a read-only bind is so with everything that is mounted below its source."""
    if item.kind == "tmpfs":
        opposite = {"exec": "noexec", "suid": "nosuid", "dev": "nodev"}
        undone = {opposite[option] for option in item.options if option in opposite}
        options = tuple(option for option in ("noexec", "nosuid", "nodev") if option not in undone)
        options = tuple(dict.fromkeys((*options, *item.options, *(("ro",) if item.read_only else ()))))
        return _mount(item.target, "tmpfs", "tmpfs", options)
    options = item.options if {"bind", "rbind"} & set(item.options) else ("rbind", *item.options)
    if item.read_only and "ro" not in options:
        options = (*options, "rro" if recursive and "rbind" in options else "ro")
    return _mount(item.target, "bind", item.source, (*options, item.propagation or "rprivate"))


def root_propagation(launch: LaunchSpec) -> str:
    """Return rootfsPropagation: what the strongest bind needs, else "" for the runtime's private default."""
    modes = {item.propagation for item in launch.mounts}
    if modes & set(_SHARED_MODES):
        return "shared"
    return "rslave" if modes & set(_SLAVE_MODES) else ""


# --- linux ------------------------------------------------------------------------------------------------------------


def namespaces(launch: LaunchSpec) -> list[dict[str, str]]:
    """Return the namespaces: own, joined by path, or left out for the host's."""
    modes = launch.container.spec.namespaces
    rows: list[dict[str, str]] = [{"type": "mount"}]
    if launch.netns:
        rows.append({"type": "network", "path": launch.netns})
    for kind, mode, joined in (
        ("uts", modes.uts, ""),
        ("pid", modes.pid, launch.joined_pid),
        ("ipc", modes.ipc, launch.joined_ipc),
        ("cgroup", modes.cgroup, ""),
    ):
        if joined:
            rows.append({"type": kind, "path": joined})
        elif mode != "host":
            rows.append({"type": kind})
    return rows


def sysctls(launch: LaunchSpec) -> dict[str, str]:
    """Return the kernel parameters of the container's own namespaces.

    Raises:
        InvalidArgument: one belongs to a namespace that is the host's, or to none.
    """
    spec = launch.container.spec
    wanted: dict[str, str] = dict(oci_runtime.DEFAULT_SYSCTLS) if launch.netns and not spec.security.privileged else {}
    for name, value in spec.sysctls.items():
        dotted = name.replace("/", ".") if "/" in name else name
        is_ipc = dotted in oci_runtime.NAMESPACED_SYSCTLS_IPC or dotted.startswith("fs.mqueue.")
        if not (is_ipc or dotted.startswith("net.") or dotted in ("kernel.domainname", "kernel.hostname")):
            raise InvalidArgument(f'sysctl "{name}" is not in a separate kernel namespace: set it on the host')
        if is_ipc and spec.namespaces.ipc == "host":
            raise InvalidArgument(f'sysctl "{name}" is not allowed in the hosts ipc namespace')
        if dotted.startswith("net.") and not launch.netns:
            raise InvalidArgument(f'sysctl "{name}" is not allowed in the hosts network namespace')
        wanted[dotted] = value
    return wanted


def _node(device: DeviceFact) -> dict[str, Any]:
    return {
        "path": device.path,
        "type": device.kind,
        "major": device.major,
        "minor": device.minor,
        "fileMode": device.mode,
        "uid": device.uid,
        "gid": device.gid,
    }


def _linux(launch: LaunchSpec, facts: HostFacts) -> dict[str, Any]:
    spec = launch.container.spec
    masked, readonly = confine.hidden_paths(spec.security, facts.masked_extra)
    granted = confine.capabilities(spec.security, facts.capabilities)
    section: dict[str, Any] = {
        "namespaces": namespaces(launch),
        "resources": limits.resources(spec.resources, facts, privileged=spec.security.privileged),
        "cgroupsPath": facts.cgroup_path,
        "devices": [_node(device) for device in facts.devices],
        "sysctl": sysctls(launch),
        "maskedPaths": list(masked),
        "readonlyPaths": list(readonly),
        "seccomp": confine.seccomp_profile(spec.security, facts.machine, granted),
        "rootfsPropagation": root_propagation(launch),
    }
    return {key: value for key, value in section.items() if value}
