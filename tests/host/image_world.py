"""A data root with an image store and a snapshotter, checked to be clean at the end."""

from __future__ import annotations

import os
from pathlib import Path

from host.image_archives import chunked
from sampan.base.clock import SystemClock
from sampan.host.mount import mounts_below, unmount
from sampan.image.overlay import OverlaySnapshotter
from sampan.image.port import Progress
from sampan.image.service import ImageStore
from sampan.model.image import Image
from sampan.store.memory import MemoryRecordStore


class World:
    def __init__(self, root: Path, **more) -> None:
        self.root = root
        self.records = MemoryRecordStore()
        self.more = more
        self.open()

    def open(self, **more: float) -> None:
        """Start anew on the same disk and records, as a restarted daemon does."""
        self.store = ImageStore(self.root, self.records, SystemClock(), **self.more, **more)
        self.snapshots = OverlaySnapshotter(self.root)

    async def load(self, data: bytes, size: int = 100_000) -> list[Progress]:
        return [step async for step in self.store.load(chunked(data, size))]

    async def load_one(self, data: bytes) -> Image:
        steps = await self.load(data)
        assert steps[-1].image is not None
        return steps[-1].image

    async def save(self, *references: str) -> bytes:
        return b"".join([chunk async for chunk in self.store.save(references)])

    def tree(self, image: Image) -> Path:
        """The top layer's directory."""
        from sampan.image.parse import chain_ids

        return self.root / "layers" / chain_ids(image.layers)[-1][7:] / "diff"

    def blobs(self) -> list[str]:
        return sorted(os.listdir(self.root / "images/blobs/sha256"))

    def layers(self) -> list[str]:
        return sorted(os.listdir(self.root / "layers"))

    def temporary(self) -> list[str]:
        staged = [path.name for path in self.root.glob("layers/*/init-*")]
        return os.listdir(self.root / "images/ingest") + [n for n in self.layers() if n.startswith("tmp-")] + staged

    def close(self) -> None:
        for row in reversed(mounts_below(os.path.realpath(self.root))):
            unmount(row.target)
        self.snapshots.close()
        self.store._threads.shutdown()


def root_only() -> str:
    return "" if os.geteuid() == 0 else "needs root: owners, device nodes and overlay mounts"
