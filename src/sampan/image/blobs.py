"""BlobStore: content by digest, in an OCI image layout. Bytes get their final name only after they are verified.

Spec: OCI image-spec 1.1, image-layout.md.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from sampan.base import crash
from sampan.base.errors import DataLoss, NotFound
from sampan.host.disk import told_when_full
from sampan.host.pipe import READ_BYTES
from sampan.image.parse import MAX_DOCUMENT_BYTES, digest_of
from sampan.spec import oci_image as oci


class BlobStore:
    """Blobs below `root`. All methods block: call them from threads. Any thread may call any method."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / oci.BLOBS
        self._ingest = root / "ingest"
        for directory in (self._blobs, self._ingest):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        layout = root / oci.LAYOUT_FILE
        if not layout.exists():
            layout.write_text(oci.LAYOUT_VERSION)

    def path(self, digest: str) -> Path:
        """Return where the blob is, or would be."""
        return self._blobs / digest.removeprefix("sha256:")

    def has(self, digest: str) -> bool:
        """Tell whether the blob is here."""
        return self.path(digest).exists()

    def size(self, digest: str) -> int:
        """Return its size; raises `NotFound`."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            raise NotFound(f"no blob {digest} in the image store: pull or load the image again") from None

    def read_document(self, digest: str) -> bytes:
        """Return a small blob, verified; raises `DataLoss` when its bytes are not what the digest says."""
        if self.size(digest) > MAX_DOCUMENT_BYTES:
            raise DataLoss(f"blob {digest} is too large for a document: remove the image and get it again")
        data = self.path(digest).read_bytes()
        if digest_of(data) != digest:
            raise DataLoss(f"blob {digest} is damaged on disk: remove the image and get it again")
        return data

    def chunks(self, digest: str) -> Iterator[bytes]:
        """Yield the blob; raises `DataLoss` at its end when the digest does not fit."""
        self.size(digest)
        hasher = hashlib.sha256()
        with open(self.path(digest), "rb", buffering=0) as file:
            while chunk := file.read(READ_BYTES):
                hasher.update(chunk)
                yield chunk
        if "sha256:" + hasher.hexdigest() != digest:
            raise DataLoss(f"blob {digest} is damaged on disk: remove the image and get it again")

    def put(self, data: bytes) -> str:
        """Store a document; returns its digest."""
        digest = digest_of(data)
        if not self.has(digest):
            writer = self.writer()
            writer.write(data)
            writer.keep(sync=True)
        return digest

    def writer(self) -> BlobWriter:
        """Return a place for bytes whose digest is not known yet."""
        return BlobWriter(self, self._ingest / f"tmp-{secrets.token_hex(8)}")

    def remove(self, digest: str) -> int:
        """Delete a blob; returns the bytes given back. A missing one is fine."""
        try:
            size = self.path(digest).stat().st_size
            crash.point("image.blob-remove.before")
            self.path(digest).unlink()
        except FileNotFoundError:
            return 0
        crash.point("image.blob-remove.after")
        return size

    def digests(self) -> tuple[str, ...]:
        """Return every blob that is here."""
        return tuple("sha256:" + name for name in os.listdir(self._blobs))

    def remove_temporary(self) -> None:
        """Delete what writers left behind. Only when none is at work."""
        for name in os.listdir(self._ingest):
            (self._ingest / name).unlink()


class BlobWriter:
    """One blob on its way in. End it with `keep` or `discard`; an object that is dropped leaves a temporary file."""

    def __init__(self, store: BlobStore, path: Path) -> None:
        self._store = store
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._hasher = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes | memoryview) -> None:
        """Append; raises `Exhausted` on a full disk."""
        self._hasher.update(chunk)
        self.size += len(chunk)
        done = 0
        with told_when_full("cannot store the image"):
            while done < len(chunk):
                done += os.write(self._fd, chunk[done:] if done else chunk)

    @property
    def digest(self) -> str:
        """The digest of what was written so far."""
        return "sha256:" + self._hasher.hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """Yield what was written, from its start."""
        at = 0
        while chunk := os.pread(self._fd, READ_BYTES, at):
            at += len(chunk)
            yield chunk

    def keep(self, *, sync: bool = False) -> str:
        """Give the bytes their final name; returns the digest. May be repeated.

        Documents are synced here. Layers are settled later, see `unsettled`.
        """
        if self._fd < 0:
            return self.digest
        if sync:
            os.fsync(self._fd)
        crash.point("image.blob.before")
        os.rename(self._path, self._store.path(self.digest))
        crash.point("image.blob.after")
        self._close()
        return self.digest

    def discard(self) -> None:
        """Forget the bytes, unless they were kept. May be repeated."""
        if self._fd >= 0:
            self._path.unlink(missing_ok=True)
            self._close()

    def _close(self) -> None:
        os.close(self._fd)
        self._fd = -1
