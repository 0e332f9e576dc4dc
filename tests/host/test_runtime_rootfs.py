"""Look-ups in hostile root filesystems stay inside of them."""

import os

import pytest

from sampan.base.errors import InvalidArgument
from sampan.host import rootfs


@pytest.fixture
def root(tmp_path):
    (tmp_path / "secret").write_text("root:x:0:0:root:/host:/bin/sh\n")
    path = tmp_path / "root"
    (path / "etc").mkdir(parents=True)
    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY)
    yield path, descriptor
    os.close(descriptor)


def test_links_resolve_inside(root):
    path, descriptor = root
    (path / "etc/passwd").symlink_to("../../secret")
    assert rootfs.read_inside(descriptor, "etc/passwd") == ""
    (path / "secret").write_text("bob:x:7:7::/b:/s\n")
    assert rootfs.resolve_user(descriptor, "bob").uid == 7


def test_odd_files_are_no_databases(root):
    path, descriptor = root
    os.mkfifo(path / "etc/passwd")
    assert rootfs.read_inside(descriptor, "etc/passwd") == ""
    os.unlink(path / "etc/passwd")
    (path / "etc/passwd").mkdir()
    assert rootfs.read_inside(descriptor, "etc/passwd") == ""
    os.rmdir(path / "etc/passwd")
    (path / "etc/passwd").symlink_to("passwd")
    assert rootfs.resolve_user(descriptor, "").uid == 0


@pytest.mark.parametrize("text", ["bob", "bob:x", "bob:x:a:b:c:d:e", "bob:x:99999999999:1::/:", "\0" * 100])
def test_broken_databases_name_nobody(root, text):
    path, descriptor = root
    (path / "etc/passwd").write_text(text)
    with pytest.raises(InvalidArgument):
        rootfs.resolve_user(descriptor, "bob")


def test_working_directories_are_made_inside(root, tmp_path):
    path, descriptor = root
    (path / "link").symlink_to("/target")
    (path / "up").symlink_to("../../../../outside")
    rootfs.make_working_directory(descriptor, "/link/a", 1, 2)
    rootfs.make_working_directory(descriptor, "/up/b/../c", 1, 2)
    rootfs.make_working_directory(descriptor, "/../../d", 1, 2)
    assert (path / "target/a").is_dir()
    assert (path / "outside/c").is_dir()
    assert (path / "d").is_dir()
    assert not (tmp_path / "outside").exists()
    assert os.stat(path / "d").st_uid == (1 if os.geteuid() == 0 else os.geteuid())


@pytest.mark.parametrize(
    "wanted", ["/proc/self/fd/3", "/proc/1/cwd", "/a/../proc/self", "/leak", "/leak2/x", "/loop", "/etc/file/x"]
)
def test_bad_working_directories_are_refused(root, wanted):
    path, descriptor = root
    (path / "proc").mkdir()
    (path / "leak").symlink_to("/proc/self/fd/7")
    (path / "leak2").symlink_to("proc/self")
    (path / "loop").symlink_to("loop")
    (path / "etc/file").write_text("")
    with pytest.raises(InvalidArgument):
        rootfs.make_working_directory(descriptor, wanted, 0, 0)
    assert os.listdir(path / "proc") == []


def test_own_file_systems_need_no_directory(root):
    path, descriptor = root
    for wanted in ("/dev/shm/x", "/sys/fs", "/proc/sys"):
        for name in ("dev", "sys", "proc"):
            (path / name).mkdir(exist_ok=True)
        rootfs.make_working_directory(descriptor, wanted, 0, 0)
    assert os.listdir(path / "dev") == []


@pytest.mark.parametrize("name", ["dev", "proc", "sys"])
def test_linked_mount_points_are_refused(root, name):
    path, descriptor = root
    rootfs.check_mount_points(descriptor)
    (path / name).symlink_to("/etc")
    with pytest.raises(InvalidArgument, match="symbolic link"):
        rootfs.check_mount_points(descriptor)
