"""ContainerEngine: the capabilities composed into the node's container service. Implements `engine.port.Engine`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import cached_property

from msgspec.structs import replace

from sampan.base.clock import Clock
from sampan.base.errors import Conflict, Forbidden, InvalidArgument, NotFound, Unsupported
from sampan.base.ids import IdSource, random_name
from sampan.engine import plan
from sampan.engine.connections import Connections
from sampan.engine.events import Events
from sampan.engine.execs import Execs
from sampan.engine.filters import as_bool, check_keys, match_labels, select_containers, select_images
from sampan.engine.health import HealthMonitor
from sampan.engine.lifecycle import Lifecycle
from sampan.engine.machine import Machine
from sampan.engine.networks import Networks
from sampan.engine.pending import Attachments
from sampan.engine.port import DiskUsage, ExecRecord, Filters, HostInfo, ProcessRow, Stats, Waiter
from sampan.engine.recovery import Recovery
from sampan.engine.registry import Registry, put
from sampan.engine.rootfs import Rootfs
from sampan.engine.stats import Sampler
from sampan.engine.tasks import Tasks
from sampan.engine.teardown import Teardowns
from sampan.engine.volumes import VolumeService
from sampan.engine.waiters import Waiters
from sampan.image.port import Change, Credentials, Images, Progress, Snapshotter
from sampan.model.container import (
    Container,
    ContainerSpec,
    ContainerState,
    Endpoint,
    EndpointSpec,
    MountPoint,
    Phase,
    RestartPolicy,
    Struct,
    with_state,
)
from sampan.model.event import Event
from sampan.model.image import Image, ImageConfig
from sampan.model.network import Network
from sampan.model.volume import Volume
from sampan.network.port import NetworkDriver
from sampan.runtime.port import ExecSpec, Exit, LogLine, Runtime, RuntimeInfo, Streams
from sampan.store.port import RecordStore
from sampan.volume.port import Archive, PathStat, Volumes


class Parts(Struct, frozen=True, kw_only=True):
    """Everything an engine is made of. A composition root fills it with real parts or memory twins."""

    records: RecordStore
    images: Images
    snapshotter: Snapshotter
    runtime: Runtime
    network: NetworkDriver
    volumes: Volumes
    archive: Archive
    machine: Machine
    clock: Clock
    new_id: IdSource


class Settings(Struct, frozen=True, kw_only=True):
    """What an engine is told at start."""

    id: str
    version: str
    data_root: str
    exec_root: str
    bridge: str = "sampan0"
    bip: str = "172.17.0.1/16"
    labels: tuple[str, ...] = ()
    registry_mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()


@contextmanager
def _told_of(reference: str, path: str) -> Iterator[None]:
    """Name the container, as the user did, when a path is not in it."""
    try:
        yield
    except NotFound as error:
        raise NotFound(f"Could not find the file {path} in container {reference}") from error


async def _closing(chunks: AsyncIterator[bytes], opened: AbstractAsyncContextManager[object]) -> AsyncIterator[bytes]:
    """Yield all chunks, then let go of the root that they are read from."""
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        await opened.__aexit__(None, None, None)


class ContainerEngine:
    """See `engine.port.Engine` for what each call guarantees."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        self._parts = parts
        self._settings = settings
        self.images: Images = parts.images
        self._registry = Registry(parts.records)
        self._tasks = Tasks()
        self._events = Events(parts.clock)
        self._waiters = Waiters()
        self._connections = Connections(self._registry, parts.network, parts.machine)
        self._rootfs = Rootfs(self._registry, parts.images, parts.snapshotter, parts.volumes, parts.machine)
        self._health = HealthMonitor(
            self._registry, parts.runtime, self._image_of, self._emit, parts.new_id, self._tasks, parts.clock
        )
        self._attachments = Attachments(parts.runtime)
        self._teardowns = Teardowns(parts.runtime, self._rootfs, self._connections, parts.machine, self._tasks)
        self._lifecycle = Lifecycle(
            self._registry,
            parts.runtime,
            self._rootfs,
            self._connections,
            parts.machine,
            self._events,
            self._health,
            self._attachments,
            self._waiters,
            self._teardowns,
            self._tasks,
            parts.clock,
        )
        self._execs = Execs(self._registry, parts.runtime, self._tasks, self._lifecycle.emit, parts.new_id)
        self._networks = Networks(
            self._registry, parts.network, self._connections, self._events, parts.new_id, parts.clock
        )
        self._volumes = VolumeService(
            self._registry, parts.volumes, self._rootfs, self._events, parts.new_id, parts.clock
        )
        self._sampler = Sampler(self._registry, parts.runtime, parts.network, parts.machine, parts.clock)
        self._started_at_ns = parts.clock.now_ns()

    def _image_of(self, container: Container) -> Image | None:
        try:
            return self.images.get(container.spec.image_id)
        except NotFound:
            return None

    def _emit(self, action: str, container: Container) -> None:
        self._lifecycle.emit(action, container)

    async def open(self) -> None:
        """Load the records and make the host agree with them. Nothing is served before this returns."""
        parts = self._parts
        await parts.runtime.prepare()
        self._registry.load()
        fresh = not self._registry.networks
        await self._networks.ensure_builtin(self._settings.bridge, self._settings.bip)
        recovery = Recovery(
            self._registry,
            self._lifecycle,
            parts.runtime,
            parts.network,
            self._connections,
            parts.images,
            parts.snapshotter,
            parts.volumes,
            parts.machine,
            parts.clock,
        )
        await recovery.run(fresh=fresh)

    async def close(self) -> None:
        """Let go of everything; containers go on running."""
        await self._lifecycle.close()
        self._health.close()
        await self._tasks.close(grace_s=5.0)
        await self._parts.runtime.close()
        await self._parts.network.close()
        await self.images.close()
        self._parts.records.close()

    # --- containers ---------------------------------------------------------------------------------------------------

    async def create(self, spec: ContainerSpec, name: str = "") -> tuple[Container, tuple[str, ...]]:
        self._parts.runtime.expect()
        if name:
            plan.check_name(name.removeprefix("/"))
        image = self.images.get(spec.image)
        spec = replace(spec, image_id=image.id)
        container_id = self._parts.new_id()
        chosen = name.removeprefix("/") or random_name(set(self._registry.names()))
        container = plan.resolve(spec, image, container_id, chosen, self._parts.clock.now_ns())
        if spec.network.mode == "host" and not spec.network.hostname:
            container = replace(container, hostname=self._parts.machine.facts().name)
        self._check_runtime(spec)
        endpoints = self._connections.plan(spec)
        mounts = self._plan_mounts(spec, image, container.created_at_ns)
        log_path = "" if spec.log.driver == "none" else self._parts.runtime.log_path(container_id)
        container = replace(
            container, mounts=mounts.points, log_path=log_path, state=ContainerState(endpoints=endpoints)
        )
        with self._registry.claim(chosen, container_id):
            await self._registry.save(container, *map(put, mounts.volumes))
        self._registry.show(*mounts.volumes)
        for volume in mounts.volumes:
            await self._volumes.made(volume)
        self._lifecycle.emit("create", container)
        return container, self._warnings(spec)

    def _check_runtime(self, spec: ContainerSpec) -> None:
        if not spec.runtime:
            return
        runtimes = self._runtime_info.runtimes
        if spec.runtime not in runtimes:
            raise InvalidArgument(
                f"unknown or invalid runtime name: {spec.runtime}; one of {', '.join(sorted(runtimes))}"
            )

    def _plan_mounts(self, spec: ContainerSpec, image: Image, now_ns: int) -> plan.MountPlan:
        inherited: list[MountPoint] = []
        for text in spec.volumes_from:
            reference, read_only = plan.parse_volumes_from(text)
            inherited += [
                point if read_only is None else replace(point, read_only=read_only)
                for point in self._registry.container(reference).mounts
            ]
        planned = plan.plan_mounts(
            spec, image, inherited, self._registry.volumes, self._volumes.place, self._parts.new_id, now_ns
        )
        asked = {mount.target: mount for mount in spec.mounts}
        for point in planned.points:
            wish = asked.get(point.target)
            if wish is not None and point.kind.value == "bind" and not wish.create_source:
                self._parts.machine.check_bind(point.source, create=False)
        return planned

    def _warnings(self, spec: ContainerSpec) -> tuple[str, ...]:
        warnings = []
        if spec.network.ports and spec.network.mode == "host":
            warnings.append("Published ports are discarded when using host network mode")
        elif spec.network.ports:
            warnings += self._parts.network.warnings()
        return tuple(warnings)

    def container(self, reference: str) -> Container:
        return self._shown(self._registry.container(reference))

    def _shown(self, container: Container) -> Container:
        health = self._health.of(container)
        if health is not None:
            container = with_state(container, health=health)
        if container.state.phase is Phase.STARTING:  # an intent shows as the state before it
            state = container.state
            before = Phase.RESTARTING if state.restart_count else Phase.EXITED if state.started_at_ns else Phase.CREATED
            container = with_state(container, phase=before)
        return container

    def containers(self, filters: Filters = Filters(), *, all: bool = False, limit: int = 0) -> tuple[Container, ...]:  # noqa: A002
        chosen = select_containers(
            map(self._shown, self._registry.containers.values()),
            filters,
            show_all=all or limit > 0,
            image_ids=self._ancestors,
            lookup=self._registry.container,
            health=self._health.status,
        )
        return chosen[:limit] if limit > 0 else chosen

    def _ancestors(self, reference: str) -> set[str]:
        """Return the ids of an image and of all images that start with its layers."""
        try:
            base = self.images.get(reference)
        except NotFound:
            return set()
        return {i.id for i in self.images.list() if i.layers[: len(base.layers)] == base.layers} | {base.id}

    async def start(self, reference: str) -> None:
        self._parts.runtime.expect()
        await self._lifecycle.start(reference)

    async def stop(self, reference: str, *, signal: str = "", timeout_s: int | None = None) -> None:
        await self._lifecycle.stop(reference, signal=signal, timeout_s=timeout_s)

    async def restart(self, reference: str, *, signal: str = "", timeout_s: int | None = None) -> None:
        await self._lifecycle.restart(reference, signal=signal, timeout_s=timeout_s)

    async def kill(self, reference: str, signal: str = "KILL") -> None:
        await self._lifecycle.kill(reference, signal)

    async def pause(self, reference: str) -> None:
        await self._lifecycle.pause(reference)

    async def unpause(self, reference: str) -> None:
        await self._lifecycle.unpause(reference)

    async def rename(self, reference: str, name: str) -> None:
        container = self._registry.container(reference)
        name = name.removeprefix("/")
        if not name:
            raise InvalidArgument("Neither old nor new names may be empty")
        plan.check_name(name)
        async with self._registry.lock(container.id):
            container = self._registry.container(container.id)
            if name == container.name:
                raise InvalidArgument("Renaming a container with the same name as its current name")
            with self._registry.claim(name, container.id):
                renamed = replace(container, name=name)
                endpoints = tuple(self._connections.named(renamed, e) for e in container.state.endpoints)
                renamed = await self._registry.save(with_state(renamed, endpoints=endpoints))
            if renamed.running:
                self._connections.publish_names(renamed)
            self._lifecycle.emit("rename", renamed, oldName="/" + container.name)

    async def update(
        self, reference: str, resources: Mapping[str, object], restart: RestartPolicy | None
    ) -> tuple[str, ...]:
        container = self._registry.container(reference)
        async with self._registry.lock(container.id):
            container = self._registry.container(container.id)
            spec = replace(container.spec, resources=replace(container.spec.resources, **resources))
            if restart is not None:
                if container.spec.auto_remove and restart.name not in ("", "no"):
                    raise InvalidArgument(
                        "Restart policy cannot be updated because AutoRemove is enabled for the container"
                    )
                spec = replace(spec, restart=restart)
            plan.check_spec(spec)
            updated = replace(container, spec=spec)
            if container.running and resources:
                await self._parts.runtime.update(updated)
            self._lifecycle.emit("update", await self._registry.save(updated))
        return ()

    def wait(self, reference: str, condition: str = "not-running") -> Waiter:
        container = self._registry.container(reference)
        waiter = self._waiters.add(container.id, condition or "not-running")
        idle = container.state.phase in (Phase.CREATED, Phase.EXITED)
        if waiter.condition == "not-running" and idle:
            waiter.resolve(Exit(code=container.state.exit_code, error=container.state.error))
        return waiter

    async def remove(self, reference: str, *, force: bool = False, volumes: bool = False, link: bool = False) -> None:
        if link:
            raise InvalidArgument("links are not kept as objects: remove the container, or connect networks instead")
        container = self._registry.container(reference)
        await self._lifecycle.remove(container.id, force=force, volumes=volumes)
        self._execs.forget(container.id)
        self._health.forget(container.id)

    async def attach(self, reference: str) -> Streams:
        container = self._registry.container(reference)
        if container.state.phase is Phase.PAUSED:
            raise Conflict(f"container {container.id} is paused, unpause the container before attach")
        if container.state.phase is Phase.RESTARTING:
            raise Conflict(f"container {container.id} is restarting, wait until the container is running")
        self._lifecycle.emit("attach", container)
        if container.running:
            return await self._parts.runtime.attach(container.id)
        return self._attachments.add(container.id)

    def logs(
        self, reference: str, *, follow: bool = False, tail: int | None = None, since_ns: int = 0, until_ns: int = 0
    ) -> AsyncIterator[LogLine]:
        container = self._registry.container(reference)
        if container.spec.log.driver == "none":
            raise Unsupported(
                "configured logging driver does not support reading: run the container without --log-driver none"
            )
        return self._parts.runtime.logs(
            container, follow=follow and container.running, tail=tail, since_ns=since_ns, until_ns=until_ns
        )

    async def resize(self, reference: str, height: int, width: int) -> None:
        container = self._running(reference)
        streams = await self._parts.runtime.attach(container.id)
        try:
            await streams.resize(height, width)
        finally:
            streams.detach()
        self._lifecycle.emit("resize", container, height=str(height), width=str(width))

    def _running(self, reference: str) -> Container:
        container = self._registry.container(reference)
        if not container.running:
            raise Conflict(f"container {container.id} is not running")
        return container

    async def top(self, reference: str, ps_args: str = "-ef") -> ProcessRow:
        container = self._running(reference)
        pids = await self._parts.runtime.processes(container.id)
        table = await self._parts.machine.process_table(pids, ps_args or "-ef")
        self._lifecycle.emit("top", container)
        return table

    def stats(self, reference: str, *, stream: bool, one_shot: bool) -> AsyncIterator[Stats]:
        return self._sampler.follow(self._registry.container(reference).id, stream=stream, one_shot=one_shot)

    async def changes(self, reference: str) -> tuple[Change, ...]:
        container = self._registry.container(reference)
        return await self._parts.snapshotter.changes(container.id, self._rootfs.image(container))

    async def commit(
        self, reference: str, *, image: str, config: ImageConfig | None, author: str, message: str, pause: bool
    ) -> Image:
        container = self._registry.container(reference)
        frozen = pause and container.state.phase is Phase.RUNNING
        if frozen:
            await self._lifecycle.pause(container.id)
        try:
            made = await self.images.commit(
                container.id,
                self._rootfs.image(container),
                reference=image,
                config=config or self._committed(container),
                author=author,
                message=message,
            )
        finally:
            if frozen:
                await self._lifecycle.unpause(container.id)
        self._lifecycle.emit("commit", container, comment=message, imageID=made.id, imageRef=image)
        return made

    def _committed(self, container: Container) -> ImageConfig:
        """Return the config that a container's image gets: its own settings over its image's."""
        base, spec = self._rootfs.image(container).config, container.spec
        return replace(
            base,
            entrypoint=spec.process.entrypoint if spec.process.entrypoint is not None else base.entrypoint,
            args=spec.process.args if spec.process.args is not None else base.args,
            env=container.env,
            cwd=container.cwd if container.cwd != "/" else base.cwd,
            user=container.user,
            labels=spec.labels,
        )

    async def prune_containers(self, filters: Filters) -> tuple[tuple[str, ...], int]:
        check_keys(filters, {"until", "label", "label!"})
        removed, freed = [], 0
        for container in list(self._registry.containers.values()):
            idle = container.state.phase in (Phase.CREATED, Phase.EXITED)
            if idle and match_labels(filters, container.spec.labels):
                freed += await self._parts.snapshotter.size_bytes(container.id)
                await self.remove(container.id)
                removed.append(container.id)
        self._events.emit("container", "prune", "", {"reclaimed": str(freed)})
        return tuple(removed), freed

    async def container_size(self, reference: str) -> tuple[int, int]:
        container = self._registry.container(reference)
        own = await self._parts.snapshotter.size_bytes(container.id)
        image = self._image_of(container)
        return own, own + (image.size_bytes if image else 0)

    # --- exec ---------------------------------------------------------------------------------------------------------

    async def exec_create(
        self,
        reference: str,
        spec: ExecSpec,
        *,
        attach: tuple[bool, bool, bool],
        detach_keys: str = "",
        extra_env: tuple[str, ...] = (),
    ) -> ExecRecord:
        self._parts.runtime.expect()
        return self._execs.create(reference, spec, attach, detach_keys, extra_env)

    async def exec_start(
        self, exec_id: str, *, tty: bool, detach: bool, console_size: tuple[int, int] | None = None
    ) -> Streams | None:
        return await self._execs.start(exec_id, tty=tty, detach=detach, console_size=console_size)

    def exec_inspect(self, exec_id: str) -> ExecRecord:
        return self._execs.inspect(exec_id)

    def execs(self, container_id: str) -> tuple[str, ...]:
        return self._execs.of(container_id)

    async def exec_resize(self, exec_id: str, height: int, width: int) -> None:
        await self._execs.resize(exec_id, height, width)

    # --- files --------------------------------------------------------------------------------------------------------

    async def path_stat(self, reference: str, path: str) -> PathStat:
        container = self._registry.container(reference)
        async with self._rootfs.opened(container) as (root, rows):
            with _told_of(reference, path):
                return await self._parts.archive.stat(root, rows, path)

    async def read_archive(self, reference: str, path: str) -> tuple[PathStat, AsyncIterator[bytes]]:
        container = self._registry.container(reference)
        opened = self._rootfs.opened(container)
        root, rows = await opened.__aenter__()
        try:
            with _told_of(reference, path):
                stat, chunks = await self._parts.archive.read(root, rows, path)
        except BaseException:
            await opened.__aexit__(None, None, None)
            raise
        self._lifecycle.emit("archive-path", container)
        return stat, _closing(chunks, opened)

    async def write_archive(
        self,
        reference: str,
        path: str,
        chunks: AsyncIterator[bytes],
        *,
        no_overwrite_dir_non_dir: bool,
        copy_uid_gid: bool,
    ) -> None:
        container = self._registry.container(reference)
        if container.spec.security.readonly_rootfs and not any(
            path == m.target or path.startswith(m.target + "/") for m in container.mounts if not m.read_only
        ):
            raise Forbidden("container rootfs is marked read-only")
        async with self._rootfs.opened(container) as (root, rows):
            with _told_of(reference, path):
                await self._parts.archive.write(
                    root,
                    rows,
                    path,
                    chunks,
                    no_overwrite_dir_non_dir=no_overwrite_dir_non_dir,
                    copy_uid_gid=copy_uid_gid,
                    user=container.user,
                )
        self._lifecycle.emit("extract-to-dir", container)

    async def export(self, reference: str) -> AsyncIterator[bytes]:
        container = self._registry.container(reference)
        opened = self._rootfs.opened(container)
        root, _ = await opened.__aenter__()
        try:
            chunks = await self._parts.archive.export(root)
        except BaseException:
            await opened.__aexit__(None, None, None)
            raise
        self._lifecycle.emit("export", container)
        return _closing(chunks, opened)

    # --- images -------------------------------------------------------------------------------------------------------

    async def pull(
        self, reference: str, credentials: Credentials | None, platform: str = ""
    ) -> AsyncIterator[Progress]:
        async def tell() -> AsyncIterator[Progress]:
            async for step in self.images.pull(reference, credentials, platform):
                yield step
            self._events.emit("image", "pull", reference, {"name": reference.rpartition(":")[0] or reference})

        return tell()

    def _images_in_use(self) -> dict[str, tuple[str, ...]]:
        users: dict[str, tuple[str, ...]] = {}
        for container in self._registry.containers.values():
            users[container.spec.image_id] = (*users.get(container.spec.image_id, ()), container.id)
        return users

    async def remove_image(self, reference: str, *, force: bool) -> tuple[tuple[str, str], ...]:
        image = self.images.get(reference)
        running = [c for c in self._registry.containers.values() if c.spec.image_id == image.id and c.running]
        last_name = len(image.tags) + len(image.digests) <= 1 or image.id.removeprefix("sha256:").startswith(
            reference.removeprefix("sha256:")
        )
        if running and last_name:
            raise Conflict(
                f"conflict: unable to delete {reference} (cannot be forced) - image is being used by running container "
                f"{running[0].short_id}: stop it first"
            )
        rows = await self.images.remove(reference, force=force, in_use=self._images_in_use())
        self._tell_image_rows(rows)
        return rows

    def _tell_image_rows(self, rows: tuple[tuple[str, str], ...]) -> None:
        for action, what in rows:
            self._events.emit("image", {"untagged": "untag", "deleted": "delete"}[action], what, {"name": what})

    async def prune_images(self, filters: Filters) -> tuple[tuple[tuple[str, str], ...], int]:
        check_keys(filters, {"dangling", "label", "label!", "until"})
        dangling = all(as_bool(term) for term in filters.terms.get("dangling", ("true",)))
        rows, freed = await self.images.prune(dangling_only=dangling, in_use=self._images_in_use())
        self._tell_image_rows(rows)
        return rows, freed

    def list_images(self, filters: Filters) -> tuple[Image, ...]:
        return select_images(self.images.list(), filters, self.images.get)

    # --- networks -----------------------------------------------------------------------------------------------------

    async def create_network(self, wanted: Network) -> tuple[Network, str]:
        return await self._networks.create(wanted)

    def network(self, reference: str) -> Network:
        return self._registry.network(reference)

    def networks(self, filters: Filters = Filters()) -> tuple[Network, ...]:
        return self._networks.select(filters)

    def network_endpoints(self, network_id: str) -> tuple[tuple[Container, Endpoint], ...]:
        return self._networks.endpoints(network_id)

    async def remove_network(self, reference: str) -> None:
        await self._networks.remove(reference)

    async def connect(self, network: str, container: str, spec: EndpointSpec) -> None:
        await self._networks.connect(network, container, spec)

    async def disconnect(self, network: str, container: str, *, force: bool) -> None:
        await self._networks.disconnect(network, container, force=force)

    async def prune_networks(self, filters: Filters) -> tuple[str, ...]:
        return await self._networks.prune(filters)

    # --- volumes ------------------------------------------------------------------------------------------------------

    async def create_volume(self, wanted: Volume) -> Volume:
        return await self._volumes.create(wanted)

    def volume(self, name: str) -> Volume:
        return self._registry.volume(name)

    def volumes(self, filters: Filters = Filters()) -> tuple[Volume, ...]:
        return self._volumes.select(filters)

    async def remove_volume(self, name: str, *, force: bool) -> None:
        await self._volumes.remove(name, force=force)

    async def prune_volumes(self, filters: Filters) -> tuple[tuple[str, ...], int]:
        return await self._volumes.prune(filters)

    # --- the whole ----------------------------------------------------------------------------------------------------

    def events(self, *, since_ns: int = 0, until_ns: int = 0, filters: Filters = Filters()) -> AsyncIterator[Event]:
        return self._events.follow(since_ns=since_ns, until_ns=until_ns, filters=filters)

    def emit(self, kind: str, action: str, object_id: str, attributes: Mapping[str, str]) -> None:
        self._events.emit(kind, action, object_id, attributes)

    def teardowns_under_way(self) -> bool:
        """Whether parts of ended containers are still being removed from the host."""
        return self._teardowns.under_way()

    @cached_property
    def _runtime_info(self) -> RuntimeInfo:
        """Versions and advisories: they cost a look into the package database, and change only with a restart."""
        return self._parts.runtime.info()

    def info(self) -> HostInfo:
        facts, settings = self._parts.machine.facts(), self._settings
        runtime = self._runtime_info
        return HostInfo(
            id=settings.id,
            name=facts.name,
            version=settings.version,
            kernel=facts.kernel,
            operating_system=facts.operating_system,
            os_version=facts.os_version,
            architecture=facts.architecture,
            cpus=facts.cpus,
            memory_bytes=facts.memory_bytes,
            data_root=settings.data_root,
            exec_root=settings.exec_root,
            runtime=runtime,
            backing_filesystem=facts.backing_filesystem,
            labels=settings.labels,
            warnings=self._parts.network.warnings(),
            started_at_ns=self._started_at_ns,
            registry_mirrors=settings.registry_mirrors,
            insecure_registries=settings.insecure_registries,
        )

    async def disk_usage(self) -> DiskUsage:
        containers = {
            c.id: await self._parts.snapshotter.size_bytes(c.id) for c in list(self._registry.containers.values())
        }
        volumes = {v.name: await self._volumes.size_bytes(v) for v in list(self._registry.volumes.values())}
        counts: dict[str, int] = {}
        sizes: dict[str, int] = {}
        images = self.images.list()
        for image in images:
            for layer, size in zip(image.layers, image.layer_sizes, strict=False):
                counts[layer] = counts.get(layer, 0) + 1
                sizes[layer] = size
        return DiskUsage(
            layers_bytes=sum(sizes.values()),
            image_shared_bytes={
                image.id: sum(sizes.get(layer, 0) for layer in image.layers if counts[layer] > 1) for image in images
            },
            container_bytes=containers,
            volume_bytes=volumes,
            volume_users={name: len(self._volumes.users(name)) for name in volumes},
        )
