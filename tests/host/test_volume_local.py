"""LocalVolumes on a real disk with real mounts."""

import os
import stat
import subprocess
import sys

import pytest

from conformance.volume import VolumesSuite
from sampan.base.crash import EXIT_CODE
from sampan.base.errors import Conflict, InvalidArgument, NotFound
from sampan.host import syscalls
from sampan.host.mount import is_mount_point, mounts_below
from sampan.model.volume import Volume
from sampan.volume.local import LocalVolumes

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for mounts and owners")


@pytest.fixture
def volumes(tmp_path):
    volumes = LocalVolumes(tmp_path)
    yield volumes
    volumes.close()
    for row in reversed(mounts_below(str(tmp_path))):
        syscalls.umount(row.target, syscalls.MNT_DETACH)


@pytest.fixture
async def data(volumes):
    placed = volumes.place(Volume(name="data"))
    await volumes.create(placed)
    return placed


class TestLocalVolumes(VolumesSuite):
    @pytest.fixture
    def volumes(self, volumes):
        return volumes


async def test_a_volume_whose_directory_is_gone_is_told(volumes, data):
    os.rmdir(data.mountpoint)
    with pytest.raises(NotFound, match="the data of volume data is gone"):
        await volumes.mount(data)


async def test_size_counts_each_file_once(volumes, data):
    with open(data.mountpoint + "/a", "wb") as file:
        file.write(bytes(1000))
    os.link(data.mountpoint + "/a", data.mountpoint + "/b")
    os.mkdir(data.mountpoint + "/d")
    os.symlink("/etc", data.mountpoint + "/d/etc")
    assert await volumes.size_bytes(data) == 1000 + len("/etc")


async def test_tmpfs_volume_is_mounted_at_first_use(volumes):
    placed = volumes.place(Volume(name="ram", options={"type": "tmpfs", "device": "tmpfs", "o": "size=1m,nosuid"}))
    await volumes.create(placed)
    assert not is_mount_point(placed.mountpoint)
    await volumes.mount(placed)
    await volumes.mount(placed)
    assert [row.filesystem for row in mounts_below(placed.mountpoint)] == ["tmpfs"]
    assert os.statvfs(placed.mountpoint).f_blocks * 4096 == 1 << 20
    await volumes.unmount(placed)
    assert not is_mount_point(placed.mountpoint)


async def test_removing_a_bind_volume_leaves_what_is_bound(volumes, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "precious").write_text("x")
    placed = volumes.place(Volume(name="bound", options={"type": "none", "device": str(shared), "o": "bind,ro"}))
    await volumes.create(placed)
    await volumes.mount(placed)
    assert os.listdir(placed.mountpoint) == ["precious"]
    with pytest.raises(OSError, match="Read-only"):
        os.mkdir(placed.mountpoint + "/new")
    await volumes.remove(placed)
    assert (shared / "precious").read_text() == "x"
    assert await volumes.survey() == ()


async def test_a_foreign_mount_below_stops_removal(volumes, data, tmp_path):
    os.mkdir(data.mountpoint + "/below")
    syscalls.mount(str(tmp_path), data.mountpoint + "/below", flags=syscalls.MS_BIND)
    with pytest.raises(Conflict, match="not ours"):
        await volumes.remove(data)
    assert os.path.isdir(tmp_path / "volumes")


async def test_a_mount_that_fails_says_what_and_why(volumes):
    placed = volumes.place(Volume(name="bad", options={"type": "none", "device": "/no/such", "o": "bind"}))
    await volumes.create(placed)
    with pytest.raises(
        InvalidArgument, match=r"failed to mount local volume: mount /no/such:.*flags: 0x1000: no such file"
    ):
        await volumes.mount(placed)


