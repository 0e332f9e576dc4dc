"""RegistryClient: one conversation with one OCI registry about one repository.

Spec: OCI distribution-spec 1.1. Credentials go to the registry itself and to token servers of its domain, and are left
out as soon as a redirect leads anywhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin

import msgspec

from sampan.base.errors import (
    DataLoss,
    Forbidden,
    InvalidArgument,
    NotFound,
    SampanError,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from sampan.image import parse
from sampan.image.challenge import (
    Challenge,
    allows_plain_http,
    may_see_credentials,
    origin,
    parse_challenge,
    redirect_problem,
)
from sampan.image.port import Credentials
from sampan.spec import oci_distribution as dist

if TYPE_CHECKING:
    import ssl

    import aiohttp

_MAX_REDIRECTS = 5
_TRIES = 4
_FIRST_WAIT_S = 0.2
_RETRY_STATUS = {429, 500, 502, 503, 504}
_REDIRECTS = {301, 302, 303, 307, 308}
_CHUNK = 1 << 18


class RegistryClient:
    """Made by `connect`. `repository` is the path; actions are "pull" or "pull,push"."""

    def __init__(
        self, session: aiohttp.ClientSession, base: str, repository: str, actions: str, credentials: Credentials | None
    ) -> None:
        self._session = session
        self.base = base
        self.repository = repository
        self._scopes = [f"repository:{repository}:{actions}"] if repository else []
        self._credentials = credentials
        self._authorization = ""
        self._turn = asyncio.Lock()

    def also_pull(self, repository: str) -> None:
        """Ask for the right to read another repository too, for mounting its blobs."""
        self._scopes.append(f"repository:{repository}:pull")
        self._authorization = ""

    # --- requests -----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, data: Any = None, retry: bool = True
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield the final answer, after authentication, redirects and retries; the status is the caller's to judge."""
        response = await self._send(method, urljoin(self.base, url), dict(headers or {}), data, _TRIES if retry else 1)
        try:
            yield response
        finally:
            response.release()

    async def _send(
        self, method: str, url: str, headers: dict[str, str], data: Any, tries: int
    ) -> aiohttp.ClientResponse:
        import aiohttp

        wait_s = _FIRST_WAIT_S
        while True:
            tries -= 1
            try:
                response = await self._authenticated(method, url, headers, data)
            except (aiohttp.ClientError, TimeoutError) as error:
                if tries <= 0 or isinstance(error, aiohttp.ClientConnectorError):
                    raise Unavailable(f'{method.capitalize()} "{url}": {_reason(error)}') from error
            else:
                if response.status not in _RETRY_STATUS or tries <= 0:
                    return response
                response.release()
            await asyncio.sleep(wait_s)
            wait_s *= 3

    async def _authenticated(self, method: str, url: str, headers: dict[str, str], data: Any) -> aiohttp.ClientResponse:
        used = self._authorization
        response = await self._followed(method, url, headers, data)
        if response.status != 401 or origin(str(response.url)) != origin(self.base):
            return response
        challenge = parse_challenge(response.headers.get("WWW-Authenticate", ""))
        async with self._turn:
            if self._authorization == used and not await self._authorize(challenge):
                return response
        response.release()
        return await self._followed(method, url, headers, data)

    async def _followed(self, method: str, url: str, headers: dict[str, str], data: Any) -> aiohttp.ClientResponse:
        for _ in range(_MAX_REDIRECTS + 1):
            own = origin(url) == origin(self.base)
            secret = {"Authorization": self._authorization} if own and self._authorization else {}
            body = data() if callable(data) else data
            response = await self._session.request(
                method, url, headers=headers | secret, data=body, allow_redirects=False
            )
            if response.status not in _REDIRECTS or "Location" not in response.headers:
                return response
            target = urljoin(url, response.headers["Location"])
            response.release()
            problem = redirect_problem(self.base, url, target)
            if problem:
                raise DataLoss(f"the registry {self.base} sent a redirect that is not followed: {problem}")
            url = target
        raise Unavailable(f"the registry {self.base} redirects more than {_MAX_REDIRECTS} times")

    # --- authentication -----------------------------------------------------------------------------------------------

    async def _authorize(self, challenge: Challenge) -> bool:
        """Get what the challenge asks for; returns False when there is nothing to offer."""
        known = self._credentials
        if known is not None and known.registry_token:
            fresh = f"Bearer {known.registry_token}"
        elif challenge.scheme == "basic" and known is not None and known.username:
            fresh = _basic(known)
        elif challenge.scheme == "bearer" and challenge.parameters.get("realm"):
            fresh = f"Bearer {await self._token(challenge.parameters)}"
        else:
            return False
        changed, self._authorization = fresh != self._authorization, fresh
        return changed

    async def _token(self, parameters: Mapping[str, str]) -> str:
        realm = urljoin(self.base, parameters["realm"])
        problem = redirect_problem(self.base, self.base, realm)
        if problem:
            raise Unauthorized(f"the registry {self.base} names a token server that is not asked: {problem}")
        scopes = self._scopes or parameters.get("scope", "").split()
        async with self._ask_token(realm, parameters.get("service", ""), scopes) as response:
            body = await _limited(response, parse.MAX_DOCUMENT_BYTES)
            if response.status in {401, 403}:
                raise Unauthorized("unauthorized: incorrect username or password")
            if response.status != 200:
                raise Unavailable(f"the token server {realm} answered {response.status}: {_told(body)}")
        answer = parse.decode(body, dist.TokenBody, "answer of the token server")
        return answer.token or answer.access_token

    def _ask_token(self, realm: str, service: str, scopes: Iterable[str]) -> Any:
        """Send the token request: with a refresh token as a form, else with or without Basic credentials."""
        known = self._credentials
        trusted = known is not None and may_see_credentials(self.base, realm)
        if known is not None and trusted and known.identity_token:
            form = {
                "grant_type": "refresh_token",
                "service": service,
                "client_id": "sampan",
                "scope": " ".join(scopes),
                "refresh_token": known.identity_token,
            }
            return self._session.post(realm, data=form, allow_redirects=False)
        query = [("service", service), *(("scope", scope) for scope in scopes)]
        headers = {"Authorization": _basic(known)} if known is not None and trusted and known.username else {}
        separator = "&" if "?" in realm else "?"
        return self._session.get(f"{realm}{separator}{urlencode(query)}", headers=headers, allow_redirects=False)

    async def ping(self) -> None:
        """Prove that the credentials are good; raises `Unauthorized`."""
        async with self.request("GET", dist.BASE) as response:
            await self.expect(response, {200})

    # --- pulling ------------------------------------------------------------------------------------------------------

    async def manifest(self, reference: str) -> tuple[bytes, str]:
        """Return a manifest or index by tag or digest, verified, and its media type."""
        url = dist.manifest_path(self.repository, reference)
        async with self.request("GET", url, headers={"Accept": dist.MANIFEST_ACCEPT}) as response:
            await self.expect(response, {200})
            body = await _limited(response, parse.MAX_DOCUMENT_BYTES)
            told = response.headers.get(dist.CONTENT_DIGEST, "")
            media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
        found = parse.digest_of(body)
        wanted = reference if parse.is_digest(reference) else told if parse.is_digest(told) else found
        if found != wanted:
            raise DataLoss(f"manifest verification failed for digest {wanted}: the registry sent {found}")
        return body, media_type

    async def document(self, digest: str, size: int) -> bytes:
        """Return a small blob, verified."""
        parts = [chunk async for chunk in self.blob(digest, size)]
        data = b"".join(parts)
        if parse.digest_of(data) != digest:
            raise DataLoss(f"filesystem layer verification failed for digest {digest}: the registry sent other bytes")
        return data

    async def blob(self, digest: str, size: int) -> AsyncIterator[bytes]:
        """Yield exactly `size` bytes; a connection that breaks is taken up again where it broke. Not verified."""
        done = 0
        failures = 0
        while done < size or size == 0:
            before = done
            try:
                async for chunk in self._blob_from(digest, size, done):
                    done += len(chunk)
                    yield chunk
            except _Broken as broken:
                failures = 1 if done > before else failures + 1
                if failures >= _TRIES:
                    raise Unavailable(f"blob {digest} could not be downloaded: {broken}") from broken
                await asyncio.sleep(_FIRST_WAIT_S * failures)
            if size == 0:
                return

    async def _blob_from(self, digest: str, size: int, start: int) -> AsyncIterator[bytes]:
        import aiohttp

        headers = {"Range": f"bytes={start}-"} if start else {}
        headers["Accept-Encoding"] = "identity"
        async with self.request("GET", dist.blob_path(self.repository, digest), headers=headers) as response:
            await self.expect(response, {200, 206})
            skip = start if response.status == 200 else 0  # the server knows no ranges and began anew
            if response.status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                raise DataLoss(f"blob {digest}: the registry answered with another range than asked for")
            told = response.content_length
            if told is not None and told != size - start + skip:
                raise DataLoss(f"blob {digest} should have {size} bytes, the registry says {told + start - skip}")
            left = size - start
            try:
                async for chunk in response.content.iter_chunked(_CHUNK):
                    fresh, skip = chunk[skip:], max(0, skip - len(chunk))
                    left -= len(fresh)
                    if left < 0:
                        raise DataLoss(f"blob {digest} is longer than the {size} bytes that its manifest says")
                    if fresh:
                        yield fresh
            except (aiohttp.ClientError, TimeoutError) as error:
                raise _Broken(_reason(error)) from error
            if left:
                raise _Broken(f"the connection ended {left} bytes too early")

    # --- pushing ------------------------------------------------------------------------------------------------------

    async def has_blob(self, digest: str) -> bool:
        """Tell whether the repository has the blob."""
        async with self.request("HEAD", dist.blob_path(self.repository, digest)) as response:
            if response.status == 404:
                return False
            await self.expect(response, {200})
            return True

    async def begin_upload(self, digest: str, mount_from: str = "") -> str:
        """Return the URL to upload to, "" when the registry mounted the blob from another repository instead."""
        query = "?" + urlencode({"mount": digest, "from": mount_from}) if mount_from else ""
        async with self.request("POST", dist.upload_path(self.repository) + query) as response:
            await self.expect(response, {201, 202})
            return "" if response.status == 201 else urljoin(str(response.url), response.headers.get("Location", ""))

    async def upload(self, url: str, digest: str, size: int, data: Any) -> None:
        """Send a blob in one go; `data` makes a new iterator of its bytes each time it is called."""
        url += ("&" if "?" in url else "?") + urlencode({"digest": digest})
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        async with self.request("PUT", url, headers=headers, data=data, retry=False) as response:
            await self.expect(response, {201, 204})

    async def put_manifest(self, reference: str, data: bytes, media_type: str) -> None:
        """Store a manifest under a tag or digest."""
        url = dist.manifest_path(self.repository, reference)
        async with self.request("PUT", url, headers={"Content-Type": media_type}, data=data) as response:
            await self.expect(response, {201, 202})
            told = response.headers.get(dist.CONTENT_DIGEST, "")
            if told and told != parse.digest_of(data):
                raise DataLoss(f"the registry stored another manifest than was sent: {told}")

    async def expect(self, response: aiohttp.ClientResponse, good: set[int]) -> None:
        """Raise the error that the registry told, unless the status is one of `good`."""
        if response.status in good:
            return
        body = await _limited(response, 1 << 16)
        raise _error(response.status, _told(body) or response.reason or "", self.repository)


