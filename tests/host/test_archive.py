"""TreeArchive on real trees: what docker cp and docker export see."""

import asyncio
import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile

import pytest

from sampan.base.errors import Forbidden, InvalidArgument, NotFound, TooLarge
from sampan.volume.archive import TreeArchive, go_mode, rfc3339

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for mounts and owners")
DIRECTORY, SYMLINK = 1 << 31, 1 << 27


@pytest.fixture
def archive():
    archive = TreeArchive()
    yield archive
    archive.close()


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "srv/data/sub").mkdir(parents=True)
    (root / "srv/data/a").write_text("A")
    (root / "srv/data/sub/b").write_text("B")
    os.chown(root / "srv/data/a", 7, 8)
    os.chmod(root / "srv/data/a", 0o4755)
    os.utime(root / "srv/data/a", ns=(10**18, 1_500_000_000_250_000_000))
    os.setxattr(root / "srv/data/a", "user.k", b"\xfe")
    os.symlink("/srv/data", root / "link")
    os.symlink("/srv/nowhere", root / "dangling")
    os.symlink("sub/b", root / "srv/data/to-b")
    return str(root)


async def tar_of(archive, root, path, mounts=()):
    found, chunks = await archive.read(root, mounts, path)
    data = b"".join([chunk async for chunk in chunks])
    return found, tarfile.open(fileobj=io.BytesIO(data))


async def names(archive, root, path, mounts=()):
    return (await tar_of(archive, root, path, mounts))[1].getnames()