# --- copy-up ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    data = root / "srv/data"
    (data / "sub").mkdir(parents=True)
    (data / "sub/file").write_text("content")
    os.chown(data / "sub/file", 12, 34)
    os.chmod(data / "sub/file", 0o4750)
    os.setxattr(data / "sub/file", "user.note", b"\xff\x00")
    os.utime(data / "sub/file", (1_000_000, 1_000_000))
    os.link(data / "sub/file", data / "hard")
    os.symlink("/etc/passwd", data / "soft")
    os.mkfifo(data / "fifo")
    os.mknod(data / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    with open(data / "holes", "wb") as file:
        file.truncate(1 << 30)
        file.seek(1 << 29)
        file.write(b"middle")
    os.chmod(data, 0o1770)
    os.chown(data, 5, 6)
    return root


async def test_copy_up_keeps_everything(volumes, data, root):
    await volumes.copy_up(str(root), "/srv/data", data)
    made = data.mountpoint
    assert sorted(os.listdir(made)) == ["fifo", "hard", "holes", "null", "soft", "sub"]
    file = os.stat(made + "/sub/file")
    assert (file.st_uid, file.st_gid, stat.S_IMODE(file.st_mode), file.st_mtime) == (12, 34, 0o4750, 1_000_000)
    assert os.getxattr(made + "/sub/file", "user.note") == b"\xff\x00"
    assert os.path.samefile(made + "/hard", made + "/sub/file")
    assert os.readlink(made + "/soft") == "/etc/passwd"
    assert stat.S_ISFIFO(os.stat(made + "/fifo").st_mode)
    assert os.stat(made + "/null").st_rdev == os.makedev(1, 3)
    holes = os.stat(made + "/holes")
    assert holes.st_size == 1 << 30
    assert holes.st_blocks * 512 < 1 << 20
    with open(made + "/holes", "rb") as copy:
        copy.seek(1 << 29)
        assert copy.read(6) == b"middle"
    top = os.stat(made)
    assert (top.st_uid, top.st_gid, stat.S_IMODE(top.st_mode)) == (5, 6, 0o1770)


async def test_copy_up_leaves_a_used_volume_alone(volumes, data, root):
    with open(data.mountpoint + "/mine", "w"):
        pass
    await volumes.copy_up(str(root), "/srv/data", data)
    assert os.listdir(data.mountpoint) == ["mine"]


async def test_copy_up_follows_links_inside_the_root_only(volumes, data, root, tmp_path):
    os.symlink("/srv/data/sub", root / "inside")
    os.symlink(str(tmp_path), root / "absolute")
    os.symlink("../../../../../../../../" + str(tmp_path), root / "upwards")
    for outside in ("/absolute", "/upwards", "/absent", "/srv/data/sub/file"):
        await volumes.copy_up(str(root), outside, data)
        assert os.listdir(data.mountpoint) == []
    await volumes.copy_up(str(root), "/inside", data)
    assert os.listdir(data.mountpoint) == ["file"]


async def test_copy_up_into_a_subpath(volumes, data, root):
    os.mkdir(data.mountpoint + "/part")
    await volumes.copy_up(str(root), "/srv/data/sub", data, "part")
    await volumes.copy_up(str(root), "/srv/data/sub", data, "absent")
    assert os.listdir(data.mountpoint) == ["part"]
    assert os.listdir(data.mountpoint + "/part") == ["file"]


COPY_UP = """
import asyncio, sys
from sampan.model.volume import Volume
from sampan.volume.local import LocalVolumes
volumes = LocalVolumes(sys.argv[1])
placed = volumes.place(Volume(name="data"))
asyncio.run(volumes.create(placed))
asyncio.run(volumes.copy_up(sys.argv[2], "/srv/data", placed))
"""


@pytest.mark.parametrize("step", ["before", "after"])
async def test_a_copy_up_that_was_killed_begins_again(volumes, root, tmp_path, step):
    done = subprocess.run(  # noqa: ASYNC221
        [sys.executable, "-c", COPY_UP, str(tmp_path), str(root)],
        env={**os.environ, "PYTHONPATH": "src", "SAMPAN_CRASH": f"volume.copy-up.{step}"},
        check=False,
    )
    assert done.returncode == EXIT_CODE
    data = volumes.place(Volume(name="data"))
    with open(data.mountpoint + "/half", "w"):
        pass
    await volumes.copy_up(str(root), "/srv/data", data)
    assert sorted(os.listdir(data.mountpoint)) == ["fifo", "hard", "holes", "null", "soft", "sub"]
    os.unlink(data.mountpoint + "/hard")
    await volumes.copy_up(str(root), "/srv/data", data)
    assert "hard" not in os.listdir(data.mountpoint)
