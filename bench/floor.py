"""Floor: what a bare runtime needs for `run` of /bin/true: no image, network, log, record or HTTP.

crun refuses a hybrid cgroup layout as long as the unified hierarchy is mounted; in a mount namespace without it, it
works. Threads have such namespaces of their own, so both runtimes are started from one thread that has left ours.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.image import busybox

CLONE_NEWNS, MS_REC, MS_SLAVE, MNT_DETACH = 0x20000, 0x4000, 0x80000, 2
UNIFIED = b"/sys/fs/cgroup/unified"


def runtimes() -> list[str]:
    """Return the runtimes that are here."""
    return [name for name in ("crun", "runc") if shutil.which(name)]


class Floor:
    """A bundle of busybox in `root`, and timed runs of it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._number = 0
        rootfs = root / "rootfs"
        rootfs.mkdir(parents=True)
        archive = busybox()
        subprocess.run(["tar", "xf", str(archive.absolute()), "-C", str(root), "layer/layer.tar"], check=True)
        subprocess.run(["tar", "xf", str(root / "layer/layer.tar"), "-C", str(rootfs)], check=True)
        subprocess.run(["runc" if shutil.which("runc") else "crun", "spec", "--bundle", str(root)], check=True)
        spec = msgspec.json.decode((root / "config.json").read_bytes())
        spec["process"] |= {"terminal": False, "args": ["/bin/true"]}
        (root / "config.json").write_bytes(msgspec.json.encode(spec))

    def run(self, runtime: str) -> float:
        """Return the milliseconds of one `RUNTIME run`."""
        self._number += 1
        name = f"{self._root.name}-{runtime}-{self._number}"
        argv = [runtime, "--root", str(self._root / runtime), "run", "--bundle", str(self._root), name]
        return _apart(lambda: _timed(argv))


def _timed(argv: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000


def _apart(work: Callable[[], float]) -> float:
    """Return what `work` returns, run in a mount namespace without the unified hierarchy."""
    results: list[float] = []
    failures: list[BaseException] = []

    def body() -> None:
        try:
            _leave()
            results.append(work())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def _leave() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(CLONE_NEWNS))
    _check(libc.mount(b"none", b"/", None, MS_REC | MS_SLAVE, None))
    if os.path.ismount(UNIFIED):
        _check(libc.umount2(UNIFIED, MNT_DETACH))


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
