"""What every Snapshotter does. Subclasses give the fixture `bench`: see `Bench`."""

from __future__ import annotations

import asyncio
from typing import Protocol

import msgspec
import pytest

from sampan.base.errors import NotFound
from sampan.image.port import Snapshotter
from sampan.model.image import Image


class Bench(Protocol):
    """A snapshotter, an image with the directory /etc, the files /etc/passwd ("root") and /bin, and a hand inside."""

    snapshotter: Snapshotter
    image: Image

    def write(self, container_id: str, path: str, data: bytes) -> None: ...
    def delete(self, container_id: str, path: str) -> None: ...


class SnapshotterSuite:
    async def test_mounting_is_idempotent(self, bench):
        first = await bench.snapshotter.mount("c1", bench.image, volatile=False)
        assert await bench.snapshotter.mount("c1", bench.image, volatile=False) == first
        assert await bench.snapshotter.containers() == ("c1",)

    async def test_every_container_has_its_own_root(self, bench):
        roots = await asyncio.gather(
            *(bench.snapshotter.mount(f"c{n}", bench.image, volatile=bool(n % 2)) for n in range(8))
        )
        assert len(set(roots)) == 8
        bench.write("c1", "/etc/mine", b"1")
        assert await bench.snapshotter.changes("c2", bench.image) == ()
        assert await bench.snapshotter.containers() == tuple(f"c{n}" for n in range(8))

    async def test_a_new_root_has_no_changes(self, bench):
        await bench.snapshotter.mount("c", bench.image, volatile=False)
        assert await bench.snapshotter.changes("c", bench.image) == ()
        assert await bench.snapshotter.size_bytes("c") == 0

    async def test_changes_tell_added_modified_and_deleted_with_their_parents(self, bench):
        await bench.snapshotter.mount("c", bench.image, volatile=False)
        bench.write("c", "/new/file", b"12345")
        bench.write("c", "/etc/passwd", b"changed")
        bench.delete("c", "/bin")
        rows = [(change.kind, change.path) for change in await bench.snapshotter.changes("c", bench.image)]
        assert rows == [
            ("deleted", "/bin"),
            ("modified", "/etc"),
            ("modified", "/etc/passwd"),
            ("added", "/new"),
            ("added", "/new/file"),
        ]
        assert await bench.snapshotter.size_bytes("c") == 12

    async def test_what_came_and_went_is_no_change(self, bench):
        await bench.snapshotter.mount("c", bench.image, volatile=False)
        bench.write("c", "/fleeting", b"1")
        bench.delete("c", "/fleeting")
        assert await bench.snapshotter.changes("c", bench.image) == ()

    @pytest.mark.parametrize("volatile", [False, True])
    async def test_the_writable_layer_outlives_the_mount(self, bench, volatile):
        await bench.snapshotter.mount("c", bench.image, volatile=volatile)
        bench.write("c", "/kept", b"1")
        await bench.snapshotter.unmount("c")
        await bench.snapshotter.unmount("c")
        assert await bench.snapshotter.containers() == ("c",)
        await bench.snapshotter.mount("c", bench.image, volatile=volatile)
        assert [c.path for c in await bench.snapshotter.changes("c", bench.image)] == ["/kept"]

    async def test_removal_is_idempotent_and_leaves_nothing(self, bench):
        await bench.snapshotter.mount("c", bench.image, volatile=False)
        bench.write("c", "/gone", b"1")
        await bench.snapshotter.remove("c")
        await bench.snapshotter.remove("c")
        assert await bench.snapshotter.containers() == ()
        await bench.snapshotter.mount("c", bench.image, volatile=False)
        assert await bench.snapshotter.changes("c", bench.image) == ()

    async def test_what_is_not_there_can_be_unmounted_and_removed(self, bench):
        await bench.snapshotter.unmount("absent")
        await bench.snapshotter.remove("absent")
        assert await bench.snapshotter.size_bytes("absent") == 0

    async def test_an_image_without_its_layers_is_told(self, bench):
        lost = msgspec.structs.replace(bench.image, layers=("sha256:" + "0" * 64,))
        with pytest.raises(NotFound, match="is missing: pull or load the image again"):
            await bench.snapshotter.mount("c", lost, volatile=False)
        assert await bench.snapshotter.containers() == ()
