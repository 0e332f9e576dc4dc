"""Tokens of an OpenID Connect provider, as an authentication configuration names it.

Spec: apiserver.config.k8s.io/v1 AuthenticationConfiguration (without CEL expressions); OpenID Connect Discovery 1.0.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import jwt
import msgspec

from sampan.api.kube.authn import Found
from sampan.api.kube.request import User
from sampan.base import log
from sampan.base.clock import Clock
from sampan.base.errors import InvalidArgument
from sampan.kube import status, yaml

_ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
}
"""Type of key -> what it may sign by. Nothing symmetric: whoever can read the keys could sign."""
_RESERVED = "system:"
_MOST_BYTES = 1 << 20
_FETCH_S = 10.0
_AGAIN_S = 30.0
"""How soon keys are fetched again when a token names one that is not known."""
_FRESH_S = 3600.0

_log = log.get("oidc")


class Issuer(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    url: str
    audiences: tuple[str, ...]
    discovery_url: str = msgspec.field(default="", name="discoveryURL")
    certificate_authority: str = ""  # PEM
    audience_match_policy: str = ""


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The prefix is part of every name, so that a provider's `admin` is not this cluster's."""

    claim: str
    prefix: str


class UidClaim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    claim: str


class Mappings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    username: Claim
    groups: Claim | None = None
    uid: UidClaim | None = None


