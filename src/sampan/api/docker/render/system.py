"""Info, version and disk usage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sampan.api.docker.render.config import Json
from sampan.api.docker.render.container import render_row
from sampan.api.docker.render.image import render_image_row
from sampan.api.docker.render.moment import rfc3339
from sampan.api.docker.render.network import render_volume
from sampan.engine.port import Container, DiskUsage, HostInfo
from sampan.model.image import Image
from sampan.model.volume import Volume
from sampan.spec.docker.api import API_VERSION, MIN_API_VERSION, version_text

_GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


def render_version(info: HostInfo, git_commit: str = "") -> Json:
    """Return the answer of `GET /version`."""
    architecture = _GO_ARCHITECTURES.get(info.architecture, info.architecture)
    details = {
        "ApiVersion": version_text(API_VERSION),
        "Arch": architecture,
        "BuildTime": "",
        "Experimental": "false",
        "GitCommit": git_commit,
        "GoVersion": "",
        "KernelVersion": info.kernel,
        "MinAPIVersion": version_text(MIN_API_VERSION),
        "Os": "linux",
    }
    runtimes = [
        {"Name": name, "Version": version, "Details": {"GitCommit": ""}}
        for name, version in sorted(info.runtime.versions.items())
    ]
    return {
        "Platform": {"Name": "Sampan"},
        "Components": [{"Name": "Engine", "Version": info.version, "Details": details}, *runtimes],
        "Version": info.version,
        "ApiVersion": version_text(API_VERSION),
        "MinAPIVersion": version_text(MIN_API_VERSION),
        "GitCommit": git_commit,
        "GoVersion": "",
        "Os": "linux",
        "Arch": architecture,
        "KernelVersion": info.kernel,
        "BuildTime": "",
    }


def render_info(info: HostInfo, counts: Mapping[str, int], images: int, now_ns: int) -> Json:
    """Return the answer of `GET /info`; `counts` has running, paused and stopped."""
    runtime = info.runtime
    return {
        "ID": info.id,
        "Containers": sum(counts.values()),
        "ContainersRunning": counts["running"],
        "ContainersPaused": counts["paused"],
        "ContainersStopped": counts["stopped"],
        "Images": images,
        "Driver": info.storage_driver,
        "DriverStatus": [["Backing Filesystem", info.backing_filesystem], ["Supports d_type", "true"]],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "null"],
            "Authorization": None,
            "Log": ["json-file", "local", "none"],
        },
        **_limits(runtime.controllers, runtime.cgroup_version),
        "IPv4Forwarding": True,
        "Debug": False,
        "NFd": 0,
        "NGoroutines": 0,
        "SystemTime": rfc3339(now_ns),
        "LoggingDriver": "json-file",
        "CgroupDriver": runtime.cgroup_driver,
        "CgroupVersion": runtime.cgroup_version,
        "NEventsListener": 0,
        "KernelVersion": info.kernel,
        "OperatingSystem": info.operating_system,
        "OSVersion": info.os_version,
        "OSType": "linux",
        "Architecture": info.architecture,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {
            "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"],
            "IndexConfigs": _registries(info),
            "Mirrors": list(info.registry_mirrors) or None,
        },
        "NCPU": info.cpus,
        "MemTotal": info.memory_bytes,
        "GenericResources": None,
        "DockerRootDir": info.data_root,
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Name": info.name,
        "Labels": list(info.labels),
        "ExperimentalBuild": False,
        "ServerVersion": info.version,
        "Runtimes": {name: {"path": path} for name, path in runtime.runtimes.items()},
        "DefaultRuntime": runtime.default,
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
        "LiveRestoreEnabled": info.live_restore,
        "Isolation": "",
        "InitBinary": "tini",
        "ContainerdCommit": {"ID": ""},
        "RuncCommit": {"ID": runtime.versions.get("runc", "")},
        "InitCommit": {"ID": ""},
        "SecurityOptions": list(runtime.security_options),
        "DefaultAddressPools": [{"Base": base, "Size": size} for base, size in info.default_address_pools],
        "FirewallBackend": {"Driver": "nftables"},
        "CDISpecDirs": [],
        "Warnings": [f"WARNING: {text}" for text in (*runtime.warnings, *info.warnings)] or None,
    }


def _limits(controllers: Sequence[str], cgroup_version: str) -> Json:
    has = set(controllers)
    v1 = cgroup_version == "1"
    return {
        "MemoryLimit": "memory" in has,
        "SwapLimit": "memory" in has,
        "CpuCfsPeriod": "cpu" in has,
        "CpuCfsQuota": "cpu" in has,
        "CPUShares": "cpu" in has,
        "CPUSet": "cpuset" in has,
        "PidsLimit": "pids" in has,
        "OomKillDisable": v1 and "memory" in has,
    }


def _registries(info: HostInfo) -> Json:
    hub: Json = {"Name": "docker.io", "Mirrors": list(info.registry_mirrors), "Secure": True, "Official": True}
    others: Json = {
        name: {"Name": name, "Mirrors": [], "Secure": False, "Official": False} for name in info.insecure_registries
    }
    return {"docker.io": hub} | others


def render_disk_usage(
    usage: DiskUsage,
    kinds: frozenset[str],
    *,
    images: Sequence[Image],
    containers: Sequence[Container],
    volumes: Sequence[Volume],
    now_ns: int,
) -> Json:
    """Return the answer of `GET /system/df` for `kinds` ("image", "container", "volume", "build-cache")."""
    rendered: Json = {"LayersSize": usage.layers_bytes if "image" in kinds else 0}
    users: dict[str, int] = {}
    for container in containers:
        users[container.spec.image_id] = users.get(container.spec.image_id, 0) + 1
    if "image" in kinds:
        rendered["Images"] = [
            render_image_row(
                image, containers=users.get(image.id, 0), shared_bytes=usage.image_shared_bytes.get(image.id, 0)
            )
            for image in images
        ]
    if "container" in kinds:
        sizes = {image.id: image.size_bytes for image in images}
        rendered["Containers"] = [
            render_row(container, now_ns, _size(usage, container, sizes)) for container in containers
        ]
    if "volume" in kinds:
        rendered["Volumes"] = [
            render_volume(volume, (usage.volume_bytes.get(volume.name, 0), usage.volume_users.get(volume.name, 0)))
            for volume in volumes
        ]
    if "build-cache" in kinds:
        rendered["BuildCache"] = []
    return rendered


def _size(usage: DiskUsage, container: Container, images: Mapping[str, int]) -> tuple[int, int]:
    own = usage.container_bytes.get(container.id, 0)
    return own, own + images.get(container.spec.image_id, 0)
