"""Volumes: made, listed and removed by their users."""

from __future__ import annotations

from msgspec.structs import replace

from sampan.base.clock import Clock
from sampan.base.errors import Conflict, NotFound
from sampan.base.ids import IdSource
from sampan.engine.events import Events
from sampan.engine.filters import check_keys, match_labels, select_volumes
from sampan.engine.port import Filters
from sampan.engine.registry import Registry
from sampan.engine.rootfs import Rootfs
from sampan.model.volume import Volume
from sampan.volume.port import Volumes as VolumeDriver


class VolumeService:
    """The volumes of this engine."""

    def __init__(
        self, registry: Registry, driver: VolumeDriver, rootfs: Rootfs, events: Events, new_id: IdSource, clock: Clock
    ) -> None:
        self._registry = registry
        self._driver = driver
        self._rootfs = rootfs
        self._events = events
        self._new_id = new_id
        self._clock = clock

    def place(self, wanted: Volume) -> Volume:
        """Return a new volume with its place; raises `NotFound` for a driver that is not there."""
        if wanted.driver not in ("", "local"):
            raise NotFound(f'error looking up volume plugin {wanted.driver}: plugin "{wanted.driver}" not found')
        return self._driver.place(wanted)

    async def create(self, wanted: Volume) -> Volume:
        """Make a volume, or return the one that has this name already."""
        known = self._registry.volumes.get(wanted.name)
        if known is not None:
            if wanted.options and wanted.options != known.options:
                raise Conflict(f"volume {wanted.name} already exists with other options; remove it first")
            return known
        volume = self.place(
            replace(
                wanted,
                name=wanted.name or self._new_id(),
                anonymous=not wanted.name,
                driver=wanted.driver or "local",
                created_at_ns=self._clock.now_ns(),
            )
        )
        await self._registry.put(volume)
        await self.made(volume)
        return volume

    async def made(self, volume: Volume) -> None:
        """Make the directory of a volume that is recorded, and tell it."""
        await self._driver.create(volume)
        self._tell("create", volume)

    def users(self, name: str) -> tuple[str, ...]:
        """Return the ids of containers that mount a volume."""
        return tuple(c.id for c in self._registry.containers.values() if any(m.name == name for m in c.mounts))

    def used(self) -> set[str]:
        return {mount.name for c in self._registry.containers.values() for mount in c.mounts if mount.name}

    def select(self, filters: Filters) -> tuple[Volume, ...]:
        return select_volumes(self._registry.volumes.values(), filters, self.used())

    async def remove(self, name: str, *, force: bool) -> None:
        try:
            volume = self._registry.volume(name)
        except NotFound:
            if force:
                return
            raise
        if users := self.users(name):
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(users)}]")
        await self._registry.drop(volume)
        await self._rootfs.remove_volume(volume)
        self._tell("destroy", volume)

    async def prune(self, filters: Filters) -> tuple[tuple[str, ...], int]:
        """Remove unused anonymous volumes (all unused ones with all=true); returns names and bytes given back."""
        check_keys(filters, {"all", "label", "label!"})
        everything = any(term in ("1", "true") for term in filters.terms.get("all", ()))
        used, freed, names = self.used(), 0, []
        for volume in sorted(self._registry.volumes.values(), key=lambda v: v.name):
            if volume.name in used or not (everything or volume.anonymous) or not match_labels(filters, volume.labels):
                continue
            freed += await self._driver.size_bytes(volume)
            await self.remove(volume.name, force=True)
            names.append(volume.name)
        return tuple(names), freed

    async def size_bytes(self, volume: Volume) -> int:
        return await self._driver.size_bytes(volume)

    def tell_mount(self, action: str, name: str, container_id: str) -> None:
        volume = self._registry.volumes.get(name)
        if volume is not None:
            self._tell(action, volume, container=container_id)

    def _tell(self, action: str, volume: Volume, **attributes: str) -> None:
        self._events.emit("volume", action, volume.name, {"driver": volume.driver, **attributes})
