"""CVE-2025-31133, CVE-2025-52565, CVE-2025-52881, CVE-2026-41579: links where the runtime mounts, masks and writes.

An image whose /dev, /dev/null, /dev/console, /dev/pts, /proc or /sys is a link must not make the runtime bind, create or
write anything on the host.
"""

import os
import shutil

import pytest

from conformance.runtime import collect, container
from host.runtime_fixtures import RUNTIMES, make_rootfs, needs_runtime, world  # noqa: F401 - fixtures
from sampan.base.errors import SampanError
from sampan.model.container import Process
from sampan.runtime import advisories
from sampan.runtime.port import LaunchSpec

pytestmark = needs_runtime

PROBE = "echo probe > /proc/sys/kernel/core_pattern; cat /proc/kcore | wc -c; ls -la /dev/null; mount | grep -c ."


@pytest.fixture(params=RUNTIMES)
async def runtime(request, world):  # noqa: F811
    runtime = world.make(default_runtime=request.param)
    await runtime.prepare()
    return runtime


@pytest.fixture
def image(tmp_path):
    return make_rootfs(tmp_path / "image")


@pytest.fixture
def canary(tmp_path):
    """A directory of the host that nothing may touch."""
    path = tmp_path / "canary"
    path.mkdir()
    (path / "null").write_text("untouched")
    yield path
    assert sorted(os.listdir(path)) == ["null"]
    assert (path / "null").read_text() == "untouched"


async def run(runtime, image, **spec) -> str:
    of = container("sh", "-c", PROBE, **spec)
    try:
        await runtime.create(LaunchSpec(container=of, rootfs=image))
        streams = await runtime.attach(of.id)
        await runtime.start(of.id)
        return (await collect(streams))["stdout"].decode()
    finally:
        await runtime.delete(of.id)


CASES = [(name, False) for name in ("dev", "proc", "sys", "dev/pts", "dev/null", "proc/kcore")] + [
    ("dev/console", True)
]


@pytest.mark.parametrize(("name", "tty"), CASES)
async def test_a_link_in_the_image_touches_nothing_of_the_host(runtime, image, canary, name, tty):
    with open("/proc/sys/kernel/core_pattern") as source:
        pattern = source.read()
    target = f"{image}/{name}"
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.isdir(target):
        shutil.rmtree(target)
    # as deep as it takes to leave the image, and by an absolute path: both must resolve inside of it
    os.symlink("../" * 30 + str(canary).lstrip("/"), target)
    try:
        out = await run(runtime, image, process=Process(tty=tty))
    except SampanError:
        out = "0"
    assert "untouched" not in out
    with open("/proc/sys/kernel/core_pattern") as source:
        assert source.read() == pattern


async def test_masked_paths_stay_masked(runtime, image):
    assert "\n0\n" in "\n" + await run(runtime, image)


def test_known_vulnerable_versions_are_warned_of():
    assert advisories.warnings("runc", "1.1.5+ds1", "1.1.5+ds1-1+deb12u1")
    assert any("2024-21626" in text for text in advisories.warnings("runc", "1.1.5", ""))
    assert not any("2024-21626" in text for text in advisories.warnings("runc", "1.1.5+ds1", "1.1.5+ds1-1+deb12u1"))
    assert advisories.warnings("runc", "1.2.7")
    assert not advisories.warnings("runc", "1.2.8")
    assert advisories.warnings("runc", "1.3.2")
    assert not advisories.warnings("runc", "1.3.3")
    assert not advisories.warnings("runc", "1.4.0")
