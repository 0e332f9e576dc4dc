"""LocalVolumes: driver "local". A volume is `data_root/volumes/NAME/_data`, a directory or something mounted on it.

Every step may be repeated after a crash. A copy-up in progress is marked by the file `copying` beside `_data`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

from msgspec.structs import replace

from sampan.base import crash, log
from sampan.base.errors import Conflict, InvalidArgument, NotFound, SampanError, Unavailable
from sampan.host import copytree, syscalls
from sampan.host.files import IN_ROOT, Tree
from sampan.host.mount import is_mount_point, mounts_below, unmount
from sampan.host.remove import remove_tree
from sampan.model.volume import Volume
from sampan.volume import parse
from sampan.volume.threads import Threads

_log = log.get("volume")


class LocalVolumes:
    """The volumes of one data root."""

    def __init__(self, data_root: str | Path) -> None:
        self._root = Path(os.path.realpath(data_root)) / "volumes"  # as mountinfo tells it
        self._root.mkdir(mode=0o701, parents=True, exist_ok=True)
        self._threads = Threads("volume")
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def place(self, volume: Volume) -> Volume:
        parse.check_name(volume.name)
        parse.mount_options(volume.options)
        return replace(volume, mountpoint=str(self._data(volume)))

    async def create(self, volume: Volume) -> None:
        await self._threads.run(lambda: self._create(volume))

    async def remove(self, volume: Volume) -> None:
        async with self._lock(volume):
            await self._threads.run(lambda: self._remove(volume))
        self._locks.pop(volume.name, None)

    async def mount(self, volume: Volume) -> str:
        options = parse.mount_options(volume.options)
        if options is not None:
            async with self._lock(volume):
                await self._threads.run(lambda: self._mount(volume, options))
        elif not self._data(volume).is_dir():
            raise NotFound(f"the data of volume {volume.name} is gone: {self._data(volume)} is no directory; remove "
                           "the volume and create it again")  # fmt: skip
        return str(self._data(volume))

    async def unmount(self, volume: Volume) -> None:
        if volume.options:
            async with self._lock(volume):
                await self._threads.run(lambda: self._unmount(volume))

    async def copy_up(self, rootfs: str, target: str, volume: Volume, subpath: str = "") -> None:
        async with self._lock(volume):
            await self._threads.run(lambda: self._copy_up(rootfs, target, volume, subpath))

    async def size_bytes(self, volume: Volume) -> int:
        return await self._threads.run(lambda: copytree.size_bytes(str(self._data(volume))))

    async def survey(self) -> tuple[str, ...]:
        return tuple(sorted(row.name for row in os.scandir(self._root) if row.is_dir(follow_symlinks=False)))

    def close(self) -> None:
        """Let go of the threads; mounts stay. May be repeated."""
        self._threads.close()

    @contextlib.asynccontextmanager
    async def _lock(self, volume: Volume) -> AsyncIterator[None]:
        async with self._locks[volume.name]:
            yield

    def _data(self, volume: Volume) -> Path:
        parse.check_name(volume.name)
        return self._root / volume.name / "_data"

    # --- in threads ---------------------------------------------------------------------------------------------------

    def _create(self, volume: Volume) -> None:
        data = self._data(volume)
        crash.point("volume.create.before")
        data.parent.mkdir(mode=0o701, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            data.mkdir(mode=0o755)
            os.chmod(data, 0o755)  # noqa: S103  whatever the umask
        crash.point("volume.create.after")

    def _remove(self, volume: Volume) -> None:
        self._unmount(volume)
        place = self._data(volume).parent
        if mounts := mounts_below(str(place)):
            raise Conflict(
                f"volume {volume.name} has a mount at {mounts[-1].target} that is not ours: unmount it first"
            )
        crash.point("volume.remove.before")
        remove_tree(str(place))
        crash.point("volume.remove.after")

    def _mount(self, volume: Volume, options: parse.MountOptions) -> None:
        data = str(self._data(volume))
        if is_mount_point(data):
            return
        crash.point("volume.mount.before")
        try:
            _mount_at(data, options)
        except OSError as error:
            flags = f", flags: {options.flags:#x}" if options.flags else ""
            raise _mount_error(error)(
                f"failed to mount local volume: mount {options.device}:{data}{flags}"
                f"{', data: ' + options.data if options.data else ''}: {(error.strerror or str(error)).lower()}"
            ) from error
        crash.point("volume.mount.after")

    def _unmount(self, volume: Volume) -> None:
        crash.point("volume.unmount.before")
        while unmount(str(self._data(volume))):
            crash.point("volume.unmount.after")

    def _copy_up(self, rootfs: str, target: str, volume: Volume, subpath: str) -> None:
        data = self._data(volume)
        mark = data.parent / "copying"
        interrupted = mark.exists()
        with Tree(rootfs) as image, Tree(str(data)) as destination:
            source = _directory(image, target)
            place = destination.root_fd if not subpath else _directory(destination, subpath)
            if source is None or place is None or not (interrupted or copytree.is_empty(place)):
                return
            if interrupted:
                _log.warning("volume %s: a copy of image content was interrupted; it begins again", volume.name)
                copytree.clear(place)
            mark.touch(mode=0o600)
            crash.point("volume.copy-up.before")
            copytree.copy(source, place)
            crash.point("volume.copy-up.after")
            mark.unlink()


def _directory(tree: Tree, path: str) -> int | None:
    """Return a descriptor of a directory inside the tree, None when there is none."""
    try:
        return tree.hold(syscalls.openat2(tree.root_fd, path, os.O_PATH | os.O_DIRECTORY, resolve=IN_ROOT))
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            return None
        raise


def _mount_at(data: str, options: parse.MountOptions) -> None:
    flags = options.flags
    if options.bind:
        syscalls.mount(options.device, data, flags=flags & (parse.BIND | parse.REC))
        rest = flags & ~(parse.BIND | parse.REC)
        if rest:
            syscalls.mount(None, data, flags=parse.REMOUNT | parse.BIND | rest)
        return
    syscalls.mount(options.device, data, options.filesystem, flags, _with_address(options))


def _with_address(options: parse.MountOptions) -> str:
    """Return the filesystem's options; the kernel's NFS client wants its server as a number."""
    server = parse.server_address(options.data)
    if not options.filesystem.startswith("nfs") or not server:
        return options.data
    try:
        number = socket.getaddrinfo(server, None, type=socket.SOCK_STREAM)[0][4][0]
    except OSError as error:
        raise OSError(errno.EHOSTUNREACH, f"cannot resolve {server}: {error}") from error
    return options.data.replace(f"addr={server}", f"addr={number}")


def _mount_error(error: OSError) -> type[SampanError]:
    unreachable = {errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ECONNREFUSED, errno.EBUSY}
    return Unavailable if error.errno in unreachable else InvalidArgument
