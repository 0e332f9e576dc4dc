"""The API body of `run` and `create`, from parsed flags. Reads nothing but what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sampan.cli import mounts, ports
from sampan.cli.errors import CliError, UsageError
from sampan.cli.flags import Given
from sampan.cli.units import parse_duration_ns, parse_size

Body = dict[str, object]


class Surroundings:
    """What of the client's machine a body may take in: its environment, its directory, its files."""

    def __init__(self, environ: Mapping[str, str], here: str, read: Callable[[str], str]) -> None:
        self.environ = environ
        self.here = here
        self.read = read


def body(given: Given, around: Surroundings, *, detach: bool) -> Body:
    """Return the body of POST /containers/create. `given.words` is the image and its arguments."""
    if given.has("gpus"):
        raise UsageError(
            "--gpus is not supported: pass the GPU's device nodes with --device, such as /dev/dri/renderD128"
        )
    image, *args = given.words
    config: Body = {"Image": image, **_process(given, around, detach=detach), **_identity(given, around)}
    if args:
        config["Cmd"] = args
    host: Body = {**_resources(given), **_security(given, around), **_storage(given, around), **_lifecycle(given)}
    published, bindings = ports.publish(given.list("publish"))
    exposed = {**ports.expose(given.list("expose")), **published}
    if exposed:
        config["ExposedPorts"] = exposed
    anonymous: Body = {value: {} for value in given.list("volume") if ":" not in value}
    if anonymous:
        config["Volumes"] = anonymous
    host.update(_network(given, bindings))
    endpoints = _endpoints(given)
    return _pruned({**config, "HostConfig": _pruned(host), "NetworkingConfig": {"EndpointsConfig": endpoints}})


def _pruned(values: Body) -> Body:
    """Leave out what was not asked for, so that the engine's defaults apply."""
    return {name: value for name, value in values.items() if value is not None and value not in ("", [], {})}


def _process(given: Given, around: Surroundings, *, detach: bool) -> Body:
    attach = [name.lower() for name in given.list("attach")]
    stdin = given.on("interactive")
    wanted = attach or ([] if detach else ["stdout", "stderr", *(["stdin"] if stdin else [])])
    result: Body = {
        "Env": environment(given, around),
        "WorkingDir": given.text("workdir"),
        "User": given.text("user"),
        "Tty": given.on("tty"),
        "OpenStdin": stdin,
        "AttachStdin": "stdin" in wanted,
        "AttachStdout": "stdout" in wanted,
        "AttachStderr": "stderr" in wanted,
        "StdinOnce": stdin and "stdin" in wanted,
        "StopSignal": given.text("stop-signal"),
        "StopTimeout": given.int("stop-timeout"),
        "Healthcheck": _health(given),
    }
    if given.has("entrypoint"):
        result["Entrypoint"] = [given.text("entrypoint")] if given.text("entrypoint") else [""]
    return result


def environment(given: Given, around: Surroundings) -> list[str]:
    """Return `-e` after `--env-file`. A bare name takes the client's value, or unsets the image's."""
    words = [line for path in given.list("env-file") for line in _lines(around, path)] + given.list("env")
    result = []
    for word in words:
        name, equals, _ = word.partition("=")
        if not name:
            raise UsageError(f"invalid environment variable: {word!r}: write NAME=value")
        result.append(word if equals or name not in around.environ else f"{name}={around.environ[name]}")
    return result


