"""OverlaySnapshotter: root filesystems by overlayfs. See the port for what it promises.

On disk, below the data root: `containers/ID/{diff,work,merged}`; the lower trees are `layers/CHAIN/diff`, with
`layers/CHAIN/init` on top of an image's last one.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sampan.base import crash, log
from sampan.base.errors import InvalidArgument, NotFound
from sampan.host.disk import told_when_full
from sampan.host.mount import mounts_below, unmount
from sampan.host.overlay import boot_id, forgive_volatile, mount_overlay, was_volatile
from sampan.host.remove import remove_tree
from sampan.host.spread import spread
from sampan.image.changes import changed_paths, tree_bytes
from sampan.image.init_layer import dress, make_init_layer
from sampan.image.layers import SCRATCH, STAGED_INIT
from sampan.image.parse import chain_ids
from sampan.image.port import Change
from sampan.model.image import Image

T = TypeVar("T")
_log = log.get("image")


class OverlaySnapshotter:
    """Snapshots of one data root. Mounting and unmounting run in threads of their own: a umount can wait for the disk."""

    def __init__(self, data_root: Path) -> None:
        data_root = Path(os.path.realpath(data_root))  # as mountinfo tells it
        self._layers = data_root / "layers"
        self._containers = data_root / "containers"
        for directory in (self._layers, self._containers):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        spread(self._containers)
        self._boot_id = boot_id()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="snapshot")
        below = len(str(self._containers)) + 1
        self._mounted = {row.target[below:].split("/")[0] for row in mounts_below(str(self._containers))}

    async def mount(self, container_id: str, image: Image, *, volatile: bool) -> str:
        async with self._locks[container_id]:
            return await self._in_thread(lambda: self._mount(container_id, image, volatile))

    async def unmount(self, container_id: str) -> None:
        async with self._locks[container_id]:
            await self._in_thread(lambda: self._unmount(container_id))

    async def remove(self, container_id: str) -> None:
        async with self._locks[container_id]:
            await self._in_thread(lambda: self._remove(container_id))
        self._locks.pop(container_id, None)

    async def changes(self, container_id: str, image: Image) -> tuple[Change, ...]:
        upper = self._writable(container_id) / "diff"
        return await self._in_thread(lambda: changed_paths(upper, self._lowers(image)))

    async def size_bytes(self, container_id: str) -> int:
        upper = self._writable(container_id) / "diff"
        return await self._in_thread(lambda: tree_bytes(upper) if upper.exists() else 0)

    async def containers(self) -> tuple[str, ...]:
        return tuple(sorted(await self._in_thread(lambda: os.listdir(self._containers))))

    def close(self) -> None:
        """Let go of the threads; mounts stay. May be repeated."""
        self._threads.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _writable(self, container_id: str) -> Path:
        if not container_id or "/" in container_id or container_id.startswith("."):
            raise InvalidArgument(f"{container_id!r} is not a container id")
        return self._containers / container_id

    # --- in threads ---------------------------------------------------------------------------------------------------

    def _mount(self, container_id: str, image: Image, volatile: bool) -> str:
        writable = self._writable(container_id)
        merged = writable / "merged"
        if container_id in self._mounted:
            return str(merged)
        lowers = self._lowers(image)
        is_new = not writable.exists()
        if not is_new:
            self._check_survived(container_id, writable)
        crash.point("image.snapshot.before")
        try:
            with told_when_full("cannot make a writable layer"):
                self._make_writable(writable, lowers[0], volatile=volatile)
            crash.point("image.mount.before")
            mount_overlay(lowers, writable / "diff", writable / "work", merged, volatile=volatile)
        except BaseException:
            if is_new:
                remove_tree(str(writable))
            raise
        crash.point("image.mount.after")
        self._mounted.add(container_id)
        return str(merged)

    def _make_writable(self, writable: Path, top: Path, *, volatile: bool) -> None:
        """Make the directories of a writable layer. Its root looks like the image's: in an overlay the upper's shows."""
        writable.mkdir(mode=0o700, exist_ok=True)
        for name in ("work", "merged"):
            (writable / name).mkdir(mode=0o700, exist_ok=True)
        upper = writable / "diff"
        if not upper.is_dir():
            facts = os.stat(top)
            staged = writable / "diff.new"
            staged.mkdir(mode=0o755, exist_ok=True)
            if _look(os.stat(staged)) != _look(facts):
                dress(staged, facts)
            os.rename(staged, upper)
        if volatile:
            (writable / "boot").write_text(self._boot_id)

    def _check_survived(self, container_id: str, writable: Path) -> None:
        """Make a volatile layer mountable again, or throw it away when the machine went down since it was written."""
        work = writable / "work"
        if not was_volatile(work):
            return
        boot = writable / "boot"
        if boot.exists() and boot.read_text() == self._boot_id:
            forgive_volatile(work)
            return
        _log.warning(
            "the writable layer of container %s was discarded: the machine restarted while the layer was mounted "
            "without syncing, as it is for --rm containers, so what it holds cannot be trusted",
            container_id[:12],
        )
        remove_tree(str(writable / "diff"))
        remove_tree(str(work))

    def _lowers(self, image: Image) -> list[Path]:
        """Return the trees below the writable one, top first, the init layer ahead; makes the init layer when new."""
        chains = [chain.removeprefix("sha256:") for chain in reversed(chain_ids(image.layers))]
        lowers = [self._layers / chain / "diff" for chain in chains]
        missing = next((lower for lower in lowers if not lower.is_dir()), None)
        if missing is not None:
            name = image.tags[0] if image.tags else image.id
            raise NotFound(f"layer {missing.parent.name[:12]} of image {name} is missing: pull or load the image again")
        init = self._layers / (chains[0] if chains else SCRATCH) / "init"
        if not init.is_dir():
            self._make_init(lowers, init)
        return [init, *lowers]

    def _make_init(self, lowers: list[Path], init: Path) -> None:
        init.parent.mkdir(mode=0o700, exist_ok=True)
        staged = init.with_name(STAGED_INIT + secrets.token_hex(8))
        staged.mkdir(mode=0o755)
        make_init_layer(lowers, staged)
        crash.point("image.init-layer.before")
        try:
            os.rename(staged, init)
        except OSError:
            if not init.is_dir():
                raise
            remove_tree(str(staged))  # another container of the image was first

    def _unmount(self, container_id: str) -> None:
        merged = str(self._writable(container_id) / "merged")
        crash.point("image.umount.before")
        while unmount(merged):
            crash.point("image.umount.after")
        self._mounted.discard(container_id)

    def _remove(self, container_id: str) -> None:
        self._unmount(container_id)
        crash.point("image.snapshot-remove.before")
        remove_tree(str(self._writable(container_id)))
        crash.point("image.snapshot-remove.after")


def _look(facts: os.stat_result) -> tuple[int, int, int]:
    return facts.st_mode, facts.st_uid, facts.st_gid
