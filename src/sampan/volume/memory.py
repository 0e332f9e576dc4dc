"""MemoryVolumes: volumes that are names and nothing else; for simulation and fast tests."""

from __future__ import annotations

from msgspec.structs import replace

from sampan.base.errors import NotFound
from sampan.model.volume import Volume
from sampan.volume import parse


class MemoryVolumes:
    """A Volumes in memory. `contents` maps a volume's name to where its content was copied from, () for an empty one."""

    def __init__(self, root: str = "/volumes") -> None:
        self._root = root
        self.contents: dict[str, tuple[str, str] | tuple[()]] = {}
        self.mounted: set[str] = set()

    def place(self, volume: Volume) -> Volume:
        parse.check_name(volume.name)
        parse.mount_options(volume.options)
        return replace(volume, mountpoint=f"{self._root}/{volume.name}/_data")

    async def create(self, volume: Volume) -> None:
        self.contents.setdefault(self.place(volume).name, ())

    async def remove(self, volume: Volume) -> None:
        await self.unmount(volume)
        self.contents.pop(volume.name, None)

    async def mount(self, volume: Volume) -> str:
        if volume.name not in self.contents:
            raise NotFound(f"the data of volume {volume.name} is gone")
        if volume.options:
            self.mounted.add(volume.name)
        return self.place(volume).mountpoint

    async def unmount(self, volume: Volume) -> None:
        self.mounted.discard(volume.name)

    async def copy_up(self, rootfs: str, target: str, volume: Volume, subpath: str = "") -> None:
        if not subpath and not self.contents[volume.name]:
            self.contents[volume.name] = (rootfs, target)

    async def size_bytes(self, volume: Volume) -> int:
        return 0

    async def survey(self) -> tuple[str, ...]:
        return tuple(sorted(self.contents))
