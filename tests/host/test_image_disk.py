"""A full disk: refused with what to do, nothing half-made, and removing still works."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from host.image_archives import chunked, docker_archive, file, oci_archive, tar
from host.image_world import World, root_only
from sampan.base.errors import Exhausted
from sampan.host import syscalls
from sampan.host.mount import unmount
from sampan.model.image import ImageConfig

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(root_only()), reason=root_only())]

SMALL = tar(file("small", b"1"))
LARGE = tar(*(file(f"f{n}", os.urandom(200_000)) for n in range(60)))


@pytest.fixture
def world(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    syscalls.mount("tmpfs", str(root), "tmpfs", options="size=8m,mode=0711")
    made = World(root)
    yield made
    made.close()
    unmount(str(root))


async def test_an_image_that_does_not_fit(world):
    await world.load(docker_archive([SMALL], tag="small:1"))
    before = (world.blobs(), world.layers())
    for data in (docker_archive([LARGE]), oci_archive([LARGE]), docker_archive([SMALL, LARGE])):
        with pytest.raises(Exhausted, match="space"):
            await world.load(data)
        assert (world.blobs(), world.layers(), world.temporary()) == (*before, [])
    importing = world.store.import_rootfs(chunked(LARGE), reference="i", config=ImageConfig(), message="")
    with pytest.raises(Exhausted):
        [step async for step in importing]
    assert (world.blobs(), world.layers(), world.temporary()) == (*before, [])
    assert [image.tags for image in world.store.list()] == [("small:1",)]


async def test_removing_works_on_a_full_disk(world):
    image = await world.load_one(docker_archive([SMALL], tag="small:1"))
    root = await world.snapshots.mount("c", image, volatile=False)
    with pytest.raises(OSError, match="No space left"):
        Path(f"{root}/fill").write_bytes(bytes(9 << 20))
    with pytest.raises(Exhausted, match="cannot make a writable layer: no space left"):
        await world.snapshots.mount("d", image, volatile=True)
    assert await world.snapshots.containers() == ("c",)
    with pytest.raises(Exhausted):
        await world.store.commit("c", image, reference="", config=ImageConfig(), author="", message="")
    for name in await world.snapshots.containers():
        await world.snapshots.remove(name)
    await world.store.remove("small:1", force=False, in_use={})
    assert (world.blobs(), world.layers(), await world.snapshots.containers()) == ([], [], ())
