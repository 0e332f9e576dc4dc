"""Rootfs: a container's file tree: the mounted root with volumes, binds and tmpfs to put over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sampan.base.errors import NotFound
from sampan.engine.machine import Machine
from sampan.engine.registry import Registry
from sampan.image.port import Images, Snapshotter
from sampan.model.container import Container, MountKind, MountPoint, MountSpec
from sampan.model.image import Image
from sampan.model.volume import Volume
from sampan.runtime.port import HostMount
from sampan.volume.port import Volumes

Rows = tuple[tuple[str, str, bool], ...]


class Rootfs:
    """Mounts and unmounts roots; a root stays mounted as long as anyone reads or writes in it."""

    def __init__(
        self, registry: Registry, images: Images, snapshotter: Snapshotter, volumes: Volumes, machine: Machine
    ) -> None:
        self._registry = registry
        self._images = images
        self._snapshotter = snapshotter
        self._volumes = volumes
        self._machine = machine
        self._open: dict[str, int] = {}

    def image(self, container: Container) -> Image:
        return self._images.get(container.spec.image_id)

    async def mount(self, container: Container) -> tuple[str, tuple[HostMount, ...]]:
        """Return the mounted root and everything to mount over it. Idempotent."""
        root = await self._snapshotter.mount(container.id, self.image(container), volatile=container.spec.auto_remove)
        asked = {mount.target: mount for mount in container.spec.mounts}
        mounts = [await self._host_mount(container, root, point, asked.get(point.target)) for point in container.mounts]
        return root, tuple(mounts)

    async def _host_mount(
        self, container: Container, root: str, point: MountPoint, asked: MountSpec | None
    ) -> HostMount:
        options: tuple[str, ...] = ()
        source = point.source
        match point.kind:
            case MountKind.TMPFS:
                return HostMount(
                    source="tmpfs",
                    target=point.target,
                    kind="tmpfs",
                    options=tmpfs_options(asked),
                    read_only=point.read_only,
                )
            case MountKind.VOLUME:
                source = await self._volume_source(container, root, point, asked)
                options = ("rbind",)
            case MountKind.BIND:
                self._machine.check_bind(source, create=asked is not None and asked.create_source)
                options = ("bind" if asked is not None and asked.non_recursive else "rbind",)
        return HostMount(
            source=source,
            target=point.target,
            options=options,
            read_only=point.read_only,
            propagation=point.propagation,
        )

    async def _volume_source(self, container: Container, root: str, point: MountPoint, asked: MountSpec | None) -> str:
        volume = self._registry.volume(point.name)
        source = await self._volumes.mount(volume)
        subpath = asked.subpath if asked else ""
        if not container.state.started_at_ns and not (asked and asked.no_copy):
            await self._volumes.copy_up(root, point.target, volume, subpath)
        return self._machine.resolve_below(source, subpath) if subpath else source

    async def unmount(self, container: Container) -> None:
        """Unmount the root unless somebody has it open."""
        if not self._open.get(container.id):
            await self._snapshotter.unmount(container.id)

    async def remove(self, container: Container) -> None:
        """Delete the writable layer. Idempotent."""
        await self._snapshotter.remove(container.id)

    async def remove_volume(self, volume: Volume) -> None:
        await self._volumes.unmount(volume)
        await self._volumes.remove(volume)

    @asynccontextmanager
    async def opened(self, container: Container) -> AsyncIterator[tuple[str, Rows]]:
        """Hold the root mounted, whether the container runs or not; yields it with (source, target, read-only) rows."""
        self._open[container.id] = self._open.get(container.id, 0) + 1
        try:
            async with self._registry.lock(container.id):
                root, mounts = await self.mount(container)
            rows = tuple((m.source, m.target, m.read_only) for m in mounts if m.kind == "bind")
            yield root, (*rows, *self._small_files(container, {m.target for m in mounts}))
        finally:
            await asyncio.shield(self._close(container.id))

    def _small_files(self, container: Container, taken: set[str]) -> Rows:
        """Return /etc/hosts, /etc/hostname and /etc/resolv.conf as the container sees them, once it was started."""
        read_only = container.spec.security.readonly_rootfs
        files = self._machine.files(container.id).items()
        return tuple((path, f"/etc/{name}", read_only) for name, path in files if f"/etc/{name}" not in taken)

    async def _close(self, container_id: str) -> None:
        self._open[container_id] -= 1
        if self._open[container_id]:
            return
        del self._open[container_id]
        async with self._registry.lock(container_id):
            try:
                container = self._registry.container(container_id)
            except NotFound:
                await self._snapshotter.remove(container_id)
                return
            if not container.running and not self._open.get(container_id):
                await self._snapshotter.unmount(container_id)


def tmpfs_options(asked: MountSpec | None) -> tuple[str, ...]:
    """Return the mount options of a tmpfs, docker's defaults first."""
    options = ["noexec", "nosuid", "nodev"]
    if asked is None:
        return tuple(options)
    if asked.tmpfs_options:
        given = [option for option in asked.tmpfs_options.split(",") if option]
        opposites = {"exec": "noexec", "suid": "nosuid", "dev": "nodev"}
        dropped = {opposites[option] for option in given if option in opposites}
        options = [option for option in options if option not in dropped and option not in given] + given
    if asked.tmpfs_size_bytes:
        options.append(f"size={asked.tmpfs_size_bytes}")
    if asked.tmpfs_mode is not None:
        options.append(f"mode={asked.tmpfs_mode:o}")
    return tuple(options)
