"""What a container will be, decided from what was asked and what its image says. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from sampan.base.errors import InvalidArgument
from sampan.model.container import (
    Container,
    ContainerSpec,
    Healthcheck,
    LogSpec,
    MountKind,
    MountPoint,
    MountSpec,
    Phase,
    RestartPolicy,
)
from sampan.model.image import Image, ImageConfig
from sampan.model.volume import Volume

NAME_PATTERN = "[a-zA-Z0-9][a-zA-Z0-9_.-]"
_NAME = re.compile(NAME_PATTERN + "+")
DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CGROUP_MINIMUM_BYTES = 6 << 20


def check_name(name: str) -> None:
    """Raise `InvalidArgument` unless `name` may name a container."""
    if not _NAME.fullmatch(name):
        raise InvalidArgument(f"Invalid container name ({name}), only {NAME_PATTERN} are allowed")


def resolve(spec: ContainerSpec, image: Image, container_id: str, name: str, now_ns: int) -> Container:
    """Return the container in its first state, with image defaults applied.

    Raises:
        InvalidArgument: nothing to run, or a setting that can never work.
    """
    check_spec(spec)
    process, config = spec.process, image.config
    args = resolve_args(process.entrypoint, process.args, config)
    if not args:
        raise InvalidArgument("no command specified: name one after the image, or use an image that has one")
    cwd = process.cwd or config.cwd or "/"
    if not cwd.startswith("/"):
        raise InvalidArgument(f"the working directory '{cwd}' is invalid, it needs to be an absolute path")
    return Container(
        id=container_id,
        name=name,
        created_at_ns=now_ns,
        spec=spec,
        args=args,
        env=merge_env(config.env, process.env, tty=process.tty),
        cwd=cwd,
        user=process.user or config.user,
        hostname=spec.network.hostname or container_id[:12],
    )


def resolve_args(
    entrypoint: tuple[str, ...] | None, args: tuple[str, ...] | None, config: ImageConfig
) -> tuple[str, ...]:
    """Return the argv: an own entrypoint drops the image's arguments; `("",)` clears the image's entrypoint."""
    if entrypoint is not None and entrypoint != ():
        head = () if entrypoint == ("",) else entrypoint
        return head + (args or ())
    tail = args or (config.args or ())
    return (config.entrypoint or ()) + tail


def merge_env(image_env: Iterable[str], env: Iterable[str], *, tty: bool) -> tuple[str, ...]:
    """Return PATH, TERM (with a terminal), the image's variables, then the asked ones over them."""
    merged: dict[str, str | None] = {}
    defaults = [DEFAULT_PATH, *(["TERM=xterm"] if tty else [])]
    for entry in (*defaults, *image_env, *env):
        key, separator, _ = entry.partition("=")
        if separator:
            merged[key] = entry
        else:
            merged.pop(key, None)
    return tuple(value for value in merged.values() if value is not None)


def resolve_healthcheck(spec: ContainerSpec, image: Image | None) -> Healthcheck | None:
    """Return the probe to run: the asked one, filled from the image's; None when there is none or it is NONE."""
    asked, base = spec.healthcheck, image.config.healthcheck if image else None
    if asked is None:
        probe = base
    elif asked.test or base is None:
        probe = asked
    else:
        probe = Healthcheck(
            test=base.test,
            interval_ns=asked.interval_ns or base.interval_ns,
            timeout_ns=asked.timeout_ns or base.timeout_ns,
            start_period_ns=asked.start_period_ns or base.start_period_ns,
            start_interval_ns=asked.start_interval_ns or base.start_interval_ns,
            retries=asked.retries or base.retries,
        )
    return None if probe is None or not probe.test or probe.test[0] == "NONE" else probe


