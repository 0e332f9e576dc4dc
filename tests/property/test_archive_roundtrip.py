"""What goes into a tree comes out of it: names, contents, kinds, owners and modes."""

import asyncio
import io
import os
import tarfile
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.volume.archive import TreeArchive

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for owners")

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..") and len(name.encode()) <= 200
)
owners = st.integers(0, 2**31)
modes = st.integers(0, 0o7777)
files = st.tuples(st.just("file"), st.binary(max_size=2000), modes, owners, owners)
links = st.tuples(st.just("link"), st.text("ab/.", min_size=1, max_size=20), st.just(0o777), owners, owners)
directories = st.tuples(st.just("dir"), st.just(b""), modes, owners, owners)
trees = st.dictionaries(names, files | links | directories, max_size=6)


def packed(tree):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, (kind, content, mode, uid, gid) in tree.items():
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.gid = mode, uid, gid
            info.type = {"file": tarfile.REGTYPE, "link": tarfile.SYMTYPE, "dir": tarfile.DIRTYPE}[kind]
            if kind == "link":
                info.linkname = content
            elif kind == "file":
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if kind == "file" else None)
    return raw.getvalue()


def unpacked(data):
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for info in tar.getmembers():
            kind = "file" if info.isfile() else "link" if info.issym() else "dir"
            content = {"file": lambda i=info: tar.extractfile(i).read(), "link": lambda i=info: i.linkname}
            found[info.name] = (kind, content.get(kind, lambda: b"")(), info.mode, info.uid, info.gid)
    return found


async def through(data):
    async def chunks():
        yield data

    archive = TreeArchive()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as root:
        await archive.write(root, (), "/", chunks())
        out = b"".join([chunk async for chunk in await archive.export(root)])
    archive.close()
    return out


@settings(max_examples=60, deadline=None)
@given(trees)
def test_what_goes_in_comes_out(tree):
    assert unpacked(asyncio.run(through(packed(tree)))) == tree
