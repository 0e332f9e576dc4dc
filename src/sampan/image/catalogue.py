"""Catalogue: the records of all images, in memory, and the one place that changes them durably.

One record an image (kind "image", key its id); a tag that moves changes two records in one commit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from sampan.base import crash
from sampan.base.clock import Clock
from sampan.base.errors import InvalidArgument, NotFound
from sampan.image.parse import is_digest, parse_reference
from sampan.model.image import Image
from sampan.store.port import RecordStore, Write

_KIND = "image"


class Catalogue:
    """All images by id and by name. Every change is durable before it is visible."""

    def __init__(self, records: RecordStore, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._images: dict[str, Image] = {}
        self._names: dict[str, str] = {}
        for data in records.load(_KIND).values():
            self._show(msgspec.json.decode(data, type=Image))

    def all(self) -> tuple[Image, ...]:
        """Return every image, newest name first."""
        return tuple(sorted(self._images.values(), key=lambda image: (-image.tagged_at_ns, image.id)))

    def by_id(self, image_id: str) -> Image | None:
        """Return the image with this full id."""
        return self._images.get(image_id)

    def get(self, reference: str) -> Image:
        """Return the image by name, name@digest, id or unique id prefix; raises `NotFound` in docker's words."""
        image = self._images.get(reference) or self._by_name(reference) or self._by_prefix(reference)
        if image is None:
            raise NotFound(f"No such image: {_shown(reference)}")
        return image

    def owner(self, name: str) -> Image | None:
        """Return the image that has this familiar tag (or digest form)."""
        return self._images.get(self._names.get(name, ""))

    def names(self, reference: str) -> bool:
        """Tell whether `reference` is a name (and not an id) of an image here."""
        return reference not in self._images and self._by_name(reference) is not None

    def _by_name(self, reference: str) -> Image | None:
        try:
            parsed = parse_reference(reference)
        except InvalidArgument:
            return None
        name = f"{parsed.name}@{parsed.digest}" if parsed.digest else parsed.tagged
        return self._images.get(self._names.get(name, ""))

    def _by_prefix(self, reference: str) -> Image | None:
        prefix = reference.removeprefix("sha256:")
        if not re.fullmatch(r"[0-9a-f]{1,64}", prefix):
            return None
        found = [image for image_id, image in self._images.items() if image_id.startswith("sha256:" + prefix)]
        if len(found) > 1:
            raise InvalidArgument(f"the id prefix {reference!r} is ambiguous: {len(found)} images begin with it")
        return found[0] if found else None

    async def put(self, image: Image, *, tags: Iterable[str] = (), digests: Iterable[str] = ()) -> Image:
        """Record an image and move `tags` and `digests` to it; returns it with all its names."""
        known = self._images.get(image.id, image)
        image = msgspec.structs.replace(
            known if image.manifest_digest == "" else image,
            tags=tuple(sorted({*known.tags, *tags})),
            digests=tuple(sorted({*known.digests, *digests})),
            tagged_at_ns=self._clock.now_ns(),
        )
        others = [self._without(other, {*tags, *digests}) for other in self._owners({*tags, *digests}, image.id)]
        await self._commit(image, *others)
        return image

    async def drop_names(self, image: Image, names: Iterable[str]) -> Image:
        """Take names (tags or digests) off an image."""
        left = self._without(self._images[image.id], set(names))
        await self._commit(left)
        return left

    async def delete(self, image: Image) -> None:
        """Forget an image and its names."""
        crash.point("image.record-delete.before")
        await self._records.commit(Write(_KIND, image.id, None))
        crash.point("image.record-delete.after")
        self._hide(image.id)

    def _owners(self, names: set[str], but: str) -> list[Image]:
        ids = {self._names[name] for name in names if name in self._names} - {but}
        return [self._images[image_id] for image_id in ids]

    def _without(self, image: Image, names: set[str]) -> Image:
        return msgspec.structs.replace(
            image,
            tags=tuple(tag for tag in image.tags if tag not in names),
            digests=tuple(digest for digest in image.digests if digest not in names),
        )

    async def _commit(self, *images: Image) -> None:
        crash.point("image.record.before")
        await self._records.commit(*(Write(_KIND, image.id, msgspec.json.encode(image)) for image in images))
        crash.point("image.record.after")
        for image in images:
            self._hide(image.id)
        for image in images:
            self._show(image)

    def _hide(self, image_id: str) -> None:
        image = self._images.pop(image_id, None)
        for name in (*image.tags, *image.digests) if image else ():
            if self._names.get(name) == image_id:
                del self._names[name]

    def _show(self, image: Image) -> None:
        self._images[image.id] = image
        for name in (*image.tags, *image.digests):
            self._names[name] = image.id


def _shown(reference: str) -> str:
    """Return the reference as docker names it in "No such image": with its tag."""
    if is_digest(reference) or re.fullmatch(r"[0-9a-f]{64}", reference):
        return reference
    try:
        parsed = parse_reference(reference)
    except InvalidArgument:
        return reference
    return parsed.familiar if parsed.digest else parsed.tagged