def check_spec(spec: ContainerSpec) -> None:
    """Raise `InvalidArgument` for settings that contradict each other or that no kernel takes."""
    resources = spec.resources
    if resources.memory_bytes and resources.memory_bytes < _CGROUP_MINIMUM_BYTES:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if resources.memory_swap_bytes > 0 and not resources.memory_bytes:
        raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit, see usage")
    if resources.memory_swap_bytes > 0 and resources.memory_swap_bytes < resources.memory_bytes:
        raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit, see usage")
    if resources.memory_reservation_bytes > resources.memory_bytes > 0:
        raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit, see usage")
    if resources.nano_cpus and (resources.cpu_quota_us or resources.cpu_period_us):
        raise InvalidArgument(
            "Conflicting options: Nano CPUs and CPU Period/Quota cannot both be set; give --cpus or --cpu-quota"
        )
    if resources.cpu_period_us and not 1000 <= resources.cpu_period_us <= 1_000_000:
        raise InvalidArgument("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if resources.cpu_quota_us and 0 < resources.cpu_quota_us < 1000:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if resources.blkio_weight and not 10 <= resources.blkio_weight <= 1000:
        raise InvalidArgument("Range of blkio weight is from 10 to 1000")
    check_restart(spec.restart, auto_remove=spec.auto_remove)
    log_limits(spec.log)
    _check_network(spec)


def check_restart(policy: RestartPolicy, *, auto_remove: bool) -> None:
    if policy.name not in ("", "no", "always", "unless-stopped", "on-failure"):
        raise InvalidArgument(
            f"invalid restart policy: unknown policy '{policy.name}'; use one of 'no', 'always', 'on-failure', "
            "or 'unless-stopped'"
        )
    if policy.max_retries < 0:
        raise InvalidArgument("invalid restart policy: maximum retry count cannot be negative")
    if policy.max_retries and policy.name != "on-failure":
        raise InvalidArgument("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if auto_remove and policy.name not in ("", "no"):
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")


def _check_network(spec: ContainerSpec) -> None:
    mode, network = spec.network.mode, spec.network
    if mode == "host" and network.hostname and spec.namespaces.uts == "host":
        raise InvalidArgument("conflicting options: hostname and the UTS mode")
    if mode.startswith("container:"):
        clashes = [
            (network.hostname, "hostname and the network mode"),
            (network.ports or network.publish_all, "port publishing and the container type network mode"),
            (network.dns, "dns and the network mode"),
            (network.extra_hosts, "custom host-to-IP mapping and the network mode"),
            (network.links, "container type network can't be used with links"),
        ]
        for given, text in clashes:
            if given:
                raise InvalidArgument(f"conflicting options: {text}")


_LOG_DRIVERS = ("", "json-file", "local", "none")
_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}


def log_limits(log: LogSpec) -> tuple[int, int]:
    """Return the size at which a log file is rotated (bytes, -1 never) and how many files are kept."""
    if log.driver not in _LOG_DRIVERS:
        raise InvalidArgument(f"logger: no log driver named '{log.driver}' is registered; use json-file, local or none")
    size, files = log.options.get("max-size", "10m"), log.options.get("max-file", "5")
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)([kmg]?)b?", size.strip().lower())
    if match is None:
        raise InvalidArgument(f"invalid value for max-size: '{size}'; use a number with k, m or g")
    if not files.isdigit() or int(files) < 1:
        raise InvalidArgument(f"invalid value for max-file: '{files}'; use a whole number from 1")
    return int(float(match[1]) * _UNITS[match[2]]), int(files)


# --- mounts -----------------------------------------------------------------------------------------------------------


class MountPlan(NamedTuple):
    """`points` by target order of asking, and the `volumes` that have to be made for them."""

    points: tuple[MountPoint, ...]
    volumes: tuple[Volume, ...]


def plan_mounts(
    spec: ContainerSpec,
    image: Image,
    inherited: Iterable[MountPoint],
    existing: Mapping[str, Volume],
    place: Callable[[Volume], Volume],
    new_name: Callable[[], str],
    now_ns: int,
) -> MountPlan:
    """Return where everything is mounted: asked mounts first, then volumes-from, then anonymous volumes."""
    points: dict[str, MountPoint] = {}
    volumes: dict[str, Volume] = {}

    def add_volume(mount: MountSpec) -> None:
        name = mount.source
        volume = existing.get(name) or volumes.get(name)
        if volume is None:
            volume = place(
                Volume(
                    name=name or new_name(),
                    driver=mount.volume_driver or spec.volume_driver or "local",
                    labels=mount.volume_labels,
                    options=mount.volume_options,
                    anonymous=not name,
                    created_at_ns=now_ns,
                )
            )
            volumes[volume.name] = volume
        points[mount.target] = _volume_point(mount, volume)

    for mount in spec.mounts:
        target = _target(mount.target)
        if target in points:
            raise InvalidArgument(f"Duplicate mount point: {target}")
        placed = _at(mount, target)
        if mount.kind is MountKind.VOLUME:
            add_volume(placed)
        else:
            points[target] = _plain_point(placed)
    for point in inherited:
        points.setdefault(point.target, point)
    for path in (*spec.volumes, *image.config.volumes):
        target = _target(path)
        if target not in points:
            add_volume(MountSpec(kind=MountKind.VOLUME, target=target))
    return MountPlan(tuple(points.values()), tuple(volumes.values()))


def _target(path: str) -> str:
    if not path.startswith("/"):
        raise InvalidArgument(f"invalid mount path: '{path}' mount path must be absolute")
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    if not parts:
        raise InvalidArgument("invalid mount: destination can't be '/'")
    return "/" + "/".join(parts)


def _at(mount: MountSpec, target: str) -> MountSpec:
    return mount if mount.target == target else replace(mount, target=target)


def _volume_point(mount: MountSpec, volume: Volume) -> MountPoint:
    return MountPoint(
        kind=MountKind.VOLUME,
        source=volume.mountpoint,
        target=mount.target,
        name=volume.name,
        driver=volume.driver,
        mode=mount.mode or ("z" if mount.form == "bind" else ""),
        read_only=mount.read_only,
        propagation=mount.propagation,
    )


