"""Images made of this machine's own Debian packages, so that everything runs with no registry in reach.

An image is made here as a docker-archive and loaded like any other; the engine needs no special door for it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from io import BufferedRandom
from typing import IO

from sampan.cli.errors import CliError, UsageError
from sampan.cli.flags import nearest

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DIRECTORIES = {"bin": 0o755, "dev": 0o755, "etc": 0o755, "home": 0o755, "proc": 0o755, "root": 0o700, "sys": 0o755,
                "tmp": 0o1777, "usr": 0o755, "usr/bin": 0o755, "usr/sbin": 0o755, "sbin": 0o755, "var": 0o755, "var/tmp": 0o1777}  # fmt: skip
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nwww-data:x:33:33:www-data:/var/www:/bin/false\n"
    "nobody:x:65534:65534:nobody:/home:/bin/false\n",
    "etc/group": "root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}


def archive(recipe: str, name: str) -> Iterator[bytes]:
    """Yield a docker-archive of `recipe` (busybox or debian), named `name` or like the recipe.

    Raises:
        UsageError: no such recipe.
        CliError: the package it is made of is not installed.
    """
    recipes = {"busybox": (_busybox, ["sh"]), "debian": (_debian, ["bash"])}
    if recipe not in recipes:
        raise UsageError(f"there is no recipe '{recipe}'{nearest(recipe, list(recipes))}. Known: {', '.join(recipes)}")
    make, command = recipes[recipe]
    name = name or recipe
    tagged = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
    with tempfile.TemporaryFile() as layer:
        created = make(layer)
        yield from _docker_archive(layer, tagged, command, created)


def _docker_archive(layer: BufferedRandom, name: str, command: list[str], created_s: int) -> Iterator[bytes]:
    layer.seek(0)
    digest = hashlib.file_digest(layer, "sha256").hexdigest()
    config = json.dumps(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
            "os": "linux",
            "created": _rfc3339(created_s),
            "config": {"Env": [_PATH], "Cmd": command},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created": _rfc3339(created_s), "created_by": "sampan image bootstrap"}],
        }
    ).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]).encode()
    for path, content in (
        (config_name, io.BytesIO(config)),
        (f"{digest}/layer.tar", layer),
        ("manifest.json", io.BytesIO(manifest)),
    ):
        yield from _member(path, content)
    yield b"\0" * 1024


def _member(path: str, content: IO[bytes]) -> Iterator[bytes]:
    entry = tarfile.TarInfo(path)
    entry.size = content.seek(0, os.SEEK_END)
    content.seek(0)
    yield entry.tobuf(tarfile.USTAR_FORMAT)
    while piece := content.read(1 << 20):
        yield piece
    yield b"\0" * (-entry.size % 512)


def _rfc3339(seconds: int) -> str:
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _busybox(layer: BufferedRandom) -> int:
    """Write the root filesystem: the static busybox, a link for each applet, a passwd. Returns its time."""
    binary = next((path for path in ("/bin/busybox", "/usr/bin/busybox") if os.path.exists(path)), "")
    if not binary:
        raise CliError("busybox is not installed: apt-get install busybox-static")
    applets = [line for line in _output([binary, "--list-full"]).decode().split() if line != "bin/busybox"]
    made_s = int(os.stat(binary).st_mtime)
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, mode in _DIRECTORIES.items():
            tar.addfile(_entry(path, made_s, mode, tarfile.DIRTYPE))
        for path, text in _FILES.items():
            entry = _entry(path, made_s, 0o644, tarfile.REGTYPE)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
        with open(binary, "rb") as file:
            entry = _entry("bin/busybox", made_s, 0o755, tarfile.REGTYPE)
            entry.size = os.fstat(file.fileno()).st_size
            tar.addfile(entry, file)
        for applet in applets:
            link = _entry(applet if "/" in applet else f"bin/{applet}", made_s, 0o777, tarfile.SYMTYPE)
            link.linkname = "/bin/busybox"
            tar.addfile(link)
    return made_s


def _entry(path: str, made_s: int, mode: int, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.mtime, entry.mode, entry.type = made_s, mode, kind
    return entry


def _debian(layer: BufferedRandom) -> int:
    """Write a minimal Debian of this machine's release by mmdebstrap. Returns the time it was made."""
    import shutil
    import time

    tool = shutil.which("mmdebstrap")
    if not tool:
        raise CliError("mmdebstrap is not installed: apt-get install mmdebstrap")
    status = _spawn([tool, "--variant=minbase", "--mode=auto", "--quiet", _release(), "-"], layer.fileno())
    if status:
        raise CliError(f"mmdebstrap failed (exit {status}); its messages stand above. Does apt-get update work here?")
    return int(time.time())  # noqa: TID251  the image's own date


def _release() -> str:
    with open("/etc/os-release", encoding="utf-8") as file:
        lines = dict(line.strip().split("=", 1) for line in file if "=" in line)
    return lines.get("VERSION_CODENAME", "stable").strip('"')


def _output(argv: list[str]) -> bytes:
    with tempfile.TemporaryFile() as out:
        status = _spawn(argv, out.fileno())
        if status:
            raise CliError(f"{' '.join(argv)} failed with exit code {status}")
        out.seek(0)
        return out.read()


def _spawn(argv: list[str], stdout: int) -> int:
    """Run a program to its end with its output on `stdout`; returns its exit code."""
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, stdout, 1)])
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
