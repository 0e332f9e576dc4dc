"""Reading image archives: docker-archive and OCI-archive, in one pass over a stream.

Layers come before the manifest that explains them, so each member that looks like a layer is unpacked while it
arrives; what no image turns out to want is thrown away. Blobs and layers get their final names only when everything of
an image is verified.

Spec: OCI image-spec 1.1, image-layout.md; moby `image/spec/v1.2.md` (manifest.json).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from sampan.base.errors import DataLoss, InvalidArgument, TooLarge
from sampan.host import tarstream
from sampan.host.compression import decompress, sniff
from sampan.host.tarstream import TarStream
from sampan.host.untar import split
from sampan.image import parse, plan
from sampan.image.blobs import BlobStore
from sampan.image.install import Bounds, Prepared, PreparedLayer
from sampan.image.intake import LayerIntake
from sampan.image.layers import LayerStore
from sampan.image.port import Progress
from sampan.spec import oci_image as oci

MAX_DOCUMENTS_BYTES = 64 << 20
MAX_IMAGES = 1000
_PARALLEL = 2
_BATCH = 1 << 18


class Archive:
    """One archive, read by `read` in a thread of its own. `close` removes what was not taken over."""

    def __init__(
        self, blobs: BlobStore, layers: LayerStore, bounds: Bounds, report: Callable[[Progress], None]
    ) -> None:
        self._blobs = blobs
        self._layers = layers
        self._bounds = bounds
        self._report = report
        self._documents: dict[str, bytes] = {}
        self._documents_bytes = 0
        self._members: dict[str, str] = {}  # path -> digest
        self._links: dict[str, str] = {}
        self._candidates: dict[str, LayerIntake] = {}
        self._running: list[LayerIntake] = []

    def read(self, chunks: Iterable[bytes]) -> list[Prepared]:
        """Take the whole archive in; returns its images, verified and ready to be installed."""
        tar = TarStream(decompress(chunks, self._bounds.archive))
        for count, entry in enumerate(tar):
            if count >= self._bounds.members:
                raise TooLarge(f"the image archive has more than {self._bounds.members} members")
            self._member(entry, tar)
        tar.drain()
        for candidate in self._running:
            candidate.wait()
        prepared = list(islice(self._images(), MAX_IMAGES + 1))
        if len(prepared) > MAX_IMAGES:
            raise TooLarge(f"the archive has more than {MAX_IMAGES} images")
        return prepared

    def close(self) -> None:
        """Stop threads and delete whatever no image took. May be repeated."""
        for candidate in (*self._running, *self._candidates.values()):
            candidate.abort()

    # --- members ------------------------------------------------------------------------------------------------------

    def _member(self, entry: tarstream.Entry, tar: TarStream) -> None:
        path = _path(entry.name)
        if entry.kind in {tarstream.SYMLINK, tarstream.HARDLINK}:
            base = path.rpartition("/")[0] if entry.kind == tarstream.SYMLINK else ""
            self._links[path] = _join(base, entry.link)
            return
        if entry.kind != tarstream.FILE or entry.size == 0:
            return
        pieces = tar.data()
        first = _enough(pieces)
        known = _digest_in(path)
        if known and self._blobs.has(known):
            self._members[path] = known
        elif entry.size <= parse.MAX_DOCUMENT_BYTES and first[:1] in {b"{", b"["}:
            self._document(path, first + b"".join(pieces))
        else:
            self._blob(path, entry.size, first, pieces)

    def _document(self, path: str, data: bytes) -> None:
        self._documents_bytes += len(data)
        if self._documents_bytes > MAX_DOCUMENTS_BYTES:
            raise TooLarge(f"the image archive has more than {MAX_DOCUMENTS_BYTES} bytes of JSON")
        self._documents[path] = data

    def _blob(self, path: str, size: int, first: bytes, pieces: Iterable[memoryview]) -> None:
        candidate = self._candidate(first)
        try:
            for chunk in _batched(first, pieces):
                candidate.write(chunk)
        except BaseException:
            candidate.abort()
            raise
        candidate.finish()
        digest = candidate.writer.digest
        self._members[path] = digest
        if _digest_in(path) not in {"", digest}:
            candidate.abort()
            raise DataLoss(f"{path} in the archive is not what its name says (its digest is {digest}): pack it again")
        if digest in self._candidates:
            candidate.abort()
        else:
            self._candidates[digest] = candidate
            self._running.append(candidate)
            self._report(Progress(status="Loading layer", id=digest[7:19], current=size, total=size))

    def _candidate(self, first: bytes) -> LayerIntake:
        looks_like_layer = sniff(first[:6]) in {"gzip", "zstd"} or first[257:262] == b"ustar"
        while len(self._running) >= _PARALLEL:
            self._running.pop(0).wait()
        return LayerIntake(self._blobs, self._layers, self._bounds, unpack=looks_like_layer)

    # --- images -------------------------------------------------------------------------------------------------------

    def _images(self) -> Iterator[Prepared]:
        if oci.DOCKER_ARCHIVE_MANIFEST in self._documents:
            yield from self._docker_images()
        elif oci.INDEX_FILE in self._documents:
            index = parse.decode_index(self._documents[oci.INDEX_FILE])
            yield from self._oci_images(index, (), 0)
        else:
            raise InvalidArgument(
                "the archive holds no image: neither manifest.json nor index.json is in it. For a plain root "
                "filesystem use import"
            )

    def _docker_images(self) -> Iterator[Prepared]:
        data = self._documents[oci.DOCKER_ARCHIVE_MANIFEST]
        manifests = self._oci_manifests()
        for row in parse.decode(data, list[oci.DockerArchiveEntry], "manifest.json"):
            config = self._bytes(_path(row.config.encode()))
            image = parse.image_from(config)
            layers = tuple(self._resolve(_path(layer.encode())) for layer in row.layers or ())
            if len(layers) != len(image.layers):
                raise InvalidArgument(
                    f"invalid manifest, layers length mismatch: expected {len(image.layers)}, got {len(layers)}"
                )
            tags = tuple(parse.parse_tag(tag).tagged for tag in row.repo_tags or ())
            manifest = manifests.get(image.id) or self._manifest_of(config, layers)
            yield self._prepare(config, manifest, layers, tags)

    def _oci_manifests(self) -> dict[str, bytes]:
        """Return the archive's OCI manifests by config digest, so that a loaded image keeps its manifest digest."""
        data = self._documents.get(oci.INDEX_FILE)
        found: dict[str, bytes] = {}
        for row in parse.decode_index(data).manifests if data else ():
            document = self._documents.get(plan.blob_path(row.digest))
            if document is not None and parse.document_kind(document, row.media_type) == "manifest":
                found[parse.decode_manifest(document).config.digest] = document
        return found

    def _oci_images(self, index: oci.Index, names: tuple[str, ...], depth: int) -> Iterator[Prepared]:
        if depth > parse.MAX_INDEX_DEPTH:
            raise InvalidArgument(f"the image index is nested more than {parse.MAX_INDEX_DEPTH} levels deep")
        for row in index.manifests:
            annotations = row.annotations or {}
            if annotations.get(oci.ANNOTATION_REFERENCE_TYPE) or plan.blob_path(row.digest) not in self._documents:
                continue  # an attestation, or a platform that was not packed
            document = self._bytes(plan.blob_path(row.digest))
            tags = _tags(annotations) or names
            if parse.document_kind(document, row.media_type) == "index":
                yield from self._oci_images(parse.decode_index(document), tags, depth + 1)
                continue
            manifest = parse.decode_manifest(document)
            config = self._bytes(plan.blob_path(manifest.config.digest))
            yield self._prepare(config, document, tuple(layer.digest for layer in manifest.layers), tags)

    def _prepare(self, config: bytes, manifest: bytes, digests: tuple[str, ...], tags: tuple[str, ...]) -> Prepared:
        image = parse.image_from(config)
        if len(digests) != len(image.layers):
            raise InvalidArgument(
                f"invalid manifest, layers length mismatch: expected {len(image.layers)}, got {len(digests)}"
            )
        rows = zip(image.layers, digests, strict=True)
        layers = tuple(self._layer(diff_id, digest) for diff_id, digest in rows)
        return Prepared(config=config, manifest=manifest, layers=layers, tags=tags)

    def _layer(self, diff_id: str, digest: str) -> PreparedLayer:
        candidate = self._candidates.get(digest)
        if candidate is None:
            if not self._blobs.has(digest):
                raise InvalidArgument(f"the archive lacks layer {digest}: it was packed incompletely")
            return PreparedLayer(diff_id=diff_id, digest=digest, writer=None, staged=None)
        tree = candidate.tree()
        if tree is not None and tree.diff_id != diff_id:
            raise DataLoss(
                f"wrong diff id calculated on extraction: layer {digest} is {tree.diff_id}, the image says {diff_id}"
            )
        return PreparedLayer(diff_id=diff_id, digest=digest, writer=candidate.writer, staged=tree)

    def _manifest_of(self, config: bytes, digests: tuple[str, ...]) -> bytes:
        """Return a manifest for an archive that has none."""
        return plan.manifest_of(config, [self._descriptor(digest) for digest in digests])

    def _descriptor(self, digest: str) -> oci.Descriptor:
        intake = self._candidates.get(digest)
        chunks = intake.writer.chunks() if intake else self._blobs.chunks(digest)
        size = intake.writer.size if intake else self._blobs.size(digest)
        return plan.layer_descriptor(digest, size, sniff(next(chunks, b"")[:6]))

    def _bytes(self, path: str) -> bytes:
        """Return a document of the archive (or of the store, when the archive's copy was skipped), verified."""
        path = self._follow(path)
        named = _digest_in(path)
        if path in self._documents:
            data = self._documents[path]
            if named and parse.digest_of(data) != named:
                raise DataLoss(f"{path} in the archive is not what its name says: pack it again")
            return data
        if named and self._blobs.has(named):
            return self._blobs.read_document(named)
        raise InvalidArgument(f"the archive lacks {path}: it was packed incompletely")

    def _resolve(self, path: str) -> str:
        """Return the digest of a layer by its path."""
        path = self._follow(path)
        if path in self._members:
            return self._members[path]
        raise InvalidArgument(f"the archive lacks {path}: it was packed incompletely")

    def _follow(self, path: str) -> str:
        for _ in range(8):
            if path not in self._links:
                return path
            path = self._links[path]
        raise InvalidArgument(f"{path} in the archive is a loop of links")


