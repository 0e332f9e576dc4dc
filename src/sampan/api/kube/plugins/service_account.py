"""Pods act as a service account: it has to be there, and its token is mounted where it is wanted.

Spec: Kubernetes "Configure Service Accounts for Pods"; admission plugin ServiceAccount.
"""

from __future__ import annotations

import asyncio
import zlib
from functools import lru_cache
from typing import Any

from sampan.api.kube.admission import Attributes
from sampan.api.kube.lookup import Lookup
from sampan.api.kube.metadata import suffix
from sampan.kube import object as objects
from sampan.kube import status
from sampan.kube.object import Object
from sampan.kube.reading import flag, items, mapping, text

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
MIRROR = "kubernetes.io/config.mirror"
_ENFORCED = "kubernetes.io/enforce-mountable-secrets"
_TOKEN_S = 3607
_TRIES, _PAUSE_S = 10, 0.05


class ServiceAccountAdmission:
    name = "ServiceAccount"

    def __init__(self, accounts: Lookup) -> None:
        """Of service accounts."""
        self._accounts = accounts

    async def mutate(self, attributes: Attributes) -> None:
        pod = attributes.object
        if attributes.operation != "CREATE" or not attributes.concerns("pods") or pod is None:
            return
        spec = mapping(pod, "spec")
        if MIRROR in mapping(pod, "metadata", "annotations"):
            _mirror(attributes, spec)
            return
        name = text(spec, "serviceAccountName", missing="default")
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = await self._account(attributes.namespace, name)
        if account is None:
            why = f'error looking up service account {attributes.namespace}/{name}: serviceaccount "{name}" not found'
            raise status.forbidden("pods", "", attributes.name, why)
        if flag(
            spec, "automountServiceAccountToken", missing=flag(account, "automountServiceAccountToken", missing=True)
        ):
            _mount(spec, account)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(item) for item in items(account, "imagePullSecrets")]
        if mapping(account, "metadata", "annotations").get(_ENFORCED) == "true":
            _only_listed(attributes, spec, account)

    async def validate(self, attributes: Attributes) -> None:
        pass

    async def _account(self, namespace: str, name: str) -> Object | None:
        """Return the account; a namespace that was just made gets its own in a moment."""
        for attempt in range(_TRIES):
            found = await self._accounts.find(namespace, name)
            if found is not None or name != "default":
                return found
            await asyncio.sleep(_PAUSE_S if attempt < _TRIES - 1 else 0)
        return None


def _mount(spec: Object, account: Object) -> None:
    """Mount the token into each container that has nothing there."""
    volume = next((item for item in items(spec, "volumes") if _is_token(item)), None)
    # pods that are alike stay so: Kubernetes makes the suffix at random
    name = text(volume, "name") or f"kube-api-access-{_suffix(objects.uid(account))}"
    mounted = False
    for kind in ("initContainers", "containers"):
        for container in items(spec, kind):
            mounts = container.get("volumeMounts") or []
            if any(text(mount, "mountPath") == MOUNT_PATH for mount in mounts):
                continue
            container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}]
            mounted = True
    if mounted and volume is None:
        spec["volumes"] = [*(spec.get("volumes") or []), {"name": name, "projected": _projected()}]


@lru_cache(maxsize=1024)
def _suffix(uid: str) -> str:
    return suffix(zlib.crc32(uid.encode()))


def _is_token(volume: Object) -> bool:
    return text(volume, "name").startswith("kube-api-access-") and bool(volume.get("projected"))


def _projected() -> dict[str, Any]:
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    return {
        "defaultMode": 0o644,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": _TOKEN_S, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
        ],
    }


def _mirror(attributes: Attributes, spec: Object) -> None:
    """A mirror of a node's own pod acts as nobody."""

    def refused(why: str) -> status.ApiError:
        return status.forbidden("pods", "", attributes.name, f"a mirror pod may not {why}")

    if spec.get("serviceAccountName"):
        raise refused("reference service accounts")
    for volume in items(spec, "volumes"):
        if "secret" in volume:
            raise refused("reference secrets")
        if any("serviceAccountToken" in source for source in items(volume, "projected", "sources")):
            raise refused("use ServiceAccountToken volume projections")


def _only_listed(attributes: Attributes, spec: Object, account: Object) -> None:
    """Refuse secrets that the account does not list."""
    listed = {text(item, "name") for item in items(account, "secrets")}
    pulls = {text(item, "name") for item in items(account, "imagePullSecrets")}
    name = objects.name(account)

    def refuse(what: str) -> None:
        raise status.forbidden(
            "pods",
            "",
            attributes.name,
            f"{what} is not allowed because service account {name} does not reference that secret",
        )

    for volume in items(spec, "volumes"):
        secret = text(volume, "secret", "secretName")
        if secret and secret not in listed:
            refuse(f'volume with secret.secretName="{secret}"')
    for kind, label in (("initContainers", "init container"), ("containers", "container")):
        for container in items(spec, kind):
            for source in items(container, "envFrom"):
                secret = text(source, "secretRef", "name")
                if secret and secret not in listed:
                    refuse(f'{label} {text(container, "name")} with envFrom referencing secret.secretName="{secret}"')
            for variable in items(container, "env"):
                secret = text(variable, "valueFrom", "secretKeyRef", "name")
                if secret and secret not in listed:
                    refuse(
                        f'{label} {text(container, "name")} with envVar {text(variable, "name")} referencing secret.secretName="{secret}"'
                    )
    for index, item in enumerate(items(spec, "imagePullSecrets")):
        if text(item, "name") not in pulls:
            refuse(f'imagePullSecrets[{index}].name="{text(item, "name")}"')
