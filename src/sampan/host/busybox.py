"""The host's static busybox: where it is and which applets it has."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from sampan.base.errors import Unavailable

_PLACES = ("/bin/busybox", "/usr/bin/busybox")


def find_busybox() -> Path:
    """Return the path of a statically linked busybox; raises `Unavailable` with what to install."""
    for place in _PLACES:
        path = Path(place)
        if path.exists() and _is_static(path):
            return path
    raise Unavailable("no static busybox on this host: install the package busybox-static and try again")


def _is_static(path: Path) -> bool:
    """Tell an ELF file without an interpreter (a PT_INTERP program header names one)."""
    with open(path, "rb") as file:
        head = file.read(4096)
    return head[:4] == b"\x7fELF" and b"/ld-linux" not in head and b"/ld-musl" not in head


def applets(busybox: Path) -> tuple[str, ...]:
    """Return the names of its applets, sorted."""
    listing = subprocess.run([os.fspath(busybox), "--list"], check=True, capture_output=True, text=True)
    return tuple(sorted(set(listing.stdout.split()) - {"busybox"}))
