"""Registries on loopback: Debian's docker-registry, and one of our own that lies on demand."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import gzip
import json
import shutil
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from host.image_archives import config_of, descriptor, digest

BINARY = shutil.which("docker-registry") or ""
# "sampan:s3cret", bcrypt with the cheapest cost
HTPASSWD = "sampan:$2b$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG\n"


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


@asynccontextmanager
async def debian_registry(root: Path, *, password: bool = False, tls: bool = False) -> AsyncIterator[str]:
    """Start docker-registry; yields host:port."""
    root.mkdir()
    port = free_port()
    config = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(root / "data")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    if password:
        (root / "htpasswd").write_text(HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(root / "htpasswd")}}
    if tls:
        self_signed(root)
        config["http"]["tls"] = {"certificate": str(root / "cert.pem"), "key": str(root / "key.pem")}
    (root / "config.yml").write_text(json.dumps(config))
    process = await asyncio.create_subprocess_exec(
        BINARY, "serve", str(root / "config.yml"), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _answers(port)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


def self_signed(root: Path) -> None:
    """Write cert.pem and key.pem for 127.0.0.1, trusted by nobody."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (root / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (root / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


async def _answers(port: int) -> None:
    deadline = time.monotonic() + 15
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


class LyingRegistry:
    """A registry that serves one image honestly, unless `lies` (a set of words) says otherwise."""

    def __init__(self, layers: list[bytes], *lies: str, host: str = "127.0.0.1") -> None:
        self.lies = set(lies)
        self.host = host
        self.plain = layers
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[bytes, str]] = {}
        self.requests: list[tuple[str, str, str]] = []  # method, path, Authorization
        self.ranges: list[str] = []
        self.token = "good-token"
        self.realm = ""
        self.elsewhere = ""
        self.address = ""
        self.failures = 0
        self.stuck = asyncio.Event()
        self._build()

    def _build(self) -> None:
        config = config_of(self.plain)
        packed = [gzip.compress(layer, mtime=0) for layer in self.plain]
        self.blobs = {digest(blob): blob for blob in (config, *packed)}
        rows = [descriptor(blob, "application/vnd.oci.image.layer.v1.tar+gzip") for blob in packed]
        kind = "application/vnd.oci.image.manifest.v1+json"
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": kind,
                "config": descriptor(config, "application/vnd.oci.image.config.v1+json"),
                "layers": rows,
            }
        ).encode()
        self.manifest = manifest
        self.layer_digests = [row["digest"] for row in rows]
        self.config_digest = digest(config)
        self.manifests = {"latest": (manifest, kind), digest(manifest): (manifest, kind)}

    def index(self, *platforms: dict) -> None:
        """Put an index before the manifest."""
        kind = "application/vnd.oci.image.index.v1+json"
        rows = [descriptor(self.manifest, platform=platform) for platform in platforms]
        index = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": rows}).encode()
        self.manifests["latest"] = (index, kind)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_route("*", "/token", self._token)
        app.router.add_route("*", "/elsewhere/{digest}", self._other)
        app.router.add_get("/v2/", self._base)
        app.router.add_get("/v2/{name:.+}/manifests/{reference}", self._manifest)
        app.router.add_get("/v2/{name:.+}/blobs/{digest}", self._blob)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, self.host, 0)
        await site.start()
        port = runner.addresses[0][1]
        self.address = f"{self.host}:{port}"
        try:
            yield self.address
        finally:
            await runner.cleanup()

    def _note(self, request: web.Request) -> web.Response | None:
        self.requests.append((request.method, request.path, request.headers.get("Authorization", "")))
        if "bearer" in self.lies and request.headers.get("Authorization") != f"Bearer {self.token}":
            realm = self.realm or f"http://{self.address}/token"
            return web.json_response(
                {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]},
                status=401,
                headers={"WWW-Authenticate": f'Bearer realm="{realm}",service="test",scope="repository:a/b:pull"'},
            )
        if "basic" in self.lies and request.headers.get("Authorization") != basic("me", "pw"):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        if "busy" in self.lies and self.failures < 2:
            self.failures += 1
            return web.Response(status=503)
        return None

    async def _token(self, request: web.Request) -> web.Response:
        self.requests.append((request.method, request.path, request.headers.get("Authorization", "")))
        form = await request.post() if request.method == "POST" else {}
        good = request.headers.get("Authorization") == basic("me", "pw") or form.get("refresh_token") == "refresh"
        if good or "anonymous" in self.lies:
            return web.json_response({"token": self.token})
        return web.json_response({}, status=401)

    async def _base(self, request: web.Request) -> web.Response:
        return self._note(request) or web.json_response({})

    async def _manifest(self, request: web.Request) -> web.StreamResponse:
        refused = self._note(request)
        if refused:
            return refused
        found = self.manifests.get(request.match_info["reference"])
        if found is None:
            return web.json_response(
                {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}, status=404
            )
        body, kind = found
        headers = {"Docker-Content-Digest": digest(body)}
        if "manifest bit" in self.lies:
            body = body.replace(b"2", b"3", 1)
        if "huge manifest" in self.lies:
            body = body + b" " * (10 << 20)
        if "old schema" in self.lies:
            body, kind, headers = (
                b'{"schemaVersion": 1}',
                "application/vnd.docker.distribution.manifest.v1+prettyjws",
                {},
            )
        return web.Response(body=body, content_type=kind, headers=headers)

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        refused = self._note(request)
        if refused:
            return refused
        name = request.match_info["digest"]
        if "redirect" in self.lies and name in self.layer_digests:
            return web.Response(status=307, headers={"Location": self.elsewhere.format(digest=name)})
        return await self._send(request, name)

    async def _other(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path, request.headers.get("Authorization", "")))
        return await self._send(request, request.match_info["digest"])

    async def _send(self, request: web.Request, name: str) -> web.StreamResponse:
        body = self.blobs[name]
        is_layer = name in self.layer_digests
        if "config bit" in self.lies and name == self.config_digest:
            return web.Response(body=body.replace(b"amd64", b"amd65"))
        if not is_layer:
            return web.Response(body=body)
        if "bit" in self.lies:
            body = body[:-40] + bytes([body[-40] ^ 1]) + body[-39:]
        if "other" in self.lies:
            body = gzip.compress(b"something else" * 100)[: len(body)].ljust(len(body), b"\0")
        if "longer" in self.lies:
            return await self._chunked(request, body + b"more")
        if "shorter" in self.lies:
            return web.Response(body=body[:-10])
        if "cut" in self.lies:
            return await self._cut(request, body)
        return web.Response(body=body)

    async def _chunked(self, request: web.Request, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(body)
        await response.write_eof()
        return response

    async def _cut(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Break the connection half-way; with "ranges" a resumed download gets on, each time by a third."""
        start = 0
        wanted = request.headers.get("Range", "")
        if wanted:
            self.ranges.append(wanted)
        response = web.StreamResponse()
        if wanted and "ranges" in self.lies:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            response.set_status(206)
            response.headers["Content-Range"] = (
                f"bytes {start + ('wrong range' in self.lies)}-{len(body) - 1}/{len(body)}"
            )
        response.content_length = len(body) - start
        await response.prepare(request)
        end = len(body) if "once" in self.lies and self.ranges else start + len(body) // 3 + 1
        if "for ever" in self.lies and wanted:
            end = start
            self.stuck.set()
        await response.write(body[start:end])
        if end < len(body):
            request.transport.close()
        return response


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
