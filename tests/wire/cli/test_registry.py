"""`sampan push` and `pull` against Debian's docker-registry, with the login that `docker login` would leave."""

from __future__ import annotations

import asyncio
import base64
import json
import os

import pytest

from host.image_registry import BINARY, debian_registry

pytestmark = [pytest.mark.root, pytest.mark.skipif(not BINARY, reason="docker-registry is not installed")]


def login(daemon, registry: str, password: str) -> None:
    auth = base64.b64encode(f"sampan:{password}".encode()).decode()
    with open(os.path.join(daemon.home, "config.json"), "w") as file:
        json.dump({"auths": {registry: {"auth": auth}}}, file)


async def test_push_and_pull_with_a_login(daemon, tmp_path):
    async with debian_registry(tmp_path / "registry", password=True) as registry:
        await asyncio.to_thread(push_and_pull, daemon, registry)


def push_and_pull(daemon, registry: str) -> None:
    image = f"{registry}/fleet/busybox:1"
    daemon.sampan("tag", "busybox", image)
    refused = daemon.sampan("push", image, check=False)
    assert refused.returncode == 1, refused.stdout
    login(daemon, registry, "s3cret")
    pushed = daemon.out("push", image)
    assert "digest: sha256:" in pushed
    daemon.sampan("rmi", image)
    assert daemon.out("pull", "-q", image) == image
    digest = daemon.out("inspect", "--format", "{{json .RepoDigests}}", image)
    by_digest = next(name for name in json.loads(digest) if name.startswith(registry))
    daemon.sampan("rmi", image)
    daemon.sampan("rmi", by_digest, check=False)
    assert "Unable to find image" in daemon.sampan("run", "--rm", by_digest, "true").stderr.decode()
    daemon.sampan("rmi", by_digest)
    os.unlink(os.path.join(daemon.home, "config.json"))
