"""docker cp against a container that fights back.

CVE-2018-15664, CVE-2026-42306: a link or a volume's mount point is swapped between look-up and use, so that the daemon
reads or writes the host. CVE-2019-14271, CVE-2026-41567: the daemon, inside the container's root, starts a program or
loads a library that the container owns. CVE-2021-41089: a copy changes the modes of host directories.
"""

import asyncio
import io
import os
import signal
import stat
import subprocess
import sys
import tarfile

import pytest

from sampan.base.errors import SampanError
from sampan.volume.archive import TreeArchive

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for mounts")
CALLS = 1000

SWAPPER = """
import os, shutil, sys
root, outside = sys.argv[1:3]
os.chdir(root)
print("ready", flush=True)
while True:
    for target in (outside, "../../../../../../../.." + outside):
        try:
            os.symlink(target, "tmp-link"); os.rename("swap", "aside"); os.rename("tmp-link", "swap")
            os.unlink("swap"); os.rename("aside", "swap")
        except OSError:  # what was written made another `swap`
            try:
                if os.path.isdir("aside"):
                    shutil.rmtree("swap", ignore_errors=True)
                    os.path.islink("swap") and os.unlink("swap")
                    os.path.islink("tmp-link") and os.unlink("tmp-link")
                    os.path.exists("swap") or os.rename("aside", "swap")
            except OSError:
                continue  # and another meanwhile: mended at the next turn
"""


@pytest.fixture
def archive():
    archive = TreeArchive()
    yield archive
    archive.close()


@pytest.fixture
def place(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "swap").mkdir(parents=True)
    (root / "swap/target").write_text("inside")
    outside.mkdir()
    (outside / "target").write_text("SECRET OF THE HOST")
    (tmp_path / "volume").mkdir()
    return root, outside


@pytest.fixture
def swapper(place):
    with subprocess.Popen(
        [sys.executable, "-c", SWAPPER, str(place[0]), str(place[1])], stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        yield
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)


def packed(*names):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"evil"))
    return raw.getvalue()


async def once(data):
    yield data


async def test_reading_never_leaves_the_root(archive, place, swapper):
    root, _ = place
    got = 0
    for number in range(CALLS):
        path = ("/swap/target", "/swap", "/swap/", "/swap/.")[number % 4]
        try:
            _, chunks = await archive.read(str(root), (), path)
            data = b"".join([chunk async for chunk in chunks])
        except SampanError:
            continue
        assert b"SECRET" not in data
        got += b"inside" in data
    assert got


async def test_writing_never_leaves_the_root(archive, place, swapper):
    root, outside = place
    for number in range(CALLS):
        try:
            if number % 2:
                await archive.write(str(root), (), "/swap", once(packed("target", "new")))
            else:
                await archive.write(str(root), (), "/", once(packed("swap/target", "swap/new")))
        except SampanError:
            continue
    assert os.listdir(outside) == ["target"]
    assert (outside / "target").read_text() == "SECRET OF THE HOST"


async def test_a_volume_is_never_mounted_outside(archive, place, swapper, tmp_path):
    root, outside = place
    mode = stat.S_IMODE(os.stat(outside).st_mode)
    mounts = (
        (str(tmp_path / "volume"), "/swap/target/../", False),
        (str(tmp_path / "volume"), "/swap/made/by/us", False),
    )
    for _ in range(CALLS // 2):
        try:
            await archive.write(str(root), mounts, "/swap", once(packed("new")))
        except SampanError:
            continue
    assert os.listdir(outside) == ["target"]
    assert stat.S_IMODE(os.stat(outside).st_mode) == mode
    with open("/proc/self/mountinfo") as table:
        assert str(tmp_path) not in table.read()


async def test_no_program_of_the_container_is_run(archive, place):
    root, outside = place
    (root / "bin").mkdir()
    for name in ("unpigz", "gzip", "xz", "zstd", "bzip2", "tar", "sh"):
        (root / "bin" / name).write_text(f"#!/bin/sh\ntouch {outside}/ran\n")
        os.chmod(root / "bin" / name, 0o755)
    import bz2
    import gzip
    import lzma

    started = children()
    for compress in (gzip.compress, lzma.compress, bz2.compress):
        await archive.write(str(root), (), "/swap", once(compress(packed("f"))))
    assert os.listdir(outside) == ["target"]
    assert children() == started


def children():
    """How many processes this one ever waited for or has."""
    with open("/proc/self/stat") as line:
        fields = line.read().rpartition(")")[2].split()
    return fields[8], fields[14]  # children's page faults and CPU: any child changes them


@pytest.mark.parametrize(
    "name", ["../escaped", "/../escaped", "a/../../escaped", "swap/../../../escaped", "..", "swap/.."]
)
async def test_dots_in_names_do_not_escape(archive, place, name, tmp_path):
    root, _ = place
    try:
        await archive.write(str(root), (), "/swap", once(packed(name)))
    except SampanError:
        pass
    assert not (tmp_path / "escaped").exists()
    assert not os.path.exists("/escaped")


async def test_links_in_the_archive_do_not_escape(archive, place):
    root, outside = place
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, kind, target in (
            ("out", tarfile.SYMTYPE, str(outside)),
            ("hard", tarfile.LNKTYPE, "../../outside/target"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
        info = tarfile.TarInfo("out/planted")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"evil"))
    try:
        await archive.write(str(root), (), "/swap", once(raw.getvalue()))
    except SampanError:
        pass
    assert os.listdir(outside) == ["target"]
    assert (outside / "target").stat().st_nlink == 1


async def test_a_device_or_fifo_in_the_way_is_not_opened(archive, place):
    root, _ = place
    os.mkfifo(root / "fifo")
    _, chunks = await asyncio.wait_for(archive.read(str(root), (), "/fifo"), 5)
    data = b"".join([chunk async for chunk in chunks])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getmembers()[0].type == tarfile.FIFOTYPE
