"""Bodies of container requests.

Spec: Docker Engine API v1.51, definitions ContainerConfig, HostConfig, Resources, Mount, NetworkingConfig.
"""

from __future__ import annotations

from msgspec import field

from sampan.spec.docker.wire import Int, Set, StringMap, Strings, Wire, Words


class HealthConfig(Wire, frozen=True, kw_only=True):
    test: Words = None
    interval: Int | None = None
    timeout: Int | None = None
    retries: Int | None = None
    start_period: Int | None = None
    start_interval: Int | None = None


class LogConfig(Wire, frozen=True, kw_only=True):
    type: str | None = None
    config: StringMap = None


class PortBinding(Wire, frozen=True, kw_only=True):
    host_ip: str | None = None
    host_port: str | None = None


class RestartPolicy(Wire, frozen=True, kw_only=True):
    name: str | None = None
    maximum_retry_count: Int | None = None


class WeightDevice(Wire, frozen=True, kw_only=True):
    path: str | None = None
    weight: Int | None = None


class ThrottleDevice(Wire, frozen=True, kw_only=True):
    path: str | None = None
    rate: Int | None = None


class DeviceMapping(Wire, frozen=True, kw_only=True):
    path_on_host: str | None = None
    path_in_container: str | None = None
    cgroup_permissions: str | None = None


class DeviceRequest(Wire, frozen=True, kw_only=True):
    driver: str | None = None
    count: Int | None = None
    device_ids: Strings = field(name="DeviceIDs", default=None)
    capabilities: list[list[str]] | None = None
    options: StringMap = None


class Ulimit(Wire, frozen=True, kw_only=True):
    name: str | None = None
    hard: Int | None = None
    soft: Int | None = None


class Driver(Wire, frozen=True, kw_only=True):
    name: str | None = None
    options: StringMap = None


class BindOptions(Wire, frozen=True, kw_only=True):
    propagation: str | None = None
    non_recursive: bool | None = None
    create_mountpoint: bool | None = None
    read_only_non_recursive: bool | None = None
    read_only_force_recursive: bool | None = None


class VolumeOptions(Wire, frozen=True, kw_only=True):
    no_copy: bool | None = None
    labels: StringMap = None
    subpath: str | None = None
    driver_config: Driver | None = None


class ImageOptions(Wire, frozen=True, kw_only=True):
    subpath: str | None = None


class TmpfsOptions(Wire, frozen=True, kw_only=True):
    size_bytes: Int | None = None
    mode: Int | None = None
    options: list[list[str]] | None = None


class Mount(Wire, frozen=True, kw_only=True):
    type: str | None = None
    source: str | None = None
    target: str | None = None
    read_only: bool | None = None
    consistency: str | None = None
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    image_options: ImageOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


class Resources(Wire, frozen=True, kw_only=True):
    cpu_shares: Int | None = None
    memory: Int | None = None
    nano_cpus: Int | None = None
    cgroup_parent: str | None = None
    blkio_weight: Int | None = None
    blkio_weight_device: list[WeightDevice] | None = None
    blkio_device_read_bps: list[ThrottleDevice] | None = None
    blkio_device_write_bps: list[ThrottleDevice] | None = None
    blkio_device_read_iops: list[ThrottleDevice] | None = field(name="BlkioDeviceReadIOps", default=None)
    blkio_device_write_iops: list[ThrottleDevice] | None = field(name="BlkioDeviceWriteIOps", default=None)
    cpu_period: Int | None = None
    cpu_quota: Int | None = None
    cpu_realtime_period: Int | None = None
    cpu_realtime_runtime: Int | None = None
    cpuset_cpus: str | None = None
    cpuset_mems: str | None = None
    devices: list[DeviceMapping] | None = None
    device_cgroup_rules: Strings = None
    device_requests: list[DeviceRequest] | None = None
    memory_reservation: Int | None = None
    memory_swap: Int | None = None
    memory_swappiness: Int | None = None
    oom_kill_disable: bool | None = None
    pids_limit: Int | None = None
    ulimits: list[Ulimit] | None = None
    io_maximum_iops: Int | None = field(name="IOMaximumIOps", default=None)
    io_maximum_bandwidth: Int | None = field(name="IOMaximumBandwidth", default=None)


