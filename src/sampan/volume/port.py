"""Volumes, and reading and writing below a container's root without ever leaving it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from sampan.model.container import Struct
from sampan.model.volume import Volume


class PathStat(Struct, frozen=True, kw_only=True):
    """What `docker cp` wants to know of a path; `mode` has Go's FileMode bits (directory 1<<31, symlink 1<<27)."""

    name: str
    size: int
    mode: int
    mtime: str  # RFC 3339
    link_target: str = ""


class Volumes(Protocol):
    """Named directories. Only the driver's own truth; records are the engine's."""

    def place(self, volume: Volume) -> Volume:
        """Return the volume with its mountpoint filled in and options checked. No side effect."""
        ...

    async def create(self, volume: Volume) -> None:
        """Idempotent. Options of driver "local" (type, device, o) mount at first use, as Docker's do."""
        ...

    async def remove(self, volume: Volume) -> None:
        """Delete the data. Idempotent."""
        ...

    async def mount(self, volume: Volume) -> str:
        """Return the host directory to bind; mounts it when the options ask for it. Idempotent."""
        ...

    async def unmount(self, volume: Volume) -> None: ...

    async def copy_up(self, rootfs: str, target: str, volume: Volume, subpath: str = "") -> None:
        """Copy the image's content at `target` into the volume, when the volume is empty; keeps owner, mode, xattrs."""
        ...

    async def size_bytes(self, volume: Volume) -> int: ...

    async def survey(self) -> tuple[str, ...]:
        """Return the names of all volumes on disk."""
        ...


class Archive(Protocol):
    """Tar in and out of a container's file tree. Paths resolve inside the tree only, races included.

    The tree is a mounted root with the container's volumes and binds over it: (host source, target, read_only) rows.
    """

    async def stat(self, rootfs: str, mounts: tuple[tuple[str, str, bool], ...], path: str) -> PathStat: ...

    async def read(
        self, rootfs: str, mounts: tuple[tuple[str, str, bool], ...], path: str
    ) -> tuple[PathStat, AsyncIterator[bytes]]:
        """Return the path's stat and a tar of it, rooted at its base name."""
        ...

    async def write(
        self,
        rootfs: str,
        mounts: tuple[tuple[str, str, bool], ...],
        path: str,
        chunks: AsyncIterator[bytes],
        *,
        no_overwrite_dir_non_dir: bool = False,
        copy_uid_gid: bool = False,
        user: str = "",
    ) -> None:
        """Unpack a tar (plain, gzip, bzip2, xz, zstd) into the directory `path`. Decompressed in our own process.

        Owners are the archive's; with `copy_uid_gid` they become the container's `user` (name or number), if it has one.
        Raises `Forbidden` for a read-only target.
        """
        ...

    async def export(self, rootfs: str) -> AsyncIterator[bytes]:
        """Return the whole tree as a tar."""
        ...
