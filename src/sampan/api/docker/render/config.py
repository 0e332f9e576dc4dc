"""A `ContainerSpec` as Docker's Config, HostConfig and NetworkingConfig: the inverse of the create parser.

`parse_create(encode(render_create(spec))) == spec` for every spec that the parser can make.
"""

from __future__ import annotations

from collections.abc import Iterable

from sampan.model.container import (
    ContainerSpec,
    DeviceRate,
    EndpointSpec,
    Healthcheck,
    MountKind,
    MountSpec,
    PortBinding,
    Resources,
)

Json = dict[str, object]


def render_create(spec: ContainerSpec) -> Json:
    """Return the body of `POST /containers/create` that asks for `spec`."""
    endpoints = {endpoint.network: render_endpoint_wish(endpoint) for endpoint in spec.network.endpoints}
    return render_config(spec) | {
        "HostConfig": render_host_config(spec),
        "NetworkingConfig": {"EndpointsConfig": endpoints},
    }


def render_config(spec: ContainerSpec) -> Json:
    """Return Config, with what was asked for only (nothing of the image)."""
    process, network = spec.process, spec.network
    config: Json = {
        "Hostname": network.hostname,
        "Domainname": network.domainname,
        "User": process.user,
        "AttachStdin": process.attach_stdin,
        "AttachStdout": process.attach_stdout,
        "AttachStderr": process.attach_stderr,
        "Tty": process.tty,
        "OpenStdin": process.stdin_open,
        "StdinOnce": process.stdin_once,
        "Env": list(process.env) or None,
        "Cmd": list(process.args) if process.args else None,
        "Image": spec.image,
        "Volumes": {path: {} for path in spec.volumes} or None,
        "WorkingDir": process.cwd,
        "Entrypoint": None if process.entrypoint is None else list(process.entrypoint),
        "OnBuild": list(spec.on_build) or None,
        "Labels": spec.labels,
    }
    if network.exposed:
        config["ExposedPorts"] = {port: {} for port in network.exposed}
    if spec.healthcheck is not None:
        config["Healthcheck"] = render_healthcheck(spec.healthcheck)
    optional: Json = {
        "NetworkDisabled": spec.network_disabled,
        "MacAddress": network.mac,
        "StopSignal": spec.stop_signal,
        "Shell": list(spec.shell),
    }
    config |= {key: value for key, value in optional.items() if value}
    if spec.stop_timeout_s is not None:
        config["StopTimeout"] = spec.stop_timeout_s
    return config


def render_healthcheck(check: Healthcheck) -> Json:
    """Return a HealthConfig without its zero fields."""
    fields: Json = {
        "Test": list(check.test),
        "Interval": check.interval_ns,
        "Timeout": check.timeout_ns,
        "StartPeriod": check.start_period_ns,
        "StartInterval": check.start_interval_ns,
        "Retries": check.retries,
    }
    return {key: value for key, value in fields.items() if value}


def render_host_config(spec: ContainerSpec) -> Json:
    """Return HostConfig."""
    process, network, security, names = spec.process, spec.network, spec.security, spec.namespaces
    config: Json = {
        "Binds": [bind_text(mount) for mount in spec.mounts if mount.form == "bind"] or None,
        "ContainerIDFile": spec.container_id_file,
        "LogConfig": {"Type": spec.log.driver, "Config": spec.log.options},
        "NetworkMode": network.mode,
        "PortBindings": render_bindings(network.ports),
        "RestartPolicy": {"Name": spec.restart.name, "MaximumRetryCount": spec.restart.max_retries},
        "AutoRemove": spec.auto_remove,
        "VolumeDriver": spec.volume_driver,
        "VolumesFrom": list(spec.volumes_from) or None,
        "ConsoleSize": list(process.console_size or (0, 0)),
        "CapAdd": list(security.cap_add) or None,
        "CapDrop": list(security.cap_drop) or None,
        "CgroupnsMode": names.cgroup,
        "Dns": list(network.dns),
        "DnsOptions": list(network.dns_options),
        "DnsSearch": list(network.dns_search),
        "ExtraHosts": list(network.extra_hosts) or None,
        "GroupAdd": list(process.groups) or None,
        "IpcMode": names.ipc,
        "Cgroup": "",
        "Links": list(network.links) or None,
        "OomScoreAdj": spec.oom_score_adj,
        "PidMode": names.pid,
        "Privileged": security.privileged,
        "PublishAllPorts": network.publish_all,
        "ReadonlyRootfs": security.readonly_rootfs,
        "SecurityOpt": list(security.options) or None,
        "UTSMode": names.uts,
        "UsernsMode": names.user,
        "ShmSize": spec.shm_size_bytes,
        "Runtime": spec.runtime,
        "Isolation": spec.isolation,
        "MaskedPaths": None if security.masked_paths is None else list(security.masked_paths),
        "ReadonlyPaths": None if security.readonly_paths is None else list(security.readonly_paths),
    }
    config |= render_resources(spec.resources, cgroup_parent=spec.cgroup_parent)
    optional: Json = {
        "Annotations": spec.annotations,
        "StorageOpt": spec.storage_options,
        "Tmpfs": {mount.target: mount.tmpfs_options for mount in spec.mounts if mount.form == "tmpfs"},
        "Sysctls": spec.sysctls,
        "Mounts": [render_mount(mount) for mount in spec.mounts if mount.form == "mount"],
    }
    config |= {key: value for key, value in optional.items() if value}
    if spec.init is not None:
        config["Init"] = spec.init
    return config


