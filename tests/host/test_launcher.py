"""The launcher's copy of the host's mounts: what is started in it sees the host, its own root, and no other container's."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from sampan.host import process, syscalls
from sampan.host.launcher import ROOTS, Launcher
from sampan.host.mount import mounts_below, share_data_root, unmount, unshare_data_root
from sampan.host.mount_table import MountTable
from sampan.host.syscalls import mount

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "data"
    share_data_root(str(root))
    yield root
    unshare_data_root(str(root))


@pytest.fixture
def launcher(data):
    launcher = Launcher(str(data))
    yield launcher
    launcher.close()


def mounted(data, name):
    path = data / ROOTS / name
    path.mkdir(parents=True)
    mount("tmpfs", str(path), "tmpfs")
    return str(path)


async def seen(launcher, below, root=""):
    """Return what a program that is started sees mounted below a directory."""
    out, inside = os.pipe()
    environ = {"PATH": os.environ["PATH"]}
    pid, pidfd = await launcher.spawn(
        ["/bin/cat", "/proc/self/mountinfo"], env=environ, descriptors={1: inside}, root=root
    )
    os.close(inside)
    with open(out) as lines:
        found = {line.split()[4] for line in lines}
    await process.ended(pidfd)
    process.reap(pid)
    os.close(pidfd)
    return {path for path in found if path.startswith(f"{below}/")}


async def test_a_root_is_seen_until_it_is_forgotten(launcher, data):
    first = mounted(data, "first")
    assert await seen(launcher, data, first) == {first}
    second = mounted(data, "second")
    assert second in await seen(launcher, data, second)
    launcher.forget(first)
    assert await seen(launcher, data, second) == {second}
    on_the_host = {row.target for row in mounts_below(str(data))}
    assert {first, second} <= on_the_host


async def test_a_root_that_was_forgotten_is_found_again(launcher, data):
    root = mounted(data, "root")
    await seen(launcher, data, root)
    launcher.forget(root)
    assert await seen(launcher, data, root) == {root}


async def test_a_mount_of_the_host_is_seen(launcher, data, tmp_path):
    roots = [mounted(data, f"r{number}") for number in range(3)]
    await seen(launcher, data)
    other = tmp_path / "other" / "of-the-host"
    other.mkdir(parents=True)
    mount("tmpfs", str(other), "tmpfs")
    try:
        assert await seen(launcher, other.parent) == {str(other)}
        assert await seen(launcher, data, roots[1]) == {roots[1]}  # the copy is new: other roots are not in it
    finally:
        unmount(str(other))
    assert await seen(launcher, other.parent) == set()
    assert {row.target for row in mounts_below(str(data))} >= set(roots)


async def test_volumes_stay_in_sight(launcher, data):
    volume = data / "volumes" / "v"
    volume.mkdir(parents=True)
    mount("tmpfs", str(volume), "tmpfs")
    root = mounted(data, "root")
    assert await seen(launcher, data, root) == {str(volume), root}


def alone(work):
    """Run `work` in a mount namespace of its own: other tests mount things, too."""

    def inside():
        syscalls.unshare(syscalls.CLONE_FS | syscalls.CLONE_NEWNS)
        mount(None, "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
        return work()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(inside).result()


@pytest.mark.parametrize("listed", [True, False])  # as on a kernel before 6.11
def test_only_what_is_not_ours_changes_the_table(data, tmp_path, listed):
    def work():
        table = MountTable(str(data), listed=listed)
        try:
            first = table.fingerprint()
            assert table.fingerprint() == first
            root = mounted(data, "root")
            assert table.fingerprint() == first
            unmount(root)
            assert table.fingerprint() == first
            other = tmp_path / "other"
            other.mkdir()
            mount("tmpfs", str(other), "tmpfs")
            with_other = table.fingerprint()
            assert with_other != first
            subprocess.run(["mount", "-o", "remount,ro,bind", str(other)], check=True)
            assert table.fingerprint() != with_other
            unmount(str(other))
            assert table.fingerprint() == first
        finally:
            table.close()

    alone(work)
