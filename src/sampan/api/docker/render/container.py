"""Containers: inspect, list rows, top, changes, exec sessions, processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from sampan.api.docker.render.config import Json, render_config, render_host_config, render_ipam_wish
from sampan.api.docker.render.moment import human_duration, rfc3339
from sampan.engine.port import Change, ExecRecord, HostInfo
from sampan.model.container import Container, Endpoint, Health, MountPoint, Phase, PublishedPort

_SECOND_NS = 1_000_000_000
_MASKED_PATHS = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
_READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_CHANGE_KINDS = {"modified": 0, "added": 1, "deleted": 2}


def render_status(phase: Phase) -> str:
    """Return Docker's word for a phase; a start under way is still "created"."""
    return "created" if phase is Phase.STARTING else str(phase)


def render_state(container: Container) -> Json:
    """Return State."""
    state = container.state
    rendered: Json = {
        "Status": render_status(state.phase),
        "Running": state.phase in (Phase.RUNNING, Phase.PAUSED, Phase.RESTARTING),
        "Paused": state.phase is Phase.PAUSED,
        "Restarting": state.phase is Phase.RESTARTING,
        "OOMKilled": state.oom_killed,
        "Dead": False,
        "Pid": state.pid if container.running else 0,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": rfc3339(state.started_at_ns),
        "FinishedAt": rfc3339(state.finished_at_ns),
    }
    if state.health is not None:
        rendered["Health"] = render_health(state.health)
    return rendered


def render_health(health: Health) -> Json:
    """Return Health with its last probes."""
    return {
        "Status": health.status,
        "FailingStreak": health.failing_streak,
        "Log": [
            {
                "Start": rfc3339(row.start_ns),
                "End": rfc3339(row.end_ns),
                "ExitCode": row.exit_code,
                "Output": row.output,
            }
            for row in health.log
        ],
    }


def status_text(container: Container, now_ns: int) -> str:
    """Return the sentence of `docker ps`: "Up 3 seconds (healthy)", "Exited (1) 2 minutes ago" …"""
    state = container.state
    phase = state.phase
    if phase in (Phase.CREATED, Phase.STARTING):
        return "Created"
    ago = human_duration(now_ns - state.finished_at_ns)
    if phase is Phase.RESTARTING:
        return f"Restarting ({state.exit_code}) {ago} ago"
    if phase is Phase.EXITED:
        return f"Exited ({state.exit_code}) {ago} ago" if state.finished_at_ns else f"Exited ({state.exit_code})"
    up = human_duration(now_ns - state.started_at_ns)
    if phase is Phase.PAUSED:
        return f"Up {up} (Paused)"
    if state.health is None or state.health.status == "none":
        return f"Up {up}"
    word = state.health.status
    return f"Up {up} (health: starting)" if word == "starting" else f"Up {up} ({word})"


def render_inspect(
    container: Container, info: HostInfo, execs: Iterable[str] = (), size: tuple[int, int] | None = None
) -> Json:
    """Return the answer of `GET /containers/{id}/json`; `size` is (writable layer, everything) in bytes."""
    spec, started = container.spec, bool(container.state.started_at_ns)
    directory = f"{info.data_root}/containers/{container.id}"
    rendered: Json = {
        "Id": container.id,
        "Created": rfc3339(container.created_at_ns),
        "Path": container.args[0] if container.args else "",
        "Args": list(container.args[1:]),
        "State": render_state(container),
        "Image": spec.image_id,
        "ResolvConfPath": f"{directory}/resolv.conf" if started else "",
        "HostnamePath": f"{directory}/hostname" if started else "",
        "HostsPath": f"{directory}/hosts" if started else "",
        "LogPath": container.log_path,
        "Name": f"/{container.name}",
        "RestartCount": container.state.restart_count,
        "Driver": info.storage_driver,
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": spec.security.apparmor,
        "ExecIDs": list(execs) or None,
        "HostConfig": _effective_host_config(container, info),
        "GraphDriver": {"Name": info.storage_driver, "Data": {"ID": container.id}},
        "Mounts": _render_mounts(container),
        "Config": _effective_config(container),
        "NetworkSettings": render_network_settings(container),
    }
    if size is not None:
        rendered |= {"SizeRw": size[0], "SizeRootFs": size[1]}
    return rendered


def _effective_config(container: Container) -> Json:
    """Return Config with what the image gave filled in."""
    spec = container.spec
    config = render_config(spec)
    config["Hostname"] = spec.network.hostname or container.hostname or container.short_id
    config["User"] = container.user or spec.process.user
    config["WorkingDir"] = spec.process.cwd or ("" if container.cwd == "/" else container.cwd)
    own_terminal = spec.process.tty and not any(text.startswith("TERM=") for text in spec.process.env)
    config["Env"] = [text for text in container.env if not (own_terminal and text == "TERM=xterm")] or None
    entrypoint = spec.process.entrypoint or ()
    if entrypoint and container.args[: len(entrypoint)] == entrypoint:
        config["Cmd"] = list(container.args[len(entrypoint) :]) or None
    elif not entrypoint and spec.process.args is None:
        config["Cmd"] = list(container.args) or None
    return config


