"""What the microVM boots. Nothing is installed on this machine."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from soak.microvm.base import base
from soak.microvm.tree import ROOT, make_tree

CACHE = ROOT / "build/microvm"
QEMU = "qemu-system-x86_64"


class Boot(NamedTuple):
    """Files for one boot."""

    kernel: Path
    initramfs: Path
    root: Path
    tree: Path


@contextlib.contextmanager
def prepared(arguments: Iterable[str]) -> Iterator[Boot]:
    """Yield what to boot; `arguments` go to pytest in the guest. Skips the test where it cannot be made."""
    _need_tools()
    CACHE.mkdir(parents=True, exist_ok=True)
    done = base(CACHE)
    tree = CACHE / f"tree-{os.getpid()}.ext4"
    try:
        make_tree(tree, list(arguments))
        yield Boot(done / "vmlinuz", done / "initramfs", done / "root.ext4", tree)
    finally:
        tree.unlink(missing_ok=True)


def _need_tools() -> None:
    if platform.machine() != "x86_64":
        pytest.skip(f"the microVM is x86_64, this machine is {platform.machine()}")
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a root filesystem")
    for program, package in ((QEMU, "qemu-system-x86"), ("mmdebstrap", "mmdebstrap"), ("mke2fs", "e2fsprogs")):
        if not shutil.which(program):
            pytest.skip(f"no {program}: run scripts/microvm, or apt-get install --no-install-recommends {package}")
