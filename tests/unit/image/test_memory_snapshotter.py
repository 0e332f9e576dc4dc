from __future__ import annotations

import pytest

from conformance.snapshotter import SnapshotterSuite
from sampan.image.memory import MemorySnapshotter
from sampan.model.image import Image

LAYER = "sha256:" + "a" * 64


class MemoryBench:
    def __init__(self) -> None:
        self.snapshotter = MemorySnapshotter({LAYER: {"/etc": None, "/etc/passwd": b"root", "/bin": b""}})
        self.image = Image(id="sha256:" + "1" * 64, layers=(LAYER,))
        self.write = self.snapshotter.write
        self.delete = self.snapshotter.delete


class TestMemorySnapshotter(SnapshotterSuite):
    @pytest.fixture
    def bench(self):
        return MemoryBench()
