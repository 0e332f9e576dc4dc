"""Service accounts' tokens that are kept in a secret: they have no end of their own, and end with the secret.

Spec: Kubernetes "Managing Service Accounts", "Manual Secret management for ServiceAccounts".
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence

from sampan.api.kube.authn import Found
from sampan.api.kube.impersonation import account_groups
from sampan.api.kube.request import User
from sampan.api.kube.tokens import AccountTokens
from sampan.kube import object as objects
from sampan.kube import status
from sampan.kube.object import Object

ISSUER = "kubernetes/serviceaccount"
_CLAIM = "kubernetes.io/serviceaccount/"
_PREFIX = "system:serviceaccount:"


class SecretTokens:
    """A `TokenSource`, and the maker of what it finds. The key is that of the tokens which end by themselves."""

    def __init__(self, tokens: AccountTokens) -> None:
        self._tokens = tokens

    def issue(self, account: Object, secret: str) -> str:
        """Return the token of an account for a secret of that name."""
        namespace, name = objects.namespace(account), objects.name(account)
        return self._tokens.signed(
            {
                "iss": ISSUER,
                "sub": f"{_PREFIX}{namespace}:{name}",
                f"{_CLAIM}namespace": namespace,
                f"{_CLAIM}secret.name": secret,
                f"{_CLAIM}service-account.name": name,
                f"{_CLAIM}service-account.uid": objects.uid(account),
            }
        )

    async def find(self, token: str, audiences: Sequence[str]) -> Found | None:
        """Return whose token it is, None when it is not one of ours. See `TokenSource`."""
        claims = self._tokens.verified(token, ISSUER)
        if claims is None:
            return None
        namespace, name, secret, uid = (
            str(claims.get(f"{_CLAIM}{key}", ""))
            for key in ("namespace", "service-account.name", "secret.name", "service-account.uid")
        )
        meant = tuple(audience for audience in audiences if audience in self._tokens.audiences)
        kept = await self._tokens.live("Secret", namespace, secret)
        account = await self._tokens.live("ServiceAccount", namespace, name)
        if (
            not meant
            or claims.get("sub") != f"{_PREFIX}{namespace}:{name}"
            or kept is None
            or not hmac.compare_digest(_token(kept), token.encode())
            or account is None
            or objects.uid(account) != uid
        ):
            raise status.unauthorized()
        return Found(User(claims["sub"], uid, account_groups(claims["sub"]), {}), meant)


def _token(secret: Object) -> bytes:
    try:
        return base64.b64decode((secret.get("data") or {}).get("token", ""))
    except ValueError:
        return b""
