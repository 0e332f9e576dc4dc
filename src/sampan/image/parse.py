"""References, digests and OCI documents, parsed once into our own types.

Spec: distribution/reference grammar (`[domain/]path[:tag][@digest]`); OCI image-spec config.md "Layer ChainID".
"""

from __future__ import annotations

import hashlib
import re
from typing import TypeVar

import msgspec

from sampan.base.errors import InvalidArgument, TooLarge
from sampan.model.container import Healthcheck, Struct
from sampan.model.image import History, Image, ImageConfig
from sampan.spec import oci_image as oci

MAX_LAYERS = 127
MAX_DOCUMENT_BYTES = 4 << 20
"""The most that a manifest, an index or a config may have: what registries accept too."""
MAX_INDEX_DEPTH = 4
MAX_INDEX_ENTRIES = 1000

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
_OFFICIAL = "library/"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_PATH_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PATH_PART}(?:/{_PATH_PART})*")

T = TypeVar("T")


class Reference(Struct, frozen=True, kw_only=True):
    """A name in full: `domain` and `path` are always set, `tag` and `digest` when they were given."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """The familiar name, without docker.io and library."""
        if self.domain != DEFAULT_DOMAIN:
            return f"{self.domain}/{self.path}"
        short = self.path.removeprefix(_OFFICIAL)
        return self.path if "/" in short else short

    @property
    def familiar(self) -> str:
        """The familiar form with what was given of tag and digest."""
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def tagged(self) -> str:
        """The familiar name and tag; `latest` when there is none."""
        return f"{self.name}:{self.tag or DEFAULT_TAG}"


def is_digest(text: str) -> bool:
    """Tell a sha256 digest (the only algorithm that images use)."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(data: bytes) -> str:
    """Return the digest of some bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def parse_reference(text: str) -> Reference:
    """Return the reference that a user wrote; raises `InvalidArgument` with docker's words."""
    rest, _, digest = text.partition("@")
    if (digest or text.endswith("@")) and not is_digest(digest):
        raise InvalidArgument(f"invalid reference format: {text!r} has a digest that is not sha256:<64 hex digits>")
    head, slash, last = rest.rpartition("/")
    last, colon, tag = last.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise InvalidArgument(f"invalid reference format: {tag!r} in {text!r} is not a tag")
    domain, path = _split_domain(head + slash + last)
    if re.fullmatch(r"[0-9a-f]{64}", rest):
        raise InvalidArgument(f"invalid repository name ({rest}), cannot specify 64-byte hexadecimal strings")
    if path != path.lower():
        raise InvalidArgument(f"invalid reference format: repository name ({path}) must be lowercase")
    if not _PATH.fullmatch(path) or not _DOMAIN.fullmatch(domain) or len(path) > 255:
        raise InvalidArgument(f"invalid reference format: {text!r}")
    return Reference(domain=domain, path=path, tag=tag, digest=digest)


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        domain, path = ("docker.io" if first == "index.docker.io" else first), rest
    else:
        domain, path = DEFAULT_DOMAIN, name
    return domain, _OFFICIAL + path if domain == DEFAULT_DOMAIN and "/" not in path else path


def parse_tag(text: str) -> Reference:
    """Return a reference that can name an image: no digest, `latest` filled in."""
    reference = parse_reference(text)
    if reference.digest:
        raise InvalidArgument(f"refusing to create a tag with a digest reference: {text!r}")
    return msgspec.structs.replace(reference, tag=reference.tag or DEFAULT_TAG)


# --- documents --------------------------------------------------------------------------------------------------------


