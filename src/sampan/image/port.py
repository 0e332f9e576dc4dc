"""Images and the writable layers on them.

`Images` is the catalogue with its content-addressed store; `Snapshotter` turns layers into root filesystems.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from sampan.model.container import Struct
from sampan.model.image import Image, ImageConfig


class Progress(Struct, frozen=True, kw_only=True):
    """One step of a load, pull or push, to be shown. `current`/`total` are bytes."""

    status: str = ""
    id: str = ""
    current: int = 0
    total: int = 0
    stream: str = ""  # plain text ("Loaded image: busybox:latest\n")
    aux: dict[str, object] = {}
    image: Image | None = None  # set when the step made or named an image


class Credentials(Struct, frozen=True, kw_only=True):
    """What a client sent for a registry. Never logged, never stored."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""
    server_address: str = ""


class Change(Struct, frozen=True, kw_only=True):
    """One path that differs from the image: kind is "added", "modified" or "deleted"."""

    path: str
    kind: str


class Snapshotter(Protocol):
    """Read-only layers by chain id, and one writable layer a container. Conformance: tests/conformance/snapshotter.py."""

    async def mount(self, container_id: str, image: Image, *, volatile: bool) -> str:
        """Mount image + writable layer; returns the root's host path. Idempotent. `volatile` is for disposables."""
        ...

    async def unmount(self, container_id: str) -> None:
        """Idempotent; the writable layer stays."""
        ...

    async def remove(self, container_id: str) -> None:
        """Unmount and delete the writable layer. Idempotent."""
        ...

    async def changes(self, container_id: str, image: Image) -> tuple[Change, ...]: ...

    async def size_bytes(self, container_id: str) -> int:
        """Return the size of the writable layer."""
        ...

    async def containers(self) -> tuple[str, ...]:
        """Return the ids of all containers that have a writable layer or a mount here."""
        ...


class Images(Protocol):
    """The images of this engine. Readers get tuples of frozen values; writers are atomic.

    Raises `NotFound` ("No such image: X"), `Conflict` (in use), `InvalidArgument` (bad reference, bad archive),
    `DataLoss` (digest mismatch), `TooLarge` (a bomb), `Unauthorized`, `Unavailable` (registry).
    """

    def get(self, reference: str) -> Image:
        """Return the image by name, name@digest, id or unique id prefix."""
        ...

    def list(self) -> tuple[Image, ...]: ...

    async def tag(self, source: str, target: str) -> Image: ...

    async def remove(
        self, reference: str, *, force: bool, in_use: dict[str, tuple[str, ...]]
    ) -> tuple[tuple[str, str], ...]:
        """Untag, and delete when nothing points at it. `in_use` maps image ids to containers. Returns
        ("untagged"|"deleted", what) rows.
        """
        ...

    async def prune(
        self, *, dangling_only: bool, in_use: dict[str, tuple[str, ...]]
    ) -> tuple[tuple[tuple[str, str], ...], int]:
        """Returns the rows and the bytes given back."""
        ...

    def load(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[Progress]:
        """Read a docker-archive or OCI-archive (plain, gzip or zstd)."""
        ...

    def save(self, references: tuple[str, ...]) -> AsyncIterator[bytes]:
        """Yield one tar that both docker and OCI tools read."""
        ...

    def import_rootfs(
        self, chunks: AsyncIterator[bytes], *, reference: str, config: ImageConfig, message: str
    ) -> AsyncIterator[Progress]: ...

    def pull(self, reference: str, credentials: Credentials | None, platform: str) -> AsyncIterator[Progress]: ...

    def push(self, reference: str, credentials: Credentials | None) -> AsyncIterator[Progress]: ...

    async def commit(
        self, container_id: str, base: Image, *, reference: str, config: ImageConfig, author: str, message: str
    ) -> Image:
        """Make an image of a container's writable layer."""
        ...

    async def check_registry(self, credentials: Credentials) -> str:
        """Log in; returns the registry's status text."""
        ...

    async def reconcile(self) -> None:
        """After a crash: remove temporary files and layers that no image has."""
        ...

    async def close(self) -> None:
        """Let go: pending background work is left for the next start. May be repeated."""
        ...
