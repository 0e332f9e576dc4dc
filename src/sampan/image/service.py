"""ImageStore: the images of one engine. See the port `Images` for what it promises."""

from __future__ import annotations

import asyncio
import builtins
import os
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sampan.base import log
from sampan.base.clock import Clock
from sampan.base.errors import SampanError
from sampan.host.pipe import Pipe, in_second_thread
from sampan.image import parse, plan, save
from sampan.image.blobs import BlobStore
from sampan.image.catalogue import Catalogue
from sampan.image.install import Bounds, Prepared, install, unpack_blob
from sampan.image.intake import LayerIntake
from sampan.image.layers import LayerStore
from sampan.image.load import Archive
from sampan.image.make import NewImage, prepare_commit, prepare_import
from sampan.image.port import Credentials, Progress
from sampan.image.threads import Reports, feed, in_own_thread, stream
from sampan.image.transfer import Transfers
from sampan.image.unsettled import Unsettled
from sampan.model.image import Image, ImageConfig
from sampan.spec import oci_image as oci
from sampan.store.port import RecordStore

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}

T = TypeVar("T")
Rows = tuple[tuple[str, str], ...]
_log = log.get("image")

SETTLE_AFTER_S = 5.0


class ImageStore:
    """Images below `data_root`: blobs in `images/`, unpacked layers in `layers/`, records in the record store.

    Installing and deleting files take turns under one lock; reading in, unpacking and downloading do not.
    """

    def __init__(
        self,
        data_root: Path,
        records: RecordStore,
        clock: Clock,
        *,
        bounds: Bounds = Bounds(),
        insecure_registries: Iterable[str] = (),
        registry_mirrors: Iterable[str] = (),
        settle_after_s: float = SETTLE_AFTER_S,
    ) -> None:
        self._settle_after_s = settle_after_s
        data_root = Path(os.path.realpath(data_root))
        self._blobs = BlobStore(data_root / "images")
        self._unsettled = Unsettled(data_root / "images" / "unsettled.json")
        self._layers = LayerStore(data_root / "layers", self._unsettled)
        self._settling: asyncio.TimerHandle | None = None
        self._catalogue = Catalogue(records, clock)
        self._clock = clock
        self._containers = data_root / "containers"
        self._platform = host_platform()
        self._bounds = bounds
        self._files = asyncio.Lock()
        self._threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="images")
        self._transfers = Transfers(
            self._blobs,
            self._layers,
            self._catalogue,
            bounds,
            self._threads,
            clock,
            insecure_registries,
            registry_mirrors,
            self._put_quietly,
        )

    # --- reading ------------------------------------------------------------------------------------------------------

    def get(self, reference: str) -> Image:
        return self._catalogue.get(reference)

    def list(self) -> tuple[Image, ...]:
        return self._catalogue.all()

    # --- names and deletion -------------------------------------------------------------------------------------------

    async def tag(self, source: str, target: str) -> Image:
        name = parse.parse_tag(target).tagged
        return await self._catalogue.put(self._catalogue.get(source), tags=(name,))

    async def remove(self, reference: str, *, force: bool, in_use: dict[str, tuple[str, ...]]) -> Rows:
        image = self._catalogue.get(reference)
        name = self._name_in(reference) if self._catalogue.names(reference) else ""
        containers = in_use.get(image.id, ())
        removal = plan.plan_removal(image, reference, name, force=force, containers=containers)
        async with self._files:
            rows, _ = await self._apply(removal, image)
        return rows

    def _name_in(self, reference: str) -> str:
        parsed = parse.parse_reference(reference)
        return f"{parsed.name}@{parsed.digest}" if parsed.digest else parsed.tagged

    async def prune(self, *, dangling_only: bool, in_use: dict[str, tuple[str, ...]]) -> tuple[Rows, int]:
        rows: Rows = ()
        freed = 0
        for image in plan.plan_prune(self._catalogue.all(), in_use, dangling_only=dangling_only):
            removal = plan.Removal(names=(*image.tags, *image.digests), delete=True)
            async with self._files:
                more, given_back = await self._apply(removal, image)
            rows, freed = rows + more, freed + given_back
        return rows, freed

    async def _apply(self, removal: plan.Removal, image: Image) -> tuple[Rows, int]:
        if not removal.delete:
            await self._catalogue.drop_names(image, removal.names)
            return plan.rows_of(removal, image, ()), 0
        await self._catalogue.delete(image)
        kept = self._catalogue.all()
        chains = tuple(reversed(parse.chain_ids(image.layers)))
        doomed, freed = await self._run(lambda: self._delete_unneeded(self._digests_of(image), chains, kept))
        return plan.rows_of(removal, image, doomed), freed

    def _delete_unneeded(
        self, digests: Iterable[str], chains: Iterable[str], kept: tuple[Image, ...]
    ) -> tuple[tuple[str, ...], int]:
        """Delete the blobs and layers that none of the `kept` images has; returns the layers, and the bytes freed."""
        needed = {digest for other in kept for digest in self._digests_of(other)}
        freed = sum(self._blobs.remove(digest) for digest in digests if digest not in needed)
        shared = plan.chains_of(kept)
        doomed = tuple(chain for chain in chains if chain not in shared)
        for chain in doomed:
            record = self._layers.get(chain)
            freed += record.size_bytes if record else 0
            self._layers.remove(chain)
        return doomed, freed

    def _digests_of(self, image: Image) -> set[str]:
        """Return all blobs of an image. A damaged manifest is told in the log and counts as none of its layers."""
        digests = {image.id, image.manifest_digest}
        try:
            manifest = parse.decode_manifest(self._blobs.read_document(image.manifest_digest))
        except SampanError as error:
            _log.warning("image %s: %s", plan.short(image.id), error)
            return digests
        return digests | {layer.digest for layer in manifest.layers}

    # --- archives -----------------------------------------------------------------------------------------------------

    async def load(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[Progress]:
        reports: Reports[Progress] = Reports()
        archive = Archive(self._blobs, self._layers, self._bounds, reports.tell)
        pipe = Pipe()
        feeder = asyncio.create_task(feed(chunks, pipe, self._threads))
        reading = in_own_thread(lambda: archive.read(pipe))
        try:
            async for report in reports.until(reading):
                yield report
            for prepared in await reading:
                for report in await self._install(prepared):
                    yield report
        finally:
            pipe.abandon()
            feeder.cancel()
            await asyncio.gather(reading, feeder, return_exceptions=True)
            await self._run(archive.close)

    async def save(self, references: tuple[str, ...]) -> AsyncIterator[bytes]:
        selection = save.select(self._catalogue, references)
        async for chunk in stream(in_second_thread(save.archive(selection, self._blobs)), self._threads):
            yield chunk

    async def import_rootfs(
        self, chunks: AsyncIterator[bytes], *, reference: str, config: ImageConfig, message: str
    ) -> AsyncIterator[Progress]:
        tags = (parse.parse_tag(reference).tagged,) if reference else ()
        created = plan.rfc3339(self._clock.now_ns())
        new = NewImage(config=config, created=created, comment=message or "Imported from -", tags=tags)
        intake = LayerIntake(self._blobs, self._layers, self._bounds)
        pipe = Pipe()
        feeder = asyncio.create_task(feed(chunks, pipe, self._threads))
        reading = in_own_thread(lambda: prepare_import(new, pipe, intake, self._platform))
        try:
            image, _ = await self._put(await asyncio.shield(reading))
            yield Progress(status=image.id, image=image)
        finally:
            pipe.abandon()
            feeder.cancel()
            await asyncio.gather(reading, feeder, return_exceptions=True)
            await self._run(intake.abort)

    async def commit(
        self, container_id: str, base: Image, *, reference: str, config: ImageConfig, author: str, message: str
    ) -> Image:
        tags = (parse.parse_tag(reference).tagged,) if reference else ()
        created = plan.rfc3339(self._clock.now_ns())
        shown = " ".join((*(config.entrypoint or ()), *(config.args or ())))
        new = NewImage(config=config, created=created, created_by=shown, author=author, comment=message, tags=tags)
        intake = LayerIntake(self._blobs, self._layers, self._bounds)
        upper = self._containers / container_id / "diff"
        reading = in_own_thread(lambda: prepare_commit(new, upper, base, intake, self._blobs))
        try:
            image, _ = await self._put(await asyncio.shield(reading))
        finally:
            await asyncio.gather(reading, return_exceptions=True)
            await self._run(intake.abort)
        return image

    async def _install(self, prepared: Prepared) -> tuple[Progress, ...]:
        """Install an image and name it; returns what docker tells of it."""
        image, told = await self._put(prepared)
        told += [Progress(stream=f"Loaded image: {tag}\n", image=image) for tag in prepared.tags]
        if not prepared.tags:
            told.append(Progress(stream=f"Loaded image ID: {image.id}\n", image=image))
        return tuple(report for report in told if report is not None)

    async def _put(self, prepared: Prepared) -> tuple[Image, builtins.list[Progress | None]]:
        """Put an image's files in place, then record it; tells which names left other images."""
        async with self._files:
            try:
                made = await self._run(lambda: install(prepared, self._blobs, self._layers, self._bounds))
            except SampanError:
                await self._run(lambda: self._undo(prepared))
                raise
            told = [self._renaming(tag, made) for tag in prepared.tags]
            image = await self._catalogue.put(made, tags=prepared.tags, digests=prepared.digests)
        self._settle_later()
        return image, told

    def _undo(self, prepared: Prepared) -> None:
        """Delete what an installation that failed has put in place and no image has."""
        kept = self._catalogue.all()
        digests = {layer.digest for layer in prepared.layers}
        digests |= {parse.digest_of(prepared.config), parse.digest_of(prepared.manifest)}
        chains = parse.chain_ids(tuple(layer.diff_id for layer in prepared.layers))
        self._delete_unneeded(digests, chains, kept)

    def _renaming(self, tag: str, made: Image) -> Progress | None:
        old = self._catalogue.owner(tag)
        if old is None or old.id == made.id:
            return None
        text = f"The image {tag} already exists, renaming the old one with ID {old.id} to empty string\n"
        return Progress(stream=text)

    async def _put_quietly(self, prepared: Prepared) -> Image:
        image, _ = await self._put(prepared)
        return image

    # --- registries ---------------------------------------------------------------------------------------------------

    def pull(self, reference: str, credentials: Credentials | None, platform: str) -> AsyncIterator[Progress]:
        return self._transfers.pull(reference, credentials, parse.parse_platform(platform, self._platform))

    def push(self, reference: str, credentials: Credentials | None) -> AsyncIterator[Progress]:
        return self._transfers.push(reference, credentials)

    async def check_registry(self, credentials: Credentials) -> str:
        return await self._transfers.check(credentials)

    # --- the whole ----------------------------------------------------------------------------------------------------

    async def reconcile(self) -> None:
        async with self._files:
            await self._run(self._reconcile)
        self._settle_later()

    def _settle_later(self) -> None:
        """Sync what was unpacked when nothing more was for a while: at once it would hold up what runs next."""
        if self._settling is not None:
            self._settling.cancel()
        if self._unsettled:
            loop = asyncio.get_running_loop()
            self._settling = loop.call_later(self._settle_after_s, in_own_thread, self._settle)

    def _settle(self) -> None:
        try:
            self._unsettled.settle()
        except OSError as error:
            _log.error("cannot sync the image store: %s; its layers are unpacked again after a crash", error)

    def _reconcile(self) -> None:
        images = self._catalogue.all()
        for chain in self._unsettled.doubtful:
            _log.warning("layer %s is unpacked again: the machine went down before it was synced", chain[7:19])
            self._layers.remove(chain)
        self._blobs.remove_temporary()
        needed = {digest for image in images for digest in self._digests_of(image)}
        for digest in self._blobs.digests():
            if digest not in needed:
                self._blobs.remove(digest)
        chains = plan.chains_of(images)
        for chain in self._layers.chains():
            if chain not in chains:
                self._layers.remove(chain)
        self._layers.remove_temporary()
        for image in images:
            try:
                self._restore(image)
            except SampanError as error:
                _log.error("image %s cannot be used: %s", image.tags[0] if image.tags else image.id, error)

    def _restore(self, image: Image) -> None:
        """Unpack layers again that are gone from disk; their blobs have all that is in them."""
        chains = parse.chain_ids(image.layers)
        missing = [number for number, chain in enumerate(chains) if self._layers.get(chain) is None]
        if not missing:
            return
        manifest = parse.decode_manifest(self._blobs.read_document(image.manifest_digest))
        self._layers.announce(chains)
        for number in missing:
            blob = manifest.layers[number].digest
            staged = unpack_blob(blob, image.layers[number], self._blobs, self._layers, self._bounds)
            self._layers.place(staged, chains[number], chains[:number], blob)

    async def close(self) -> None:
        """Let go of the threads; what is unsettled stays so, since a sync can take long. May be repeated."""
        if self._settling is not None:
            self._settling.cancel()
        self._threads.shutdown(wait=False)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def host_platform() -> oci.Platform:
    """Return what images must be made for to run here."""
    machine = os.uname().machine
    return oci.Platform(os="linux", architecture=_ARCHITECTURES.get(machine, machine))