class UpdateRequest(Resources, frozen=True, kw_only=True):
    restart_policy: RestartPolicy | None = None


class HostConfig(Resources, frozen=True, kw_only=True):
    binds: Strings = None
    container_id_file: str | None = field(name="ContainerIDFile", default=None)
    log_config: LogConfig | None = None
    network_mode: str | None = None
    port_bindings: dict[str, list[PortBinding] | None] | None = None
    restart_policy: RestartPolicy | None = None
    auto_remove: bool | None = None
    volume_driver: str | None = None
    volumes_from: Strings = None
    console_size: list[Int] | None = None
    annotations: StringMap = None
    cap_add: Words = None
    cap_drop: Words = None
    cgroupns_mode: str | None = None
    dns: Strings = None
    dns_options: Strings = None
    dns_search: Strings = None
    extra_hosts: Strings = None
    group_add: Strings = None
    ipc_mode: str | None = None
    links: Strings = None
    oom_score_adj: Int | None = None
    pid_mode: str | None = None
    privileged: bool | None = None
    publish_all_ports: bool | None = None
    readonly_rootfs: bool | None = None
    security_opt: Strings = None
    storage_opt: StringMap = None
    tmpfs: StringMap = None
    uts_mode: str | None = field(name="UTSMode", default=None)
    userns_mode: str | None = None
    shm_size: Int | None = None
    sysctls: StringMap = None
    runtime: str | None = None
    isolation: str | None = None
    mounts: list[Mount] | None = None
    masked_paths: Strings = None
    readonly_paths: Strings = None
    init: bool | None = None


class IPAMConfig(Wire, frozen=True, kw_only=True):
    """The addresses that an endpoint asks for."""

    ipv4_address: str | None = field(name="IPv4Address", default=None)
    ipv6_address: str | None = field(name="IPv6Address", default=None)
    link_local_ips: Strings = field(name="LinkLocalIPs", default=None)


class EndpointSettings(Wire, frozen=True, kw_only=True):
    ipam_config: IPAMConfig | None = field(name="IPAMConfig", default=None)
    links: Strings = None
    aliases: Strings = None
    mac_address: str | None = None
    driver_opts: StringMap = None
    gw_priority: Int | None = None


class NetworkingConfig(Wire, frozen=True, kw_only=True):
    endpoints_config: dict[str, EndpointSettings | None] | None = None


class Config(Wire, frozen=True, kw_only=True):
    hostname: str | None = None
    domainname: str | None = None
    user: str | None = None
    attach_stdin: bool | None = None
    attach_stdout: bool | None = None
    attach_stderr: bool | None = None
    exposed_ports: Set = None
    tty: bool | None = None
    open_stdin: bool | None = None
    stdin_once: bool | None = None
    env: Strings = None
    cmd: Words = None
    healthcheck: HealthConfig | None = None
    image: str | None = None
    volumes: Set = None
    working_dir: str | None = None
    entrypoint: Words = None
    network_disabled: bool | None = None
    mac_address: str | None = None
    on_build: Strings = None
    labels: StringMap = None
    stop_signal: str | None = None
    stop_timeout: Int | None = None
    shell: Words = None


class CreateRequest(Config, frozen=True, kw_only=True):
    host_config: HostConfig | None = None
    networking_config: NetworkingConfig | None = None


class ExecCreateRequest(Wire, frozen=True, kw_only=True):
    user: str | None = None
    privileged: bool | None = None
    tty: bool | None = None
    console_size: list[Int] | None = None
    attach_stdin: bool | None = None
    attach_stderr: bool | None = None
    attach_stdout: bool | None = None
    detach_keys: str | None = None
    env: Strings = None
    working_dir: str | None = None
    cmd: Words = None


class ExecStartRequest(Wire, frozen=True, kw_only=True):
    detach: bool | None = None
    tty: bool | None = None
    console_size: list[Int] | None = None
