"""Container: what was asked for (`ContainerSpec`, frozen at create) and what is true of it now (`ContainerState`).

Our own nouns, no wire words: each facade parses into these and renders from them. `parse(render(spec)) == spec` holds
for every facade. Sizes are bytes, CPU is in nano-CPUs (1e9 = one CPU), times are nanoseconds since the epoch,
durations say their unit. `None` always means "not asked for"; defaults are applied where the value is used.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Phase(StrEnum):
    """Where a container is in its life. See `TRANSITIONS`. A removal has no phase: it is the record's end."""

    CREATED = "created"
    STARTING = "starting"  # durable intent of a start; recovery turns it into RUNNING or back
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"  # exited; the restart policy starts it again at `restart_at_ns`
    EXITED = "exited"


TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.CREATED: frozenset({Phase.STARTING}),
    Phase.STARTING: frozenset({Phase.RUNNING, Phase.CREATED, Phase.EXITED, Phase.RESTARTING}),
    Phase.RUNNING: frozenset({Phase.PAUSED, Phase.EXITED, Phase.RESTARTING}),
    Phase.PAUSED: frozenset({Phase.RUNNING, Phase.EXITED, Phase.RESTARTING}),
    Phase.RESTARTING: frozenset({Phase.STARTING, Phase.EXITED}),
    Phase.EXITED: frozenset({Phase.STARTING}),
}
"""The legal moves. Everything that changes a phase goes through `move`."""


class IllegalTransition(Exception):
    """A defect: code tried a move that the table does not have."""


