"""Volumes and files: fill a volume with an image's content, then copy files in and out of a tree as `docker cp` does.

    sudo .venv/bin/python docs/examples/copy_files.py

No image store, no runtime, no daemon: only the volume capability, on directories of its own.
"""

from __future__ import annotations

import asyncio
import io
import tarfile
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from sampan.model.volume import Volume
from sampan.volume.archive import TreeArchive
from sampan.volume.local import LocalVolumes


async def archive_of(name: str, content: bytes) -> AsyncIterator[bytes]:
    """Yield a tar with one file."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    yield raw.getvalue()


async def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "root"
        (root / "srv/site").mkdir(parents=True)
        (root / "srv/site/index.html").write_text("from the image\n")

        volumes, archive = LocalVolumes(place), TreeArchive()
        volume = volumes.place(Volume(name="site"))
        await volumes.create(volume)
        await volumes.copy_up(str(root), "/srv/site", volume)
        print("the volume begins with:", *(path.name for path in Path(volume.mountpoint).iterdir()))

        mounts = ((await volumes.mount(volume), "/srv/site", False),)
        await archive.write(str(root), mounts, "/srv/site", archive_of("news.html", b"copied in\n"))
        found, chunks = await archive.read(str(root), mounts, "/srv/site")
        with tarfile.open(fileobj=io.BytesIO(b"".join([chunk async for chunk in chunks]))) as tar:
            print(f"out comes {found.name}:", *tar.getnames())

        await volumes.remove(volume)
        print("volumes left:", await volumes.survey())
        archive.close()
        volumes.close()


if __name__ == "__main__":
    asyncio.run(main())
