"""Unpack an image: from a docker-archive or OCI-archive to a root filesystem, with digests checked and tricks contained.

    sudo .venv/bin/python docs/examples/unpack_image.py [ARCHIVE]

Without an archive it takes one made of this machine's busybox. No daemon, no registry, no container.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from sampan.base.clock import SystemClock
from sampan.base.ids import random_id
from sampan.image.bootstrap import bootstrap
from sampan.image.overlay import OverlaySnapshotter
from sampan.image.service import ImageStore
from sampan.store.memory import MemoryRecordStore


async def pieces(path: str) -> AsyncIterator[bytes]:
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            yield piece


async def main(archive: AsyncIterator[bytes]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        images = ImageStore(Path(scratch), MemoryRecordStore(), SystemClock())
        async for step in images.load(archive):
            print(step.stream, end="")
        (image,) = images.list()
        print(f"image {image.id[:19]} has {len(image.layers)} layer(s), {image.size_bytes:,} bytes")

        snapshotter, name = OverlaySnapshotter(Path(scratch)), random_id()
        root = await snapshotter.mount(name, image, volatile=True)
        print("its root filesystem:", *sorted(os.listdir(root)))

        Path(root, "tmp", "mine").write_text("a change in the writable layer\n")
        for change in await snapshotter.changes(name, image):
            print(change.kind, change.path)
        await snapshotter.remove(name)


if __name__ == "__main__":
    asyncio.run(main(pieces(sys.argv[1]) if len(sys.argv) > 1 else bootstrap("busybox")))
