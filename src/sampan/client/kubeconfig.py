"""Where a Kubernetes API is and as whom to ask, from a kubeconfig. Spec: kubectl's Config v1; exec plugins are not run."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import yaml

from sampan.base.errors import InvalidArgument
from sampan.kube.reading import flag, items, mapping, text


class Place(NamedTuple):
    """`tls` None: plain HTTP."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    token: str = ""


def default() -> str:
    """Return the file that kubectl would read."""
    return os.environ.get("KUBECONFIG", "").partition(":")[0] or str(Path.home() / ".kube" / "config")


def load(path: str) -> Place:
    """Return what a kubeconfig's current context says.

    Raises:
        InvalidArgument: it cannot be read, or says something that is not understood.
    """
    try:
        config = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise InvalidArgument(f"cannot read the kubeconfig {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise InvalidArgument(f"{path} is no kubeconfig: {error}") from error
    context = _named(config, "contexts", "context", text(config, "current-context"), path)
    cluster = _named(config, "clusters", "cluster", text(context, "cluster"), path)
    user = _named(config, "users", "user", text(context, "user"), path) if text(context, "user") else {}
    url = urlsplit(text(cluster, "server"))
    if url.scheme not in ("http", "https") or not url.hostname:
        raise InvalidArgument(f"{path}: server {text(cluster, 'server')!r} is no http or https address")
    if user.get("exec") or user.get("auth-provider"):
        raise InvalidArgument(f"{path}: exec plugins and auth providers are not run here; use a token or a certificate")
    try:
        tls = _context(cluster, user, Path(path).parent) if url.scheme == "https" else None
        token = text(user, "token") or _token(user, Path(path).parent)
    except (OSError, ssl.SSLError, binascii.Error) as error:
        raise InvalidArgument(f"{path}: its certificates cannot be used: {error}") from error
    return Place(url.hostname, url.port or (443 if tls else 80), tls, token)


def _named(config: Any, plural: str, kind: str, name: str, path: str) -> dict[str, Any]:
    for item in items(config, plural):
        if text(item, "name") == name:
            return mapping(item, kind)
    raise InvalidArgument(f"{path}: there is no {kind} {name!r}")


def _token(user: dict[str, Any], folder: Path) -> str:
    file = text(user, "tokenFile")
    return (folder / file).read_text().strip() if file else ""


def _context(cluster: dict[str, Any], user: dict[str, Any], folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca = _pem(cluster, "certificate-authority", folder)
    if flag(cluster, "insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca:
        context.load_verify_locations(cadata=ca.decode())
    else:
        context.load_default_certs()
    certificate, key = _pem(user, "client-certificate", folder), _pem(user, "client-key", folder)
    if certificate and key:
        with _file(certificate + b"\n" + key) as path:
            context.load_cert_chain(path)
    return context


def _pem(source: dict[str, Any], name: str, folder: Path) -> bytes:
    if data := text(source, f"{name}-data"):
        return base64.b64decode(data)
    file = text(source, name)
    return (folder / file).read_bytes() if file else b""


@contextmanager
def _file(data: bytes) -> Iterator[str]:
    """Give a path to bytes that never touch a disk: keys can be loaded from files only."""
    descriptor = os.memfd_create("key")
    try:
        os.write(descriptor, data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
