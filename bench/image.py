"""Image: the two archives that every side loads: busybox, and one big layer of this machine's own files."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

CACHE = Path("build/bench/images")
NAME = "bench/busybox:1"
BIG_NAME = "bench/big:1"
BIG_BYTES = 200_000_000
BIG_FILES = 5_800
APPLETS = ("sh", "true", "sleep", "cat", "echo", "ls", "wget", "nc", "head", "seq", "ip", "ps")


def busybox() -> Path:
    """Return a docker-archive of busybox (a few MB), made of the machine's own static binary."""
    binary = shutil.which("busybox")
    if binary is None:
        raise FileNotFoundError("no busybox: install busybox-static")
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in ("bin", "etc", "tmp", "root", "proc", "sys", "dev"):
            tar.addfile(_entry(folder, tarfile.DIRTYPE, 0o755))
        data = Path(binary).read_bytes()
        tar.addfile(_entry("bin/busybox", tarfile.REGTYPE, 0o755, len(data)), io.BytesIO(data))
        for applet in APPLETS:
            tar.addfile(_entry(f"bin/{applet}", tarfile.SYMTYPE, 0o777, target="busybox"))
        passwd = b"root:x:0:0:root:/root:/bin/sh\n"
        tar.addfile(_entry("etc/passwd", tarfile.REGTYPE, 0o644, len(passwd)), io.BytesIO(passwd))
    return _archive(CACHE / "busybox.tar", NAME, layer.getvalue(), layer.getvalue())


class Big(NamedTuple):
    """The archive with one big gzip layer: what is in it."""

    path: str
    layer_bytes: int
    gzip_bytes: int
    files: int


def big() -> Big:
    """Return a docker-archive with a gzip layer of about 200 MB and 5,800 real files. Made once; the choice is fixed."""
    facts = CACHE / "big.json"
    if facts.exists():
        return msgspec.json.decode(facts.read_bytes(), type=Big)
    layer = io.BytesIO()
    chosen = _selection(Path("/usr"))
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        folders: set[Path] = set()
        for path, status in sorted(chosen, key=lambda pair: pair[0]):
            for folder in reversed([*path.parents][:-1]):  # as in any real layer, a directory stands ahead of its files
                if folder not in folders:
                    folders.add(folder)
                    tar.addfile(_entry(str(folder).lstrip("/"), tarfile.DIRTYPE, 0o755))
            entry = _entry(str(path).lstrip("/"), tarfile.REGTYPE, stat.S_IMODE(status.st_mode) & 0o755, status.st_size)
            with path.open("rb") as source:
                tar.addfile(entry, source)
    plain = layer.getvalue()
    packed = gzip.compress(plain, 6, mtime=0)
    made = Big(str(_archive(CACHE / "big.tar", BIG_NAME, plain, packed)), len(plain), len(packed), len(chosen))
    facts.write_bytes(msgspec.json.encode(made))
    return made


def _selection(top: Path) -> list[tuple[Path, os.stat_result]]:
    """Return BIG_FILES regular files, chosen by their names' hashes, with a size limit that makes them BIG_BYTES."""
    ordered = sorted(_files(top), key=lambda path: hashlib.sha1(os.fsencode(path)).digest())
    sized = [(path, status) for path in ordered if (status := path.stat()).st_size]
    choices = []
    for exponent in range(64, 100):
        limit = 2 ** (exponent / 4)
        chosen = [pair for pair in sized if pair[1].st_size <= limit][:BIG_FILES]
        choices.append((abs(sum(status.st_size for _, status in chosen) - BIG_BYTES), chosen))
    return min(choices, key=lambda choice: choice[0])[1]


def _files(top: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(top):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _entry(name: str, kind: bytes, mode: int, size: int = 0, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size, entry.linkname = kind, mode, size, target
    return entry


def _archive(path: Path, name: str, layer: bytes, stored: bytes) -> Path:
    """Write a docker-archive with one layer; `stored` is the layer as it stands in it (plain or gzip)."""
    config = msgspec.json.encode(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "config": {"Cmd": ["sh"], "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "bench"}],
        }
    )
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = msgspec.json.encode([{"Config": config_name, "RepoTags": [name], "Layers": ["layer/layer.tar"]}])
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for member, data in ((config_name, config), ("layer/layer.tar", stored), ("manifest.json", manifest)):
            tar.addfile(_entry(member, tarfile.REGTYPE, 0o644, len(data)), io.BytesIO(data))
    return path
