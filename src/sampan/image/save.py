"""Writing image archives: one tar that is an OCI layout and a docker-archive at once.

Spec: OCI image-spec 1.1, image-layout.md; moby `image/spec/v1.2.md` (manifest.json).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sampan.host import tarball
from sampan.image import parse, plan
from sampan.image.blobs import BlobStore
from sampan.image.catalogue import Catalogue
from sampan.model.image import Image
from sampan.spec import oci_image as oci

Selection = dict[str, tuple[Image, tuple[str, ...]]]


def select(catalogue: Catalogue, references: Sequence[str]) -> Selection:
    """Return the images to save by id, each with the tags to save; a bare repository name means all its tags."""
    chosen: Selection = {}
    for reference in references:
        for image, tags in _matches(catalogue, reference):
            _, known = chosen.get(image.id, (image, ()))
            chosen[image.id] = (image, tuple(dict.fromkeys((*known, *tags))))
    return chosen


def _matches(catalogue: Catalogue, reference: str) -> list[tuple[Image, tuple[str, ...]]]:
    if "@" not in reference and not reference.rpartition("/")[2].count(":") and not parse.is_digest(reference):
        rows = [
            (image, tuple(tag for tag in image.tags if plan.repository(tag) == _name(reference)))
            for image in catalogue.all()
        ]
        named = [(image, tags) for image, tags in rows if tags]
        if named:
            return named
    image = catalogue.get(reference)
    if not catalogue.names(reference):
        return [(image, ())]
    parsed = parse.parse_reference(reference)
    return [(image, () if parsed.digest else (parsed.tagged,))]


def _name(reference: str) -> str:
    return parse.parse_reference(reference).name


def archive(selection: Selection, blobs: BlobStore) -> Iterator[bytes]:
    """Yield the archive; what explains the blobs comes first."""
    rows = []
    for image, tags in selection.values():
        document = blobs.read_document(image.manifest_digest)
        layers = tuple(layer.digest for layer in parse.decode_manifest(document).layers)
        rows.append((image, tags, len(document), layers))
    documents = {
        oci.LAYOUT_FILE: oci.LAYOUT_VERSION.encode(),
        oci.INDEX_FILE: plan.archive_index([(image, _full(tags), size) for image, tags, size, _ in rows]),
        oci.DOCKER_ARCHIVE_MANIFEST: plan.archive_manifest([(image, tags, layers) for image, tags, _, layers in rows]),
    }
    for name, data in documents.items():
        yield from tarball.member(name, [data], len(data))
    for digest in dict.fromkeys(
        digest for image, _, _, layers in rows for digest in (image.manifest_digest, image.id, *layers)
    ):
        yield from tarball.member(plan.blob_path(digest), blobs.chunks(digest), blobs.size(digest))
    yield tarball.END


def _full(tags: tuple[str, ...]) -> tuple[str, ...]:
    references = [parse.parse_reference(tag) for tag in tags]
    return tuple(f"{reference.domain}/{reference.path}:{reference.tag}" for reference in references)
