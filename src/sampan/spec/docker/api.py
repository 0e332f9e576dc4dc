"""Versions, media types and frame layout of the Docker Engine API.

Spec: Docker Engine API v1.51, "Versioning" and "Attach to a container" (stream format).
"""

from __future__ import annotations

API_VERSION = (1, 51)
MIN_API_VERSION = (1, 24)

MEDIA_JSON = "application/json"
MEDIA_RAW_STREAM = "application/vnd.docker.raw-stream"
MEDIA_MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream"
MEDIA_TAR = "application/x-tar"

PATH_STAT_HEADER = "X-Docker-Container-Path-Stat"
REGISTRY_AUTH_HEADER = "X-Registry-Auth"

FRAME_STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2, "system": 3}
"""First byte of a frame; three zero bytes and the payload's length (big endian, 4 bytes) follow."""

DEFAULT_DETACH_KEYS = b"\x10\x11"
"""ctrl-p, ctrl-q."""

ZERO_TIME = "0001-01-01T00:00:00Z"
"""Go's zero time: "never"."""


def version_text(version: tuple[int, int]) -> str:
    """Return "1.51" of (1, 51)."""
    return f"{version[0]}.{version[1]}"
