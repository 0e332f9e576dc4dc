"""Image: a config, its layers, and the names that point at it."""

from __future__ import annotations

from sampan.model.container import Healthcheck, Struct


class ImageConfig(Struct, frozen=True, kw_only=True):
    """What the image says about running it (OCI image config, section `config`)."""

    entrypoint: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    cwd: str = ""
    user: str = ""
    labels: dict[str, str] = {}
    volumes: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    stop_signal: str = ""
    healthcheck: Healthcheck | None = None
    shell: tuple[str, ...] = ()
    on_build: tuple[str, ...] = ()


class History(Struct, frozen=True, kw_only=True):
    """One line of an image's history, oldest first."""

    created_at: str = ""
    created_by: str = ""
    comment: str = ""
    author: str = ""
    empty_layer: bool = False
    size_bytes: int = 0


class Image(Struct, frozen=True, kw_only=True):
    """One image. `id` is the digest of its config; `layers` are diff ids, base first."""

    id: str  # sha256:…
    config: ImageConfig = ImageConfig()
    layers: tuple[str, ...] = ()
    layer_sizes: tuple[int, ...] = ()  # unpacked bytes, one a layer
    tags: tuple[str, ...] = ()  # familiar form: busybox:latest, localhost:5000/a/b:1
    digests: tuple[str, ...] = ()  # familiar name@sha256:…
    created_at: str = ""  # RFC 3339, as the image says
    tagged_at_ns: int = 0
    author: str = ""
    comment: str = ""
    architecture: str = "amd64"
    variant: str = ""
    os: str = "linux"
    size_bytes: int = 0
    history: tuple[History, ...] = ()
    parent: str = ""
    manifest_digest: str = ""
