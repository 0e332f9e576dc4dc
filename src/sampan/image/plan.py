"""Documents to write, and what a removal deletes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from sampan.base.errors import Conflict
from sampan.image.parse import chain_ids, digest_of
from sampan.model.container import Struct
from sampan.model.image import Image, ImageConfig
from sampan.spec import oci_image as oci

_LAYER_TYPES = {"gzip": oci.OCI_LAYER_GZIP, "zstd": oci.OCI_LAYER_ZSTD, "": oci.OCI_LAYER}


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
            return Removal(names=(name, *_orphaned(image, name, left)))
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


def _orphaned(image: Image, name: str, left: list[str]) -> list[str]:
    """Return the digest forms that go with the last tag of their repository."""
    home = repository(name)
    if name in image.digests or any(repository(tag) == home for tag in left):
        return []
    return [digest for digest in image.digests if repository(digest) == home]


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


# --- documents --------------------------------------------------------------------------------------------------------


def layer_descriptor(digest: str, size: int, compression: str) -> oci.Descriptor:
    """Return the descriptor of a layer's blob."""
    return oci.Descriptor(media_type=_LAYER_TYPES[compression], digest=digest, size=size)


def manifest_of(config: bytes, layers: Sequence[oci.Descriptor]) -> bytes:
    """Return the manifest of an image."""
    descriptor = oci.Descriptor(media_type=oci.OCI_CONFIG, digest=digest_of(config), size=len(config))
    return msgspec.json.encode(oci.Manifest(config=descriptor, layers=tuple(layers)))


def run_config(config: ImageConfig) -> oci.RunConfig:
    """Return the section `config` of an image config: the inverse of parsing it."""
    health = config.healthcheck
    return oci.RunConfig(
        user=config.user or None,
        exposed_ports={port: {} for port in config.exposed} or None,
        env=config.env or None,
        entrypoint=config.entrypoint,
        cmd=config.args,
        volumes={path: {} for path in config.volumes} or None,
        working_dir=config.cwd or None,
        labels=config.labels or None,
        stop_signal=config.stop_signal or None,
        healthcheck=None
        if health is None
        else oci.HealthConfig(
            test=health.test or None,
            interval=health.interval_ns,
            timeout=health.timeout_ns,
            start_period=health.start_period_ns,
            start_interval=health.start_interval_ns,
            retries=health.retries,
        ),
        shell=config.shell or None,
        on_build=config.on_build or None,
    )


def config_with_layer(
    base: bytes, config: ImageConfig, *, diff_id: str, created: str, created_by: str, author: str, comment: str
) -> bytes:
    """Return the config document of a new image: `base` with one layer more and another way to run it.

    What we do not know in `base` is kept as it stands. `base` is b"{}" for an image that stands on nothing.
    """
    document = msgspec.json.decode(base, type=dict[str, msgspec.Raw])
    known = msgspec.json.decode(base, type=oci.ImageDocument)
    row = oci.HistoryEntry(
        created=created, created_by=created_by or None, author=author or None, comment=comment or None
    )
    fresh: dict[str, object] = {
        "created": created,
        "config": run_config(config),
        "rootfs": oci.RootFs(diff_ids=(*(known.rootfs.diff_ids or ()), diff_id)),
        "history": (*(known.history or ()), row),
    }
    if author:
        fresh["author"] = author
    for stale in ("container", "container_config", "comment", "docker_version"):
        document.pop(stale, None)
    return msgspec.json.encode({**document, **fresh})


def archive_index(images: Sequence[tuple[Image, tuple[str, ...], int]]) -> bytes:
    """Return index.json of an archive with these (image, full tags, manifest size)."""
    rows: list[oci.Descriptor] = []
    for image, tags, size in images:
        platform = oci.Platform(architecture=image.architecture, os=image.os, variant=image.variant)
        for tag in tags or ("",):
            annotations = {
                oci.ANNOTATION_IMAGE_NAME: tag,
                oci.ANNOTATION_REF_NAME: tag.rpartition(":")[2],
            }
            rows.append(
                oci.Descriptor(
                    media_type=oci.OCI_MANIFEST,
                    digest=image.manifest_digest,
                    size=size,
                    platform=platform,
                    annotations=annotations if tag else None,
                )
            )
    return msgspec.json.encode(oci.Index(manifests=tuple(rows)))


def archive_manifest(images: Sequence[tuple[Image, tuple[str, ...], Sequence[str]]]) -> bytes:
    """Return manifest.json of an archive with these (image, familiar tags, layer digests)."""
    rows = [
        oci.DockerArchiveEntry(
            config=blob_path(image.id), repo_tags=tags or None, layers=tuple(blob_path(layer) for layer in layers)
        )
        for image, tags, layers in images
    ]
    return msgspec.json.encode(rows)


def blob_path(digest: str) -> str:
    """Return where a blob stands in an OCI layout."""
    return f"{oci.BLOBS}/{digest.removeprefix('sha256:')}"


def rfc3339(time_ns: int) -> str:
    """Return a moment as image configs write it."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"
