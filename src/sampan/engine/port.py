"""Engine: the node's container service, the one domain API that every facade, the builder and the node agent call.

References to containers are a full id, a unique id prefix or a name; to networks the same; to volumes a name; to images
a reference or id. Errors are `base.errors` kinds with a message for people.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from sampan.image.port import Change, Credentials, Images, Progress
from sampan.model.container import Container, ContainerSpec, Endpoint, EndpointSpec, RestartPolicy, Struct
from sampan.model.event import Event
from sampan.model.image import Image, ImageConfig
from sampan.model.network import Network
from sampan.model.volume import Volume
from sampan.network.port import NetworkUsage
from sampan.runtime.port import ExecSpec, Exit, LogLine, RuntimeInfo, Streams, Usage
from sampan.volume.port import PathStat

__all__ = [
    "Change",
    "Container",
    "ContainerSpec",
    "Credentials",
    "DiskUsage",
    "Endpoint",
    "EndpointSpec",
    "Engine",
    "Event",
    "ExecRecord",
    "ExecSpec",
    "Exit",
    "Filters",
    "HostInfo",
    "Image",
    "ImageConfig",
    "Images",
    "LogLine",
    "Network",
    "NetworkUsage",
    "PathStat",
    "ProcessRow",
    "Progress",
    "RestartPolicy",
    "RuntimeInfo",
    "Stats",
    "Streams",
    "Usage",
    "Volume",
    "Waiter",
]


class ExecRecord(Struct, frozen=True, kw_only=True):
    """An exec session. Lost, on purpose, with its container's end plus a while, and with the daemon."""

    id: str
    container_id: str
    spec: ExecSpec
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach_keys: str = ""
    running: bool = False
    started: bool = False
    pid: int = 0
    exit_code: int | None = None


class Stats(Struct, frozen=True, kw_only=True):
    """One sample. `previous` is the sample before it (zero in the first)."""

    time_ns: int
    system_cpu_ns: int
    online_cpus: int
    usage: Usage
    networks: tuple[NetworkUsage, ...] = ()
    previous_time_ns: int = 0
    previous_system_cpu_ns: int = 0
    previous: Usage | None = None


