"""CVE-2024-21626: no descriptor of the host leaks, and the working directory is inside the container.

A working directory of /proc/self/fd/N (asked for, in the image, or through a link) stood in a directory of the host.
"""

import os

import msgspec
import pytest

from conformance.runtime import ENV, collect, container
from host.runtime_fixtures import RUNTIMES, needs_runtime, rootfs, world  # noqa: F401 - fixtures
from sampan.base import ids
from sampan.base.errors import SampanError
from sampan.runtime.port import ExecSpec, HostMount, LaunchSpec

pytestmark = needs_runtime

PROBE = "ls /proc/self/fd | tr '\\n' ' '; pwd"


@pytest.fixture(params=RUNTIMES)
async def runtime(request, world):  # noqa: F811
    runtime = world.make(default_runtime=request.param)
    await runtime.prepare()
    return runtime


def standing_in(path: str):
    return msgspec.structs.replace(container("sh", "-c", PROBE), cwd=path)


async def output(runtime, of, root, mounts=()) -> str:
    await runtime.create(LaunchSpec(container=of, rootfs=root, mounts=mounts))
    streams = await runtime.attach(of.id)
    await runtime.start(of.id)
    return (await collect(streams))["stdout"].decode()


async def test_only_stdio_is_open(runtime, rootfs):  # noqa: F811
    # the fourth is ls's own
    assert (await output(runtime, standing_in("/"), rootfs)).split() == ["0", "1", "2", "3", "/"]


@pytest.mark.parametrize(
    "path",
    [
        "/proc/self/fd/7",
        "/proc/self/fd/8/../../..",
        "/proc/thread-self/fd/9",
        "/proc/1/root/proc/self/fd/7",
        "/proc/self/cwd",
    ],
)
async def test_a_working_directory_in_proc_is_refused(runtime, rootfs, path):  # noqa: F811
    with pytest.raises(SampanError, match="breakout"):
        await output(runtime, standing_in(path), rootfs)


async def test_every_descriptor_is_refused(runtime, rootfs):  # noqa: F811
    for number in range(3, 41):
        with pytest.raises(SampanError):
            await output(runtime, standing_in(f"/proc/self/fd/{number}"), rootfs)


async def test_a_link_in_the_image_is_refused(runtime, rootfs, tmp_path):  # noqa: F811
    os.symlink("/proc/self/fd/7", f"{rootfs}/leak")
    try:
        with pytest.raises(SampanError, match="breakout"):
            await output(runtime, standing_in("/leak"), rootfs)
    finally:
        os.unlink(f"{rootfs}/leak")


async def test_a_link_in_a_volume_is_refused(runtime, rootfs, tmp_path):  # noqa: F811
    for number in range(6, 10):
        volume = tmp_path / str(number)
        volume.mkdir()
        (volume / "leak").symlink_to(f"/proc/self/fd/{number}")
        mounts = (HostMount(source=str(volume), target="/vol"),)
        of = standing_in("/vol/leak")
        with pytest.raises(SampanError):
            await output(runtime, of, rootfs, mounts)
        await runtime.delete(of.id)


async def test_exec_in_a_leaked_directory_is_refused(runtime, rootfs):  # noqa: F811
    of = container("sleep", "100")
    await runtime.create(LaunchSpec(container=of, rootfs=rootfs))
    await runtime.start(of.id)
    for number in range(5, 12):
        spec = ExecSpec(args=("sh", "-c", PROBE), env=ENV, cwd=f"/proc/self/fd/{number}")
        with pytest.raises(SampanError, match=r"breakout|chdir to cwd"):
            await runtime.exec(of, ids.random_id(), spec)
    running = await runtime.exec(of, ids.random_id(), ExecSpec(args=("sh", "-c", PROBE), env=ENV))
    assert (await collect(running.streams))["stdout"].split() == [b"0", b"1", b"2", b"3", b"/"]
