"""Pulling: manifest first, then the layers side by side, each unpacked while it downloads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from sampan.base.clock import Clock
from sampan.base.errors import DataLoss, Forbidden, InvalidArgument, NotFound, Unauthorized, Unavailable
from sampan.image import parse
from sampan.image.blobs import BlobStore
from sampan.image.install import Bounds, Prepared, PreparedLayer
from sampan.image.intake import LayerIntake
from sampan.image.layers import LayerStore
from sampan.image.parse import Reference
from sampan.image.port import Progress
from sampan.image.registry import RegistryClient
from sampan.image.threads import together
from sampan.spec import oci_image as oci

PARALLEL_DOWNLOADS = 3
_REPORT_EVERY_S = 0.1


class Puller:
    """One pull. `run` returns what to install; `close` deletes what was downloaded and not installed."""

    def __init__(
        self,
        client: RegistryClient,
        blobs: BlobStore,
        layers: LayerStore,
        bounds: Bounds,
        threads: Executor,
        clock: Clock,
        tell: Callable[[Progress], None],
    ) -> None:
        self._client = client
        self._blobs = blobs
        self._layers = layers
        self._bounds = bounds
        self._threads = threads
        self._clock = clock
        self._tell = tell
        self._intakes: list[LayerIntake] = []

    async def run(self, reference: Reference, platform: oci.Platform) -> Prepared:
        """Download everything of an image that is not here; returns it verified."""
        wanted = reference.digest or reference.tag
        top, media_type = await self._top(reference, wanted)
        self._tell(Progress(status=f"Pulling from {reference.path}", id=wanted))
        document = await self._select(top, media_type, platform, 0)
        manifest = parse.decode_manifest(document)
        if manifest.config.media_type not in oci.CONFIG_TYPES:
            raise InvalidArgument(
                f"{reference.familiar} is no container image: its config is of type {manifest.config.media_type!r}"
            )
        layers, config = await self._fetch(manifest)
        self._tell(Progress(status=f"Digest: {parse.digest_of(top)}"))
        return Prepared(
            config=config,
            manifest=document,
            layers=layers,
            tags=(reference.tagged,) if reference.tag and not reference.digest else (),
            digests=(f"{reference.name}@{parse.digest_of(top)}",),
        )

    async def _top(self, reference: Reference, wanted: str) -> tuple[bytes, str]:
        try:
            return await self._client.manifest(wanted)
        except Unavailable as error:
            raise Unavailable(
                f"{error}. Without a registry images come from archives (docker load) and from this host's packages "
                "(sampan image bootstrap busybox)"
            ) from error
        except NotFound as error:
            raise NotFound(f"manifest for {reference.familiar} not found: {error}") from error
        except (Unauthorized, Forbidden) as error:
            raise type(error)(
                f"pull access denied for {reference.name}, repository does not exist or may require 'docker login': "
                f"{error}"
            ) from error

    async def _select(self, document: bytes, media_type: str, platform: oci.Platform, depth: int) -> bytes:
        """Return the manifest for `platform` below a document that may be an index."""
        if parse.document_kind(document, media_type) == "manifest":
            return document
        if depth >= parse.MAX_INDEX_DEPTH:
            raise InvalidArgument(f"the image index is nested more than {parse.MAX_INDEX_DEPTH} levels deep")
        rows = [row for row in parse.decode_index(document).manifests if parse.matches_platform(row.platform, platform)]
        if not rows:
            wanted = "/".join(filter(None, (platform.os, platform.architecture, platform.variant)))
            raise NotFound(f"no matching manifest for {wanted} in the manifest list entries")
        below, below_type = await self._client.manifest(rows[0].digest)
        return await self._select(below, rows[0].media_type or below_type, platform, depth + 1)

    async def _fetch(self, manifest: oci.Manifest) -> tuple[tuple[PreparedLayer, ...], bytes]:
        for layer in manifest.layers:
            self._tell(Progress(status="Pulling fs layer", id=_short(layer.digest)))
        config = await self._client.document(manifest.config.digest, self._document_size(manifest.config))
        diff_ids = parse.decode_config(config).rootfs.diff_ids or ()
        if len(diff_ids) != len(manifest.layers):
            raise InvalidArgument(
                f"invalid manifest, layers length mismatch: expected {len(diff_ids)}, got {len(manifest.layers)}"
            )
        room = asyncio.Semaphore(PARALLEL_DOWNLOADS)
        chains = parse.chain_ids(diff_ids)
        rows = zip(manifest.layers, diff_ids, chains, strict=True)
        return tuple(await together([self._layer(*row, room) for row in rows])), config

    def _document_size(self, descriptor: oci.Descriptor) -> int:
        if descriptor.size > parse.MAX_DOCUMENT_BYTES:
            raise InvalidArgument(f"the image config has {descriptor.size} bytes; at most {parse.MAX_DOCUMENT_BYTES}")
        return descriptor.size

    async def _layer(self, layer: oci.Descriptor, diff_id: str, chain: str, room: asyncio.Semaphore) -> PreparedLayer:
        known = self._layers.get(chain)
        if self._blobs.has(layer.digest) and known is not None and known.blob == layer.digest:
            self._tell(Progress(status="Already exists", id=_short(layer.digest)))
            return PreparedLayer(diff_id=diff_id, digest=layer.digest, writer=None, staged=None)
        async with room:
            intake = LayerIntake(self._blobs, self._layers, self._bounds, unpack=known is None)
            self._intakes.append(intake)
            await self._download(layer, intake)
            self._tell(Progress(status="Verifying Checksum", id=_short(layer.digest)))
            if intake.writer.digest != layer.digest:
                raise DataLoss(f"filesystem layer verification failed for digest {layer.digest}")
            self._tell(Progress(status="Download complete", id=_short(layer.digest)))
            return await self._extract(layer, diff_id, intake)

    async def _download(self, layer: oci.Descriptor, intake: LayerIntake) -> None:
        loop = asyncio.get_running_loop()
        last_s = 0.0
        async for chunk in self._client.blob(layer.digest, layer.size):
            await loop.run_in_executor(self._threads, intake.write, chunk)
            now_s = self._clock.monotonic_s()
            if now_s - last_s >= _REPORT_EVERY_S:
                last_s = now_s
                size = intake.writer.size
                self._tell(Progress(status="Downloading", id=_short(layer.digest), current=size, total=layer.size))
        intake.finish()

    async def _extract(self, layer: oci.Descriptor, diff_id: str, intake: LayerIntake) -> PreparedLayer:
        self._tell(Progress(status="Extracting", id=_short(layer.digest), current=layer.size, total=layer.size))
        tree = await asyncio.get_running_loop().run_in_executor(self._threads, intake.tree)
        if tree is not None and tree.diff_id != diff_id:
            raise DataLoss(
                f"wrong diff id calculated on extraction: layer {layer.digest} is {tree.diff_id}, the image says "
                f"{diff_id}"
            )
        self._tell(Progress(status="Pull complete", id=_short(layer.digest)))
        return PreparedLayer(diff_id=diff_id, digest=layer.digest, writer=intake.writer, staged=tree)

    def close(self) -> None:
        """Delete what was not installed. Blocks."""
        for intake in self._intakes:
            intake.abort()


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
