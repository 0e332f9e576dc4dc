"""Transfers: pull and push as streams of progress, and registry logins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Executor
from typing import Any
from urllib.parse import urlsplit

import msgspec

from sampan.base import log
from sampan.base.clock import Clock
from sampan.base.errors import Forbidden, NotFound, Unauthorized, Unavailable
from sampan.image import parse, plan
from sampan.image.blobs import BlobStore
from sampan.image.catalogue import Catalogue
from sampan.image.install import Bounds, Prepared
from sampan.image.layers import LayerStore
from sampan.image.parse import Reference
from sampan.image.port import Credentials, Progress
from sampan.image.pull import Puller
from sampan.image.push import Pusher
from sampan.image.registry import connect
from sampan.image.threads import Reports
from sampan.model.image import Image
from sampan.spec import oci_distribution as dist
from sampan.spec import oci_image as oci

_log = log.get("image")


class Transfers:
    """Moves images between the store and registries. `put` installs what a pull brought."""

    def __init__(
        self,
        blobs: BlobStore,
        layers: LayerStore,
        catalogue: Catalogue,
        bounds: Bounds,
        threads: Executor,
        clock: Clock,
        insecure: Iterable[str],
        mirrors: Iterable[str],
        put: Callable[[Prepared], Awaitable[Image]],
    ) -> None:
        self._blobs = blobs
        self._layers = layers
        self._catalogue = catalogue
        self._bounds = bounds
        self._threads = threads
        self._clock = clock
        self._insecure = tuple(insecure)
        self._mirrors = tuple(urlsplit(mirror).netloc or mirror.strip("/") for mirror in mirrors)
        self._put = put

    async def pull(
        self, reference: str, credentials: Credentials | None, platform: oci.Platform
    ) -> AsyncIterator[Progress]:
        """Yield the progress of a pull; the last one carries the image."""
        parsed = parse.parse_reference(reference)
        if not parsed.digest and not parsed.tag:
            parsed = msgspec.structs.replace(parsed, tag=parse.DEFAULT_TAG)
        reports: Reports[Progress] = Reports()
        async for report in _told(reports, self._pull(parsed, credentials, platform, reports.tell)):
            yield report

    async def _pull(
        self,
        reference: Reference,
        credentials: Credentials | None,
        platform: oci.Platform,
        tell: Callable[[Progress], None],
    ) -> None:
        before = {image.id for image in self._catalogue.all() if reference.familiar in (*image.tags, *image.digests)}
        image = await self._from_mirrors(reference, platform, tell)
        if image is None:
            image = await self._from(reference.domain, reference, credentials, platform, tell)
        news = "Image is up to date" if image.id in before else "Downloaded newer image"
        tell(Progress(status=f"Status: {news} for {reference.familiar}", image=image))

    async def _from_mirrors(
        self, reference: Reference, platform: oci.Platform, tell: Callable[[Progress], None]
    ) -> Image | None:
        """Return the image from the first mirror of Docker Hub that has it. Mirrors get no credentials."""
        for mirror in self._mirrors if reference.domain == dist.DOCKER_HUB_DOMAIN else ():
            try:
                return await self._from(mirror, reference, None, platform, tell)
            except (NotFound, Unavailable, Unauthorized, Forbidden) as error:
                _log.info("mirror %s has no %s: %s", mirror, reference.familiar, error)
        return None

    async def _from(
        self,
        domain: str,
        reference: Reference,
        credentials: Credentials | None,
        platform: oci.Platform,
        tell: Callable[[Progress], None],
    ) -> Image:
        async with connect(domain, reference.path, credentials=credentials, insecure=self._insecure) as client:
            puller = Puller(client, self._blobs, self._layers, self._bounds, self._threads, self._clock, tell)
            try:
                return await self._put(await puller.run(reference, platform))
            finally:
                await asyncio.get_running_loop().run_in_executor(self._threads, puller.close)

    async def push(self, reference: str, credentials: Credentials | None) -> AsyncIterator[Progress]:
        """Yield the progress of a push of one tag, or of all tags of a repository."""
        parsed = parse.parse_reference(reference)
        reports: Reports[Progress] = Reports()
        async for report in _told(reports, self._push(parsed, self._to_push(parsed), credentials, reports.tell)):
            yield report

    def _to_push(self, reference: Reference) -> dict[str, Image]:
        """Return the images to push by tag."""
        if reference.tag:
            return {reference.tag: self._catalogue.get(reference.tagged)}
        found = {
            tag.rpartition(":")[2]: image
            for image in self._catalogue.all()
            for tag in image.tags
            if plan.repository(tag) == reference.name
        }
        return found or {parse.DEFAULT_TAG: self._catalogue.get(reference.tagged)}

    async def _push(
        self,
        reference: Reference,
        images: dict[str, Image],
        credentials: Credentials | None,
        tell: Callable[[Progress], None],
    ) -> None:
        tell(Progress(status=f"The push refers to repository [{reference.domain}/{reference.path}]"))
        sources = await asyncio.get_running_loop().run_in_executor(self._threads, self._sources, reference)
        async with connect(
            reference.domain, reference.path, actions="pull,push", credentials=credentials, insecure=self._insecure
        ) as client:
            pusher = Pusher(client, self._blobs, self._threads, self._clock, tell, sources)
            for tag, image in images.items():
                digest = await pusher.run(image, (tag,))
                await self._catalogue.put(image, digests=(f"{reference.name}@{digest}",))

    def _sources(self, reference: Reference) -> dict[str, str]:
        """Return blobs that other repositories of the same registry are known to have: what was pulled or pushed."""
        sources: dict[str, str] = {}
        for image in self._catalogue.all():
            names = [parse.parse_reference(digest) for digest in image.digests]
            there = [n for n in names if n.domain == reference.domain and n.path != reference.path]
            if there and self._blobs.has(image.manifest_digest):
                manifest = parse.decode_manifest(self._blobs.read_document(image.manifest_digest))
                sources |= {layer.digest: there[0].path for layer in manifest.layers}
        return sources

    async def check(self, credentials: Credentials) -> str:
        """Log in; returns what docker says of a login that worked."""
        server = credentials.server_address or dist.DOCKER_HUB_LEGACY_SERVER
        host = server.partition("://")[2] or server
        host = host.partition("/")[0]
        domain = dist.DOCKER_HUB_DOMAIN if host in {"index.docker.io", "docker.io", ""} else host
        async with connect(domain, "", credentials=credentials, insecure=self._insecure) as client:
            await client.ping()
        return "Login Succeeded"


async def _told(reports: Reports[Progress], work: Coroutine[Any, Any, None]) -> AsyncIterator[Progress]:
    """Yield the reports of `work`, then raise what it raised; ends the work when nobody listens any more."""
    task = asyncio.create_task(work)
    try:
        async for report in reports.until(task):
            yield report
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
