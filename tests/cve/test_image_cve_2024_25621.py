"""CVE-2024-25621: state directories that anyone could enter let local users run the setuid files of images."""

from __future__ import annotations

import os
import stat

import pytest

from host.image_archives import docker_archive, file, tar
from host.image_world import World, root_only

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(root_only()), reason=root_only())]


async def test_only_root_enters(tmp_path):
    old = os.umask(0)
    try:
        world = World(tmp_path)
        image = await world.load_one(docker_archive([tar(file("su", mode=0o4755))]))
        await world.snapshots.mount("c", image, volatile=False)
    finally:
        os.umask(old)
    for name in ("layers", "containers", "containers/c", "images/blobs/sha256", "images/ingest"):
        assert stat.S_IMODE(os.stat(tmp_path / name).st_mode) == 0o700, name
    await world.snapshots.remove("c")
    world.close()
