"""A create body to a `ContainerSpec`."""

from __future__ import annotations

from sampan.api.docker.parse.body import decode, mapping, strings, words
from sampan.api.docker.parse.mounts import parse_mounts
from sampan.api.docker.parse.network import parse_network
from sampan.api.docker.parse.resources import parse_resources, parse_restart
from sampan.base.errors import InvalidArgument
from sampan.model.container import (
    ContainerSpec,
    Healthcheck,
    LogSpec,
    Namespaces,
    Process,
    RestartPolicy,
    Security,
)
from sampan.spec.docker import container as wire

_MIN_DURATION_NS = 1_000_000
_SIGNALS = frozenset(
    "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP "
    "TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ".split()
)


def parse_create(body: bytes, *, platform: str = "") -> ContainerSpec:
    """Return what a body of `POST /containers/create` asks for.

    Raises:
        InvalidArgument: the body can never be carried out; the text is the one docker users know.
    """
    if not body:
        raise InvalidArgument("invalid JSON: got EOF while reading request body")
    config = decode(body, wire.CreateRequest)
    if not config.image:
        raise InvalidArgument("config cannot be empty in order to create a container: Image must be given")
    host = config.host_config or wire.HostConfig()
    anonymous, mounts = parse_mounts(host)
    _check_host(host)
    return ContainerSpec(
        image=config.image,
        process=_process(config, host),
        healthcheck=parse_healthcheck(config.healthcheck),
        stop_signal=parse_signal(config.stop_signal or ""),
        stop_timeout_s=config.stop_timeout,
        labels=mapping(config.labels),
        volumes=tuple(dict.fromkeys((*_volume_paths(config), *anonymous))),
        mounts=mounts,
        volumes_from=strings(host.volumes_from),
        volume_driver=host.volume_driver or "",
        network=parse_network(config, host),
        network_disabled=config.network_disabled or False,
        resources=parse_resources(host),
        security=_security(host),
        namespaces=_namespaces(host),
        restart=_restart(host),
        log=_log(host.log_config),
        auto_remove=host.auto_remove or False,
        init=host.init,
        runtime=host.runtime or "",
        isolation=host.isolation or "",
        platform=platform,
        shm_size_bytes=host.shm_size or 0,
        sysctls=mapping(host.sysctls),
        storage_options=mapping(host.storage_opt),
        oom_score_adj=host.oom_score_adj or 0,
        cgroup_parent=host.cgroup_parent or "",
        annotations=mapping(host.annotations),
        container_id_file=host.container_id_file or "",
        shell=words(config.shell) or (),
        on_build=strings(config.on_build),
    )


def _process(config: wire.Config, host: wire.HostConfig) -> Process:
    entrypoint = words(config.entrypoint)
    entrypoint = () if entrypoint == ("",) else entrypoint
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidArgument(
            f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path"
        )
    return Process(
        entrypoint=entrypoint,
        # An entrypoint of one's own drops the image's arguments too.
        args=words(config.cmd) or (() if entrypoint else None),
        env=tuple(check_env(text) for text in config.env or ()),
        cwd=config.working_dir or "",
        user=config.user or "",
        groups=strings(host.group_add),
        tty=config.tty or False,
        console_size=parse_console_size(host.console_size),
        stdin_open=config.open_stdin or False,
        stdin_once=config.stdin_once or False,
        attach_stdin=config.attach_stdin or False,
        attach_stdout=config.attach_stdout or False,
        attach_stderr=config.attach_stderr or False,
    )


def check_env(text: str) -> str:
    """Return `text`, a NAME=value or a bare NAME."""
    if not text or text.startswith("="):
        raise InvalidArgument(f"invalid environment variable: {text}")
    return text


def parse_console_size(size: list[int] | None) -> tuple[int, int] | None:
    """Return (height, width), None for none or (0, 0)."""
    if not size:
        return None
    if len(size) != 2 or not all(0 <= cells <= 65535 for cells in size):
        raise InvalidArgument("invalid ConsoleSize: it must be [height, width] with numbers between 0 and 65535")
    return (size[0], size[1]) if any(size) else None


def parse_signal(text: str) -> str:
    """Return `text` when it names a signal ("TERM", "SIGTERM", "15", "SIGRTMIN+3"), or ""."""
    if not text:
        return ""
    name = text.upper().removeprefix("SIG")
    if name.isascii() and name.isdigit():
        if 0 < int(name[:9]) <= 64:
            return text
    elif name in _SIGNALS or _is_realtime(name):
        return text
    raise InvalidArgument(f"invalid signal: {text}")


def _is_realtime(name: str) -> bool:
    for base, sign in (("RTMIN", "+"), ("RTMAX", "-")):
        if name == base:
            return True
        offset = name.removeprefix(base + sign)
        if offset != name and offset.isascii() and offset.isdigit() and len(offset) < 3 and int(offset) <= 30:
            return True
    return False


def parse_healthcheck(config: wire.HealthConfig | None) -> Healthcheck | None:
    """Return the probe; None when the image's is to be used."""
    if config is None:
        return None
    durations = {
        "Interval": config.interval or 0,
        "Timeout": config.timeout or 0,
        "StartPeriod": config.start_period or 0,
        "StartInterval": config.start_interval or 0,
    }
    for name, value in durations.items():
        if value and value < _MIN_DURATION_NS:
            raise InvalidArgument(f"{name} in Healthcheck cannot be less than 1ms")
    if (config.retries or 0) < 0:
        raise InvalidArgument("Retries in Healthcheck cannot be negative")
    test = words(config.test) or ()
    if test and test[0] not in ("NONE", "CMD", "CMD-SHELL"):
        raise InvalidArgument(f"Unknown type {test[0]!r} in HEALTHCHECK (try CMD)")
    return Healthcheck(
        test=test,
        interval_ns=durations["Interval"],
        timeout_ns=durations["Timeout"],
        start_period_ns=durations["StartPeriod"],
        start_interval_ns=durations["StartInterval"],
        retries=config.retries or 0,
    )


