"""CVE-2023-25153: importing an archive with one huge document took as much memory as the document has bytes."""

from __future__ import annotations

import resource

import pytest

from host.image_archives import header
from host.image_world import World, root_only
from sampan.base.errors import InvalidArgument, TooLarge

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(root_only()), reason=root_only())]
SIZE = 256 << 20


@pytest.mark.parametrize("name", ["index.json", "manifest.json", "oci-layout"])
async def test_a_huge_document_costs_no_memory(tmp_path, name):
    world = World(tmp_path)

    async def archive():
        yield header(name, b"0", SIZE) + b"{"
        for _ in range(SIZE >> 20):
            yield b" " * (1 << 20)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((TooLarge, InvalidArgument)):
        [step async for step in world.store.load(archive())]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
    assert world.temporary() == []
    world.close()