class _Broken(Exception):
    """A download stopped short; it can go on."""


@asynccontextmanager
async def connect(
    domain: str,
    repository: str,
    *,
    actions: str = "pull",
    credentials: Credentials | None = None,
    insecure: Iterable[str] = (),
) -> AsyncIterator[RegistryClient]:
    """Yield a client that speaks TLS, or plain HTTP where that is allowed and the registry has no TLS."""
    import aiohttp

    host = dist.DOCKER_HUB_HOST if domain == dist.DOCKER_HUB_DOMAIN else domain
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
    plain = allows_plain_http(host, insecure)
    connector = aiohttp.TCPConnector(limit=8, ssl=_context(verify=not plain))
    async with aiohttp.ClientSession(
        timeout=timeout,
        connector=connector,
        headers={"User-Agent": "sampan"},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    ) as session:
        base = await _base(session, host) if plain else f"https://{host}"
        yield RegistryClient(session, base, repository, actions, credentials)


@lru_cache
def _context(*, verify: bool) -> ssl.SSLContext:
    """Return a TLS context; the one that verifies costs 20 ms, since it reads all of the system's authorities."""
    import ssl

    if verify:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _base(session: aiohttp.ClientSession, host: str) -> str:
    """Return the base URL of a registry that may speak TLS or not: TLS is tried first."""
    import aiohttp

    try:
        async with session.get(f"https://{host}{dist.BASE}", allow_redirects=False):
            return f"https://{host}"
    except (aiohttp.ClientError, TimeoutError):
        return f"http://{host}"


