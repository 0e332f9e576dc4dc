"""Laws of the image package: whatever comes from outside ends in a value or in a declared error, and stays inside."""

from __future__ import annotations

import os
import tarfile
import tempfile
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.image_archives import directory, file, hardlink, header, pax, symlink, tar
from host.image_world import root_only
from sampan.base.errors import InvalidArgument, SampanError
from sampan.host.compression import decompress
from sampan.host.remove import remove_tree
from sampan.host.tarstream import TarStream
from sampan.host.untar import unpack
from sampan.image.catalogue import Catalogue
from sampan.image.parse import decode_config, decode_index, decode_manifest, parse_reference
from sampan.store.memory import MemoryRecordStore

QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])

references = st.from_regex(
    r"\A([a-z0-9]{1,5}(\.[a-z]{2,3})?(:[0-9]{1,4})?/)?[a-z0-9]{1,6}([._/-][a-z0-9]{1,5}){0,3}(:[\w][\w.-]{0,8})?\Z"
)


@QUICK
@given(references)
def test_the_familiar_form_means_the_same(text):
    try:
        parsed = parse_reference(text)
    except InvalidArgument:
        return
    assert parse_reference(parsed.familiar) == parsed
    assert parse_reference(parsed.tagged).tag == (parsed.tag or "latest")


@QUICK
@given(st.text(max_size=40))
def test_any_text_is_a_reference_or_told_to_be_none(text):
    try:
        parse_reference(text)
    except SampanError as error:
        assert str(error)


@QUICK
@given(st.text(max_size=20))
def test_looking_up_any_text_finds_nothing_or_says_so(text):
    with pytest.raises(SampanError):
        Catalogue(MemoryRecordStore(), None).get(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["schemaVersion", "layers", "config", "manifests", "digest", "size", "rootfs", "diff_ids", "type",
                         "history", "Env", "Cmd", "Labels", "mediaType"]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@QUICK
@given(json_values)
def test_any_json_is_a_document_or_told_to_be_none(value):
    import json

    data = json.dumps(value).encode()
    for decode in (decode_manifest, decode_index, decode_config):
        try:
            decode(data)
        except SampanError as error:
            assert str(error)


@QUICK
@given(st.binary(max_size=3000), st.integers(1, 700))
def test_any_bytes_are_a_stream_or_told_to_be_none(data, size):
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    for magic in (b"", b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd", b"BZh9", b"\xfd7zXZ\x00"):
        try:
            for _ in TarStream(decompress([magic, *chunks])):
                pass
        except SampanError as error:
            assert str(error)


@QUICK
@given(st.data())
def test_a_damaged_tar_is_read_or_told(data):
    good = bytearray(
        tar(pax({"path": "a/b", "mtime": "1.5"}), file("x", b"data" * 200), symlink("s", "t"), hardlink("h", "x"))
    )
    for _ in range(data.draw(st.integers(1, 6))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        for entry in TarStream([bytes(good)]):
            assert entry.size >= 0
    except SampanError as error:
        assert str(error)


@QUICK
@given(st.lists(st.binary(max_size=2000), max_size=6), st.integers(1, 500))
def test_members_of_compressed_streams_are_joined(parts, size):
    import bz2
    import gzip
    import lzma

    for pack in (gzip.compress, zstd.compress, bz2.compress, lzma.compress):
        packed = b"".join(pack(part) for part in parts)
        chunks = [packed[at : at + size] for at in range(0, len(packed), size)]
        assert b"".join(decompress(chunks)) == b"".join(parts)


names = st.sampled_from(
    ["a", "b", "a/b", "a/b/c", "./a", "/a", "b/a", "x/.wh.a", ".wh.a", "a/.wh..wh..opq", "../a", "a/..", ".", "d/", "ä"]
)
links = st.sampled_from(["a", "b", "/", "/etc", "../..", "a/b", "/proc/self/root", ".", "x"])
members = st.one_of(
    st.builds(lambda name, data: file(name, data, mode=0o4755), names, st.binary(max_size=600)),
    st.builds(directory, names),
    st.builds(symlink, names, links),
    st.builds(hardlink, names, links),
    st.builds(lambda name: header(name, b"6"), names),
    st.builds(lambda name, path: pax({"path": path}) + file(name), names, names),
)


@pytest.mark.root
@pytest.mark.skipif(bool(root_only()), reason=root_only())
@settings(QUICK, max_examples=100)
@given(st.lists(members, max_size=12))
def test_any_tar_stays_inside(parts):
    with tempfile.TemporaryDirectory() as top:
        inside, outside = Path(top) / "inside", Path(top) / "a"
        inside.mkdir()
        outside.mkdir()
        before = (os.stat(outside).st_mtime_ns, os.listdir("/etc"))
        fd = os.open(inside, os.O_RDONLY)
        try:
            unpack(TarStream([tar(*parts)]), fd)
        except SampanError as error:
            assert str(error)
        finally:
            os.close(fd)
        assert (os.stat(outside).st_mtime_ns, os.listdir("/etc")) == before
        assert sorted(os.listdir(top)) == ["a", "inside"]
        remove_tree(str(inside))


@QUICK
@given(
    st.lists(
        st.tuples(st.sampled_from(["f", "g/h", "g/i", "ü" * 70, "long/" * 30 + "x"]), st.binary(max_size=1500)),
        max_size=5,
    )
)
def test_what_pythons_tarfile_writes_is_read(rows):
    import io

    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as out:
            for name, data in rows:
                row = tarfile.TarInfo(name)
                row.size, row.mtime, row.uid = len(data), 12.5 if form == tarfile.PAX_FORMAT else 12, 3_000_000
                out.addfile(row, io.BytesIO(data))
        stream = TarStream([buffer.getvalue()])
        read = [(entry.name.decode(), entry.uid, stream.read(2000)) for entry in stream]
        assert read == [(name, 3_000_000, data) for name, data in rows]
