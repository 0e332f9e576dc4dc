"""What a removal deletes: rows to tell, and the layers and blobs that nothing needs any more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sampan.base.errors import Conflict
from sampan.image.parse import chain_ids
from sampan.model.container import Struct
from sampan.model.image import Image


class Removal(Struct, frozen=True, kw_only=True):
    """`names` to take off; `delete` tells whether the image itself goes."""

    names: tuple[str, ...] = ()
    delete: bool = False


def plan_removal(image: Image, reference: str, name: str, *, force: bool, containers: tuple[str, ...]) -> Removal:
    """Return what `rmi reference` does. `name` is the tag or digest form that it names, "" when it is an id.

    Raises `Conflict` as docker does: by id when the image has names in several repositories or is in use, by its last
    name when it is in use.
    """
    names = (*image.tags, *image.digests)
    if name:
        left = [other for other in image.tags if other != name]
        if left or (name in image.digests and image.tags):
            return Removal(names=(name,))
        if containers and not force:
            raise Conflict(
                f'conflict: unable to remove repository reference "{reference}" (must force) - container '
                f"{containers[0][:12]} is using its referenced image {short(image.id)}"
            )
        return Removal(names=names, delete=not containers)
    if len({repository(tag) for tag in image.tags}) > 1 and not force:
        raise Conflict(
            f"conflict: unable to delete {short(image.id)} (must be forced) - image is referenced in multiple repositories"
        )
    if containers and not force:
        raise Conflict(
            f"conflict: unable to delete {short(image.id)} (must be forced) - image is being used by stopped "
            f"container {containers[0][:12]}"
        )
    return Removal(names=names, delete=not containers)


def repository(name: str) -> str:
    """Return the repository of a familiar tag or digest form."""
    head, slash, last = name.partition("@")[0].rpartition("/")
    return head + slash + last.partition(":")[0]


def short(image_id: str) -> str:
    """Return an id's first 12 digits."""
    return image_id.removeprefix("sha256:")[:12]


def plan_prune(images: Iterable[Image], in_use: Mapping[str, tuple[str, ...]], *, dangling_only: bool) -> list[Image]:
    """Return the images that no container uses (and, with `dangling_only`, that have no tag)."""
    return [image for image in images if not in_use.get(image.id) and not (dangling_only and image.tags)]


def chains_of(images: Iterable[Image]) -> set[str]:
    """Return the chain ids of all layers of these images."""
    return {chain for image in images for chain in chain_ids(image.layers)}


def rows_of(removal: Removal, image: Image, chains: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return what a removal tells: names untagged, then the image and its layers deleted, top first."""
    rows = [("untagged", name) for name in removal.names]
    if removal.delete:
        rows += [("deleted", image.id), *(("deleted", chain) for chain in chains)]
    return tuple(rows)
