"""docker login, push and pull by the real CLI, against Debian's docker-registry on loopback."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from host.image_registry import BINARY, debian_registry

pytestmark = pytest.mark.skipif(not BINARY, reason="docker-registry is not installed")


async def test_login_push_pull(daemon, tmp_path):
    async with debian_registry(tmp_path / "registry", password=True) as registry:
        await asyncio.to_thread(login_push_pull, daemon, registry, tmp_path)


def login_push_pull(daemon, registry: str, tmp_path: Path) -> None:
    since = str(int(time.time()) - 1)
    image = f"{registry}/fleet/busybox:1"
    config = ("--config", str(tmp_path / "config"))
    daemon.docker("tag", "busybox", image)
    assert daemon.docker("push", image, check=False).returncode == 1
    bad = daemon.docker(*config, "login", "-u", "sampan", "-p", "wrong", registry, check=False)
    assert bad.returncode == 1
    assert b"Login Succeeded" in daemon.docker(*config, "login", "-u", "sampan", "-p", "s3cret", registry).stdout
    assert "digest: sha256:" in daemon.out(*config, "push", image)
    daemon.docker("rmi", image)
    assert "Downloaded newer image" in daemon.out(*config, "pull", image)
    assert "Image is up to date" in daemon.out(*config, "pull", image)
    digest = next(d for d in json.loads(daemon.out("inspect", image))[0]["RepoDigests"] if d.startswith(registry))
    assert daemon.out("run", "--rm", digest, "echo", "by digest") == "by digest"
    missing = daemon.docker(*config, "pull", f"{registry}/fleet/none:1", check=False)
    assert missing.returncode == 1
    daemon.docker("rmi", "-f", image)
    daemon.docker("rmi", digest, check=False)
    events = daemon.out("events", "--since", since, "--until", str(int(time.time()) + 1), "--filter", "type=image", "--format", "{{.Action}}")  # fmt: skip
    for action in ("tag", "push", "untag", "pull"):
        assert action in events.splitlines()
