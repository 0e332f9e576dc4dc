"""CVE-2021-41190: a document with both `manifests` and `layers` means one image to one reader and another to the next."""

from __future__ import annotations

import gzip
import json

import pytest

from host.image_archives import config_of, descriptor, file, layout, tar
from host.image_registry import LyingRegistry
from host.image_world import World, root_only
from sampan.base.errors import InvalidArgument

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(root_only()), reason=root_only())]
LAYER = tar(file("f"))


def ambiguous(manifest: bytes) -> bytes:
    return json.dumps({**json.loads(manifest), "manifests": [descriptor(manifest)]}).encode()


@pytest.mark.parametrize("announced", ["manifest", "index"])
async def test_a_registry_cannot_serve_it(tmp_path, announced):
    world = World(tmp_path)
    registry = LyingRegistry([LAYER])
    registry.manifests["latest"] = (ambiguous(registry.manifest), f"application/vnd.oci.image.{announced}.v1+json")
    async with registry.serve() as address:
        with pytest.raises(InvalidArgument, match="ambiguous"):
            [step async for step in world.store.pull(f"{address}/a/b", None, "")]
    world.close()


async def test_a_manifest_announced_as_an_index_is_refused(tmp_path):
    world = World(tmp_path)
    registry = LyingRegistry([LAYER])
    registry.manifests["latest"] = (registry.manifest, "application/vnd.oci.image.index.v1+json")
    async with registry.serve() as address:
        with pytest.raises(InvalidArgument, match="not of the type"):
            [step async for step in world.store.pull(f"{address}/a/b", None, "")]
    world.close()


async def test_an_archive_cannot_carry_it(tmp_path):
    world = World(tmp_path)
    config, blob = config_of([LAYER]), gzip.compress(LAYER)
    manifest = json.dumps({"schemaVersion": 2, "config": descriptor(config), "layers": [descriptor(blob)]}).encode()
    document = ambiguous(manifest)
    with pytest.raises(InvalidArgument, match="ambiguous"):
        await world.load(layout([config, blob, manifest, document], [descriptor(document, tag="a:1")]))
    world.close()
