"""Killed at any crash point of the image store, the next start has every image whole and nothing besides."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import msgspec
import pytest

from host.image_archives import chunked, docker_archive, file, oci_archive, tar
from host.image_world import World, root_only
from sampan.base import crash
from sampan.base.clock import SystemClock
from sampan.host.mount import mounts_below, unmount
from sampan.image.overlay import OverlaySnapshotter
from sampan.image.parse import chain_ids, decode_manifest
from sampan.image.service import ImageStore
from sampan.model.image import ImageConfig
from sampan.store.memory import MemoryRecordStore
from sampan.store.port import Write

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(root_only()), reason=root_only())]

FIRST, SECOND = tar(file("first", b"1")), tar(file("second", b"2"))
OLD = oci_archive([FIRST], tag="old:1")
NEW = docker_archive([FIRST, SECOND], tag="new:1")


class FileRecords(MemoryRecordStore):
    """Records that outlive the process, without SQLite's syncs: the store has crash tests of its own."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        if path.exists():
            rows = msgspec.msgpack.decode(path.read_bytes(), type=list[tuple[str, str, bytes]])
            self._records = {(kind, key): value for kind, key, value in rows}

    def commit_blocking(self, *writes: Write) -> None:
        super().commit_blocking(*writes)
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(msgspec.msgpack.encode([(*key, value) for key, value in self._records.items()]))
        fresh.rename(self._path)


class Daemon(World):
    """A World with durable records."""

    def open(self) -> None:
        self.root.mkdir(exist_ok=True)
        self.records = FileRecords(self.root / "records")
        self.store = ImageStore(self.root, self.records, SystemClock())
        self.snapshots = OverlaySnapshotter(self.root)


async def everything(daemon: Daemon) -> None:
    """Every operation that changes something durable."""
    await daemon.load(NEW)
    await daemon.store.tag("new:1", "moved:1")
    await daemon.store.tag("old:1", "moved:1")
    image = daemon.store.get("new:1")
    root = await daemon.snapshots.mount("c", image, volatile=False)
    Path(f"{root}/written").write_text("x")
    await daemon.store.commit("c", image, reference="made:1", config=ImageConfig(), author="", message="")
    await daemon.snapshots.remove("c")
    importing = daemon.store.import_rootfs(chunked(SECOND), reference="imp:1", config=ImageConfig(), message="")
    [step async for step in importing]
    await daemon.store.remove("new:1", force=False, in_use={})
    await daemon.store.prune(dangling_only=False, in_use={})


def in_a_process(root: Path, plan: crash._Plan) -> int:
    """Run everything in a child that ends as `plan` says; returns its exit status."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            crash._plan = plan
            asyncio.run(everything(Daemon(root)))
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def prepared(root: Path) -> Path:
    daemon = Daemon(root)
    asyncio.run(daemon.load(OLD))
    daemon.close()
    return root


async def check(root: Path) -> None:
    daemon = Daemon(root)
    for name in await daemon.snapshots.containers():
        await daemon.snapshots.remove(name)
    await daemon.store.reconcile()
    assert daemon.temporary() == []
    needed_blobs, needed_layers = set(), set()
    for image in daemon.store.list():
        manifest = decode_manifest(daemon.store._blobs.read_document(image.manifest_digest))
        needed_blobs |= {image.id, image.manifest_digest, *(layer.digest for layer in manifest.layers)}
        needed_layers |= set(chain_ids(image.layers))
        mounted = await daemon.snapshots.mount("probe", image, volatile=True)
        assert os.listdir(mounted)
        await daemon.snapshots.remove("probe")
    assert {"sha256:" + name for name in daemon.blobs()} == needed_blobs
    assert {"sha256:" + name for name in daemon.layers()} == needed_layers
    names = [name for image in daemon.store.list() for name in image.tags]
    assert len(names) == len(set(names)), "a name points at one image"
    await daemon.load(NEW)
    await daemon.store.prune(dangling_only=False, in_use={})
    assert (daemon.blobs(), daemon.layers(), daemon.store.list()) == ([], [], ())
    daemon.close()


def test_every_crash_point(tmp_path):
    listing = tmp_path / "points"
    before = prepared(tmp_path / "before")
    plan = crash._Plan(None, str(listing))
    assert in_a_process(shutil.copytree(before, tmp_path / "whole"), plan) == 0
    points = listing.read_text().split()
    assert {"image.blob.after", "image.layer.after", "image.record.before", "image.mount.after"} <= set(points)
    for point in points:
        root = tmp_path / "crashed"
        shutil.copytree(before, root)
        try:
            assert in_a_process(root, crash._Plan(f"{point}@1", None)) == crash.EXIT_CODE, point
            asyncio.run(check(root))
        except BaseException:
            print("at", point)
            raise
        finally:
            for row in reversed(mounts_below(os.path.realpath(root))):
                unmount(row.target)
        shutil.rmtree(root)
