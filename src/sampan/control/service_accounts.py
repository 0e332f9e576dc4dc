"""Every namespace has the service account `default` and the config map `kube-root-ca.crt`.

Spec: Kubernetes "Managing Service Accounts"; root CA certificate publisher.
"""

from __future__ import annotations

from sampan.client.informer import Informer
from sampan.client.port import Client, Ref
from sampan.control.controller import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.status import ApiError
from sampan.reconcile.loop import Loop

ROOT_CA = "kube-root-ca.crt"
_WHY = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
)
_ON_ITS_WAY_OUT = ("AlreadyExists", "NotFound", "Forbidden")
"""What a namespace that is being deleted answers, or one that somebody else furnished first."""


class NamespaceFurniture:
    """Puts into each live namespace an object that all of them have."""

    def __init__(self, client: Client, name: str, ref: Ref, wanted: Object) -> None:
        self.name = name
        self._client = client
        self._ref = ref
        self._wanted = wanted
        self._namespaces = Informer(client, NAMESPACES)
        self._pieces = Informer(client, ref, fieldSelector=f"metadata.name={objects.name(wanted)}")
        self._loop: Loop[str] = Loop(self.name, self._reconcile)

    async def start(self) -> None:
        self._namespaces.on_change(lambda old, new: self._loop.queue.add(objects.name(new or old or {})))
        self._pieces.on_change(lambda old, new: self._loop.queue.add(objects.namespace(new or old or {})))
        self._namespaces.start()
        self._pieces.start()
        self._loop.start()

    async def close(self) -> None:
        await self._loop.close()
        await self._namespaces.close()
        await self._pieces.close()

    async def _reconcile(self, name: str) -> None:
        await self._namespaces.synced()
        await self._pieces.synced()
        namespace = self._namespaces.get("", name)
        if namespace is None or objects.deleting(namespace):
            return
        wanted, found = self._wanted, self._pieces.get(name, objects.name(self._wanted))
        if found is None:
            try:
                await self._client.create(self._ref, {**wanted, "metadata": {**wanted["metadata"], "namespace": name}})
            except ApiError as error:
                if error.reason not in _ON_ITS_WAY_OUT:
                    raise
        elif "data" in wanted and found.get("data") != wanted["data"]:
            await self._client.update(self._ref, {**found, "data": wanted["data"]})


def default_account(client: Client) -> NamespaceFurniture:
    """Return the controller of the account that pods have which ask for none."""
    wanted = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    return NamespaceFurniture(client, "service-account", SERVICE_ACCOUNTS, wanted)


def root_ca(client: Client, pem: str) -> NamespaceFurniture:
    """Return the controller of the certificate by which pods know the API."""
    wanted = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": ROOT_CA, "annotations": {"kubernetes.io/description": _WHY}},
        "data": {"ca.crt": pem},
    }
    return NamespaceFurniture(client, "root-ca-cert-publisher", CONFIG_MAPS, wanted)