def decode(data: bytes, kind: type[T], what: str) -> T:
    """Return a typed view of a JSON document; raises `InvalidArgument` that names `what`, never anything else."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise TooLarge(f"the {what} has {len(data)} bytes; at most {MAX_DOCUMENT_BYTES} are allowed")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"the {what} is not valid: {error}") from error


def decode_manifest(data: bytes) -> oci.Manifest:
    """Return a checked image manifest (OCI or Docker v2)."""
    if decode(data, oci.Versioned, "image manifest").schema_version != 2:
        raise InvalidArgument(
            "the image has a manifest of the old schema 1, which is not supported: push it anew with a current client"
        )
    manifest = decode(data, oci.Manifest, "image manifest")
    if len(manifest.layers) > MAX_LAYERS:
        raise InvalidArgument(f"max depth exceeded: the image has {len(manifest.layers)} layers, at most {MAX_LAYERS}")
    _check_descriptor(manifest.config)
    for layer in manifest.layers:
        _check_descriptor(layer)
        if layer.urls or layer.media_type == oci.DOCKER_FOREIGN_LAYER_GZIP or "nondistributable" in layer.media_type:
            raise InvalidArgument(f"layer {layer.digest} is to be fetched from a foreign URL: refused")
        if layer.media_type not in oci.LAYER_TYPES:
            raise InvalidArgument(f"layer {layer.digest} is of type {layer.media_type!r}, which is no image layer")
    return manifest


def decode_index(data: bytes) -> oci.Index:
    """Return a checked index."""
    index = decode(data, oci.Index, "image index")
    if len(index.manifests) > MAX_INDEX_ENTRIES:
        raise TooLarge(f"the image index has {len(index.manifests)} entries; at most {MAX_INDEX_ENTRIES} are allowed")
    for row in index.manifests:
        _check_descriptor(row)
    return index


def _check_descriptor(descriptor: oci.Descriptor) -> None:
    if not is_digest(descriptor.digest):
        raise InvalidArgument(f"invalid digest {descriptor.digest[:100]!r}: only sha256 is supported")
    if not 0 <= descriptor.size < 1 << 50:
        raise InvalidArgument(f"{descriptor.digest} has the impossible size {descriptor.size}")


def document_kind(data: bytes, media_type: str = "") -> str:
    """Return "index" or "manifest", by the media type or else by what is in it.

    A document that could be read as either is refused: two readers would run two different images.
    """
    raw = decode(data, dict[str, msgspec.Raw], "image manifest")
    has_index, has_manifest = "manifests" in raw, "layers" in raw or "config" in raw
    if has_index and has_manifest:
        raise InvalidArgument("the document is both an image index and an image manifest: refused as ambiguous")
    if (media_type in oci.INDEX_TYPES and has_manifest) or (media_type in oci.MANIFEST_TYPES and has_index):
        raise InvalidArgument(f"the document is not of the type that it was announced as: {media_type}")
    return "index" if has_index or media_type in oci.INDEX_TYPES else "manifest"


def decode_config(data: bytes) -> oci.ImageDocument:
    """Return a checked image config."""
    document = decode(data, oci.ImageDocument, "image config")
    diff_ids = document.rootfs.diff_ids or ()
    if document.rootfs.type != "layers":
        raise InvalidArgument(f"the image config has a rootfs of type {document.rootfs.type!r}, not layers")
    if len(diff_ids) > MAX_LAYERS:
        raise InvalidArgument(f"max depth exceeded: the image has {len(diff_ids)} layers, at most {MAX_LAYERS}")
    bad = next((diff_id for diff_id in diff_ids if not is_digest(diff_id)), None)
    if bad is not None:
        raise InvalidArgument(f"the image config has an invalid diff_id: {bad[:100]!r}")
    return document


def image_from(data: bytes, *, layer_sizes: tuple[int, ...] = (), manifest_digest: str = "") -> Image:
    """Return the image that the config document `data` describes, without any name."""
    document = decode_config(data)
    return Image(
        id=digest_of(data),
        config=_run_config(document.config or oci.RunConfig()),
        layers=document.rootfs.diff_ids or (),
        layer_sizes=layer_sizes,
        created_at=document.created or "",
        author=document.author or "",
        comment=document.comment or _last_comment(document),
        architecture=document.architecture,
        variant=document.variant or "",
        os=document.os or "linux",
        size_bytes=sum(layer_sizes),
        history=_history(document, layer_sizes),
        manifest_digest=manifest_digest,
    )


def _last_comment(document: oci.ImageDocument) -> str:
    return (document.history[-1].comment or "") if document.history else ""


def _run_config(wire: oci.RunConfig) -> ImageConfig:
    return ImageConfig(
        entrypoint=wire.entrypoint,
        args=wire.cmd,
        env=wire.env or (),
        cwd=wire.working_dir or "",
        user=wire.user or "",
        labels=wire.labels or {},
        volumes=tuple(wire.volumes or ()),
        exposed=tuple(wire.exposed_ports or ()),
        stop_signal=wire.stop_signal or "",
        healthcheck=_healthcheck(wire.healthcheck),
        shell=wire.shell or (),
        on_build=wire.on_build or (),
    )


def _healthcheck(wire: oci.HealthConfig | None) -> Healthcheck | None:
    if wire is None:
        return None
    return Healthcheck(
        test=wire.test or (),
        interval_ns=wire.interval,
        timeout_ns=wire.timeout,
        start_period_ns=wire.start_period,
        start_interval_ns=wire.start_interval,
        retries=wire.retries,
    )


def _history(document: oci.ImageDocument, layer_sizes: tuple[int, ...]) -> tuple[History, ...]:
    sizes = iter(layer_sizes)
    return tuple(
        History(
            created_at=row.created or "",
            created_by=row.created_by or "",
            comment=row.comment or "",
            author=row.author or "",
            empty_layer=bool(row.empty_layer),
            size_bytes=0 if row.empty_layer else next(sizes, 0),
        )
        for row in document.history or ()
    )


def chain_ids(diff_ids: tuple[str, ...]) -> tuple[str, ...]:
    """Return each layer's chain id: what it is together with all layers below it."""
    chains: list[str] = []
    for diff_id in diff_ids:
        chains.append(digest_of(f"{chains[-1]} {diff_id}".encode()) if chains else diff_id)
    return tuple(chains)


def matches_platform(platform: oci.Platform | None, wanted: oci.Platform) -> bool:
    """Tell whether an index entry serves `wanted` (empty fields match anything)."""
    if platform is None:
        return True
    variant_fits = not wanted.variant or not platform.variant or platform.variant == wanted.variant
    return platform.os == wanted.os and platform.architecture == wanted.architecture and variant_fits


def parse_platform(text: str, default: oci.Platform) -> oci.Platform:
    """Return the platform of `os[/arch[/variant]]`, or of an architecture alone."""
    if not text:
        return default
    parts = text.lower().split("/")
    if len(parts) > 3 or not all(re.fullmatch(r"[a-z0-9_.-]+", part) for part in parts):
        raise InvalidArgument(f"{text!r} is not a platform: write os/architecture, such as linux/arm64")
    if len(parts) == 1:
        return oci.Platform(os=default.os, architecture=parts[0])
    aliases = {"x86_64": "amd64", "aarch64": "arm64"}
    return oci.Platform(
        os=parts[0], architecture=aliases.get(parts[1], parts[1]), variant=parts[2] if len(parts) == 3 else ""
    )