class ProcessRow(Struct, frozen=True, kw_only=True):
    """`ps` output of a container: titles and rows."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class DiskUsage(Struct, frozen=True, kw_only=True):
    """Bytes by object; `shared` of an image counts layers that another image has too."""

    layers_bytes: int = 0
    image_shared_bytes: dict[str, int] = {}
    container_bytes: dict[str, int] = {}
    volume_bytes: dict[str, int] = {}
    volume_users: dict[str, int] = {}


class HostInfo(Struct, frozen=True, kw_only=True):
    """What the engine and its host are."""

    id: str
    name: str
    version: str
    kernel: str
    operating_system: str
    os_version: str
    architecture: str
    cpus: int
    memory_bytes: int
    data_root: str
    exec_root: str
    runtime: RuntimeInfo
    storage_driver: str = "overlay2"
    backing_filesystem: str = ""
    labels: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    started_at_ns: int = 0
    live_restore: bool = True
    default_address_pools: tuple[tuple[str, int], ...] = ()
    registry_mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()


class Filters(Struct, frozen=True, kw_only=True):
    """Filter terms by key, as the user gave them: {"label": ("a=b",), "status": ("running",)}."""

    terms: dict[str, tuple[str, ...]] = {}


class Waiter(Protocol):
    """A wait that is registered already, before the container changes: no exit is missed."""

    async def result(self) -> Exit: ...

    def cancel(self) -> None: ...


class Engine(Protocol):
    """See the module. Every call that changes something is durable when it returns."""

    images: Images

    # containers
    async def create(self, spec: ContainerSpec, name: str = "") -> tuple[Container, tuple[str, ...]]:
        """Returns the container and warnings. A bad spec leaves nothing behind."""
        ...

    def container(self, reference: str) -> Container: ...

    def containers(self, filters: Filters = Filters(), *, all: bool = False, limit: int = 0) -> tuple[Container, ...]:  # noqa: A002
        """Newest first. Filter keys as docker's: ancestor, before, since, exited, health, id, is-task, label, name,
        network, publish, expose, status, volume. Unknown keys raise `InvalidArgument`.
        """
        ...

    async def start(self, reference: str) -> None:
        """Raises `NotModified` when it runs already."""
        ...

    async def stop(self, reference: str, *, signal: str = "", timeout_s: int | None = None) -> None: ...

    async def restart(self, reference: str, *, signal: str = "", timeout_s: int | None = None) -> None: ...

    async def kill(self, reference: str, signal: str = "KILL") -> None: ...

    async def pause(self, reference: str) -> None: ...

    async def unpause(self, reference: str) -> None: ...

    async def rename(self, reference: str, name: str) -> None: ...

    async def update(
        self, reference: str, resources: Mapping[str, object], restart: RestartPolicy | None
    ) -> tuple[str, ...]:
        """`resources` holds only the fields of `Resources` that change. Returns warnings."""
        ...

    def wait(self, reference: str, condition: str = "not-running") -> Waiter:
        """Conditions: not-running, next-exit, removed."""
        ...

    async def remove(
        self, reference: str, *, force: bool = False, volumes: bool = False, link: bool = False
    ) -> None: ...

    async def attach(self, reference: str) -> Streams:
        """Join the stdio of a created or running container; `Conflict` when it is stopped or paused."""
        ...

    def logs(
        self, reference: str, *, follow: bool = False, tail: int | None = None, since_ns: int = 0, until_ns: int = 0
    ) -> AsyncIterator[LogLine]: ...

    async def resize(self, reference: str, height: int, width: int) -> None: ...

    async def top(self, reference: str, ps_args: str = "-ef") -> ProcessRow: ...

    def stats(self, reference: str, *, stream: bool, one_shot: bool) -> AsyncIterator[Stats]:
        """A stopped container yields one empty sample and, when streaming, goes on when it starts."""
        ...

    async def changes(self, reference: str) -> tuple[Change, ...]: ...

    async def commit(
        self, reference: str, *, image: str, config: ImageConfig | None, author: str, message: str, pause: bool
    ) -> Image: ...

    async def prune_containers(self, filters: Filters) -> tuple[tuple[str, ...], int]: ...

    async def container_size(self, reference: str) -> tuple[int, int]:
        """Bytes of the writable layer, and of everything."""
        ...

    # exec
    async def exec_create(
        self,
        reference: str,
        spec: ExecSpec,
        *,
        attach: tuple[bool, bool, bool],
        detach_keys: str = "",
        extra_env: tuple[str, ...] = (),
    ) -> ExecRecord:
        """`spec.env` is ignored: the container's environment plus `extra_env` is used. `spec.cwd` "" is the container's."""
        ...

    async def exec_start(
        self, exec_id: str, *, tty: bool, detach: bool, console_size: tuple[int, int] | None = None
    ) -> Streams | None: ...

    def exec_inspect(self, exec_id: str) -> ExecRecord: ...

    def execs(self, container_id: str) -> tuple[str, ...]: ...

    async def exec_resize(self, exec_id: str, height: int, width: int) -> None: ...

    # files
    async def path_stat(self, reference: str, path: str) -> PathStat: ...

    async def read_archive(self, reference: str, path: str) -> tuple[PathStat, AsyncIterator[bytes]]: ...

    async def write_archive(
        self,
        reference: str,
        path: str,
        chunks: AsyncIterator[bytes],
        *,
        no_overwrite_dir_non_dir: bool,
        copy_uid_gid: bool,
    ) -> None: ...

    async def export(self, reference: str) -> AsyncIterator[bytes]: ...

    # images (reading and moving goes through `images`; these need the containers too)
    async def pull(
        self, reference: str, credentials: Credentials | None, platform: str = ""
    ) -> AsyncIterator[Progress]: ...

    async def remove_image(self, reference: str, *, force: bool) -> tuple[tuple[str, str], ...]: ...

    async def prune_images(self, filters: Filters) -> tuple[tuple[tuple[str, str], ...], int]: ...

    def list_images(self, filters: Filters) -> tuple[Image, ...]: ...

    # networks
    async def create_network(self, wanted: Network) -> tuple[Network, str]:
        """`wanted.id` is ignored. Returns the network and a warning."""
        ...

    def network(self, reference: str) -> Network: ...

    def networks(self, filters: Filters = Filters()) -> tuple[Network, ...]: ...

    def network_endpoints(self, network_id: str) -> tuple[tuple[Container, Endpoint], ...]: ...

    async def remove_network(self, reference: str) -> None: ...

    async def connect(self, network: str, container: str, spec: EndpointSpec) -> None: ...

    async def disconnect(self, network: str, container: str, *, force: bool) -> None: ...

    async def prune_networks(self, filters: Filters) -> tuple[str, ...]: ...

    # volumes
    async def create_volume(self, wanted: Volume) -> Volume:
        """An empty name makes an anonymous one. The same name and driver again returns what is there."""
        ...

    def volume(self, name: str) -> Volume: ...

    def volumes(self, filters: Filters = Filters()) -> tuple[Volume, ...]: ...

    async def remove_volume(self, name: str, *, force: bool) -> None: ...

    async def prune_volumes(self, filters: Filters) -> tuple[tuple[str, ...], int]: ...

    # the whole
    def events(self, *, since_ns: int = 0, until_ns: int = 0, filters: Filters = Filters()) -> AsyncIterator[Event]:
        """Past events since `since_ns` (bounded history), then live ones until `until_ns` or for ever (0)."""
        ...

    def emit(self, kind: str, action: str, object_id: str, attributes: Mapping[str, str]) -> None:
        """Tell an event that happened outside the engine's own calls (image pull, tag, load …)."""
        ...

    def info(self) -> HostInfo: ...

    async def disk_usage(self) -> DiskUsage: ...
