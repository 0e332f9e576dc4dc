"""Builders of tars and image archives, well-formed and not."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator

ZERO = bytes(1024)


def header(
    name: bytes | str,
    kind: bytes = b"0",
    size: int | bytes = 0,
    link: bytes | str = b"",
    *,
    mode: int = 0o644,
    uid: int | bytes = 0,
    gid: int = 0,
    mtime: int = 1_700_000_000,
    device: tuple[int, int] = (0, 0),
    magic: bytes = b"ustar\x0000",
    checksum: bool = True,
) -> bytes:
    """One ustar header; sizes and owners given as bytes are put in as they stand."""
    name, link = (value.encode() if isinstance(value, str) else value for value in (name, link))

    def octal(value: int | bytes, width: int) -> bytes:
        return value.ljust(width, b"\0") if isinstance(value, bytes) else b"%0*o\0" % (width - 1, value)

    block = bytearray(512)
    block[0:100] = name[:100].ljust(100, b"\0")
    block[100:108] = octal(mode, 8)
    block[108:116] = octal(uid, 8)
    block[116:124] = octal(gid, 8)
    block[124:136] = octal(size, 12)
    block[136:148] = octal(mtime, 12)
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157:257] = link[:100].ljust(100, b"\0")
    block[257:265] = magic
    block[329:337] = octal(device[0], 8)
    block[337:345] = octal(device[1], 8)
    total = sum(block) + (0 if checksum else 7)
    block[148:156] = b"%06o\0 " % total
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def file(name: bytes | str, data: bytes = b"x", **more) -> bytes:
    return header(name, b"0", len(data), **more) + padded(data)


def directory(name: bytes | str, **more) -> bytes:
    return header(name, b"5", mode=more.pop("mode", 0o755), **more)


def symlink(name: bytes | str, link: bytes | str) -> bytes:
    return header(name, b"2", link=link, mode=0o777)


def hardlink(name: bytes | str, link: bytes | str) -> bytes:
    return header(name, b"1", link=link)


def pax(records: dict[str, bytes | str], kind: bytes = b"x") -> bytes:
    body = b""
    for key, value in records.items():
        value = value.encode() if isinstance(value, str) else value
        rest = b" " + key.encode() + b"=" + value + b"\n"
        length = len(rest) + 1
        while len(str(length)) + len(rest) != length:
            length = len(str(length)) + len(rest)
        body += str(length).encode() + rest
    return header("pax", kind, len(body)) + padded(body)


def long_name(name: bytes, kind: bytes = b"L") -> bytes:
    return header("././@LongLink", kind, len(name) + 1) + padded(name + b"\0")


def tar(*parts: bytes) -> bytes:
    return b"".join(parts) + ZERO


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for name, data in members.items():
            row = tarfile.TarInfo(name)
            row.size = len(data)
            out.addfile(row, io.BytesIO(data))
    return buffer.getvalue()


def config_of(plain_layers: list[bytes], **more) -> bytes:
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["sh"], "Env": ["A=b"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in plain_layers]},
    }
    return json.dumps(document | more).encode()


def docker_archive(
    layers: list[bytes], tag: str = "hostile:latest", *, config: bytes | None = None, packed=None
) -> bytes:
    """A docker-archive of plain `layers`; `packed` are their forms in the archive."""
    config = config_of(layers) if config is None else config
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": names}]
    members = dict(zip(names, packed or layers, strict=True))
    return archive({**members, "config.json": config, "manifest.json": json.dumps(manifest).encode()})


def oci_archive(
    layers: list[bytes], tag: str = "hostile:latest", *, pack=gzip.compress, suffix="+gzip", config: bytes | None = None
) -> bytes:
    config = config_of(layers) if config is None else config
    blobs = [pack(layer) for layer in layers]
    media_type = "application/vnd.oci.image.layer.v1.tar" + suffix
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [descriptor(blob, media_type) for blob in blobs],
        }
    ).encode()
    return layout([config, manifest, *blobs], [descriptor(manifest, tag=tag)])


def descriptor(
    data: bytes, media_type: str = "application/vnd.oci.image.manifest.v1+json", tag: str = "", **more
) -> dict:
    row = {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}
    return row | ({"annotations": {"org.opencontainers.image.ref.name": tag}} if tag else {})


def layout(blobs: list[bytes], manifests: list[dict]) -> bytes:
    members = {f"blobs/sha256/{digest(blob)[7:]}": blob for blob in blobs}
    index = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
    return archive({"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', **members, "index.json": index})


async def chunked(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]
