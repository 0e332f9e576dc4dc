"""Bootstrap tokens: what a machine that wants to join shows first. Each is a Secret of kube-system.

Spec: Kubernetes "Authenticating with Bootstrap Tokens".
"""

from __future__ import annotations

import base64
import binascii
import hmac
import math
import re
from collections.abc import Mapping, Sequence

from sampan.api.kube.authn import Found
from sampan.api.kube.records import Records
from sampan.api.kube.request import User
from sampan.kube import catalog, rfc3339, status

NAMESPACE, TYPE = "kube-system", "bootstrap.kubernetes.io/token"
_GROUP = "system:bootstrappers"
_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_EXTRA_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")
_SECRETS = next(item for item in catalog.RESOURCES if (item.group, item.plural) == ("", "secrets"))


class BootstrapTokens:
    """A `TokenSource`."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def find(self, token: str, audiences: Sequence[str]) -> Found | None:
        if (match := _TOKEN.fullmatch(token)) is None:
            return None
        name, secret = match.groups()
        obj = await self._records.get(_SECRETS, NAMESPACE, f"bootstrap-token-{name}")
        if obj is None or obj.get("type") != TYPE:
            return None  # a static token may look the same
        data = _data(obj.get("data") or {})
        good = hmac.compare_digest(data.get("token-secret", ""), secret) and data.get("token-id") == name
        if not good or data.get("usage-bootstrap-authentication") != "true":
            raise status.unauthorized()
        groups = [group for group in data.get("auth-extra-groups", "").split(",") if group]
        if not all(map(_EXTRA_GROUP.fullmatch, groups)):
            raise status.unauthorized()
        return Found(User(f"system:bootstrap:{name}", groups=(_GROUP, *groups)), tuple(audiences), _ends_s(data))


def _data(encoded: Mapping[str, str]) -> dict[str, str]:
    try:
        return {key: base64.b64decode(value).decode("ascii") for key, value in encoded.items()}
    except (binascii.Error, ValueError):
        return {}


def _ends_s(data: Mapping[str, str]) -> float:
    try:
        return rfc3339.parse(data["expiration"]) if data.get("expiration") else math.inf
    except ValueError:
        return 0.0
