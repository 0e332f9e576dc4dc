"""LayerStore: unpacked layers by chain id. A layer is made under a temporary name and complete once it has its own.

`layers/CHAIN/diff` is the tree, `layers/CHAIN/layer.json` what is known of it. All of it can be made again from blobs.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from sampan.base import crash
from sampan.host import syscalls
from sampan.host.compression import Limits, decompress
from sampan.host.disk import told_when_full
from sampan.host.pipe import in_second_thread
from sampan.host.remove import remove_tree
from sampan.host.tarstream import TarStream
from sampan.host.untar import UnpackLimits, unpack
from sampan.image.unsettled import Unsettled
from sampan.model.container import Struct

_RECORD = "layer.json"
_TEMPORARY = "tmp-"
STAGED_INIT = "init-"
SCRATCH = "scratch"
"""The directory of images without layers; it has an init layer only."""


class LayerRecord(Struct, frozen=True, kw_only=True):
    """What layer.json says: the tree's diff id, the blob that it came from, and its size unpacked."""

    diff_id: str
    blob: str
    size_bytes: int


class StagedLayer:
    """An unpacked tree without its final name. End it with `LayerStore.place` or `discard`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.diff_id = ""
        self.size_bytes = 0
        self.implied: tuple[bytes, ...] = ()

    def fill(self, chunks: Iterable[bytes], limits: Limits, unpack_limits: UnpackLimits) -> None:
        """Unpack a (compressed) layer into it: decompressing and hashing in one thread, writing in this one."""
        (self.path / "diff").mkdir(mode=0o755)
        hasher = hashlib.sha256()
        plain = in_second_thread(_hashed(decompress(chunks, limits), hasher))
        root_fd = os.open(self.path / "diff", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fchmod(root_fd, 0o755)
            tar = TarStream(plain)
            unpacked = unpack(tar, root_fd, limits=unpack_limits)
            tar.drain()
        finally:
            plain.close()  # type: ignore[attr-defined]
            os.close(root_fd)
        self.diff_id = "sha256:" + hasher.hexdigest()
        self.size_bytes = unpacked.size_bytes
        self.implied = unpacked.implied

    def discard(self) -> None:
        """Delete the tree. May be repeated."""
        remove_tree(str(self.path))


def _hashed(chunks: Iterator[bytes], hasher: hashlib._Hash) -> Iterator[bytes]:
    for chunk in chunks:
        hasher.update(chunk)
        yield chunk


class LayerStore:
    """Layers below `root`. Methods block: call them from threads; `has` and `diff` do not."""

    def __init__(self, root: Path, unsettled: Unsettled) -> None:
        self._root = root
        self._unsettled = unsettled
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._records: dict[str, LayerRecord] = {}
        for name in os.listdir(root):
            record = root / name / _RECORD
            if not name.startswith(_TEMPORARY) and record.exists():
                self._records["sha256:" + name] = msgspec.json.decode(record.read_bytes(), type=LayerRecord)

    def directory(self, chain: str) -> Path:
        """Return the directory that holds all of a layer."""
        return self._root / chain.removeprefix("sha256:")

    def diff(self, chain: str) -> Path:
        """Return the layer's tree."""
        return self.directory(chain) / "diff"

    def get(self, chain: str) -> LayerRecord | None:
        """Return what is known of a complete layer."""
        return self._records.get(chain)

    def chains(self) -> tuple[str, ...]:
        """Return all complete layers."""
        return tuple(self._records)

    def stage(self) -> StagedLayer:
        """Return an empty place to unpack into."""
        path = self._root / f"{_TEMPORARY}{secrets.token_hex(8)}"
        path.mkdir(mode=0o700)
        return StagedLayer(path)

    def announce(self, chains: Iterable[str]) -> None:
        """Say durably which layers are going to be placed, so that a crash of the machine makes them doubtful."""
        fresh = [chain for chain in chains if chain not in self._records]
        if fresh:
            self._unsettled.add(fresh)

    def place(self, staged: StagedLayer, chain: str, below: tuple[str, ...], blob: str) -> LayerRecord:
        """Give a staged (and announced) layer its name; `below` are the chain ids under it, base first. Idempotent."""
        known = self._records.get(chain)
        if known is not None:
            staged.discard()
            return known
        self._inherit(staged, below)
        record = LayerRecord(diff_id=staged.diff_id, blob=blob, size_bytes=staged.size_bytes)
        with told_when_full("cannot unpack the image"):
            (staged.path / _RECORD).write_bytes(msgspec.json.encode(record))
        remove_tree(str(self.directory(chain)))  # an incomplete one, from before a crash
        crash.point("image.layer.before")
        os.rename(staged.path, self.directory(chain))
        crash.point("image.layer.after")
        self._records[chain] = record
        return record

    def _inherit(self, staged: StagedLayer, below: tuple[str, ...]) -> None:
        """Give directories that the layer did not name the owner and mode that they have in the layers below.

        In an overlay the upper directory's attributes win, and the archive says nothing about these.
        """
        for path in staged.implied:
            for chain in reversed(below):
                if _copy_attributes(self.diff(chain), staged.path / "diff", path):
                    break

    def remove(self, chain: str) -> None:
        """Delete a layer. A missing one is fine."""
        self._records.pop(chain, None)
        doomed = self._root / f"{_TEMPORARY}{secrets.token_hex(8)}"
        crash.point("image.layer-remove.before")
        try:
            os.rename(self.directory(chain), doomed)
        except FileNotFoundError:
            return
        crash.point("image.layer-remove.after")
        remove_tree(str(doomed))

    def remove_temporary(self) -> None:
        """Delete what was staged and never placed, and trees without a record. Only when nobody is staging."""
        for name in os.listdir(self._root):
            if name != SCRATCH and "sha256:" + name not in self._records:
                remove_tree(str(self._root / name))
                continue
            for staged in os.listdir(self._root / name):
                if staged.startswith(STAGED_INIT):
                    remove_tree(str(self._root / name / staged))


def _copy_attributes(lower: Path, upper: Path, path: bytes) -> bool:
    """Copy owner and mode of a directory; returns False when `lower` has no such directory."""
    lower_fd = os.open(lower, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        source = syscalls.openat2(lower_fd, path, os.O_PATH | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    finally:
        os.close(lower_fd)
    upper_fd = os.open(upper, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        facts = os.fstat(source)
        target = syscalls.openat2(upper_fd, path, os.O_RDONLY | os.O_DIRECTORY)
        os.fchown(target, facts.st_uid, facts.st_gid)
        os.fchmod(target, facts.st_mode & 0o7777)
        os.close(target)
    finally:
        os.close(source)
        os.close(upper_fd)
    return True
