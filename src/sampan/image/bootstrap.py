"""Images made from the host's own Debian packages, for machines that reach no registry.

`bootstrap` yields a docker-archive, which any engine's images/load takes. The same host makes the same bytes: entries
are sorted and all times are the packages' own.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec

from sampan.base.errors import InvalidArgument
from sampan.host.busybox import applets, find_busybox
from sampan.host.debian import debian_root, debian_suite
from sampan.host.pipe import READ_BYTES
from sampan.host.tarball import END, member
from sampan.image.parse import digest_of
from sampan.image.plan import rfc3339
from sampan.spec import oci_image as oci

KINDS = ("busybox", "debian")
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_DIRECTORIES = (
    ("bin", 0o755), ("dev", 0o755), ("etc", 0o755), ("home", 0o755), ("lib", 0o755), ("proc", 0o555), ("root", 0o700),
    ("run", 0o755), ("sbin", 0o755), ("sys", 0o555), ("tmp", 0o1777), ("usr", 0o755), ("usr/bin", 0o755),
    ("usr/sbin", 0o755), ("usr/share", 0o755), ("var", 0o755), ("var/spool", 0o755), ("var/spool/mail", 0o755),
    ("var/tmp", 0o1777), ("var/www", 0o755),
)  # fmt: skip
_FILES = {
    "etc/passwd": (
        "root:x:0:0:root:/root:/bin/sh\n"
        "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
        "bin:x:2:2:bin:/bin:/bin/false\n"
        "sys:x:3:3:sys:/dev:/bin/false\n"
        "sync:x:4:100:sync:/bin:/bin/sync\n"
        "mail:x:8:8:mail:/var/spool/mail:/bin/false\n"
        "www-data:x:33:33:www-data:/var/www:/bin/false\n"
        "operator:x:37:37:Operator:/var:/bin/false\n"
        "nobody:x:65534:65534:nobody:/home:/bin/false\n"
    ),
    "etc/group": (
        "root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nmail:x:8:\nwww-data:x:33:\n"
        "operator:x:37:\nusers:x:100:\nnogroup:x:65534:\n"
    ),
    "etc/shadow": "root:*:::::::\nnobody:*:::::::\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/profile": "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
}


async def bootstrap(kind: str) -> AsyncIterator[bytes]:
    """Yield a docker-archive of the image `kind` (see `KINDS`), tagged `kind:latest`."""
    if kind == "busybox":
        layer, created = await asyncio.to_thread(_busybox_layer)
        for chunk in _archive("busybox:latest", [layer], digest_of(layer), len(layer), ("sh",), created):
            yield chunk
    elif kind == "debian":
        suite = debian_suite()
        async with debian_root(suite) as tar:
            diff_id, size = await asyncio.to_thread(_digest_file, tar)
            chunks = _read(tar)
            for chunk in _archive("debian:latest", chunks, diff_id, size, ("bash",), int(tar.stat().st_mtime)):
                yield chunk
    else:
        raise InvalidArgument(f"there is no recipe for {kind!r}: bootstrap knows {' and '.join(KINDS)}")


# --- busybox ----------------------------------------------------------------------------------------------------------


def _busybox_layer() -> tuple[bytes, int]:
    """Return the root filesystem as a tar, and its time: the binary's own."""
    busybox = find_busybox()
    created = int(busybox.stat().st_mtime)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, mode in _DIRECTORIES:
            _add(tar, name, tarfile.DIRTYPE, mode, created)
        for name, text in _FILES.items():
            _add(tar, name, tarfile.REGTYPE, 0o640 if name == "etc/shadow" else 0o644, created, text.encode())
        _add(tar, "bin/busybox", tarfile.REGTYPE, 0o755, created, busybox.read_bytes())
        for applet in applets(busybox):
            _add(tar, f"bin/{applet}", tarfile.LNKTYPE, 0o755, created, link="bin/busybox")
        _add(tar, "usr/bin/env", tarfile.SYMTYPE, 0o777, created, link="../../bin/env")  # where scripts look for it
    return buffer.getvalue(), created


def _add(
    tar: tarfile.TarFile, name: str, kind: bytes, mode: int, mtime: int, data: bytes = b"", link: str = ""
) -> None:
    row = tarfile.TarInfo(name)
    row.type, row.mode, row.mtime, row.size, row.linkname = kind, mode, mtime, len(data), link
    row.uname = row.gname = "root"
    tar.addfile(row, io.BytesIO(data) if data else None)


# --- the archive ------------------------------------------------------------------------------------------------------


def _archive(
    tag: str, layer: Iterator[bytes] | list[bytes], diff_id: str, size: int, command: tuple[str, ...], created: int
) -> Iterator[bytes]:
    """Yield the docker-archive of a one-layer image."""
    moment = rfc3339(created * 1_000_000_000)
    document = oci.ImageDocument(
        architecture=_ARCHITECTURES.get(os.uname().machine, os.uname().machine),
        os="linux",
        created=moment,
        config=oci.RunConfig(env=(_PATH,), cmd=command),
        rootfs=oci.RootFs(diff_ids=(diff_id,)),
        history=(oci.HistoryEntry(created=moment, created_by=f"sampan image bootstrap {tag.partition(':')[0]}"),),
    )
    config = msgspec.json.encode(document)
    config_path = digest_of(config).removeprefix("sha256:") + ".json"
    layer_path = diff_id.removeprefix("sha256:") + "/layer.tar"
    entry = oci.DockerArchiveEntry(config=config_path, repo_tags=(tag,), layers=(layer_path,))
    yield from member(config_path, [config], len(config), created)
    yield from member(layer_path, layer, size, created)
    manifest = msgspec.json.encode([entry])
    yield from member(oci.DOCKER_ARCHIVE_MANIFEST, [manifest], len(manifest), created)
    yield END


def _read(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(READ_BYTES):
            yield chunk


def _digest_file(path: Path) -> tuple[str, int]:
    hasher = hashlib.sha256()
    for chunk in _read(path):
        hasher.update(chunk)
    return "sha256:" + hasher.hexdigest(), path.stat().st_size
