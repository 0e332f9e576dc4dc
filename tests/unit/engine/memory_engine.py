"""An engine of memory twins: the whole service with no kernel under it."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import msgspec

from sampan.base.clock import SystemClock
from sampan.engine.memory import MemoryMachine
from sampan.engine.service import ContainerEngine, Parts, Settings
from sampan.image.memory import MemorySnapshotter
from sampan.image.service import ImageStore
from sampan.model.image import Image, ImageConfig
from sampan.network.memory import MemoryNetworkDriver
from sampan.runtime.memory import MemoryHost, MemoryRuntime
from sampan.store.memory import MemoryRecordStore
from sampan.store.port import Write
from sampan.volume.archive import TreeArchive
from sampan.volume.memory import MemoryVolumes

CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
MANIFEST = msgspec.json.encode(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": "sha256:" + hashlib.sha256(CONFIG).hexdigest(),
            "size": len(CONFIG),
        },
        "layers": [],
    }
)
IMAGE = Image(
    id="sha256:" + hashlib.sha256(CONFIG).hexdigest(),
    manifest_digest="sha256:" + hashlib.sha256(MANIFEST).hexdigest(),
    tags=("busybox:latest",),
    config=ImageConfig(args=("sh",), env=("PATH=/bin",), volumes=()),
    created_at="2026-01-01T00:00:00Z",
)


class World:
    """What is outside of an engine: it survives the engine's death."""

    def __init__(self, home: Path) -> None:
        self.home = home
        blobs = home / "images" / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        for blob in (CONFIG, MANIFEST):
            (blobs / hashlib.sha256(blob).hexdigest()).write_bytes(blob)
        self.records = MemoryRecordStore()
        self.records.commit_blocking(Write("image", IMAGE.id, msgspec.json.encode(IMAGE)))
        self.host = MemoryHost()
        self.network = MemoryNetworkDriver()
        self.snapshotter = MemorySnapshotter({})
        self.volumes = MemoryVolumes()
        self.machine = MemoryMachine(frozenset({"/srv"}))
        self._ids = itertools.count(1)

    def engine(self) -> ContainerEngine:
        """Return a new engine on this world, as after a start of the daemon."""
        clock = SystemClock()
        return ContainerEngine(
            Parts(
                records=self.records,
                images=ImageStore(self.home, self.records, clock),
                snapshotter=self.snapshotter,
                runtime=MemoryRuntime(clock=clock, host=self.host),
                network=self.network,
                volumes=self.volumes,
                archive=TreeArchive(),
                machine=self.machine,
                clock=clock,
                new_id=lambda: f"{next(self._ids):064x}",
            ),
            Settings(id="e", version="0", data_root="/d", exec_root="/e"),
        )
