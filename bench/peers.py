"""Peers: where the dockers to measure against come from. Nothing is installed.

First peer: SAMPAN_BENCH_DOCKERD (a path; containerd and its shim stand beside it) or dockerd in PATH.
Second peer: Debian's docker.io, downloaded by apt-get and unpacked into build/peers.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

UNPACKED = Path("build/peers/debian")
PACKAGES = ("docker.io", "containerd", "libdevmapper1.02.1")


class Peer(NamedTuple):
    """A dockerd, the PATH in which it finds its containerd, shim and runc, and its libraries."""

    label: str
    dockerd: str
    path: str
    libraries: str = ""


class Missing(Exception):
    """A peer that cannot be had here, and why."""


def newest() -> Peer:
    """Return the dockerd of SAMPAN_BENCH_DOCKERD or of PATH. Raises Missing."""
    dockerd = os.environ.get("SAMPAN_BENCH_DOCKERD") or shutil.which("dockerd")
    if not dockerd or not os.access(dockerd, os.X_OK):
        raise Missing(
            "no dockerd: set SAMPAN_BENCH_DOCKERD to one (with its containerd beside it), or have one in PATH"
        )
    return _peer(dockerd, [str(Path(dockerd).parent)])


def debian() -> Peer:
    """Return Debian's docker.io, downloading and unpacking it at the first call. Raises Missing."""
    root = UNPACKED.absolute() / "root"
    dockerd = root / "usr/sbin/dockerd"
    if not dockerd.exists():
        _download(root)
    libraries = ":".join(str(folder) for folder in (root / "usr/lib").glob("*-linux-gnu"))
    return _peer(str(dockerd), [str(root / "usr/sbin"), str(root / "usr/bin")], libraries)


def _download(root: Path) -> None:
    archives = root.parent / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["apt-get", "download", *PACKAGES], cwd=archives, check=True, capture_output=True, text=True)
        for package in archives.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(root)], check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise Missing(f"no Debian packages here: {error}") from error
    except subprocess.CalledProcessError as error:
        raise Missing(f"docker.io cannot be downloaded: {error.stderr.strip()}") from error


def _peer(dockerd: str, folders: list[str], libraries: str = "") -> Peer:
    env = {**os.environ, "LD_LIBRARY_PATH": libraries}
    told = subprocess.run([dockerd, "--version"], check=True, capture_output=True, text=True, env=env).stdout
    version = re.search(r"version (\d+\.\d+\.\d+)", told)
    path = ":".join([*folders, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
    return Peer(f"dockerd {version[1] if version else '?'}", dockerd, path, libraries)
