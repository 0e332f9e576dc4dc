"""Installing verified images: blobs and layers get their final names, base first, before any record speaks of them."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from sampan.base.errors import DataLoss, Unavailable
from sampan.host.compression import Limits, decompress
from sampan.host.untar import UnpackLimits
from sampan.image import parse
from sampan.image.blobs import BlobStore, BlobWriter
from sampan.image.layers import LayerStore, StagedLayer
from sampan.model.image import Image


class Bounds(NamedTuple):
    """How large a thing that comes from outside may get."""

    archive: Limits = Limits(max_bytes=1 << 40)
    layer: Limits = Limits()
    tree: UnpackLimits = UnpackLimits()
    members: int = 20_000  # of an image archive


class PreparedLayer(NamedTuple):
    """One layer: its blob (`writer` None: in the store already) and its tree (`staged` None: to be unpacked)."""

    diff_id: str
    digest: str
    writer: BlobWriter | None
    staged: StagedLayer | None


class Prepared(NamedTuple):
    """An image whose every part is at hand and fits the others."""

    config: bytes
    manifest: bytes
    layers: tuple[PreparedLayer, ...]
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()


def install(prepared: Prepared, blobs: BlobStore, layers: LayerStore, bounds: Bounds) -> Image:
    """Return the image, with its files in place. Blocks; idempotent."""
    chains = parse.chain_ids(tuple(layer.diff_id for layer in prepared.layers))
    layers.announce(chains)
    sizes = []
    for number, layer in enumerate(prepared.layers):
        if layer.writer is not None:
            layer.writer.keep()
        elif not blobs.has(layer.digest):
            raise Unavailable(f"layer {layer.digest} was removed meanwhile: try again")
        sizes.append(_place(layer, chains[: number + 1], blobs, layers, bounds))
    blobs.put(prepared.config)
    manifest_digest = blobs.put(prepared.manifest)
    return parse.image_from(prepared.config, layer_sizes=tuple(sizes), manifest_digest=manifest_digest)


def _place(layer: PreparedLayer, chains: tuple[str, ...], blobs: BlobStore, layers: LayerStore, bounds: Bounds) -> int:
    """Return the unpacked size of the layer `chains[-1]`, which is then in place."""
    known = layers.get(chains[-1])
    if known is not None:
        if layer.staged is None and known.blob != layer.digest:
            _verify(layer, blobs, bounds)
        return known.size_bytes
    staged = layer.staged
    if staged is None or not staged.path.exists():  # the same layer may stand in an image twice
        staged = unpack_blob(layer.digest, layer.diff_id, blobs, layers, bounds)
    return layers.place(staged, chains[-1], chains[:-1], layer.digest).size_bytes


def unpack_blob(digest: str, diff_id: str, blobs: BlobStore, layers: LayerStore, bounds: Bounds) -> StagedLayer:
    """Return the tree of a blob in the store; raises `DataLoss` when it is not the layer `diff_id`."""
    staged = layers.stage()
    try:
        staged.fill(blobs.chunks(digest), bounds.layer, bounds.tree)
        _check(digest, staged.diff_id, diff_id)
    except BaseException:
        staged.discard()
        raise
    return staged


def _verify(layer: PreparedLayer, blobs: BlobStore, bounds: Bounds) -> None:
    hasher = hashlib.sha256()
    for chunk in decompress(blobs.chunks(layer.digest), bounds.layer):
        hasher.update(chunk)
    _check(layer.digest, "sha256:" + hasher.hexdigest(), layer.diff_id)


def _check(digest: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise DataLoss(f"wrong diff id calculated on extraction: layer {digest} is {found}, the image says {wanted}")