def packed(*members, mode="w"):
    """A tar of (name, content | None for a directory | ("link", target)) rows."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode=mode) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.gid, info.mtime = 0o640, 11, 12, 1_600_000_000
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o750
            elif isinstance(content, tuple):
                info.type = tarfile.SYMTYPE if content[0] == "link" else tarfile.LNKTYPE
                info.linkname = content[1]
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content if isinstance(content, bytes) else b""))
    return raw.getvalue()


async def chunked(data, size=1000):
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def put(archive, root, path, data, mounts=(), **options):
    await archive.write(root, mounts, path, chunked(data), **options)


# --- stat -------------------------------------------------------------------------------------------------------------


async def test_stat_of_a_file(archive, root):
    found = await archive.stat(root, (), "/srv/data/a")
    assert (found.name, found.size, found.link_target) == ("a", 1, "")
    assert found.mode == 0o755 | 1 << 23
    assert found.mtime == "2017-07-14T02:40:00.25Z"


async def test_stat_of_links_directories_and_the_root(archive, root):
    link = await archive.stat(root, (), "/link")
    assert (link.name, link.link_target) == ("link", "/srv/data")
    assert link.mode & SYMLINK
    assert (await archive.stat(root, (), "/dangling")).link_target == "/srv/nowhere"
    assert (await archive.stat(root, (), "/link/to-b")).link_target == "/srv/data/sub/b"
    for path, name in (
        ("/link/", "link"),
        ("/link/.", "."),
        ("/", "/"),
        ("", "/"),
        ("srv/data", "data"),
        ("/..", ".."),
    ):
        found = await archive.stat(root, (), path)
        assert found.mode & DIRECTORY
        assert found.name == name


async def test_what_is_not_there_or_no_directory(archive, root):
    with pytest.raises(NotFound, match="Could not find the file /absent/x"):
        await archive.stat(root, (), "/absent/x")
    with pytest.raises(InvalidArgument, match="not a directory"):
        await archive.stat(root, (), "/srv/data/a/")
    with pytest.raises(InvalidArgument, match="NUL"):
        await archive.stat(root, (), "/srv\0")


def test_go_mode_and_times():
    assert go_mode(stat.S_IFCHR | 0o666) == 0o666 | 1 << 26 | 1 << 21
    assert go_mode(stat.S_IFDIR | 0o1777) == 0o777 | DIRECTORY | 1 << 20
    assert rfc3339(1_500_000_000_000_000_000) == "2017-07-14T02:40:00Z"


# --- read -------------------------------------------------------------------------------------------------------------


async def test_a_directory_is_rooted_at_its_base_name(archive, root):
    assert await names(archive, root, "/srv/data") == ["data", "data/a", "data/to-b", "data/sub", "data/sub/b"]
    assert await names(archive, root, "/srv/data/.") == [".", "./a", "./to-b", "./sub", "./sub/b"]
    assert await names(archive, root, "/link/") == ["link", "link/a", "link/to-b", "link/sub", "link/sub/b"]
    assert (await names(archive, root, "/"))[:3] == ["", "/dangling", "/link"]


async def test_a_file_and_a_link_are_one_entry(archive, root):
    _, tar = await tar_of(archive, root, "/srv/data/a")
    (info,) = tar.getmembers()
    assert (info.name, info.mode, info.uid, info.gid, info.mtime) == ("a", 0o4755, 7, 8, 1_500_000_000)
    assert info.pax_headers["SCHILY.xattr.user.k"].encode("utf-8", "surrogateescape") == b"\xfe"
    assert tar.extractfile(info).read() == b"A"
    _, tar = await tar_of(archive, root, "/link")
    assert [(i.name, i.linkname) for i in tar.getmembers()] == [("link", "/srv/data")]


async def test_hard_links_stay_and_sockets_go(archive, root):
    import socket

    os.link(root + "/srv/data/a", root + "/srv/data/a2")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(root + "/srv/data/s")
        _, tar = await tar_of(archive, root, "/srv/data")
    kinds = {info.name: (info.type, info.linkname) for info in tar.getmembers()}
    assert kinds["data/a2"] == (tarfile.LNKTYPE, "data/a")
    assert "data/s" not in kinds


async def test_a_big_file_streams_in_bounded_pieces(archive, root):
    with open(root + "/big", "wb") as file:
        file.truncate(64 << 20)
    _, chunks = await archive.read(root, (), "/big")
    sizes = [len(chunk) async for chunk in chunks]
    assert sum(sizes) >= 64 << 20
    assert max(sizes) <= 1 << 20


async def test_a_reader_that_leaves_closes_everything(archive, root):
    with open(root + "/big", "wb") as file:
        file.truncate(64 << 20)
    before = len(os.listdir("/proc/self/fd"))
    for read_some in (True, False):
        _, chunks = await archive.read(root, ((root + "/srv", "/mnt", False),), "/big")
        if read_some:
            await anext(chunks)
        await chunks.aclose()
        del chunks
    for _ in range(100):  # the loop and the threads let go of the last answer
        if len(os.listdir("/proc/self/fd")) == before:
            return
        await asyncio.sleep(0.01)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_export_is_the_whole_tree(archive, root):
    data = b"".join([chunk async for chunk in await archive.export(root)])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = tar.getnames()
    assert found[:2] == ["dangling", "link"]
    assert "srv/data/sub/b" in found


async def test_names_of_any_bytes_and_lengths(archive, root):
    odd = os.fsdecode(b"/srv/data/\xff\xfe\n")
    long = "/srv/data/" + "/".join(["d" * 200] * 5)
    os.makedirs(root + long)
    with open(root + odd, "w"):
        pass
    _, tar = await tar_of(archive, root, "/srv/data")
    assert os.fsdecode(b"data/\xff\xfe\n") in tar.getnames()
    assert long.removeprefix("/srv/") in tar.getnames()


# --- write ------------------------------------------------------------------------------------------------------------


async def test_write_merges_into_the_directory(archive, root):
    data = packed(("./", None), ("new/", None), ("new/f", b"F"), ("a", b"replaced"), ("hard", ("hard", "new/f")))
    await put(archive, root, "/link", data)
    made = root + "/srv/data/"
    assert sorted(os.listdir(made)) == ["a", "hard", "new", "sub", "to-b"]
    assert open(made + "a").read() == "replaced"  # noqa: SIM115
    info = os.stat(made + "new/f")
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode), info.st_mtime) == (11, 12, 0o640, 1_600_000_000)
    assert os.path.samefile(made + "hard", made + "new/f")
    assert stat.S_IMODE(os.stat(made + "new").st_mode) == 0o750


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress, "zstd"])
async def test_compressed_archives_are_unpacked_here(archive, root, compress):
    if compress == "zstd":
        from backports import zstd

        compress = zstd.compress
    await put(archive, root, "/etc", compress(packed(("f", b"x" * 100_000))))
    assert os.path.getsize(root + "/etc/f") == 100_000


async def test_what_is_no_archive_is_refused(archive, root):
    for bad in (b"no tar" * 1000, gzip.compress(packed(("f", b"x")))[:-20], packed(("f", b"x" * 5000))[:3000]):
        with pytest.raises(InvalidArgument):
            await put(archive, root, "/etc", bad)


async def test_a_bomb_is_refused(archive, root):
    from backports import zstd

    with pytest.raises(TooLarge, match="bomb"):
        await put(archive, root, "/etc", zstd.compress(packed(("f", bytes(300 << 20)))))
    os.unlink(root + "/etc/f")


async def test_the_target_must_be_a_directory(archive, root):
    with pytest.raises(InvalidArgument, match="extraction point is not a directory"):
        await put(archive, root, "/srv/data/a", packed(("f", b"")))
    with pytest.raises(NotFound, match="Could not find the file /absent"):
        await put(archive, root, "/absent", packed(("f", b"")))


async def test_no_overwrite_dir_non_dir(archive, root):
    strict = {"no_overwrite_dir_non_dir": True}
    with pytest.raises(InvalidArgument, match='cannot overwrite directory "/srv/data/sub" with non-directory "sub"'):
        await put(archive, root, "/srv/data", packed(("sub", b"file")), **strict)
    with pytest.raises(InvalidArgument, match='cannot overwrite non-directory "/srv/data/a" with directory "a"'):
        await put(archive, root, "/srv/data", packed(("a/", None)), **strict)
    await put(archive, root, "/srv/data", packed(("sub/", None), ("a", b"x"), ("fresh", b"y")), **strict)
    await put(archive, root, "/srv/data", packed(("sub", b"file now")))
    assert os.path.isfile(root + "/srv/data/sub")


async def test_owner_of_copies(archive, root):
    with open(root + "/etc/passwd", "w") as file:
        file.write("app:x:1234:2345::/:/bin/sh\n")
    await put(archive, root, "/srv", packed(("f", b"")), copy_uid_gid=True, user="app")
    assert os.stat(root + "/srv/f").st_uid == 1234
    await put(archive, root, "/srv", packed(("f", b"")), user="app")
    assert os.stat(root + "/srv/f").st_uid == 11


async def test_the_sender_is_held_up_by_a_slow_disk_and_a_failing_sender_is_told(archive, root):
    async def fails():
        yield packed(("f", bytes(5000)))[:1000]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await archive.write(root, (), "/etc", fails())
    task = asyncio.ensure_future(archive.write(root, (), "/etc", chunked(packed(("f", bytes(50_000_000))))))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# --- volumes over the tree --------------------------------------------------------------------------------------------


@pytest.fixture
def volume(tmp_path):
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/v").write_text("V")
    (tmp_path / "file").write_text("mounted file")
    return str(tmp_path / "volume")


async def test_volumes_are_seen_and_leave_no_mount_behind(archive, root, volume, tmp_path):
    mounts = (
        (volume, "/srv/data", False),
        (str(tmp_path / "file"), "/srv/data/f", False),
        (volume, "/not/there", True),
    )
    assert await names(archive, root, "/srv/data", mounts) == ["data", "data/f", "data/v"]
    assert await names(archive, root, "/not/there", mounts) == ["there", "there/f", "there/v"]
    await put(archive, root, "/srv/data", packed(("w", b"W")), mounts)
    assert os.path.exists(volume + "/w")
    assert not os.path.exists(root + "/srv/data/w")
    with open("/proc/self/mountinfo") as table:
        assert str(tmp_path) not in table.read()


async def test_a_read_only_volume_is_refused(archive, root, volume):
    mounts = ((volume, "/srv/data", True),)
    with pytest.raises(Forbidden, match="mounted volume is marked read-only"):
        await put(archive, root, "/srv/data", packed(("w", b"")), mounts)
    with pytest.raises(Forbidden, match="mounted volume is marked read-only"):
        await put(archive, root, "/srv", packed(("data/w", b"")), mounts)
    assert os.listdir(volume) == ["v"]
    await put(archive, root, "/srv", packed(("beside", b"")), mounts)


async def test_what_is_mounted_on_cannot_be_replaced(archive, root, volume, tmp_path):
    mounts = ((str(tmp_path / "file"), "/etc/hosts", False), (volume, "/srv/data", False))
    with pytest.raises(InvalidArgument, match="busy"):
        await put(archive, root, "/etc", packed(("hosts", b"mine")), mounts)
    with pytest.raises(InvalidArgument, match="busy"):
        await put(archive, root, "/etc", packed(("hosts/", None)), mounts)
    assert (tmp_path / "file").read_text() == "mounted file"
    await put(archive, root, "/etc", packed(("beside", b"")), mounts)
