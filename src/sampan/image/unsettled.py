"""Unsettled: which layers may not be on the disk yet, told across a crash of the machine.

Unpacked files are not synced one by one, which would cost more than unpacking. They are named here first, durably; some
seconds later one sync of the filesystem settles them all. What is named after the machine went down in between is
unpacked again from its blob, whose digest tells whether that at least arrived.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sampan.base import crash
from sampan.host import syscalls
from sampan.host.disk import told_when_full
from sampan.host.overlay import boot_id
from sampan.model.container import Struct


class _Record(Struct, frozen=True, kw_only=True):
    boot: str
    chains: tuple[str, ...] = ()


class Unsettled:
    """The list, in one file. Methods block; any thread may call them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._boot = boot_id()
        self._turn = threading.Lock()
        path.with_suffix(".new").unlink(missing_ok=True)
        record = msgspec.json.decode(path.read_bytes(), type=_Record) if path.exists() else _Record(boot=self._boot)
        self.doubtful = record.chains if record.boot != self._boot else ()
        """Layers that were unsettled when the machine went down."""
        self._chains: dict[str, None] = dict.fromkeys(record.chains)

    def __bool__(self) -> bool:
        return bool(self._chains)

    def add(self, chains: Iterable[str]) -> None:
        """Name layers, durably, before they get their places."""
        with self._turn:
            self._chains |= dict.fromkeys(chains)
            self._write()

    def settle(self) -> None:
        """Sync the filesystem, and forget what was named before that."""
        with self._turn:
            settled = tuple(self._chains)
        fd = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            syscalls.syncfs(fd)
        finally:
            os.close(fd)
        with self._turn:
            self._drop(settled)

    def _drop(self, chains: Iterable[str]) -> None:
        for chain in chains:
            self._chains.pop(chain, None)
        self.doubtful = ()
        if self._chains:
            self._write()
        else:
            self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        fresh = self._path.with_suffix(".new")
        record = _Record(boot=self._boot, chains=tuple(self._chains))
        with told_when_full("cannot install the image"), open(fresh, "wb") as file:
            file.write(msgspec.json.encode(record))
            file.flush()
            os.fsync(file.fileno())
        crash.point("image.unsettled.before")
        os.rename(fresh, self._path)
        crash.point("image.unsettled.after")
