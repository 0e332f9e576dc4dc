"""CVE-2020-15157: a manifest with a foreign layer URL made the client send its registry password to that URL."""

from __future__ import annotations

import json

import pytest

from host.image_archives import digest, file, tar
from host.image_registry import LyingRegistry
from host.image_world import World, root_only
from sampan.base.errors import InvalidArgument
from sampan.image.port import Credentials

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(root_only()), reason=root_only())]


@pytest.mark.parametrize("kind", ["foreign", "nondistributable", "plain"])
async def test_foreign_urls_are_never_asked(tmp_path, kind):
    world = World(tmp_path)
    thief = LyingRegistry([], host="127.0.0.2")
    registry = LyingRegistry([tar(file("f"))], "basic")
    types = {
        "foreign": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "nondistributable": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "plain": "application/vnd.oci.image.layer.v1.tar+gzip",
    }
    async with thief.serve() as elsewhere, registry.serve() as address:
        manifest = json.loads(registry.manifest)
        manifest["layers"][0] |= {"mediaType": types[kind], "urls": [f"http://{elsewhere}/elsewhere/x"]}
        body = json.dumps(manifest).encode()
        registry.manifests["latest"] = (body, manifest["mediaType"])
        assert digest(body)
        with pytest.raises(InvalidArgument, match="foreign URL"):
            credentials = Credentials(username="me", password="pw")
            [step async for step in world.store.pull(f"{address}/a/b", credentials, "")]
    assert thief.requests == []
    world.close()
