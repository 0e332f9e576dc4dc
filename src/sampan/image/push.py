"""Pushing: the blobs that the registry lacks, then the manifest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Executor

from sampan.base.clock import Clock
from sampan.image import parse
from sampan.image.blobs import BlobStore
from sampan.image.port import Progress
from sampan.image.registry import RegistryClient
from sampan.image.threads import stream, together
from sampan.model.image import Image
from sampan.spec import oci_image as oci

PARALLEL_UPLOADS = 5
_REPORT_EVERY_S = 0.1


class Pusher:
    """One push. `sources` maps a blob to repositories of the same registry that are known to have it."""

    def __init__(
        self,
        client: RegistryClient,
        blobs: BlobStore,
        threads: Executor,
        clock: Clock,
        tell: Callable[[Progress], None],
        sources: dict[str, str],
    ) -> None:
        self._client = client
        self._blobs = blobs
        self._threads = threads
        self._clock = clock
        self._tell = tell
        self._sources = sources

    async def run(self, image: Image, tags: Iterable[str]) -> str:
        """Upload an image and name it by each of `tags`; returns the manifest's digest."""
        document = self._blobs.read_document(image.manifest_digest)
        manifest = parse.decode_manifest(document)
        for layer in manifest.layers:
            self._tell(Progress(status="Preparing", id=_short(layer.digest)))
        for source in {self._sources[layer.digest] for layer in manifest.layers if layer.digest in self._sources}:
            self._client.also_pull(source)
        room = asyncio.Semaphore(PARALLEL_UPLOADS)
        distinct = {layer.digest: layer for layer in manifest.layers}
        await together([self._blob(layer, room) for layer in distinct.values()])
        await self._config(manifest.config)
        media_type = manifest.media_type if manifest.media_type in oci.MANIFEST_TYPES else oci.OCI_MANIFEST
        for tag in tags:
            await self._client.put_manifest(tag, document, media_type)
            digest = image.manifest_digest
            aux: dict[str, object] = {"Tag": tag, "Digest": digest, "Size": len(document)}
            self._tell(Progress(status=f"{tag}: digest: {digest} size: {len(document)}"))
            self._tell(Progress(aux=aux))
        return image.manifest_digest

    async def _config(self, config: oci.Descriptor) -> None:
        if not await self._client.has_blob(config.digest):
            url = await self._client.begin_upload(config.digest)
            await self._client.upload(url, config.digest, config.size, lambda: self._blobs.read_document(config.digest))

    async def _blob(self, layer: oci.Descriptor, room: asyncio.Semaphore) -> None:
        async with room:
            if await self._client.has_blob(layer.digest):
                self._tell(Progress(status="Layer already exists", id=_short(layer.digest)))
                return
            source = self._sources.get(layer.digest, "")
            url = await self._client.begin_upload(layer.digest, source)
            if not url:
                self._tell(Progress(status=f"Mounted from {source}", id=_short(layer.digest)))
                return
            await self._client.upload(url, layer.digest, layer.size, lambda: self._sending(layer))
            self._tell(Progress(status="Pushed", id=_short(layer.digest)))

    async def _sending(self, layer: oci.Descriptor) -> AsyncIterator[bytes]:
        sent, last_s = 0, 0.0
        async for chunk in stream(self._blobs.chunks(layer.digest), self._threads):
            yield chunk
            sent += len(chunk)
            now_s = self._clock.monotonic_s()
            if now_s - last_s >= _REPORT_EVERY_S:
                last_s = now_s
                self._tell(Progress(status="Pushing", id=_short(layer.digest), current=sent, total=layer.size))


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
