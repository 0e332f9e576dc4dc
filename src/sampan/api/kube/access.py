"""Access: the ports of who asks (authentication) and whether they may (authorization)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from sampan.api.kube.request import Request, User
from sampan.kube import status


class Attempt(NamedTuple):
    """What is asked for, in the terms of authorization. Spec: authorization.k8s.io/v1 ResourceAttributes."""

    user: User
    verb: str  # get, list, watch, create, update, patch, delete, deletecollection; lower-case method for a path
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""  # of a request that names no resource; "" otherwise
    fields: str = ""  # the field selector of a list, watch or deletecollection, as sent


class Decision(NamedTuple):
    allowed: bool
    reason: str = ""


class Authenticator(Protocol):
    async def authenticate(self, request: Request) -> User:
        """Return who asks; `ANONYMOUS` where no credentials came.

        Raises:
            ApiError: 401, credentials came and are not good.
        """
        ...


class Authorizer(Protocol):
    def authorize(self, attempt: Attempt) -> Decision:
        """Decide, from what is held in memory: no await on the way of every request."""
        ...


def denied(attempt: Attempt, reason: str) -> status.ApiError:
    """Return the refusal of an attempt, in the words that users of kubectl know."""
    user, why = attempt.user.name, f": {reason}" if reason else ""
    if attempt.path:
        message = f'forbidden: User "{user}" cannot {attempt.verb} path "{attempt.path}"{why}'
        return status.ApiError(403, "Forbidden", message, details={})
    what = f"{attempt.resource}/{attempt.subresource}" if attempt.subresource else attempt.resource
    where = f' in the namespace "{attempt.namespace}"' if attempt.namespace else " at the cluster scope"
    return status.forbidden(
        attempt.resource,
        attempt.group,
        attempt.name,
        f'User "{user}" cannot {attempt.verb} resource "{what}" in API group "{attempt.group}"{where}{why}',
    )