async def _limited(response: aiohttp.ClientResponse, limit: int) -> bytes:
    parts: list[bytes] = []
    held = 0
    async for chunk in response.content.iter_chunked(_CHUNK):
        held += len(chunk)
        if held > limit:
            raise TooLarge(f"the registry sent a document of more than {limit} bytes")
        parts.append(chunk)
    return b"".join(parts)


def _basic(credentials: Credentials) -> str:
    import base64

    return "Basic " + base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()


def _reason(error: BaseException) -> str:
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot reach {error.host}: {error.os_error.strerror or error.os_error}"
    return str(error) or type(error).__name__


def _told(body: bytes) -> str:
    try:
        errors = msgspec.json.decode(body, type=dist.ErrorBody).errors
    except msgspec.MsgspecError:
        return body[:200].decode(errors="replace").strip()
    return "; ".join(f"{error.code.lower().replace('_', ' ')}: {error.message}" for error in errors)


def _error(status: int, told: str, repository: str) -> SampanError:
    if status == 401:
        return Unauthorized(f"unauthorized: {told or 'authentication required'}")
    if status == 403:
        return Forbidden(f"denied: requested access to the resource {repository} is denied: {told}")
    if status == 404:
        return NotFound(told or "not found")
    if status in _RETRY_STATUS:
        return Unavailable(f"the registry answered {status}: {told}")
    return InvalidArgument(f"the registry answered {status}: {told}")