def _tags(annotations: dict[str, str]) -> tuple[str, ...]:
    """Return the full name that an index entry carries; a mere tag without a repository names nothing."""
    name = annotations.get(oci.ANNOTATION_IMAGE_NAME) or annotations.get(oci.ANNOTATION_REF_NAME, "")
    return (parse.parse_tag(name).tagged,) if re.search(r"[:/]", name) else ()


def _path(name: bytes) -> str:
    return b"/".join(split(name)).decode(errors="replace")


def _join(base: str, link: bytes) -> str:
    parts: list[str] = base.split("/") if base else []
    for part in link.decode(errors="replace").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)


def _digest_in(path: str) -> str:
    """Return the digest that a path in an OCI layout stands for, "" for others."""
    head, _, name = path.rpartition("/")
    digest = "sha256:" + name
    return digest if head == oci.BLOBS and parse.is_digest(digest) else ""


def _enough(pieces: Iterator[memoryview]) -> bytes:
    """Return the first bytes of a member: at least a tar header's, when it has so many."""
    first = b""
    while len(first) < tarstream.BLOCK:
        piece = next(pieces, None)
        if piece is None:
            break
        first += piece
    return first


def _batched(first: bytes, pieces: Iterable[memoryview]) -> Iterator[bytes]:
    parts, held = [first], len(first)
    for piece in pieces:
        parts.append(bytes(piece))
        held += len(piece)
        if held >= _BATCH:
            yield b"".join(parts)
            parts, held = [], 0
    if held:
        yield b"".join(parts)
