"""Impersonation: who may, asks as somebody else. Spec: Kubernetes "User impersonation"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from sampan.api.kube.access import Attempt, Authorizer, denied
from sampan.api.kube.request import ANONYMOUS, User
from sampan.kube import rbac, status

AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
_API = "authentication.k8s.io"
_PREFIX, _EXTRA = "impersonate-", "impersonate-extra-"


def impersonated(headers: Mapping[str, str], user: User, authorizer: Authorizer) -> User:
    """Return as whom a user asks: themselves, where no header wishes for somebody else.

    Raises:
        ApiError: 400, the headers name nobody; 403, the user may not be one of what they name.
    """
    if not any(key.startswith(_PREFIX) for key in headers):
        return user
    wanted = _wanted(headers)
    for attempt in _attempts(user, wanted):
        if not (decision := authorizer.authorize(attempt)).allowed:
            raise denied(attempt, decision.reason)
    if wanted.name == ANONYMOUS.name:
        always: tuple[str, ...] = (UNAUTHENTICATED,)
    elif wanted.groups or rbac.account_of(wanted.name) is None:
        always = (AUTHENTICATED,)
    else:
        always = (*account_groups(wanted.name), AUTHENTICATED)
    missing = tuple(group for group in always if group not in wanted.groups)
    return User(wanted.name, wanted.uid, (*wanted.groups, *missing), wanted.extra)


def account_groups(name: str) -> tuple[str, ...]:
    """Return the groups that a service account is in."""
    return "system:serviceaccounts", f"system:serviceaccounts:{name.split(':')[2]}"


def _wanted(headers: Mapping[str, str]) -> User:
    if not (name := headers.get(f"{_PREFIX}user", "")):
        raise status.bad_request("requested impersonation of groups, uid or extra without impersonating a user")
    extra = {
        unquote(key.removeprefix(_EXTRA)): _parts(value) for key, value in headers.items() if key.startswith(_EXTRA)
    }
    return User(name, headers.get(f"{_PREFIX}uid", ""), _parts(headers.get(f"{_PREFIX}group", "")), extra)


def _parts(value: str) -> tuple[str, ...]:
    """Return the values of a header that may come more than once: the server joins them by commas."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _attempts(user: User, wanted: User) -> Iterator[Attempt]:
    """Yield everything that the user has to be allowed."""
    account = rbac.account_of(wanted.name)
    if account is not None:
        yield Attempt(user, "impersonate", "", "v1", "serviceaccounts", "", account.namespace, account.name)
    else:
        yield Attempt(user, "impersonate", "", "v1", "users", name=wanted.name)
    for group in wanted.groups:
        yield Attempt(user, "impersonate", "", "v1", "groups", name=group)
    if wanted.uid:
        yield Attempt(user, "impersonate", _API, "v1", "uids", name=wanted.uid)
    for key, values in wanted.extra.items():
        for value in values:
            yield Attempt(user, "impersonate", _API, "v1", "userextras", key, name=value)