def render_resources(resources: Resources, cgroup_parent: str = "") -> Json:
    """Return the resource fields of HostConfig."""
    return {
        "CpuShares": resources.cpu_shares,
        "Memory": resources.memory_bytes,
        "NanoCpus": resources.nano_cpus,
        "CgroupParent": cgroup_parent,
        "BlkioWeight": resources.blkio_weight,
        "BlkioWeightDevice": [{"Path": row.path, "Weight": row.rate} for row in resources.blkio_weight_device],
        "BlkioDeviceReadBps": _rates(resources.blkio_read_bps),
        "BlkioDeviceWriteBps": _rates(resources.blkio_write_bps),
        "BlkioDeviceReadIOps": _rates(resources.blkio_read_iops),
        "BlkioDeviceWriteIOps": _rates(resources.blkio_write_iops),
        "CpuPeriod": resources.cpu_period_us,
        "CpuQuota": resources.cpu_quota_us,
        "CpuRealtimePeriod": resources.cpu_realtime_period_us,
        "CpuRealtimeRuntime": resources.cpu_realtime_runtime_us,
        "CpusetCpus": resources.cpuset_cpus,
        "CpusetMems": resources.cpuset_mems,
        "Devices": [
            {
                "PathOnHost": device.host_path,
                "PathInContainer": device.container_path,
                "CgroupPermissions": device.permissions,
            }
            for device in resources.devices
        ],
        "DeviceCgroupRules": list(resources.device_cgroup_rules) or None,
        "DeviceRequests": [
            {
                "Driver": request.driver,
                "Count": request.count,
                "DeviceIDs": list(request.device_ids) or None,
                "Capabilities": [list(group) for group in request.capabilities] or None,
                "Options": request.options or None,
            }
            for request in resources.device_requests
        ]
        or None,
        "MemoryReservation": resources.memory_reservation_bytes,
        "MemorySwap": resources.memory_swap_bytes,
        "MemorySwappiness": resources.memory_swappiness,
        "OomKillDisable": resources.oom_kill_disable,
        "PidsLimit": resources.pids_limit,
        "Ulimits": [{"Name": limit.name, "Hard": limit.hard, "Soft": limit.soft} for limit in resources.ulimits],
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
    }


def _rates(rows: Iterable[DeviceRate]) -> list[Json]:
    return [{"Path": row.path, "Rate": row.rate} for row in rows]


def render_bindings(ports: Iterable[PortBinding]) -> Json:
    """Return PortBindings."""
    bindings: dict[str, list[Json]] = {}
    for port in ports:
        text = f"{port.host_port}-{port.host_port_end}" if port.host_port_end else str(port.host_port or "")
        row: Json = {"HostIp": port.host_ip, "HostPort": text}
        bindings.setdefault(f"{port.container_port}/{port.protocol}", []).append(row)
    return dict(bindings)


def bind_text(mount: MountSpec) -> str:
    """Return "source:target[:mode]"."""
    return f"{mount.source}:{mount.target}" + (f":{mount.mode}" if mount.mode else "")


def render_mount(mount: MountSpec) -> Json:
    """Return a Mount; options with no content are left out."""
    row: Json = {"Type": str(mount.kind)}
    if mount.source:
        row["Source"] = mount.source
    row["Target"] = mount.target
    if mount.read_only:
        row["ReadOnly"] = True
    options = {key: value for key, value in _mount_options(mount).items() if value}
    if options:
        row[{"bind": "BindOptions", "volume": "VolumeOptions", "tmpfs": "TmpfsOptions"}[mount.kind]] = options
    return row


def _mount_options(mount: MountSpec) -> Json:
    if mount.kind is MountKind.BIND:
        return {
            "Propagation": mount.propagation,
            "NonRecursive": mount.non_recursive,
            "CreateMountpoint": mount.create_source,
            "ReadOnlyNonRecursive": mount.read_only_non_recursive,
            "ReadOnlyForceRecursive": mount.read_only_force_recursive,
        }
    if mount.kind is MountKind.TMPFS:
        options = [option.split("=", 1) for option in mount.tmpfs_options.split(",") if option]
        return {"SizeBytes": mount.tmpfs_size_bytes, "Mode": mount.tmpfs_mode, "Options": options}
    driver: Json = {}
    if mount.volume_driver:
        driver["Name"] = mount.volume_driver
    if mount.volume_options:
        driver["Options"] = mount.volume_options
    return {
        "NoCopy": mount.no_copy,
        "Labels": mount.volume_labels,
        "Subpath": mount.subpath,
        "DriverConfig": driver,
    }


def render_endpoint_wish(endpoint: EndpointSpec) -> Json:
    """Return EndpointSettings as a request has them."""
    return {
        "IPAMConfig": render_ipam_wish(endpoint),
        "Links": list(endpoint.links) or None,
        "Aliases": list(endpoint.aliases) or None,
        "MacAddress": endpoint.mac,
        "DriverOpts": endpoint.driver_options or None,
        "GwPriority": endpoint.gateway_priority,
    }


def render_ipam_wish(endpoint: EndpointSpec) -> Json | None:
    """Return the addresses that were asked for, None for none."""
    wish: Json = {
        "IPv4Address": endpoint.ipv4,
        "IPv6Address": endpoint.ipv6,
        "LinkLocalIPs": list(endpoint.link_local_ips),
    }
    return {key: value for key, value in wish.items() if value} or None