def _plain_point(mount: MountSpec) -> MountPoint:
    bind = mount.kind is MountKind.BIND
    if bind and not mount.source.startswith("/"):
        raise InvalidArgument(
            f"invalid mount config for type \"bind\": invalid mount path: '{mount.source}' mount path must be absolute"
        )
    return MountPoint(
        kind=mount.kind,
        source=mount.source if bind else "",
        target=mount.target,
        mode=mount.mode,
        read_only=mount.read_only,
        propagation=(mount.propagation or "rprivate") if bind else "",
    )


def parse_volumes_from(text: str) -> tuple[str, bool | None]:
    """Return the container reference and whether its mounts become read-only (None: as they are there)."""
    reference, _, mode = text.partition(":")
    if not reference or mode not in ("", "ro", "rw", "z", "Z"):
        raise InvalidArgument(f"invalid volumes-from: {text}")
    return reference, {"ro": True, "rw": False}.get(mode)


# --- restarts ---------------------------------------------------------------------------------------------------------

_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 60.0
_STABLE_AFTER_S = 10.0


def restart_delay(container: Container, exit_code: int, ran_s: float) -> float | None:
    """Return the seconds to wait before the next start, or None when the policy wants none.

    The delay doubles from 0.1 s to 60 s and starts over when the container ran for 10 s.
    """
    policy, state = container.spec.restart, container.state
    if state.stopped_by_user or policy.name in ("", "no"):
        return None
    if policy.name == "on-failure" and (exit_code == 0 or 0 < policy.max_retries <= state.restart_count):
        return None
    if ran_s >= _STABLE_AFTER_S:
        return _FIRST_DELAY_S
    return min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2.0 ** min(state.restart_count, 16))


def starts_with_engine(container: Container) -> bool:
    """Whether a container that does not run is started when the engine starts."""
    policy, state = container.spec.restart, container.state
    if state.phase is Phase.RESTARTING:
        return True
    if state.phase is not Phase.EXITED:
        return False
    if policy.name == "always":
        return True
    return policy.name == "unless-stopped" and not state.stopped_by_user


# --- files in /etc ----------------------------------------------------------------------------------------------------


def render_hosts(container: Container, addresses: Iterable[tuple[str, tuple[str, ...]]], gateway: str) -> str:
    """Return /etc/hosts: loopback, the container's own addresses, then the asked extra hosts."""
    lines = [
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::\tip6-localnet",
        "ff00::\tip6-mcastprefix",
        "ff02::1\tip6-allnodes",
        "ff02::2\tip6-allrouters",
    ]
    domain = container.spec.network.domainname
    own = f"{container.hostname}.{domain} {container.hostname}" if domain else container.hostname
    for entry in container.spec.network.extra_hosts:
        host, _, address = entry.partition(":")
        lines.append(f"{gateway if address == 'host-gateway' else address.strip('[]')}\t{host}")
    lines += [f"{address}\t{' '.join((own, *names))}" for address, names in addresses]
    return "\n".join(lines) + "\n"


def render_resolv(container: Container, nameserver: str | None, host_resolv: str) -> str:
    """Return /etc/resolv.conf: our DNS server, or the asked servers, or the host's without its loopback ones."""
    network = container.spec.network
    servers: list[str] = []
    search: list[str] = []
    options: list[str] = []
    for line in host_resolv.splitlines():
        words = line.split("#")[0].split()
        match words:
            case ["nameserver", address, *_] if not address.startswith("127.") and address != "::1":
                servers.append(address)
            case ["search" | "domain", *domains]:
                search = domains
            case ["options", *given]:
                options += given
    if nameserver:
        servers = [nameserver]
        options = [*(option for option in options if not option.startswith("ndots")), "ndots:0"]
    elif network.dns:
        servers = list(network.dns)
    if network.dns_search:
        search = [] if network.dns_search == (".",) else list(network.dns_search)
    if network.dns_options:
        options = list(network.dns_options)
    lines = [f"nameserver {server}" for server in servers]
    lines += [f"search {' '.join(search)}"] if search else []
    lines += [f"options {' '.join(options)}"] if options else []
    return "\n".join(lines) + "\n"


def dns_names(container: Container, aliases: Iterable[str]) -> tuple[str, ...]:
    """Return every name that a container answers to on a user-defined network."""
    names = (container.name, *aliases, container.short_id, container.hostname)
    return tuple(dict.fromkeys(name for name in names if name))


# --- signals ----------------------------------------------------------------------------------------------------------

_SIGNALS = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG "
    "XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split()
SIGNAL_NUMBERS: dict[str, int] = {name: number for number, name in enumerate(_SIGNALS, 1)} | {
    "IOT": 6,
    "POLL": 29,
    "CLD": 17,
    "RTMIN": 34,
    "RTMAX": 64,
    **{f"RTMIN+{n}": 34 + n for n in range(1, 16)},
    **{f"RTMAX-{n}": 64 - n for n in range(1, 15)},
}


def parse_signal(text: str) -> int:
    """Return the number of a signal given by name (with or without SIG) or number."""
    word = text.strip().upper()
    if word.isdigit() and 0 < int(word) <= 64:
        return int(word)
    number = SIGNAL_NUMBERS.get(word.removeprefix("SIG"))
    if number is None:
        raise InvalidArgument(f"Invalid signal: {text}")
    return number
