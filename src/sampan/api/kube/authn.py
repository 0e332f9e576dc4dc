"""Authentication: who asks, by client certificate, bearer token or nothing; and as whom, by impersonation.

Spec: Kubernetes "Authenticating", "User impersonation".
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Protocol
from urllib.parse import unquote

from cryptography import x509
from cryptography.x509.oid import NameOID

from sampan.api.kube.access import Attempt, Authorizer, denied
from sampan.api.kube.request import ANONYMOUS, Request, User
from sampan.base.clock import Clock
from sampan.kube import status

AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
_REMEMBERED = 4096
_REMEMBERED_S = 10.0


class TokenSource(Protocol):
    """One kind of bearer token."""

    async def user(self, token: str) -> User | None:
        """Return whose token it is, None when it is none of this kind.

        Raises:
            ApiError: 401, it is of this kind and not good.
        """
        ...


class StaticTokens:
    """Tokens that were handed out by file or by the composition root. They are compared by digest, in constant time."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = {hashlib.sha256(token.encode()).digest(): user for token, user in users.items()}

    async def user(self, token: str) -> User | None:
        digest = hashlib.sha256(token.encode()).digest()
        return next((user for own, user in self._users.items() if hmac.compare_digest(own, digest)), None)


class Authentication:
    """The `Authenticator`. What was found out about a certificate or token is remembered for seconds."""

    def __init__(self, sources: Sequence[TokenSource], authorizer: Authorizer, clock: Clock) -> None:
        self._sources = tuple(sources)
        self._authorizer = authorizer
        self._clock = clock
        self._known: OrderedDict[bytes | str, tuple[User, float]] = OrderedDict()

    async def authenticate(self, request: Request) -> User:
        """Return who asks.

        Raises:
            ApiError: 401, credentials that are not good; 403, impersonation without the right to it.
        """
        user = await self._own(request)
        if "impersonate-user" in request.headers or any(key.startswith("impersonate-") for key in request.headers):
            return self._impersonated(request, user)
        return user

    async def _own(self, request: Request) -> User:
        header = request.headers.get("authorization", "")
        key: bytes | str = header or request.certificate
        if not key:
            return ANONYMOUS
        found = self._known.get(key)
        now = self._clock.monotonic_s()
        if found is not None and found[1] > now:
            return found[0]
        user = await self._of_token(header) if header else of_certificate(request.certificate)
        self._known[key] = user, now + _REMEMBERED_S
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return user

    async def _of_token(self, header: str) -> User:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise status.unauthorized()
        for source in self._sources:
            if (user := await source.user(token.strip())) is not None:
                return with_groups(user)
        raise status.unauthorized()

    def _impersonated(self, request: Request, user: User) -> User:
        headers = request.headers
        name = headers.get("impersonate-user", "")
        groups = tuple(part.strip() for part in headers.get("impersonate-group", "").split(",") if part.strip())
        extra = {
            unquote(key.removeprefix("impersonate-extra-")): tuple(part.strip() for part in value.split(","))
            for key, value in headers.items()
            if key.startswith("impersonate-extra-")
        }
        uid = headers.get("impersonate-uid", "")
        if not name:
            raise status.bad_request("requested impersonation of groups, uid or extra without a user")
        self._may(user, _subject(name))
        for group in groups:
            self._may(user, Attempt(user, "impersonate", resource="groups", name=group))
        if uid:
            group_ = "authentication.k8s.io"
            self._may(user, Attempt(user, "impersonate", group_, "v1", "uids", name=uid))
        for key, values in extra.items():
            for value in values:
                self._may(
                    user, Attempt(user, "impersonate", "authentication.k8s.io", "v1", "userextras", key, name=value)
                )
        if not groups and name.startswith("system:serviceaccount:"):
            groups = account_groups(name)
        made = User(name, uid, groups, extra)
        return made if name == ANONYMOUS.name else with_groups(made)

    def _may(self, user: User, attempt: Attempt) -> None:
        attempt = attempt._replace(user=user)
        if not (decision := self._authorizer.authorize(attempt)).allowed:
            raise denied(attempt, decision.reason)


def _subject(name: str) -> Attempt:
    parts = name.split(":")
    if len(parts) == 4 and name.startswith("system:serviceaccount:"):
        return Attempt(ANONYMOUS, "impersonate", resource="serviceaccounts", namespace=parts[2], name=parts[3])
    return Attempt(ANONYMOUS, "impersonate", resource="users", name=name)


def of_certificate(der: bytes) -> User:
    """Return whom a verified certificate names: the common name, in the groups of its organizations."""
    subject = x509.load_der_x509_certificate(der).subject
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    groups = tuple(str(item.value) for item in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    if not names:
        raise status.unauthorized()
    return with_groups(User(str(names[0].value), groups=groups))


def with_groups(user: User) -> User:
    """Return a user who is known to be one."""
    if AUTHENTICATED in user.groups:
        return user
    return User(user.name, user.uid, (*user.groups, AUTHENTICATED), user.extra)


def account_groups(name: str) -> tuple[str, ...]:
    """Return the groups that a service account is in."""
    return "system:serviceaccounts", f"system:serviceaccounts:{name.split(':')[2]}"