def _lines(around: Surroundings, path: str) -> list[str]:
    lines = (line.lstrip() for line in around.read(path).splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _health(given: Given) -> Body | None:
    names = ("health-cmd", "health-interval", "health-timeout", "health-start-period", "health-start-interval")
    if given.on("no-healthcheck"):
        if any(given.has(name) for name in names):
            raise UsageError("--no-healthcheck conflicts with --health-* flags: give one or the other")
        return {"Test": ["NONE"]}
    if not any(given.has(name) for name in (*names, "health-retries")):
        return None
    keys = ("Interval", "Timeout", "StartPeriod", "StartInterval")
    result: Body = {
        key: parse_duration_ns(given.text(name)) for key, name in zip(keys, names[1:], strict=True) if given.has(name)
    }
    result["Retries"] = given.int("health-retries") or 0
    if given.text("health-cmd"):
        result["Test"] = ["CMD-SHELL", given.text("health-cmd")]
    return result


def pairs(values: list[str]) -> dict[str, str]:
    """Return the map of `key=value` words; a bare key has an empty value."""
    return {key: value for key, _, value in (word.partition("=") for word in values)}


def _identity(given: Given, around: Surroundings) -> Body:
    lines = [line for path in given.list("label-file") for line in _lines(around, path)]
    return {
        "Hostname": given.text("hostname"),
        "Domainname": given.text("domainname"),
        "Labels": pairs(lines + given.list("label")),
    }


def _lifecycle(given: Given) -> Body:
    if given.on("rm") and given.text("restart") not in ("no", ""):
        raise UsageError("--rm and --restart conflict: a container that restarts is not removed")
    name, _, count = given.text("restart").partition(":")
    if count and not count.isdigit():
        raise UsageError(f"--restart {given.text('restart')}: the number of retries must be a whole number")
    return {
        "AutoRemove": given.on("rm") or None,
        "RestartPolicy": {"Name": name, "MaximumRetryCount": int(count or 0)} if given.has("restart") else None,
        "LogConfig": _log(given),
        "Runtime": given.text("runtime"),
        "Isolation": given.text("isolation"),
        "Annotations": pairs(given.list("annotation")),
        "ContainerIDFile": given.text("cidfile"),
        "Init": given.on("init") if given.has("init") else None,
    }


def _log(given: Given) -> Body | None:
    if not given.has("log-driver") and not given.has("log-opt"):
        return None
    return {"Type": given.text("log-driver"), "Config": pairs(given.list("log-opt"))}


def _storage(given: Given, around: Surroundings) -> Body:
    return {
        "Binds": [mounts.bind(value, around.here) for value in given.list("volume") if ":" in value],
        "Mounts": [mounts.mount(value) for value in given.list("mount")],
        "Tmpfs": mounts.tmpfs(given.list("tmpfs")),
        "VolumesFrom": given.list("volumes-from"),
        "VolumeDriver": given.text("volume-driver"),
        "ReadonlyRootfs": given.on("read-only") or None,
        "ShmSize": _size(given, "shm-size"),
        "StorageOpt": pairs(given.list("storage-opt")),
    }


def _security(given: Given, around: Surroundings) -> Body:
    options, system_paths = [], False
    for option in given.list("security-opt"):
        if option == "systempaths=unconfined":
            system_paths = True
        elif option.startswith("seccomp=") and option not in ("seccomp=unconfined", "seccomp=builtin"):
            options.append("seccomp=" + around.read(option.removeprefix("seccomp=")))
        else:
            options.append(option)
    result: Body = {
        "Privileged": given.on("privileged") or None,
        "CapAdd": given.list("cap-add"),
        "CapDrop": given.list("cap-drop"),
        "SecurityOpt": options,
        "PidMode": given.text("pid"),
        "IpcMode": given.text("ipc"),
        "UTSMode": given.text("uts"),
        "UsernsMode": given.text("userns"),
        "CgroupnsMode": given.text("cgroupns"),
        "Sysctls": pairs(given.list("sysctl")),
        "GroupAdd": given.list("group-add"),
    }
    # An empty list means "mask nothing", so it must survive the pruning of empty values: a tuple does.
    return {**result, "MaskedPaths": (), "ReadonlyPaths": ()} if system_paths else result


def _size(given: Given, name: str) -> int | None:
    if not given.has(name):
        return None
    return -1 if given.text(name) == "-1" else parse_size(given.text(name))


def resources(given: Given) -> Body:
    """Return the limits that were asked for: the part that `update` shares."""
    return _pruned(
        {
            "Memory": _size(given, "memory"),
            "MemoryReservation": _size(given, "memory-reservation"),
            "MemorySwap": _size(given, "memory-swap"),
            "CpuShares": given.int("cpu-shares"),
            "CpuPeriod": given.int("cpu-period"),
            "CpuQuota": given.int("cpu-quota"),
            "CpuRealtimePeriod": given.int("cpu-rt-period"),
            "CpuRealtimeRuntime": given.int("cpu-rt-runtime"),
            "CpusetCpus": given.text("cpuset-cpus"),
            "CpusetMems": given.text("cpuset-mems"),
            "PidsLimit": given.int("pids-limit"),
            "BlkioWeight": given.int("blkio-weight"),
            "NanoCpus": _nano_cpus(given),
        }
    )


def _nano_cpus(given: Given) -> int | None:
    if not given.has("cpus"):
        return None
    try:
        return round(float(given.text("cpus")) * 1e9)
    except ValueError:
        raise UsageError(f"--cpus {given.text('cpus')}: write a number such as 1.5") from None


def _resources(given: Given) -> Body:
    if given.has("kernel-memory"):
        raise UsageError("--kernel-memory is not supported by kernels since 5.16: use --memory")
    return {
        **resources(given),
        "MemorySwappiness": given.int("memory-swappiness"),
        "OomKillDisable": given.on("oom-kill-disable") or None,
        "OomScoreAdj": given.int("oom-score-adj"),
        "CgroupParent": given.text("cgroup-parent"),
        "Ulimits": [_ulimit(value) for value in given.list("ulimit")],
        "Devices": [_device(value) for value in given.list("device")],
        "DeviceCgroupRules": given.list("device-cgroup-rule"),
        "BlkioWeightDevice": [_device_rate(value, "Weight") for value in given.list("blkio-weight-device")],
        "BlkioDeviceReadBps": [_device_rate(value, "Rate") for value in given.list("device-read-bps")],
        "BlkioDeviceWriteBps": [_device_rate(value, "Rate") for value in given.list("device-write-bps")],
        "BlkioDeviceReadIOps": [_device_rate(value, "Rate") for value in given.list("device-read-iops")],
        "BlkioDeviceWriteIOps": [_device_rate(value, "Rate") for value in given.list("device-write-iops")],
    }


def _ulimit(text: str) -> Body:
    name, _, limits = text.partition("=")
    soft, _, hard = limits.partition(":")
    try:
        return {"Name": name, "Soft": int(soft), "Hard": int(hard or soft)}
    except ValueError:
        raise UsageError(f"--ulimit {text}: write name=soft[:hard], such as nofile=1024:2048") from None


def _device(text: str) -> Body:
    parts = text.split(":")
    if len(parts) == 2 and not parts[1].startswith("/") and set(parts[1]) <= set("rwm"):
        parts = [parts[0], parts[0], parts[1]]
    host, container, permissions = (*parts, "", "")[:3]
    return {"PathOnHost": host, "PathInContainer": container or host, "CgroupPermissions": permissions or "rwm"}


def _device_rate(text: str, key: str) -> Body:
    path, _, rate = text.rpartition(":")
    if not path:
        raise UsageError(f"{text}: write path:number, such as /dev/sda:10mb")
    return {"Path": path, key: parse_size(rate)}


def _networks(given: Given) -> list[dict[str, str]]:
    """Each wished network as its options; a bare word is its name."""
    result = []
    for value in given.list("network") + given.list("net"):
        fields = pairs(value.split(",")) if "=" in value else {"name": value}
        if not fields.get("name"):
            raise UsageError(f"--network {value}: name=… is missing")
        result.append(fields)
    return result


def _network(given: Given, bindings: ports.Bindings) -> Body:
    wished = _networks(given)
    return {
        "NetworkMode": wished[0]["name"] if wished else "default",
        "PortBindings": bindings,
        "PublishAllPorts": given.on("publish-all") or None,
        "Dns": given.list("dns"),
        "DnsOptions": given.list("dns-option") + given.list("dns-opt"),
        "DnsSearch": given.list("dns-search"),
        "ExtraHosts": [_extra_host(value) for value in given.list("add-host")],
        "Links": given.list("link"),
    }


def _extra_host(text: str) -> str:
    cut = min((text.find(mark) for mark in ":=" if mark in text), default=-1)
    if cut <= 0:
        raise UsageError(f"--add-host {text}: write name:ip")
    return f"{text[:cut]}:{text[cut + 1 :].strip('[]')}"


_BUILT_IN = ("default", "bridge", "host", "none")


def _endpoints(given: Given) -> Body:
    wished = _networks(given)
    result: Body = {}
    for index, fields in enumerate(wished):
        endpoint = _endpoint(given if index == 0 else None, fields)
        if endpoint or len(wished) > 1 or (fields["name"] not in _BUILT_IN and ":" not in fields["name"]):
            result[fields["name"]] = endpoint
    if not wished and (mac := given.text("mac-address")):
        result["default"] = {"MacAddress": mac}
    return result


def _endpoint(given: Given | None, fields: dict[str, str]) -> Body:
    unknown = set(fields) - {"name", "alias", "ip", "ip6", "mac-address", "driver-opt", "gw-priority", "link-local-ip"}
    if unknown:
        raise CliError(f"--network: unexpected key '{min(unknown)}'", exit_code=125)
    aliases = [fields["alias"]] if "alias" in fields else []
    local = [fields["link-local-ip"]] if "link-local-ip" in fields else []
    four, six, mac = fields.get("ip", ""), fields.get("ip6", ""), fields.get("mac-address", "")
    if given is not None:
        aliases += given.list("network-alias") + given.list("net-alias")
        local += given.list("link-local-ip")
        four, six, mac = four or given.text("ip"), six or given.text("ip6"), mac or given.text("mac-address")
    ipam = _pruned({"IPv4Address": four, "IPv6Address": six, "LinkLocalIPs": local})
    priority = int(fields["gw-priority"]) if "gw-priority" in fields else None
    return _pruned(
        {
            "IPAMConfig": ipam,
            "Aliases": aliases,
            "MacAddress": mac,
            "DriverOpts": pairs([fields["driver-opt"]]) if "driver-opt" in fields else {},
            "GwPriority": priority,
        }
    )