class Required(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    claim: str
    required_value: str = ""


class Provider(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    issuer: Issuer
    claim_mappings: Mappings
    claim_validation_rules: tuple[Required, ...] = ()


class Configuration(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    api_version: str
    kind: str
    jwt: tuple[Provider, ...] = ()


def parse(text: bytes) -> tuple[Provider, ...]:
    """Return the providers that a document names.

    Raises:
        InvalidArgument: it is none, or wishes for what is not known here, such as CEL expressions.
    """
    try:
        found = msgspec.convert(yaml.load(text)[0], Configuration)
    except (yaml.YamlError, msgspec.ValidationError) as error:
        raise InvalidArgument(f"the authentication configuration is malformed: {error}") from None
    if not found.api_version.startswith("apiserver.config.k8s.io/") or found.kind != "AuthenticationConfiguration":
        raise InvalidArgument("the authentication configuration must be an AuthenticationConfiguration")
    for provider in found.jwt:
        for url in (provider.issuer.url, provider.issuer.discovery_url):
            if url and not _safe(url):
                raise InvalidArgument(f"the provider {url} must be reached by https")
        if not provider.issuer.audiences:
            raise InvalidArgument(f"the provider {provider.issuer.url} needs audiences")
    return found.jwt


class Key(NamedTuple):
    key: Any
    algorithms: tuple[str, ...]


Fetch = Callable[[str], bytes]
"""Return what is at a URL; runs in a thread. Raises OSError or ValueError."""


class OidcTokens:
    """A `TokenSource`: tokens of one provider. Its keys are fetched when they are needed, and kept for an hour."""

    def __init__(self, provider: Provider, clock: Clock, fetch: Fetch | None = None) -> None:
        self._provider = provider
        self._clock = clock
        self._fetch = fetch or _fetcher(provider.issuer.certificate_authority)
        self._keys: dict[str, Key] = {}
        self._fetched_s = float("-inf")
        self._fetching = asyncio.Lock()

    async def find(self, token: str, audiences: Sequence[str]) -> Found | None:
        issuer = self._provider.issuer
        try:
            if jwt.decode(token, options={"verify_signature": False}).get("iss") != issuer.url:
                return None
            head = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError):
            return None
        key = await self._key(str(head.get("kid", "")))
        claims = self._verified(token, key)
        if (user := self._user(claims)) is None:
            raise status.unauthorized()
        return Found(user, tuple(audiences), float(claims["exp"]))

    def _verified(self, token: str, key: Key | None) -> dict[str, Any]:
        if key is None:
            raise status.unauthorized()
        issuer = self._provider.issuer
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=list(key.algorithms),
                audience=list(issuer.audiences),
                issuer=issuer.url,
                options={
                    "require": ["exp", "aud", "iss"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            now = self._clock.now_ns() / 1e9
            if not float(claims.get("nbf", 0)) <= now < float(claims["exp"]):
                raise status.unauthorized()
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise status.unauthorized() from error
        return claims

    def _user(self, claims: dict[str, Any]) -> User | None:
        """Return whom claims name; None where they lack what is required, or name one of the system's own."""
        mappings = self._provider.claim_mappings
        for rule in self._provider.claim_validation_rules:
            if claims.get(rule.claim) != rule.required_value:
                return None
        name = claims.get(mappings.username.claim)
        if not isinstance(name, str) or not name or claims.get("email_verified", True) is False:
            return None
        name = mappings.username.prefix + name
        uid = claims.get(mappings.uid.claim, "") if mappings.uid else ""
        if name.startswith(_RESERVED):
            return None
        return User(name, str(uid), self._groups(claims))

    def _groups(self, claims: dict[str, Any]) -> tuple[str, ...]:
        mapping = self._provider.claim_mappings.groups
        if mapping is None:
            return ()
        found = claims.get(mapping.claim)
        listed = found if isinstance(found, list) else [found]
        groups = (mapping.prefix + item for item in listed if isinstance(item, str) and item)
        return tuple(group for group in groups if not group.startswith(_RESERVED))

    async def _key(self, name: str) -> Key | None:
        async with self._fetching:
            age_s = self._clock.monotonic_s() - self._fetched_s
            if age_s > _FRESH_S or (name not in self._keys and age_s > _AGAIN_S):
                self._fetched_s = self._clock.monotonic_s()
                try:
                    self._keys = await asyncio.to_thread(self._load)
                except (OSError, ValueError, jwt.PyJWTError, msgspec.MsgspecError) as error:
                    _log.error("cannot read the keys of %s: %s", self._provider.issuer.url, error)
        return self._keys.get(name)

    def _load(self) -> dict[str, Key]:
        issuer = self._provider.issuer
        at = issuer.discovery_url or f"{issuer.url.rstrip('/')}/.well-known/openid-configuration"
        described = msgspec.json.decode(self._fetch(at), type=_Discovery)
        if described.issuer != issuer.url:
            raise ValueError(f"{at} is of another issuer: {described.issuer}")
        if not _safe(described.jwks_uri):
            raise ValueError(f"keys at {described.jwks_uri} must be reached by https")
        listed = msgspec.json.decode(self._fetch(described.jwks_uri), type=_Jwks).keys
        public = [key for key in listed if key.get("kty") in _ALGORITHMS and key.get("use", "sig") == "sig"]
        return {str(key.get("kid", "")): _key(key) for key in public}


def _key(told: dict[str, Any]) -> Key:
    """Return a key that signs as it says, or in any way that one of its type can."""
    may = _ALGORITHMS[told["kty"]]
    named = told.get("alg")
    return Key(jwt.PyJWK(told).key, may if named is None else tuple(name for name in may if name == named))


class _Discovery(msgspec.Struct):
    issuer: str
    jwks_uri: str


class _Jwks(msgspec.Struct):
    keys: list[dict[str, Any]]


def _safe(url: str) -> bool:
    """Return whether a URL is of https, or of this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    try:
        return parts.scheme == "http" and ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def _fetcher(authority_pem: str) -> Fetch:
    def fetch(url: str) -> bytes:
        # costs 20 ms; few need it
        from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, build_opener

        class Stay(HTTPRedirectHandler):
            """A redirect could lead away from https: it is an error."""

            def redirect_request(self, *_: Any) -> None:
                return None

        context = ssl.create_default_context(cadata=authority_pem or None)
        opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context), Stay)
        with opener.open(url, timeout=_FETCH_S) as answer:
            body: bytes = answer.read(_MOST_BYTES + 1)
        if len(body) > _MOST_BYTES:
            raise ValueError(f"{url} is larger than {_MOST_BYTES} bytes")
        return body

    return fetch