class Struct(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all model types: frozen, keyword-only, compact when stored."""


# --- what is asked ----------------------------------------------------------------------------------------------------


class Healthcheck(Struct, frozen=True, kw_only=True):
    """`test` is `("NONE",)`, `("CMD", argv…)` or `("CMD-SHELL", line)`; empty means the image's."""

    test: tuple[str, ...] = ()
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


class Process(Struct, frozen=True, kw_only=True):
    """The first process. `args` and `entrypoint` of None mean the image's own."""

    entrypoint: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()  # NAME=value; a bare NAME removes the image's
    cwd: str = ""
    user: str = ""  # name|uid[:group|gid]; "" means the image's
    groups: tuple[str, ...] = ()  # additional groups, names or numbers
    tty: bool = False
    console_size: tuple[int, int] | None = None  # (height, width) in cells
    stdin_open: bool = False
    stdin_once: bool = False  # close stdin when the first attached client leaves
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False


class Ulimit(Struct, frozen=True, kw_only=True):
    """One rlimit, `name` in lower case without RLIMIT_. -1 is unlimited."""

    name: str
    soft: int
    hard: int


class Device(Struct, frozen=True, kw_only=True):
    """A host device made visible; `permissions` is a subset of "rwm"."""

    host_path: str
    container_path: str
    permissions: str = "rwm"


class DeviceRequest(Struct, frozen=True, kw_only=True):
    """A request to a device plugin (GPU); kept to be told, refused at start when nothing can serve it."""

    driver: str = ""
    count: int = 0
    device_ids: tuple[str, ...] = ()
    capabilities: tuple[tuple[str, ...], ...] = ()
    options: dict[str, str] = {}


class DeviceRate(Struct, frozen=True, kw_only=True):
    """A block-device limit: bytes/s, operations/s, or a weight, by which field it stands in."""

    path: str
    rate: int


class Resources(Struct, frozen=True, kw_only=True):
    """Limits. 0 means no limit (memory_swap_bytes: 0 unset, -1 unlimited)."""

    memory_bytes: int = 0
    memory_reservation_bytes: int = 0
    memory_swap_bytes: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    nano_cpus: int = 0
    cpu_shares: int = 0
    cpu_period_us: int = 0
    cpu_quota_us: int = 0
    cpu_realtime_period_us: int = 0
    cpu_realtime_runtime_us: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids_limit: int | None = None
    blkio_weight: int = 0
    blkio_weight_device: tuple[DeviceRate, ...] = ()
    blkio_read_bps: tuple[DeviceRate, ...] = ()
    blkio_write_bps: tuple[DeviceRate, ...] = ()
    blkio_read_iops: tuple[DeviceRate, ...] = ()
    blkio_write_iops: tuple[DeviceRate, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    devices: tuple[Device, ...] = ()
    device_requests: tuple[DeviceRequest, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()  # "c 1:3 rwm"


class Security(Struct, frozen=True, kw_only=True):
    """Privileges. The empty value is the default profile."""

    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    seccomp: str = ""  # "" the default profile, "unconfined", or a profile as JSON text
    apparmor: str = ""
    selinux_labels: tuple[str, ...] = ()
    no_new_privileges: bool = False
    systempaths_unconfined: bool = False
    masked_paths: tuple[str, ...] | None = None
    readonly_paths: tuple[str, ...] | None = None
    readonly_rootfs: bool = False
    options: tuple[str, ...] = ()  # security options as given, to be told back


class Namespaces(Struct, frozen=True, kw_only=True):
    """Modes: "" or "private" own, "host", "container:<id>"; ipc also "shareable" and "none"."""

    pid: str = ""
    ipc: str = ""
    uts: str = ""
    cgroup: str = ""
    user: str = ""


class MountKind(StrEnum):
    BIND = "bind"
    VOLUME = "volume"
    TMPFS = "tmpfs"


class MountSpec(Struct, frozen=True, kw_only=True):
    """One mount as asked. For VOLUME `source` is the volume's name, "" for an anonymous one."""

    kind: MountKind
    target: str
    source: str = ""
    read_only: bool = False
    propagation: str = ""  # "", rprivate, private, rshared, shared, rslave, slave
    non_recursive: bool = False
    create_source: bool = False  # make a missing bind source (`-v`), or refuse (`--mount`)
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False
    no_copy: bool = False  # do not copy the image's content into an empty volume
    subpath: str = ""
    volume_driver: str = ""
    volume_options: dict[str, str] = {}
    volume_labels: dict[str, str] = {}
    tmpfs_size_bytes: int = 0
    tmpfs_mode: int | None = None
    tmpfs_options: str = ""  # mount options as given by --tmpfs
    mode: str = ""  # bind options as given ("ro,z"), to be told back
    form: str = "mount"  # how it was asked, to be told back: "bind" (-v), "mount" (--mount), "tmpfs", "image", "from"


class PortBinding(Struct, frozen=True, kw_only=True):
    """One published port. `host_port` 0 asks for a free one; `host_port_end` > 0 makes it a range to choose from."""

    container_port: int
    protocol: str = "tcp"  # tcp, udp, sctp
    host_ip: str = ""
    host_port: int = 0
    host_port_end: int = 0


class EndpointSpec(Struct, frozen=True, kw_only=True):
    """A wish to be on a network. `network` is as asked (name or id)."""

    network: str
    aliases: tuple[str, ...] = ()
    ipv4: str = ""
    ipv6: str = ""
    link_local_ips: tuple[str, ...] = ()
    mac: str = ""
    links: tuple[str, ...] = ()
    driver_options: dict[str, str] = {}
    gateway_priority: int = 0


class NetworkSpec(Struct, frozen=True, kw_only=True):
    """`mode` is "default", "none", "host", "container:<id>" or a network's name."""

    mode: str = "default"
    endpoints: tuple[EndpointSpec, ...] = ()
    ports: tuple[PortBinding, ...] = ()
    exposed: tuple[str, ...] = ()  # "80/tcp"
    publish_all: bool = False
    hostname: str = ""
    domainname: str = ""
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()  # "name:ip"
    links: tuple[str, ...] = ()
    mac: str = ""


class RestartPolicy(Struct, frozen=True, kw_only=True):
    """`name` is "no", "always", "unless-stopped" or "on-failure"; `max_retries` 0 is no bound."""

    name: str = "no"
    max_retries: int = 0


class LogSpec(Struct, frozen=True, kw_only=True):
    """`driver` is "json-file", "local" or "none"; options max_size_bytes and max_files rotate."""

    driver: str = ""
    options: dict[str, str] = {}


class ContainerSpec(Struct, frozen=True, kw_only=True):
    """Everything asked for at create. `update` and `rename` make a new one; nothing else does."""

    image: str  # as asked
    image_id: str = ""  # sha256:…, set at create
    process: Process = Process()
    healthcheck: Healthcheck | None = None
    stop_signal: str = ""
    stop_timeout_s: int | None = None
    labels: dict[str, str] = {}
    volumes: tuple[str, ...] = ()  # anonymous volumes asked by path
    mounts: tuple[MountSpec, ...] = ()
    volumes_from: tuple[str, ...] = ()
    volume_driver: str = ""
    network: NetworkSpec = NetworkSpec()
    network_disabled: bool = False
    resources: Resources = Resources()
    security: Security = Security()
    namespaces: Namespaces = Namespaces()
    restart: RestartPolicy = RestartPolicy()
    log: LogSpec = LogSpec()
    auto_remove: bool = False
    init: bool | None = None
    runtime: str = ""
    isolation: str = ""
    platform: str = ""
    shm_size_bytes: int = 0
    sysctls: dict[str, str] = {}
    storage_options: dict[str, str] = {}
    oom_score_adj: int = 0
    cgroup_parent: str = ""
    annotations: dict[str, str] = {}
    container_id_file: str = ""
    shell: tuple[str, ...] = ()
    on_build: tuple[str, ...] = ()


# --- what is true -----------------------------------------------------------------------------------------------------


class HealthResult(Struct, frozen=True, kw_only=True):
    """One probe. `exit_code` -1 means that it did not finish."""

    start_ns: int
    end_ns: int
    exit_code: int
    output: str


class Health(Struct, frozen=True, kw_only=True):
    """`status` is "starting", "healthy" or "unhealthy"; `log` holds the last five probes."""

    status: str = "starting"
    failing_streak: int = 0
    log: tuple[HealthResult, ...] = ()


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where a container is on a network. Empty addresses when it is not running."""

    network_id: str
    network_name: str
    endpoint_id: str = ""
    aliases: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    gateway: str = ""
    ipv4: str = ""
    ipv4_prefix: int = 0
    gateway6: str = ""
    ipv6: str = ""
    ipv6_prefix: int = 0
    mac: str = ""
    spec: EndpointSpec | None = None
    slot: str = ""  # the pool slot that holds its namespace, recorded before use; "" for one made for it


class PublishedPort(Struct, frozen=True, kw_only=True):
    """A port that is open on the host."""

    container_port: int
    protocol: str
    host_ip: str
    host_port: int


class MountPoint(Struct, frozen=True, kw_only=True):
    """A mount as it was resolved."""

    kind: MountKind
    source: str  # host path ("" for tmpfs)
    target: str
    name: str = ""  # volume name
    driver: str = ""
    mode: str = ""
    read_only: bool = False
    propagation: str = ""


class ContainerState(Struct, frozen=True, kw_only=True):
    """What is true now. One writer: the engine."""

    phase: Phase = Phase.CREATED
    pid: int = 0
    pid_start_ticks: int = 0  # field 22 of /proc/PID/stat: with the pid it names one process, never a reused pid
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_at_ns: int = 0
    finished_at_ns: int = 0
    restart_count: int = 0
    restart_at_ns: int = 0
    stopped_by_user: bool = False  # an asked-for stop: "unless-stopped" and "always" do not start it now
    health: Health | None = None
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    sandbox_key: str = ""  # path of the network namespace


class Container(Struct, frozen=True, kw_only=True):
    """One container: identity, wish and truth."""

    id: str
    name: str
    created_at_ns: int
    spec: ContainerSpec
    state: ContainerState = ContainerState()
    mounts: tuple[MountPoint, ...] = ()
    # resolved at create from spec and image, so that the image can change its tags meanwhile
    args: tuple[str, ...] = ()  # full argv: entrypoint then args
    env: tuple[str, ...] = ()
    cwd: str = ""
    user: str = ""
    hostname: str = ""
    log_path: str = ""

    @property
    def short_id(self) -> str:
        return self.id[:12]

    @property
    def running(self) -> bool:
        """Whether it has a process: running or paused."""
        return self.state.phase in (Phase.RUNNING, Phase.PAUSED)


def move(container: Container, phase: Phase, **changes: object) -> Container:
    """Return the container in `phase` with `changes` made to its state.

    Raises:
        IllegalTransition: the table has no such move. A move to the same phase is legal.
    """
    here = container.state.phase
    if phase is not here and phase not in TRANSITIONS[here]:
        raise IllegalTransition(f"container {container.short_id}: {here} -> {phase}")
    return with_state(container, phase=phase, **changes)


def with_state(container: Container, **changes: object) -> Container:
    """Return the container with `changes` made to its state."""
    return msgspec.structs.replace(container, state=msgspec.structs.replace(container.state, **changes))
