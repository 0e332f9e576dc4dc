"""A corpus of hostile layers and archives: each is refused with a reason or contained, and nothing is left behind.

A canary tree stands outside of the data root, and every trick aims at it. Measured of dockerd for the same ideas: names
with `..` and absolute ones are clamped and accepted, the rest is refused within a 200 answer.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from host.image_archives import (
    ZERO,
    archive,
    config_of,
    descriptor,
    digest,
    directory,
    docker_archive,
    file,
    hardlink,
    header,
    layout,
    long_name,
    oci_archive,
    padded,
    pax,
    symlink,
    tar,
)
from host.image_world import World, root_only
from sampan.base.errors import DataLoss, InvalidArgument, TooLarge
from sampan.host.compression import Limits
from sampan.host.untar import UnpackLimits
from sampan.image.install import Bounds

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(root_only()), reason=root_only())]

REFUSED = (InvalidArgument, TooLarge, DataLoss)
BOUNDS = Bounds(
    archive=Limits(max_bytes=64 << 20),
    layer=Limits(max_bytes=32 << 20, free_bytes=4 << 20),
    tree=UnpackLimits(max_entries=500, max_bytes=16 << 20),
    members=500,
)
UP = "../" * 12
GOOD = tar(file("ok", b"fine"))


def canary_of(root: Path) -> Path:
    return root.parent / "canary"


# --- layers: name -> builder(canary path); every one must be refused ----------------------------------------------------

REFUSED_LAYERS: dict[str, Callable[[str], list[bytes]]] = {
    "dotdot": lambda c: [tar(file(UP + "canary/new"))],
    "dotdot in the middle": lambda c: [tar(file("a/../../b"))],
    "dotdot alone": lambda c: [tar(file(".."))],
    "dotdot directory": lambda c: [tar(directory(UP + "canary/sub"))],
    "dotdot symlink name": lambda c: [tar(symlink(UP + "canary/link", "x"))],
    "dotdot in a pax path": lambda c: [tar(pax({"path": UP + "canary/new"}), file("x"))],
    "dotdot in a GNU long name": lambda c: [tar(long_name((UP + "canary/new").encode()), file("x"))],
    "hard link out by dotdot": lambda c: [tar(hardlink("h", UP + "canary/secret"))],
    "hard link out by absolute path": lambda c: [tar(hardlink("h", f"{c}/secret"))],
    "hard link through a symlink": lambda c: [tar(symlink("s", c), hardlink("h", "s/secret"))],
    "hard link to nothing": lambda c: [tar(hardlink("h", "absent"))],
    "hard link to itself": lambda c: [tar(file("h"), hardlink("h", "./h"))],
    "hard link to a directory": lambda c: [tar(directory("d"), hardlink("h", "d"))],
    "hard link to the root": lambda c: [tar(hardlink("h", "/"))],
    "hard link in the next layer": lambda c: [tar(symlink("s", c)), tar(hardlink("h", "s/secret"))],
    "file below a file": lambda c: [tar(file("f"), file("f/g"))],
    "file below a dangling symlink": lambda c: [tar(symlink("s", "/nowhere/at/all"), file("s/f"))],
    "symlink loop as parent": lambda c: [tar(symlink("a", "b"), symlink("b", "a"), file("a/f"))],
    "symlink to itself as parent": lambda c: [tar(symlink("a", "a"), file("a/f"))],
    "empty symlink": lambda c: [tar(symlink("s", ""))],
    "root replaced by a file": lambda c: [tar(file("/"), file("./"), header("./", b"2", link=c))],
    "root replaced by a symlink": lambda c: [tar(header("/", b"2", link=c))],
    "whiteout of the parent": lambda c: [tar(file(".wh..."))],
    "whiteout of the directory itself": lambda c: [tar(file(".wh.."))],
    "whiteout of nothing": lambda c: [tar(file(".wh."))],
    "whiteout above the root": lambda c: [tar(file("../.wh.canary"))],
    "entry below a whiteout": lambda c: [tar(file(".wh.d/f"))],
    "overlayfs' own whiteout device": lambda c: [tar(header("d", b"3", device=(0, 0)))],
    "sparse GNU file of 1 PiB": lambda c: [tar(header("s", b"S", 1 << 33))],
    "sparse pax file": lambda c: [tar(pax({"GNU.sparse.major": "1", "GNU.sparse.realsize": str(1 << 50)}), file("s"))],
    "size of 1 PiB": lambda c: [header("f", b"0", b"\x80" + (1 << 50).to_bytes(11, "big"))],
    "size of 1 PiB in pax": lambda c: [tar(pax({"size": str(1 << 50)}), file("f"))],
    "negative size": lambda c: [tar(header("f", b"0", b"\xff" * 11 + b"\xf0"))],
    "negative pax size": lambda c: [tar(pax({"size": "-512"}), file("f"))],
    "size that is no number": lambda c: [tar(header("f", b"0", b"0000zz00000"))],
    "size beyond 64 bits": lambda c: [tar(header("f", b"0", b"\x80\xff" + b"\xff" * 10))],
    "pax size beyond all": lambda c: [tar(pax({"size": "9" * 30}), file("f"))],
    "negative owner": lambda c: [tar(header("f", uid=b"\xff" * 7 + b"\xfe"))],
    "owner -1": lambda c: [tar(header("f", uid=b"\x80\0\0\0" + b"\xff" * 4))],
    "owner beyond 32 bits": lambda c: [tar(pax({"uid": str(1 << 32)}), file("f"))],
    "pax record of length 0": lambda c: [tar(header("p", b"x", 8) + padded(b"0 path=a"), file("f"))],
    "pax record past the end": lambda c: [tar(header("p", b"x", 9) + padded(b"99 path=a"), file("f"))],
    "pax record without newline": lambda c: [tar(header("p", b"x", 9) + padded(b"9 path=ab"), file("f"))],
    "pax header of 1 GiB": lambda c: [tar(header("p", b"x", 1 << 30))],
    "GNU long name of 1 GiB": lambda c: [tar(header("L", b"L", 1 << 30))],
    "a hundred pax headers": lambda c: [tar(*(pax({"comment": "x"}) for _ in range(100)), file("f"))],
    "pax header of records beyond the limit": lambda c: [
        tar(pax({f"a{n}": "x" * 4000 for n in range(300)}), file("f"))
    ],
    "NUL in a pax path": lambda c: [tar(pax({"path": b"a\0/../b"}), file("f"))],
    "NUL in a link": lambda c: [tar(pax({"linkpath": b"a\0b"}), symlink("s", "x"))],
    "name of 5000 bytes": lambda c: [tar(pax({"path": "a/" * 2500}), file("f"))],
    "component of 256 bytes": lambda c: [tar(pax({"path": "a" * 256}), file("f"))],
    "link of 5000 bytes": lambda c: [tar(pax({"linkpath": "b" * 5000}), symlink("s", "x"))],
    "unknown type": lambda c: [tar(header("f", b"Z"))],
    "device number beyond all": lambda c: [tar(header("d", b"4", device=(0o17777, 1)))],
    "wrong checksum": lambda c: [tar(header("f", checksum=False))],
    "not a tar": lambda c: [b"#!/bin/sh\n" * 200],
    "truncated in a header": lambda c: [tar(file("a"))[:1100][:700]],
    "truncated in data": lambda c: [file("a", b"x" * 4096)[:2000]],
    "501 entries": lambda c: [tar(*(header(f"e{n}") for n in range(501)))],
    "501 implied directories": lambda c: [tar(*(pax({"path": f"{n}/" * 60 + "f"}) + file("f") for n in range(10)))],
    "a bomb of zeros": lambda c: [tar(header("z", size=17 << 20) + bytes(17 << 20))],
    "128 layers": lambda c: [tar(file(f"f{n}")) for n in range(128)],
}

# --- layers that are made inside the root whatever they aim at ------------------------------------------------------------

CONTAINED_LAYERS: dict[str, Callable[[str], list[bytes]]] = {
    "absolute name": lambda c: [tar(file(f"{c}/secret"))],
    "absolute directory": lambda c: [tar(directory(f"{c}/sub", mode=0o777))],
    "write through an absolute symlink": lambda c: [tar(symlink("s", c), directory(c), file("s/secret", b"pwned"))],
    "write through a relative symlink": lambda c: [
        tar(symlink("s", UP), directory("canary"), file("s/canary/secret", b"p"))
    ],
    "write onto a symlink": lambda c: [tar(symlink("s", f"{c}/secret"), file("s", b"pwned"))],
    "directory onto a symlink": lambda c: [tar(symlink("s", c), directory("s", mode=0o777, uid=99), file("s/secret"))],
    "symlink in one layer, write in the next": lambda c: [tar(symlink("s", c)), tar(file("s/secret", b"pwned"))],
    "symlink in one layer, whiteout in the next": lambda c: [tar(symlink("s", c)), tar(file("s/.wh.secret"))],
    "symlink in one layer, opaque in the next": lambda c: [tar(symlink("s", c)), tar(file("s/.wh..wh..opq"))],
    "whiteout through a symlink": lambda c: [tar(symlink("s", c), directory(c), file("s/.wh.secret"))],
    "opaque through a symlink": lambda c: [tar(symlink("s", c), directory(c), file("s/.wh..wh..opq"))],
    "hard link to a symlink, then write": lambda c: [
        tar(symlink("s", f"{c}/secret"), hardlink("h", "s"), file("h", b"p"))
    ],
    "fifo through a symlink": lambda c: [tar(symlink("s", c), directory(c), header("s/fifo", b"6"))],
    "chain of symlinks": lambda c: [
        tar(symlink("a", "b"), symlink("b", f"/{UP}"), directory(c), file(f"a{c}/secret", b"p"))
    ],
    "symlink to /proc/self/root": lambda c: [
        tar(symlink("s", "/proc/self/root"), directory("proc/self/root"), file("s/f"))
    ],
    "replaced parent": lambda c: [
        tar(directory("d"), file("d/f"), symlink("d", c), directory(c), file("d/secret", b"p"))
    ],
    "file over a full directory": lambda c: [tar(directory("d"), file("d/f"), file("d", b"now a file"))],
    "duplicate entries": lambda c: [tar(*(file("same", str(n).encode()) for n in range(50)))],
    "aufs bookkeeping": lambda c: [tar(directory(".wh..wh.plnk"), file(".wh..wh.aufs"))],
    "block device": lambda c: [tar(header("sda", b"4", device=(8, 0)))],
    "overlayfs xattrs": lambda c: [
        tar(pax({"SCHILY.xattr.trusted.overlay.redirect": c, "SCHILY.xattr.trusted.overlay.metacopy": ""}), file("f"))
    ],
    "hard link with data": lambda c: [tar(file("a"), header("b", b"1", 512, link="a"))],
    "names that are not text": lambda c: [tar(file(b"\xff\xfe\n\x1b[2J"))],
    "490 nested directories": lambda c: [tar(pax({"path": "d/" * 490}), directory("x"))],
    "time of the year 9999999": lambda c: [tar(pax({"mtime": "9" * 15}), file("f"))],
    "setuid and sticky": lambda c: [tar(file("su", mode=0o6755), directory("t", mode=0o1777))],
    "directory without rights": lambda c: [tar(directory("d", mode=0), file("d/f"))],
}


def _manifest(config: bytes, blobs: list[bytes], **more) -> bytes:
    layers = [descriptor(blob, "application/vnd.oci.image.layer.v1.tar+gzip") for blob in blobs]
    document = {
        "schemaVersion": 2,
        "config": descriptor(config, "application/vnd.oci.image.config.v1+json"),
        "layers": layers,
    }
    return json.dumps(document | more).encode()


def _oci(manifest: bytes, *blobs: bytes) -> bytes:
    return layout([manifest, *blobs], [descriptor(manifest, tag="hostile:latest")])


def _foreign() -> bytes:
    config, blob = config_of([GOOD]), gzip.compress(GOOD)
    row = descriptor(blob, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", urls=["http://127.0.0.1/x"])
    return _oci(_manifest(config, [], layers=[row]), config, blob)


def _nested() -> bytes:
    document, blobs = _manifest(config_of([]), []), [config_of([])]
    for _ in range(8):
        blobs.append(document)
        rows = [descriptor(document, "application/vnd.oci.image.index.v1+json")]
        document = json.dumps({"schemaVersion": 2, "manifests": rows}).encode()
    return _oci(document, *blobs)


def _link_loop() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for name, target in (("0/layer.tar", "../1/layer.tar"), ("1/layer.tar", "../0/layer.tar")):
            row = tarfile.TarInfo(name)
            row.type, row.linkname = tarfile.SYMTYPE, target
            out.addfile(row)
    return buffer.getvalue()[:1024] + docker_archive([GOOD], packed=[b""])[1024:]


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "only an end mark": lambda: ZERO,
    "a plain root filesystem": lambda: GOOD,
    "text": lambda: b"hello world\n" * 100,
    "wrong diff_id": lambda: docker_archive([GOOD], config=config_of([tar(file("other"))])),
    "wrong diff_id in OCI form": lambda: oci_archive([GOOD], config=config_of([tar(file("other"))])),
    "fewer layers than diff_ids": lambda: docker_archive([GOOD], config=config_of([GOOD, GOOD])),
    "blob that is not its name": lambda: (
        layout([], []).replace(b"oci-layout", b"oci-layouT")
        and archive(
            {f"blobs/sha256/{'0' * 64}": gzip.compress(GOOD), "index.json": b'{"schemaVersion":2,"manifests":[]}'}
        )
    ),
    "missing layer": lambda: archive(
        {"c.json": config_of([GOOD]), "manifest.json": b'[{"Config":"c.json","RepoTags":null,"Layers":["gone"]}]'}
    ),
    "missing config": lambda: archive({"manifest.json": b'[{"Config":"c.json","RepoTags":null,"Layers":[]}]'}),
    "config path out of the archive": lambda: archive(
        {"manifest.json": b'[{"Config":"../../../etc/passwd","RepoTags":null,"Layers":[]}]'}
    ),
    "layer path out of the archive": lambda: archive(
        {"c.json": config_of([GOOD]), "manifest.json": b'[{"Config":"c.json","Layers":["../../../../etc/passwd"]}]'}
    ),
    "loop of links": _link_loop,
    "manifest.json is an object": lambda: archive({"manifest.json": b"{}"}),
    "manifest.json of wrong types": lambda: archive({"manifest.json": b'[{"Config":1,"RepoTags":{},"Layers":"x"}]'}),
    "config of wrong types": lambda: docker_archive([GOOD], config=config_of([GOOD], config={"Env": {"a": 1}})),
    "config with a cmd of numbers": lambda: docker_archive([GOOD], config=config_of([GOOD], config={"Cmd": [1, 2]})),
    "config that is a list": lambda: docker_archive([GOOD], config=b"[]"),
    "config nested 100,000 deep": lambda: docker_archive([GOOD], config=b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "config with a huge number": lambda: docker_archive(
        [GOOD], config=config_of([GOOD], config={"Healthcheck": {"Interval": 10**30}})
    ),
    "diff_id that is a path": lambda: docker_archive(
        [GOOD], config=config_of([], rootfs={"type": "layers", "diff_ids": ["sha256:../../../../etc"]})
    ),
    "rootfs of another type": lambda: docker_archive(
        [GOOD], config=config_of([], rootfs={"type": "vm", "diff_ids": []})
    ),
    "digest that is a path": lambda: layout([], [{"mediaType": "x", "digest": "sha256:../../x", "size": 1}]),
    "digest of another algorithm": lambda: layout([], [{"mediaType": "x", "digest": "md5:" + "0" * 32, "size": 1}]),
    "negative size": lambda: layout([], [{"mediaType": "x", "digest": digest(b""), "size": -1}]),
    "nested indexes": _nested,
    "10,000 index entries": lambda: layout([], [descriptor(str(n).encode()) for n in range(10_000)]),
    "foreign layer": _foreign,
    "schema 1": lambda: _oci(
        json.dumps({"schemaVersion": 1, "layers": [], "config": descriptor(b"{}")}).encode(), b"{}"
    ),
    "layer of an unknown type": lambda: oci_archive([GOOD], suffix="+wasm"),
    "layer that is an encrypted blob": lambda: oci_archive([GOOD], suffix="+gzip+encrypted"),
    "tag that is no tag": lambda: docker_archive([GOOD], tag="team/UPPER:latest"),
    "tag with a path in it": lambda: docker_archive([GOOD], tag="../../x:latest"),
    "manifest of 10 MiB": lambda: archive({"manifest.json": b"[" + b" " * (10 << 20) + b"]"}),
    "JSON beyond the limit": lambda: archive({f"{n}.json": b"{" + b" " * (3 << 20) + b"}" for n in range(20)}),
    "gzip cut off": lambda: gzip.compress(docker_archive([GOOD]))[:-20],
    "gzip layer cut off": lambda: docker_archive([GOOD], packed=[gzip.compress(GOOD)[:-20]]),
    "gzip with a wrong checksum": lambda: gzip.compress(docker_archive([GOOD]))[:-8] + bytes(8),
    "zstd cut off": lambda: zstd.compress(docker_archive([GOOD]))[:-5],
    "gzip bomb layer": lambda: docker_archive([GOOD], packed=[gzip.compress(bytes(40 << 20))]),
    "zstd bomb layer": lambda: docker_archive([GOOD], packed=[zstd.compress(bytes(40 << 20))]),
    "zstd bomb archive": lambda: zstd.compress(bytes(80 << 20)),
    "gzip bomb archive": lambda: gzip.compress(bytes(70 << 20), 1),
    "gzip in gzip": lambda: gzip.compress(gzip.compress(docker_archive([GOOD]))),
    "501 members": lambda: b"".join(header(f"m{n}") for n in range(501)) + ZERO,
    "1001 images": lambda: archive(
        {
            "c.json": config_of([]),
            "manifest.json": json.dumps([{"Config": "c.json", "RepoTags": None, "Layers": []}] * 1001).encode(),
        }
    ),
    "member cut off": lambda: docker_archive([GOOD])[:1500],
    "name with dotdot": lambda: archive({"../manifest.json": b"[]"}),
}


@pytest.fixture
def world(tmp_path):
    canary = tmp_path / "canary"
    canary.mkdir(mode=0o750)
    (canary / "secret").write_text("untouched")
    (canary / "secret").chmod(0o600)
    made = World(tmp_path / "data", bounds=BOUNDS)
    before = _picture(tmp_path)
    yield made
    made.close()
    assert _picture(tmp_path) == before, "something outside of the data root changed"
    assert made.temporary() == []


def _picture(root: Path) -> list[tuple]:
    rows = []
    for path in sorted([root, *root.rglob("*")]):
        if path.is_relative_to(root / "data"):
            continue
        facts = path.lstat()
        data = path.read_bytes() if stat.S_ISREG(facts.st_mode) else b""
        rows.append(
            (str(path), facts.st_mode, facts.st_uid, facts.st_nlink, facts.st_mtime_ns if path != root else 0, data)
        )
    return rows


def test_the_corpus_is_large_enough():
    assert len(REFUSED_LAYERS) + len(CONTAINED_LAYERS) + len(ARCHIVES) >= 60


async def _refuse(world: World, data: bytes) -> None:
    with pytest.raises(REFUSED) as caught:
        await world.load(data)
    assert len(caught.value.message) > 20, "a reason for people"
    assert (world.layers(), world.blobs(), world.store.list()) == ([], [], ())
    await world.load(docker_archive([GOOD], tag="good:1"))  # the next one works
    assert (world.tree(world.store.get("good:1")) / "ok").read_text() == "fine"


@pytest.mark.parametrize("name", REFUSED_LAYERS)
async def test_layer_is_refused(world, name):
    await _refuse(world, docker_archive(REFUSED_LAYERS[name](str(canary_of(world.root)))))


@pytest.mark.parametrize("name", ARCHIVES)
async def test_archive_is_refused(world, name):
    await _refuse(world, ARCHIVES[name]())


@pytest.mark.parametrize("name", CONTAINED_LAYERS)
async def test_layer_is_contained(world, name):
    canary = str(canary_of(world.root))
    image = await world.load_one(docker_archive(CONTAINED_LAYERS[name](canary)))
    root = await world.snapshots.mount("c", image, volatile=True)
    assert os.path.isdir(root)
    await world.snapshots.changes("c", image)
    await world.snapshots.remove("c")
    await world.store.remove("hostile", force=False, in_use={})
    assert (world.layers(), world.blobs()) == ([], [])


async def test_overlay_attributes_of_a_layer_are_dropped(world):
    image = await world.load_one(docker_archive(CONTAINED_LAYERS["overlayfs xattrs"]("/etc")))
    assert os.listxattr(world.tree(image) / "f") == []


async def test_a_second_writer_through_a_symlink_lands_inside(world):
    canary = str(canary_of(world.root))
    layers = CONTAINED_LAYERS["write through an absolute symlink"](canary)
    image = await world.load_one(docker_archive(layers))
    assert Path(f"{world.tree(image)}{canary}/secret").read_text() == "pwned"


async def test_million_entries_have_a_limit_and_it_is_told(world):
    with pytest.raises(TooLarge, match="more than 500 entries"):
        await world.load(docker_archive(REFUSED_LAYERS["501 entries"]("")))


async def test_import_refuses_the_same(world):
    from host.image_archives import chunked
    from sampan.model.image import ImageConfig

    for name in ("dotdot", "hard link out by absolute path", "a bomb of zeros", "not a tar"):
        data = REFUSED_LAYERS[name](str(canary_of(world.root)))[0]
        with pytest.raises(REFUSED):
            [s async for s in world.store.import_rootfs(chunked(data), reference="i", config=ImageConfig(), message="")]
        assert (world.layers(), world.blobs()) == ([], [])
