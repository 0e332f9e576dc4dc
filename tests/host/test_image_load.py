"""Archives in and out of the image store, on a real disk."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest
from backports import zstd

from host.image_archives import (
    archive,
    chunked,
    config_of,
    descriptor,
    digest,
    directory,
    docker_archive,
    file,
    hardlink,
    header,
    layout,
    oci_archive,
    pax,
    symlink,
    tar,
)
from host.image_world import World, root_only
from sampan.base.errors import Conflict, DataLoss, InvalidArgument, NotFound
from sampan.host.overlay import boot_id
from sampan.image.bootstrap import bootstrap
from sampan.model.image import ImageConfig

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(root_only()), reason=root_only())]

BASE = tar(directory("etc"), file("etc/passwd", b"root\n", mode=0o640, uid=3, gid=4), file("bin", b"old"))
TOP = tar(
    file("etc/group", b"group\n"), symlink("lib", "/usr/lib"), hardlink("lib2", "etc/group"), file(".wh.bin", b"")
)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()
    assert made.temporary() == []


PACKINGS = {
    "docker plain": lambda: docker_archive([BASE, TOP]),
    "docker gzip layers": lambda: docker_archive([BASE, TOP], packed=[gzip.compress(BASE), gzip.compress(TOP)]),
    "docker zstd layers": lambda: docker_archive([BASE, TOP], packed=[zstd.compress(BASE), zstd.compress(TOP)]),
    "docker whole gzip": lambda: gzip.compress(docker_archive([BASE, TOP])),
    "docker whole zstd": lambda: zstd.compress(docker_archive([BASE, TOP])),
    "oci plain": lambda: oci_archive([BASE, TOP], pack=bytes, suffix=""),
    "oci gzip": lambda: oci_archive([BASE, TOP]),
    "oci zstd": lambda: oci_archive([BASE, TOP], pack=zstd.compress, suffix="+zstd"),
}


@pytest.mark.parametrize("packing", PACKINGS)
async def test_every_packing_gives_the_same_image(world, packing):
    steps = await world.load(PACKINGS[packing](), size=777)
    assert [step.stream for step in steps if step.stream] == ["Loaded image: hostile:latest\n"]
    image = world.store.get("hostile")
    assert image.id == digest(config_of([BASE, TOP]))
    assert image.layers == (digest(BASE), digest(TOP))
    assert image.config.args == ("sh",)
    assert image.config.env == ("A=b",)
    assert image.layer_sizes == (8, 6)
    root = await world.snapshots.mount("c", image, volatile=True)
    assert sorted(os.listdir(root)) == ["dev", "etc", "lib", "lib2", "proc", "sys"]
    facts = os.stat(f"{root}/etc/passwd")
    assert (stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid, facts.st_mtime) == (0o640, 3, 4, 1_700_000_000)
    assert os.readlink(f"{root}/lib") == "/usr/lib"
    await world.snapshots.remove("c")


async def test_bootstrap_makes_a_busybox_that_runs_and_is_the_same_each_time(world):
    first = b"".join([chunk async for chunk in bootstrap("busybox")])
    second = b"".join([chunk async for chunk in bootstrap("busybox")])
    assert first == second
    image = await world.load_one(first)
    assert image.tags == ("busybox:latest",)
    assert image.config.args == ("sh",)
    root = await world.snapshots.mount("c", image, volatile=True)
    out = run("chroot", root, "/bin/sh", "-c", "id -un; ls /tmp; env")
    assert (out.returncode, out.stdout.split("\n")[0]) == (0, "root")
    assert stat.S_IMODE(os.stat(f"{root}/tmp").st_mode) == 0o1777
    await world.snapshots.remove("c")


async def test_bootstrap_knows_its_kinds():
    with pytest.raises(InvalidArgument, match="busybox and debian"):
        [chunk async for chunk in bootstrap("plan9")]


async def test_directories_without_an_entry_look_like_the_layer_below(world):
    base = tar(directory("srv", mode=0o710, uid=7, gid=8))
    image = await world.load_one(docker_archive([base, tar(file("srv/deep/f"))]))
    facts = os.stat(world.tree(image) / "srv")
    assert (stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid) == (0o710, 7, 8)


async def test_one_layer_may_stand_in_an_image_twice(world):
    image = await world.load_one(docker_archive([BASE, TOP, BASE]))
    root = await world.snapshots.mount("c", image, volatile=True)
    assert Path(f"{root}/bin").read_text() == "old"
    await world.snapshots.remove("c")


async def test_an_image_of_127_layers_mounts(world):
    layers = [tar(file(f"f{number}")) for number in range(127)]
    image = await world.load_one(docker_archive(layers))
    root = await world.snapshots.mount("c", image, volatile=False)
    assert len([name for name in os.listdir(root) if name.startswith("f")]) == 127
    await world.snapshots.remove("c")


async def test_an_image_without_layers_mounts(world):
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": None}}
    ).encode()
    image = await world.load_one(docker_archive([], config=config))
    root = await world.snapshots.mount("c", image, volatile=False)
    assert sorted(os.listdir(root)) == ["dev", "etc", "proc", "sys"]
    await world.snapshots.remove("c")


async def test_docker_archives_of_old_share_layers_by_links(world):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for name, data in {"a/layer.tar": BASE, "c.json": config_of([BASE, BASE])}.items():
            row = tarfile.TarInfo(name)
            row.size = len(data)
            out.addfile(row, io.BytesIO(data))
        link = tarfile.TarInfo("b/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../a/layer.tar"
        out.addfile(link)
        manifest = json.dumps(
            [{"Config": "c.json", "RepoTags": None, "Layers": ["a/layer.tar", "b/layer.tar"]}]
        ).encode()
        row = tarfile.TarInfo("manifest.json")
        row.size = len(manifest)
        out.addfile(row, io.BytesIO(manifest))
    steps = await world.load(buffer.getvalue())
    assert steps[-1].stream == f"Loaded image ID: {steps[-1].image.id}\n"


async def test_a_tag_moves_from_the_image_that_had_it(world):
    old = await world.load_one(docker_archive([BASE]))
    steps = await world.load(docker_archive([TOP]))
    assert f"renaming the old one with ID {old.id}" in "".join(step.stream for step in steps)
    assert world.store.get(old.id).tags == ()
    assert world.store.get("hostile").layers == (digest(TOP),)


async def test_saved_archives_load_again_in_docker_and_oci_form(world, tmp_path):
    await world.load(oci_archive([BASE, TOP]))
    await world.store.tag("hostile", "localhost:5000/team/app:v1")
    data = await world.save("hostile:latest", "localhost:5000/team/app")
    image = world.store.get("hostile")
    with tarfile.open(fileobj=io.BytesIO(data)) as saved:
        names = saved.getnames()
        rows = json.loads(saved.extractfile("manifest.json").read())
        index = json.loads(saved.extractfile("index.json").read())
    assert rows[0]["RepoTags"] == ["hostile:latest", "localhost:5000/team/app:v1"]
    assert {"oci-layout", "index.json", "manifest.json"} <= set(names)
    assert {row["digest"] for row in index["manifests"]} == {image.manifest_digest}
    other = World(tmp_path / "other")
    again = await other.load(data)
    assert {step.image.id for step in again if step.image} == {image.id}
    assert other.store.get("localhost:5000/team/app:v1").manifest_digest == image.manifest_digest
    only_oci = _without(data, "manifest.json")
    third = World(tmp_path / "third")
    await third.load(only_oci)
    assert third.store.get("hostile").id == image.id
    for each in (other, third):
        each.close()


def _without(data: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as old:
        return archive({row.name: old.extractfile(row).read() for row in old if row.name != name})


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo, the oracle for archives, is not installed")
async def test_skopeo_reads_what_we_save(world, tmp_path):
    await world.load(oci_archive([BASE, TOP]))
    (tmp_path / "out.tar").write_bytes(await world.save("hostile"))
    out = run("skopeo", "inspect", f"docker-archive:{tmp_path}/out.tar:hostile:latest")
    assert json.loads(out.stdout)["Layers"] == [digest(BASE), digest(TOP)], out.stderr


async def test_import_commit_and_changes(world):
    steps = [
        step
        async for step in world.store.import_rootfs(
            chunked(gzip.compress(BASE)), reference="imp:1", config=ImageConfig(args=("id",)), message="by hand"
        )
    ]
    base = world.store.get("imp:1")
    assert steps[-1].status == base.id
    assert (base.layers, base.config.args, base.comment) == ((digest(BASE),), ("id",), "by hand")
    root = await world.snapshots.mount("c", base, volatile=False)
    with open(f"{root}/etc/new", "w") as new:
        new.write("hello")
    os.setxattr(f"{root}/etc/new", "user.note", b"\xff\x00kept")
    os.link(f"{root}/etc/new", f"{root}/etc/new2")
    os.unlink(f"{root}/bin")
    changes = await world.snapshots.changes("c", base)
    assert [(change.kind, change.path) for change in changes] == [
        ("deleted", "/bin"),
        ("modified", "/etc"),
        ("added", "/etc/new"),
        ("added", "/etc/new2"),
    ]
    assert await world.snapshots.size_bytes("c") == 5
    image = await world.store.commit(
        "c", base, reference="made:2", config=ImageConfig(args=("ls",), labels={"a": "b"}), author="me", message="msg"
    )
    await world.snapshots.remove("c")
    assert (image.layers[0], image.author, image.config.labels) == (digest(BASE), "me", {"a": "b"})
    assert [row.comment for row in image.history] == ["by hand", "msg"]
    root = await world.snapshots.mount("d", world.store.get("made:2"), volatile=True)
    assert not os.path.exists(f"{root}/bin")
    assert os.stat(f"{root}/etc/new").st_ino == os.stat(f"{root}/etc/new2").st_ino
    assert os.getxattr(f"{root}/etc/new2", "user.note") == b"\xff\x00kept"
    assert await world.snapshots.changes("d", image) == ()
    await world.snapshots.remove("d")


async def test_commit_keeps_an_emptied_directory_empty(world):
    image = await world.load_one(docker_archive([tar(directory("home"), file("home/old"))]))
    root = await world.snapshots.mount("c", image, volatile=False)
    shutil.rmtree(f"{root}/home")
    os.mkdir(f"{root}/home")
    open(f"{root}/home/new", "w").close()
    assert [(c.kind, c.path) for c in await world.snapshots.changes("c", image)] == [
        ("modified", "/home"),
        ("added", "/home/new"),
        ("deleted", "/home/old"),
    ]
    made = await world.store.commit("c", image, reference="", config=image.config, author="", message="")
    await world.snapshots.remove("c")
    root = await world.snapshots.mount("d", made, volatile=False)
    assert os.listdir(f"{root}/home") == ["new"]
    await world.snapshots.remove("d")


async def test_removal_follows_dockers_rules(world):
    image = await world.load_one(docker_archive([BASE, TOP]))
    await world.load(docker_archive([BASE], tag="other:1"))
    await world.store.tag("hostile", "second/name:2")
    with pytest.raises(Conflict, match="referenced in multiple repositories"):
        await world.store.remove(image.id, force=False, in_use={})
    assert await world.store.remove("second/name:2", force=False, in_use={}) == (("untagged", "second/name:2"),)
    used = {image.id: ("c" * 64,)}
    with pytest.raises(Conflict, match=r"unable to remove repository reference .* container cccccccccccc is using"):
        await world.store.remove("hostile", force=False, in_use=used)
    with pytest.raises(Conflict, match="being used by stopped container"):
        await world.store.remove(image.id[7:20], force=False, in_use=used)
    assert await world.store.prune(dangling_only=True, in_use={}) == ((), 0)
    rows = await world.store.remove("hostile", force=False, in_use={})
    assert [kind for kind, _ in rows] == ["untagged", "deleted", "deleted"], "the base layer is other's too"
    assert len(world.layers()) == 1
    rows, freed = await world.store.prune(dangling_only=False, in_use={})
    assert ("untagged", "other:1") in rows
    assert freed > 0
    assert (world.layers(), world.blobs(), world.store.list()) == ([], [], ())


async def test_forced_removal_of_a_used_image_leaves_it_without_names(world):
    image = await world.load_one(docker_archive([BASE]))
    used = {image.id: ("c" * 64,)}
    assert await world.store.remove("hostile", force=True, in_use=used) == (("untagged", "hostile:latest"),)
    assert world.store.get(image.id).tags == ()
    with pytest.raises(NotFound, match=r"^No such image: hostile:latest$"):
        world.store.get("hostile")


async def test_a_restart_knows_everything_and_clears_what_a_crash_left(world):
    image = await world.load_one(oci_archive([BASE, TOP]))
    (world.root / "images/ingest/tmp-1").write_text("half")
    (world.root / "images/blobs/sha256" / ("0" * 64)).write_text("orphan")
    (world.root / "layers/tmp-1/diff/a").mkdir(parents=True)
    (world.root / "layers" / ("1" * 64) / "diff").mkdir(parents=True)
    blobs = len(world.blobs())
    world.open()
    await world.store.reconcile()
    assert world.store.get("hostile") == image
    assert (len(world.blobs()), len(world.layers()), world.temporary()) == (blobs - 1, 2, [])


async def test_layers_that_were_deleted_are_unpacked_again(world):
    image = await world.load_one(oci_archive([BASE, TOP]))
    shutil.rmtree(world.root / "layers")
    world.open()
    await world.store.reconcile()
    root = await world.snapshots.mount("c", image, volatile=True)
    assert Path(f"{root}/etc/passwd").read_text() == "root\n"
    await world.snapshots.remove("c")


async def test_a_damaged_blob_is_told_and_the_other_images_work(world):
    damaged = await world.load_one(oci_archive([BASE]))
    await world.load(oci_archive([TOP], tag="good:1"))
    path = world.root / "images/blobs/sha256" / damaged.manifest_digest[7:]
    path.write_bytes(path.read_bytes().replace(b"2", b"3", 1))
    world.open()
    await world.store.reconcile()
    with pytest.raises(DataLoss, match="damaged on disk"):
        await world.save("hostile")
    assert await world.save("good:1")


async def test_a_client_that_goes_away_leaves_nothing(world):
    data = oci_archive([tar(*(file(f"f{n}", os.urandom(3000)) for n in range(300)))])

    async def half():
        yield data[: len(data) // 2]
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        [step async for step in world.store.load(half())]
    assert (world.layers(), world.blobs()) == ([], [])


async def test_a_cancelled_load_leaves_nothing(world):
    data = oci_archive([tar(*(file(f"f{n}", os.urandom(3000)) for n in range(300)))])
    stuck = asyncio.Event()

    async def slow():
        yield data[: len(data) // 2]
        stuck.set()
        await asyncio.Event().wait()

    async def load():
        return [step async for step in world.store.load(slow())]

    task = asyncio.create_task(load())
    await stuck.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (world.layers(), world.blobs(), world.temporary()) == ([], [], [])


async def test_many_loads_at_once(world):
    archives = [oci_archive([BASE, tar(file(f"f{n}"))], tag=f"many:{n}") for n in range(12)]
    await asyncio.gather(*(world.load(data) for data in archives))
    assert len(world.store.list()) == 12
    assert len(world.layers()) == 13


async def test_an_oci_index_with_platforms_and_attestations(world):
    config = config_of([BASE])
    blob = gzip.compress(BASE)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "config": descriptor(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [descriptor(blob, "application/vnd.oci.image.layer.v1.tar+gzip")],
        }
    ).encode()
    attestation = descriptor(b"{}") | {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    index = json.dumps({"schemaVersion": 2, "manifests": [descriptor(manifest), attestation]}).encode()
    top = descriptor(index, "application/vnd.oci.image.index.v1+json", tag="docker.io/library/multi:1")
    steps = await world.load(layout([config, manifest, blob, index], [top]))
    assert [step.stream for step in steps if step.image] == ["Loaded image: multi:1\n"]


async def test_xattrs_and_nanoseconds_survive_and_overlay_ones_do_not(world):
    records = {
        "SCHILY.xattr.user.a": b"\xfe\x00",
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
        "mtime": "1600000000.123456789",
    }
    image = await world.load_one(docker_archive([tar(pax(records), file("f"))]))
    path = world.tree(image) / "f"
    assert os.listxattr(path) == ["user.a"]
    assert os.getxattr(path, "user.a") == b"\xfe\x00"
    assert os.stat(path).st_mtime_ns == 1600000000123456789


async def test_devices_in_layers_are_made_as_they_say(world):
    image = await world.load_one(
        docker_archive([tar(header("null", b"3", device=(1, 3), mode=0o666), header("p", b"6"))])
    )
    facts = os.stat(world.tree(image) / "null")
    assert (stat.S_ISCHR(facts.st_mode), facts.st_rdev, stat.S_IMODE(facts.st_mode)) == (True, os.makedev(1, 3), 0o666)
    assert stat.S_IMODE(os.stat(world.root / "layers").st_mode) == 0o700, "nobody but root reaches them on the host"


async def test_layers_that_were_not_on_the_disk_when_the_machine_went_down_are_unpacked_again(world, caplog):
    image = await world.load_one(oci_archive([BASE, TOP]))
    marker = world.root / "images/unsettled.json"
    marker.write_bytes(marker.read_bytes().replace(boot_id().encode(), b"another boot"))
    (world.tree(image) / "etc/group").write_bytes(b"")  # what a file looks like whose data never arrived
    world.open()
    await world.store.reconcile()
    assert (world.tree(image) / "etc/group").read_bytes() == b"group\n"
    assert caplog.text.count("is unpacked again: the machine went down") == 2


async def settled(world):
    for _ in range(1000):
        if not (world.root / "images/unsettled.json").exists():
            return True
        await asyncio.sleep(0.01)
    return False


async def test_what_was_loaded_is_settled_after_a_while(world):
    world.open(settle_after_s=0)
    await world.load(oci_archive([BASE, TOP]))
    assert await settled(world)


async def test_a_killed_daemon_settles_what_the_last_one_did_not(world):
    await world.load(oci_archive([BASE, TOP]))
    assert (world.root / "images/unsettled.json").exists()
    await world.store.close()
    world.open(settle_after_s=0)
    await world.store.reconcile()
    assert len(world.layers()) == 2
    assert await settled(world)
    assert world.store.get("hostile").layers == (digest(BASE), digest(TOP))