def _effective_host_config(container: Container, info: HostInfo) -> Json:
    """Return HostConfig with the defaults that apply filled in."""
    spec = container.spec
    config = render_host_config(spec)
    resources, security = spec.resources, spec.security
    config["NetworkMode"] = "bridge" if spec.network.mode == "default" else spec.network.mode
    config["LogConfig"] = {"Type": spec.log.driver or "json-file", "Config": spec.log.options}
    config["Runtime"] = spec.runtime or info.runtime.default
    config["ShmSize"] = spec.shm_size_bytes or 64 << 20
    config["IpcMode"] = spec.namespaces.ipc or "private"
    if not spec.namespaces.cgroup:
        config["CgroupnsMode"] = "private" if info.runtime.cgroup_version == "2" else "host"
    if resources.memory_bytes > 0 and not resources.memory_swap_bytes:
        config["MemorySwap"] = resources.memory_bytes * 2
    if resources.oom_kill_disable is None and info.runtime.cgroup_version == "1":
        config["OomKillDisable"] = False
    shares_host = "host" in (spec.namespaces.pid, spec.namespaces.ipc)
    if (security.privileged or shares_host) and not security.selinux_labels:
        config["SecurityOpt"] = [*security.options, "label=disable"]
    open_paths = security.privileged or security.systempaths_unconfined
    if security.masked_paths is None:
        config["MaskedPaths"] = None if open_paths else list(_MASKED_PATHS)
    if security.readonly_paths is None:
        config["ReadonlyPaths"] = None if open_paths else list(_READONLY_PATHS)
    return config


def _render_mounts(container: Container) -> list[Json]:
    """Return Mounts; what --tmpfs asked for is told by HostConfig alone."""
    tmpfs = {mount.target for mount in container.spec.mounts if mount.form == "tmpfs"}
    return [render_mount_point(mount) for mount in container.mounts if mount.target not in tmpfs]


def render_mount_point(mount: MountPoint) -> Json:
    """Return one row of Mounts."""
    row: Json = {"Type": str(mount.kind)}
    if mount.name:
        row["Name"] = mount.name
    row |= {"Source": mount.source, "Destination": mount.target}
    if mount.driver:
        row["Driver"] = mount.driver
    propagation = mount.propagation or ("rprivate" if mount.kind == "bind" else "")
    return row | {"Mode": mount.mode, "RW": not mount.read_only, "Propagation": propagation}


def render_endpoint(endpoint: Endpoint) -> Json:
    """Return EndpointSettings as inspect tells them."""
    wish = endpoint.spec
    return {
        "IPAMConfig": render_ipam_wish(wish) if wish else None,
        "Links": list(wish.links) or None if wish else None,
        "Aliases": list(endpoint.aliases) or (list(wish.aliases) if wish else None) or None,
        "MacAddress": endpoint.mac,
        "DriverOpts": (wish.driver_options or None) if wish else None,
        "GwPriority": wish.gateway_priority if wish else 0,
        "NetworkID": endpoint.network_id,
        "EndpointID": endpoint.endpoint_id,
        "Gateway": endpoint.gateway,
        "IPAddress": endpoint.ipv4,
        "IPPrefixLen": endpoint.ipv4_prefix,
        "IPv6Gateway": endpoint.gateway6,
        "GlobalIPv6Address": endpoint.ipv6,
        "GlobalIPv6PrefixLen": endpoint.ipv6_prefix,
        "DNSNames": list(endpoint.dns_names) or None,
    }


def render_networks(container: Container) -> Json:
    """Return Networks: where it is, or, with no endpoint yet, where it wants to be."""
    if container.state.endpoints:
        return {endpoint.network_name: render_endpoint(endpoint) for endpoint in container.state.endpoints}
    network = container.spec.network
    if network.mode.startswith("container:") or container.spec.network_disabled:
        return {}
    wishes = {_network_name(wish.network): wish for wish in network.endpoints}
    names = dict.fromkeys((_network_name(network.mode), *wishes))
    return {name: render_endpoint(Endpoint(network_id="", network_name=name, spec=wishes.get(name))) for name in names}


def _network_name(asked: str) -> str:
    return "bridge" if asked == "default" else asked