def _volume_paths(config: wire.Config) -> tuple[str, ...]:
    for path in config.volumes or ():
        if not path.startswith("/") or not path.strip("/"):
            raise InvalidArgument(f"invalid volume specification: '{path}': it must be an absolute path other than '/'")
    return tuple(config.volumes or ())


def _check_host(host: wire.HostConfig) -> None:
    if host.isolation not in (None, "", "default"):
        raise InvalidArgument(f"invalid isolation ({host.isolation}): linux only supports 'default'")
    if (host.shm_size or 0) < 0:
        raise InvalidArgument("SHM size can not be less than 0")
    if not -1000 <= (host.oom_score_adj or 0) <= 1000:
        raise InvalidArgument(f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    if "" in (host.annotations or {}):
        raise InvalidArgument("invalid Annotations: the empty string is not permitted as an annotation key")
    for text in host.volumes_from or ():
        name, _, mode = text.partition(":")
        if not name or mode not in ("", "ro", "rw", "z", "Z", "ro,z", "ro,Z", "rw,z", "rw,Z"):
            raise InvalidArgument(f"invalid volumes-from specification: '{text}'")


def _restart(host: wire.HostConfig) -> RestartPolicy:
    policy = parse_restart(host.restart_policy)
    if host.auto_remove and policy.name != "no":
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")
    return policy


def _log(config: wire.LogConfig | None) -> LogSpec:
    config = config or wire.LogConfig()
    return LogSpec(driver=config.type or "", options=mapping(config.config))


def _namespaces(host: wire.HostConfig) -> Namespaces:
    return Namespaces(
        pid=_mode("PID mode", host.pid_mode, ("host",), shared=True),
        ipc=_mode("IPC mode", host.ipc_mode, ("host", "private", "shareable", "none"), shared=True),
        uts=_mode("UTS mode", host.uts_mode, ("host",), shared=False),
        cgroup=_mode("cgroup namespace mode", host.cgroupns_mode, ("host", "private"), shared=False),
        user=_mode("userns mode", host.userns_mode, ("host",), shared=False),
    )


def _mode(what: str, mode: str | None, allowed: tuple[str, ...], *, shared: bool) -> str:
    mode = mode or ""
    if (
        mode
        and mode not in allowed
        and not (shared and mode.startswith("container:") and len(mode) > len("container:"))
    ):
        raise InvalidArgument(f"invalid {what}: {mode}")
    return mode


_CAPABILITIES = frozenset(
    "AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER "
    "FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE "
    "NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE "
    "SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG SYSLOG WAKE_ALARM".split()
)


def _capabilities(field: str, values: str | list[str] | None) -> tuple[str, ...]:
    names = []
    for text in words(values) or ():
        name = text.upper().removeprefix("CAP_")
        if name != "ALL" and name not in _CAPABILITIES:
            raise InvalidArgument(f'invalid {field}: unknown capability: "CAP_{name}"')
        names.append("ALL" if name == "ALL" else f"CAP_{name}")
    return tuple(names)


def _security(host: wire.HostConfig) -> Security:
    options = strings(host.security_opt)
    return Security(
        privileged=host.privileged or False,
        cap_add=_capabilities("CapAdd", host.cap_add),
        cap_drop=_capabilities("CapDrop", host.cap_drop),
        masked_paths=None if host.masked_paths is None else tuple(host.masked_paths),
        readonly_paths=None if host.readonly_paths is None else tuple(host.readonly_paths),
        readonly_rootfs=host.readonly_rootfs or False,
        options=options,
        **parse_security_options(options),  # type: ignore[arg-type]
    )


def parse_security_options(options: tuple[str, ...]) -> dict[str, object]:
    """Return the fields of `Security` that the options set; the last of a kind wins, labels add up."""
    fields: dict[str, object] = {}
    labels: list[str] = []
    for option in options:
        key, value = _split_option(option)
        if key == "no-new-privileges":
            fields["no_new_privileges"] = _boolean(option, value)
        elif key in ("seccomp", "apparmor"):
            fields[key] = value
        elif key == "label":
            labels.append(value)
        elif key == "systempaths" and value == "unconfined":
            fields["systempaths_unconfined"] = True
        else:
            raise InvalidArgument(f"invalid --security-opt 2: {option[:100]!r}")
    if labels:
        fields["selinux_labels"] = tuple(labels)
    return {key: value for key, value in fields.items() if value}


def _split_option(option: str) -> tuple[str, str]:
    if option == "no-new-privileges":
        return option, "true"
    separator = "=" if "=" in option else ":"
    key, found, value = option.partition(separator)
    if not found:
        raise InvalidArgument(f"invalid --security-opt 1: {option[:100]!r}")
    return key, value


def _boolean(option: str, value: str) -> bool:
    if value.lower() in ("true", "1", "t"):
        return True
    if value.lower() in ("false", "0", "f"):
        return False
    raise InvalidArgument(f"invalid --security-opt 2: {option[:100]!r}")
