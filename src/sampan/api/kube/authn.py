"""Authentication: who asks, by client certificate, bearer token or nothing. Impersonation comes after it.

Spec: Kubernetes "Authenticating".
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from cryptography import x509
from cryptography.x509.oid import NameOID

from sampan.api.kube.access import Authorizer
from sampan.api.kube.impersonation import AUTHENTICATED, impersonated
from sampan.api.kube.request import ANONYMOUS, Request, User
from sampan.base.clock import Clock
from sampan.kube import status

CREDENTIAL = "authentication.kubernetes.io/credential-id"
_REMEMBERED = 4096
_REMEMBERED_S = 10.0


class Found(NamedTuple):
    """Whose credentials they are, for which audiences of those asked for, and until when (seconds since the epoch)."""

    user: User
    audiences: tuple[str, ...] = ()
    ends_s: float = math.inf


class TokenSource(Protocol):
    """One kind of bearer token."""

    async def find(self, token: str, audiences: Sequence[str]) -> Found | None:
        """Return whose token it is, None when it is none of this kind. `audiences`: one of them must be meant.

        Raises:
            ApiError: 401, it is of this kind and not good.
        """
        ...


class StaticTokens:
    """Tokens that were handed out by file. They are compared by digest, in constant time."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = {hashlib.sha256(token.encode()).digest(): user for token, user in users.items()}

    async def find(self, token: str, audiences: Sequence[str]) -> Found | None:
        digest = hashlib.sha256(token.encode()).digest()
        user = next((user for own, user in self._users.items() if hmac.compare_digest(own, digest)), None)
        return Found(user, tuple(audiences)) if user is not None else None


class Authentication:
    """The `Authenticator`. What was found out about a certificate or token is remembered for seconds, never past its end."""

    def __init__(
        self, sources: Sequence[TokenSource], authorizer: Authorizer, clock: Clock, audiences: Sequence[str]
    ) -> None:
        """`sources`: asked in this order. `audiences`: those of this server."""
        self._sources = tuple(sources)
        self._authorizer = authorizer
        self._clock = clock
        self._audiences = tuple(audiences)
        self._known: OrderedDict[bytes, tuple[User, float]] = OrderedDict()

    async def authenticate(self, request: Request) -> User:
        """Return who asks, or as whom they wish to be seen.

        Raises:
            ApiError: 401, credentials that are not good; 403, impersonation without the right to it.
        """
        user = await self._own(request)
        request.authenticated = user
        return impersonated(request.headers, user, self._authorizer)

    async def review(self, token: str, audiences: Sequence[str] = ()) -> Found:
        """Return whose token it is; `audiences`: for one of them, and for this server's where none is given.

        Raises:
            ApiError: 401, it is nobody's.
        """
        for source in self._sources:
            if (found := await source.find(token, tuple(audiences) or self._audiences)) is not None:
                if found.ends_s <= self._now_s():
                    break
                return found._replace(user=with_groups(found.user))
        raise status.unauthorized()

    async def _own(self, request: Request) -> User:
        """A certificate goes before a token, as clients that send both expect."""
        header = request.headers.get("authorization", "")
        key = request.certificate or (hashlib.sha256(header.encode()).digest() if header else b"")
        if not key:
            return ANONYMOUS
        known = self._known.get(key)
        now = self._clock.monotonic_s()
        if known is not None and known[1] > now:
            return known[0]
        found = self._of_certificate(key) if request.certificate else await self._of_header(header)
        self._known[key] = found.user, now + min(_REMEMBERED_S, found.ends_s - self._now_s())
        self._known.move_to_end(key)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return found.user

    async def _of_header(self, header: str) -> Found:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise status.unauthorized()
        return await self.review(token.strip())

    def _of_certificate(self, der: bytes) -> Found:
        """The handshake has verified the chain, once a connection; that it has not ended since is looked at again."""
        certificate = x509.load_der_x509_certificate(der)
        begins, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
        if not begins <= self._now_s() < ends:
            raise status.unauthorized()
        return Found(of_certificate(certificate, der), ends_s=ends)

    def _now_s(self) -> float:
        return self._clock.now_ns() / 1e9


def of_certificate(certificate: x509.Certificate, der: bytes) -> User:
    """Return whom a certificate names: the common name, in the groups of its organizations.

    The last of several common names counts, as it does for those who approve and sign (`kube/signing.py`): a request that
    names two could else be approved for the one and be good for the other.
    """
    subject = certificate.subject
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    groups = tuple(str(item.value) for item in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    if not names or not names[-1].value:
        raise status.unauthorized()
    credential = f"X509SHA256={hashlib.sha256(der).hexdigest()}"
    return with_groups(User(str(names[-1].value), groups=groups, extra={CREDENTIAL: (credential,)}))


def with_groups(user: User) -> User:
    """Return a user who is known to be one."""
    if AUTHENTICATED in user.groups:
        return user
    return User(user.name, user.uid, (*user.groups, AUTHENTICATED), user.extra)
