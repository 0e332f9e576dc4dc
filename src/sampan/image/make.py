"""Making images here: from a container's writable layer (commit) and from a root filesystem (import)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from sampan.base.errors import InvalidArgument
from sampan.host.compression import sniff
from sampan.host.pipe import in_second_thread
from sampan.host.tarball import END, pack_upper
from sampan.image import parse, plan
from sampan.image.blobs import BlobStore
from sampan.image.install import Prepared, PreparedLayer
from sampan.image.intake import LayerIntake
from sampan.model.container import Struct
from sampan.model.image import Image, ImageConfig
from sampan.spec import oci_image as oci


class NewImage(Struct, frozen=True, kw_only=True):
    """What a new image says of itself."""

    config: ImageConfig
    created: str  # RFC 3339
    created_by: str = ""
    author: str = ""
    comment: str = ""
    tags: tuple[str, ...] = ()


def take_in(chunks: Iterable[bytes], intake: LayerIntake) -> PreparedLayer:
    """Return a layer whose diff id is what it turns out to be."""
    for chunk in chunks:
        intake.write(chunk)
    intake.finish()
    tree = intake.tree()
    if tree is None or intake.writer.size == 0:
        raise InvalidArgument("the archive is empty")
    return PreparedLayer(diff_id=tree.diff_id, digest=intake.writer.digest, writer=intake.writer, staged=tree)


def prepare_import(new: NewImage, chunks: Iterable[bytes], intake: LayerIntake, platform: oci.Platform) -> Prepared:
    """Return the one-layer image of a root filesystem's tar (plain or compressed)."""
    base = msgspec.json.encode({"architecture": platform.architecture, "os": platform.os})
    return _prepare(new, base, (), take_in(chunks, intake), intake)


def prepare_commit(new: NewImage, upper: Path, base: Image, intake: LayerIntake, blobs: BlobStore) -> Prepared:
    """Return the image of `base` with a writable layer on top. `intake` gets the new layer, gzipped."""
    manifest = parse.decode_manifest(blobs.read_document(base.manifest_digest))
    below = tuple(
        (PreparedLayer(diff_id=diff_id, digest=layer.digest, writer=None, staged=None), layer)
        for diff_id, layer in zip(base.layers, manifest.layers, strict=True)
    )
    packed = pack_upper(str(upper)) if upper.exists() else iter((END,))  # never started: an empty layer
    layer = take_in(_gzipped(in_second_thread(packed)), intake)
    return _prepare(new, blobs.read_document(base.id), below, layer, intake)


def _prepare(
    new: NewImage,
    base: bytes,
    below: tuple[tuple[PreparedLayer, oci.Descriptor], ...],
    layer: PreparedLayer,
    intake: LayerIntake,
) -> Prepared:
    config = plan.config_with_layer(
        base,
        new.config,
        diff_id=layer.diff_id,
        created=new.created,
        created_by=new.created_by,
        author=new.author,
        comment=new.comment,
    )
    kind = sniff(next(intake.writer.chunks())[:6])
    descriptor = plan.layer_descriptor(layer.digest, intake.writer.size, kind)
    return Prepared(
        config=config,
        manifest=plan.manifest_of(config, [*(row for _, row in below), descriptor]),
        layers=(*(row for row, _ in below), layer),
        tags=new.tags,
    )


def _gzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    from isal import isal_zlib

    compressor = isal_zlib.compressobj(level=2, wbits=31)
    for chunk in chunks:
        packed = compressor.compress(chunk)
        if packed:
            yield packed
    yield compressor.flush()
