"""A root filesystem of busybox, and runtimes on short roots of their own."""

import os
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest

from sampan.base.clock import SystemClock
from sampan.host.cgroup import Hierarchies
from sampan.runtime.oci import OciRuntime

BUSYBOX = "/bin/busybox"

needs_runtime = pytest.mark.skipif(
    os.geteuid() != 0
    or not shutil.which("conmon")
    or not os.path.exists(BUSYBOX)
    or not (shutil.which("crun") or shutil.which("runc")),
    reason="needs root, conmon, busybox-static and crun or runc",
)
RUNTIMES = [
    pytest.param(name, marks=pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed"))
    for name in ("crun", "runc")
]


def make_rootfs(path: Path) -> str:
    """Fill a directory with busybox and the files that name users."""
    for name in ("bin", "etc", "tmp", "root", "home"):
        (path / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, path / "bin/busybox")
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    for name in applets:
        if name != "busybox":
            (path / "bin" / name).symlink_to("busybox")
    (path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n")
    (path / "etc/group").write_text("root:x:0:\nbob:x:1000:\nextra:x:2000:bob\n")
    for name in (path, *path.iterdir()):
        name.chmod(0o755)
    for name in (path / "etc").iterdir():
        name.chmod(0o644)
    return str(path)


class World:
    """Roots of one daemon; `make` is a daemon's start on them."""

    probe = b""  # what the first runtime found out of this host; it holds for all

    def __init__(self, base: Path) -> None:
        self.base = base
        self.root = self.exec_root = Path(f"/tmp/sr{secrets.token_hex(3)}")
        self.tag = f"t{secrets.token_hex(4)}"
        self.made: list[OciRuntime] = []

    def make(self, **options) -> OciRuntime:
        defaults = {"data_root": self.base / "d", "exec_root": self.exec_root, "tag": self.tag, "clock": SystemClock()}
        runtime = OciRuntime(**{**defaults, **options})
        self.made.append(runtime)
        if World.probe:
            self.exec_root.mkdir(exist_ok=True, parents=True)
            (self.exec_root / "runtimes.json").write_bytes(World.probe)
        return runtime

    async def clean(self) -> list[str]:
        """End everything; returns what a runtime would have left behind."""
        last = self.made[-1]
        World.probe = World.probe or (self.exec_root / "runtimes.json").read_bytes()
        for container_id in await last.survey():
            await last.delete(container_id)
        left = sorted(await last.survey())
        for runtime in self.made:
            await runtime.close()
        left += [root for root in Hierarchies().roots() if os.path.isdir(f"{root}/sampan-{self.tag}")]
        shutil.rmtree(self.root, ignore_errors=True)
        return left


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory):
    return make_rootfs(tmp_path_factory.mktemp("rootfs"))


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.made or world.make()
    assert await world.clean() == []
