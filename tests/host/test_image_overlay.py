"""OverlaySnapshotter: the conformance suite, and what only overlayfs has."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from conformance.snapshotter import SnapshotterSuite
from host.image_archives import directory, docker_archive, file, symlink, tar
from host.image_world import World, root_only
from sampan.host.mount import is_mount_point, mounts_below, share_data_root, unshare_data_root

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(root_only()), reason=root_only())]

LAYER = tar(directory("etc"), file("etc/passwd", b"root"), file("bin"))


class OverlayBench:
    def __init__(self, world: World) -> None:
        self.world = world
        self.snapshotter = world.snapshots

    def _path(self, container_id: str, path: str) -> Path:
        return self.world.root / "containers" / container_id / "merged" / path.lstrip("/")

    def write(self, container_id: str, path: str, data: bytes) -> None:
        target = self._path(container_id, path)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(data)

    def delete(self, container_id: str, path: str) -> None:
        self._path(container_id, path).unlink()


@pytest.fixture
async def bench(tmp_path):
    world = World(tmp_path)
    made = OverlayBench(world)
    made.image = await world.load_one(docker_archive([LAYER]))
    yield made
    world.close()


class TestOverlaySnapshotter(SnapshotterSuite):
    pass


async def test_a_restart_finds_its_mounts(bench):
    root = await bench.snapshotter.mount("c", bench.image, volatile=False)
    bench.world.open()
    assert await bench.world.snapshots.mount("c", bench.image, volatile=False) == root
    assert len([row for row in mounts_below(root) if row.filesystem == "overlay"]) == 1
    await bench.world.snapshots.remove("c")


async def test_after_a_crash_of_the_machine_a_volatile_layer_is_discarded_and_told(bench, caplog):
    await bench.snapshotter.mount("c", bench.image, volatile=True)
    bench.write("c", "/doubtful", b"1")
    await bench.snapshotter.unmount("c")
    (bench.world.root / "containers/c/boot").write_text("another boot")
    root = await bench.snapshotter.mount("c", bench.image, volatile=True)
    assert not os.path.exists(f"{root}/doubtful")
    assert "was discarded: the machine restarted" in caplog.text


async def test_the_init_layer_has_only_what_the_image_lacks(bench):
    image = await bench.world.load_one(
        docker_archive([tar(directory("etc", mode=0o711, uid=5), file("etc/hosts", b"mine"), symlink("dev", "/tmp"))])
    )
    root = await bench.snapshotter.mount("c", image, volatile=False)
    assert Path(f"{root}/etc/hosts").read_text() == "mine"
    assert os.readlink(f"{root}/dev") == "/tmp", "nothing is put over a link of the image"
    facts = os.stat(f"{root}/etc")
    assert (stat.S_IMODE(facts.st_mode), facts.st_uid) == (0o711, 5)
    assert Path(f"{root}/etc/resolv.conf").read_bytes() == b""
    assert os.readlink(f"{root}/etc/mtab") == "/proc/mounts"


async def test_the_root_looks_as_the_image_says(bench):
    image = await bench.world.load_one(docker_archive([tar(directory("./", mode=0o1777, uid=7, gid=8), file("f"))]))
    root = await bench.snapshotter.mount("c", image, volatile=False)
    facts = os.stat(root)
    assert (stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid) == (0o1777, 7, 8)


async def test_a_busy_root_is_unmounted_lazily(bench):
    root = await bench.snapshotter.mount("c", bench.image, volatile=False)
    held = os.open(root, os.O_RDONLY)
    try:
        await bench.snapshotter.remove("c")
        assert not is_mount_point(root)
        assert await bench.snapshotter.containers() == ()
    finally:
        os.close(held)


async def test_a_tree_deeper_than_any_path_is_removed(bench):
    root = await bench.snapshotter.mount("c", bench.image, volatile=False)
    here = os.open(root, os.O_RDONLY)
    for _ in range(700):
        os.mkdir("deeper", dir_fd=here)
        below = os.open("deeper", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    await bench.snapshotter.remove("c")
    assert await bench.snapshotter.containers() == ()


def test_sharing_the_data_root_is_idempotent_and_can_be_undone(tmp_path):
    root = str(tmp_path / "data")
    share_data_root(root)
    share_data_root(root)
    rows = mounts_below(root)
    assert len(rows) == 1
    assert "shared:" in rows[0].propagation
    unshare_data_root(root)
    unshare_data_root(root)
    assert mounts_below(root) == []