def render_network_settings(container: Container) -> Json:
    """Return NetworkSettings; the top level repeats the default bridge's endpoint, as it always did."""
    state = container.state
    bridge = next((endpoint for endpoint in state.endpoints if endpoint.network_name == "bridge"), None)
    bridge = bridge or Endpoint(network_id="", network_name="")
    key = state.sandbox_key
    return {
        "Bridge": "",
        "SandboxID": key.rpartition("/")[2] if key else "",
        "SandboxKey": key,
        "Ports": render_ports(container),
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": bridge.endpoint_id,
        "Gateway": bridge.gateway,
        "GlobalIPv6Address": bridge.ipv6,
        "GlobalIPv6PrefixLen": bridge.ipv6_prefix,
        "IPAddress": bridge.ipv4,
        "IPPrefixLen": bridge.ipv4_prefix,
        "IPv6Gateway": bridge.gateway6,
        "MacAddress": bridge.mac,
        "Networks": render_networks(container),
    }


def render_ports(container: Container) -> Json:
    """Return Ports: exposed ports with null, published ones with their bindings; empty when not running."""
    if not container.running:
        return {}
    ports: dict[str, list[Json] | None] = dict.fromkeys(container.spec.network.exposed)
    for port in container.state.ports:
        rows = ports.get(f"{port.container_port}/{port.protocol}") or []
        ports[f"{port.container_port}/{port.protocol}"] = [*rows, *_port_rows(port)]
    return dict(ports)


def _port_rows(port: PublishedPort) -> list[Json]:
    return [{"HostIp": port.host_ip or "0.0.0.0", "HostPort": str(port.host_port)}]


def render_row(container: Container, now_ns: int, size: tuple[int, int] | None = None) -> Json:
    """Return one row of `GET /containers/json`."""
    spec = container.spec
    row: Json = {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": spec.image,
        "ImageID": spec.image_id,
        "Command": command_text(container.args),
        "Created": container.created_at_ns // _SECOND_NS,
        "Ports": _port_list(container),
    }
    if size is not None:
        row |= {"SizeRw": size[0], "SizeRootFs": size[1]}
    return row | {
        "Labels": spec.labels,
        "State": render_status(container.state.phase),
        "Status": status_text(container, now_ns),
        "HostConfig": {"NetworkMode": _network_name(spec.network.mode)},
        "NetworkSettings": {"Networks": _row_networks(container)},
        "Mounts": _render_mounts(container),
    }


def _row_networks(container: Container) -> Json:
    """Return Networks without what only inspect tells."""
    networks = render_networks(container)
    return {name: {**cast("Json", row), "Aliases": None, "DNSNames": None} for name, row in networks.items()}


def command_text(args: tuple[str, ...]) -> str:
    """Return argv as one text, words with spaces in single quotes."""
    return " ".join(f"'{word}'" if " " in word else word for word in args)


def _port_list(container: Container) -> list[Json]:
    if not container.running:
        return []
    published = {(port.container_port, port.protocol) for port in container.state.ports}
    rows: list[Json] = [
        {
            "IP": port.host_ip or "0.0.0.0",
            "PrivatePort": port.container_port,
            "PublicPort": port.host_port,
            "Type": port.protocol,
        }
        for port in container.state.ports
    ]
    for text in container.spec.network.exposed:
        number, _, protocol = text.partition("/")
        if (int(number), protocol) not in published:
            rows.append({"PrivatePort": int(number), "Type": protocol})
    return sorted(rows, key=lambda row: (cast("int", row["PrivatePort"]), cast("str", row["Type"])))


def render_changes(changes: Iterable[Change]) -> list[Json] | None:
    """Return the rows of `docker diff`."""
    return [{"Path": change.path, "Kind": _CHANGE_KINDS[change.kind]} for change in changes] or None


def render_exec(record: ExecRecord) -> Json:
    """Return the answer of `GET /exec/{id}/json`."""
    spec = record.spec
    return {
        "ID": record.id,
        "Running": record.running,
        "ExitCode": record.exit_code,
        "ProcessConfig": {
            "tty": spec.tty,
            "entrypoint": spec.args[0] if spec.args else "",
            "arguments": list(spec.args[1:]),
            "privileged": spec.privileged,
            "user": spec.user,
        },
        "OpenStdin": record.attach_stdin,
        "OpenStderr": record.attach_stderr,
        "OpenStdout": record.attach_stdout,
        "CanRemove": record.exit_code is not None,
        "ContainerID": record.container_id,
        "DetachKeys": _key_numbers(record.detach_keys),
        "Pid": record.pid,
    }


def _key_numbers(keys: str) -> str | None:
    return keys or None


def count_phases(containers: Iterable[Container]) -> Mapping[str, int]:
    """Return how many run, are paused and are stopped."""
    counts = {"running": 0, "paused": 0, "stopped": 0}
    for container in containers:
        phase = container.state.phase
        word = (
            "paused"
            if phase is Phase.PAUSED
            else "running"
            if phase in (Phase.RUNNING, Phase.RESTARTING)
            else "stopped"
        )
        counts[word] += 1
    return counts
