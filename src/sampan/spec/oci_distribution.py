"""OCI distribution-spec 1.1 and the token flow that registries use with it: paths, headers, bodies.

Spec: distribution-spec "Endpoints", "Error Codes"; RFC 6750 and 7235 (challenges); Docker "Token Authentication".
"""

from __future__ import annotations

import msgspec

from sampan.spec import oci_image as oci

DOCKER_HUB_DOMAIN = "docker.io"
DOCKER_HUB_HOST = "registry-1.docker.io"
DOCKER_HUB_LEGACY_SERVER = "https://index.docker.io/v1/"

MANIFEST_ACCEPT = f"{oci.OCI_INDEX}, {oci.OCI_MANIFEST}, {oci.DOCKER_INDEX}, {oci.DOCKER_MANIFEST}"
CONTENT_DIGEST = "Docker-Content-Digest"

BASE = "/v2/"


def manifest_path(repository: str, reference: str) -> str:
    """end-3, end-7: GET, HEAD, PUT."""
    return f"/v2/{repository}/manifests/{reference}"


def blob_path(repository: str, digest: str) -> str:
    """end-2: GET, HEAD."""
    return f"/v2/{repository}/blobs/{digest}"


def upload_path(repository: str) -> str:
    """end-4a, end-11: POST."""
    return f"/v2/{repository}/blobs/uploads/"


class Error(msgspec.Struct, frozen=True, kw_only=True):
    code: str = ""
    message: str = ""


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    errors: tuple[Error, ...] = ()


class TokenBody(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of a token server; which of the two names is used depends on its age."""

    token: str = ""
    access_token: str = ""
