"""MemorySnapshotter: root filesystems as dicts, for simulation and fast tests."""

from __future__ import annotations

from collections.abc import Mapping

from sampan.base.errors import NotFound
from sampan.image.port import Change
from sampan.model.image import Image


class MemorySnapshotter:
    """A Snapshotter whose layers are path -> content, by diff id. Content None is a directory."""

    def __init__(self, layers: Mapping[str, Mapping[str, bytes | None]]) -> None:
        self._layers = layers
        self._written: dict[str, dict[str, bytes | None]] = {}
        self._deleted: dict[str, set[str]] = {}
        self.mounted: set[str] = set()

    async def mount(self, container_id: str, image: Image, *, volatile: bool) -> str:
        del volatile
        missing = next((layer for layer in image.layers if layer not in self._layers), None)
        if missing is not None:
            raise NotFound(f"layer {missing[7:19]} of image {image.id} is missing: pull or load the image again")
        self._written.setdefault(container_id, {})
        self._deleted.setdefault(container_id, set())
        self.mounted.add(container_id)
        return f"/memory/{container_id}"

    async def unmount(self, container_id: str) -> None:
        self.mounted.discard(container_id)

    async def remove(self, container_id: str) -> None:
        self.mounted.discard(container_id)
        self._written.pop(container_id, None)
        self._deleted.pop(container_id, None)

    async def changes(self, container_id: str, image: Image) -> tuple[Change, ...]:
        below = {path for layer in image.layers for path in self._layers[layer]}
        written, deleted = self._written.get(container_id, {}), self._deleted.get(container_id, set())
        kinds = {path: "modified" if path in below else "added" for path in written}
        kinds |= {path: "deleted" for path in deleted if path in below}
        for path in list(kinds):
            for parent in _parents(path):
                kinds.setdefault(parent, "modified" if parent in below else "added")
        return tuple(Change(path=path, kind=kinds[path]) for path in sorted(kinds, key=lambda path: path.split("/")))

    async def size_bytes(self, container_id: str) -> int:
        return sum(len(data or b"") for data in self._written.get(container_id, {}).values())

    async def containers(self) -> tuple[str, ...]:
        return tuple(sorted(self._written))

    def write(self, container_id: str, path: str, data: bytes) -> None:
        """Write a file as a process in the container would."""
        self._written[container_id][path] = data
        self._deleted[container_id].discard(path)

    def delete(self, container_id: str, path: str) -> None:
        """Delete a file as a process in the container would."""
        self._written[container_id].pop(path, None)
        self._deleted[container_id].add(path)


def _parents(path: str) -> list[str]:
    parts = path.strip("/").split("/")
    return ["/" + "/".join(parts[:depth]) for depth in range(1, len(parts))]
