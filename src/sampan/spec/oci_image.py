"""OCI image-spec 1.1 and its Docker forerunners: structs as they stand in JSON, media types, constants.

Spec: image-spec descriptor.md, manifest.md, image-index.md, config.md, image-layout.md; Docker "Image Manifest
Version 2, Schema 2"; moby `image/spec/v1.2.md` (manifest.json of `docker save`).
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

# --- media types ------------------------------------------------------------------------------------------------------

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = OCI_LAYER + "+gzip"
OCI_LAYER_ZSTD = OCI_LAYER + "+zstd"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_V1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_MANIFEST_V1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN_LAYER_GZIP = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_INDEX})
MANIFEST_TYPES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
CONFIG_TYPES = frozenset({OCI_CONFIG, DOCKER_CONFIG})
LAYER_TYPES = frozenset(
    {OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, DOCKER_LAYER, DOCKER_LAYER_GZIP, DOCKER_LAYER + ".zstd"}
)
"""Layers that we unpack. Foreign (non-distributable) ones are named apart and refused."""

# --- names ------------------------------------------------------------------------------------------------------------

LAYOUT_FILE = "oci-layout"
LAYOUT_VERSION = '{"imageLayoutVersion":"1.0.0"}'
INDEX_FILE = "index.json"
BLOBS = "blobs/sha256"
DOCKER_ARCHIVE_MANIFEST = "manifest.json"
DOCKER_ARCHIVE_REPOSITORIES = "repositories"
ANNOTATION_REF_NAME = "org.opencontainers.image.ref.name"
ANNOTATION_IMAGE_NAME = "io.containerd.image.name"
ANNOTATION_REFERENCE_TYPE = "vnd.docker.reference.type"


Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""JSON has no largest number; the programs that read these documents have."""


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of what stands in the specs in camelCase."""


class Platform(Wire, frozen=True, kw_only=True):
    architecture: str = ""
    os: str = ""
    variant: str = ""
    os_version: str = msgspec.field(default="", name="os.version")


class Descriptor(Wire, frozen=True, kw_only=True):
    media_type: str = ""
    digest: str
    size: Int64
    platform: Platform | None = None
    annotations: dict[str, str] | None = None
    urls: tuple[str, ...] | None = None


class Versioned(Wire, frozen=True, kw_only=True):
    schema_version: int = 2


class Manifest(Wire, frozen=True, kw_only=True, omit_defaults=False):
    schema_version: int = 2
    media_type: str = OCI_MANIFEST
    config: Descriptor
    layers: tuple[Descriptor, ...] = ()


class Index(Wire, frozen=True, kw_only=True, omit_defaults=False):
    schema_version: int = 2
    media_type: str = OCI_INDEX
    manifests: tuple[Descriptor, ...] = ()


class Pascal(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Base of what stands in the config document in Docker's PascalCase."""


class HealthConfig(Pascal, frozen=True, kw_only=True):
    test: tuple[str, ...] | None = None
    interval: Int64 = 0
    timeout: Int64 = 0
    start_period: Int64 = 0
    start_interval: Int64 = 0
    retries: Int64 = 0


class RunConfig(Pascal, frozen=True, kw_only=True):
    """The section `config`: how to run the image."""

    user: str | None = None
    exposed_ports: dict[str, Any] | None = None
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: dict[str, Any] | None = None
    working_dir: str | None = None
    labels: dict[str, str] | None = None
    stop_signal: str | None = None
    healthcheck: HealthConfig | None = None
    shell: tuple[str, ...] | None = None
    on_build: tuple[str, ...] | None = None


class Snake(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of the config document's own level."""


class RootFs(Snake, frozen=True, kw_only=True, omit_defaults=False):
    type: str = "layers"
    diff_ids: tuple[str, ...] | None = ()


class HistoryEntry(Snake, frozen=True, kw_only=True):
    created: str | None = None
    created_by: str | None = None
    author: str | None = None
    comment: str | None = None
    empty_layer: bool | None = None


class ImageDocument(Snake, frozen=True, kw_only=True):
    """The image config; its digest is the image's id."""

    architecture: str = ""
    variant: str | None = None
    os: str = ""
    created: str | None = None
    author: str | None = None
    comment: str | None = None
    config: RunConfig | None = None
    rootfs: RootFs = RootFs()
    history: tuple[HistoryEntry, ...] | None = None


class DockerArchiveEntry(Pascal, frozen=True, kw_only=True, omit_defaults=False):
    """One image in manifest.json of `docker save`; paths are relative to the archive's root."""

    config: str
    repo_tags: tuple[str, ...] | None = None
    layers: tuple[str, ...] | None = None
