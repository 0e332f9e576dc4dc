"""Every namespace has the service account `default` and the config map `kube-root-ca.crt`.

Spec: Kubernetes "Managing Service Accounts"; root CA certificate publisher.
"""

from __future__ import annotations

from collections.abc import Mapping

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


class NamespaceFurniture:
    """Puts into each live namespace what all of them have."""

    name = "namespace-furniture"

    def __init__(self, client: Client, root_ca: str) -> None:
        """`root_ca`: PEM."""
        self._client = client
        self._wanted: Mapping[Ref, Object] = {
            SERVICE_ACCOUNTS: {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}},
            CONFIG_MAPS: {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": ROOT_CA, "annotations": {"kubernetes.io/description": _WHY}},
                "data": {"ca.crt": root_ca},
            },
        }
        self._namespaces = Informer(client, NAMESPACES)
        self._pieces = {
            ref: Informer(client, ref, fieldSelector=f"metadata.name={objects.name(obj)}")
            for ref, obj in self._wanted.items()
        }
        self._loop: Loop[str] = Loop(self.name, self._reconcile)

    async def start(self) -> None:
        self._namespaces.on_change(lambda old, new: self._loop.queue.add(objects.name(new or old or {})))
        for informer in self._pieces.values():
            informer.on_change(lambda old, new: self._loop.queue.add(objects.namespace(new or old or {})))
        for informer in (self._namespaces, *self._pieces.values()):
            informer.start()
        self._loop.start()

    async def close(self) -> None:
        await self._loop.close()
        for informer in (self._namespaces, *self._pieces.values()):
            await informer.close()

    async def _reconcile(self, name: str) -> None:
        for informer in (self._namespaces, *self._pieces.values()):
            await informer.synced()
        namespace = self._namespaces.get("", name)
        if namespace is None or objects.deleting(namespace):
            return
        for ref, wanted in self._wanted.items():
            await self._ensure(ref, wanted, self._pieces[ref].get(name, objects.name(wanted)), name)

    async def _ensure(self, ref: Ref, wanted: Object, found: Object | None, namespace: str) -> None:
        if found is None:
            try:
                await self._client.create(ref, {**wanted, "metadata": {**wanted["metadata"], "namespace": namespace}})
            except ApiError as error:
                if error.reason not in (
                    "AlreadyExists",
                    "NotFound",
                    "Forbidden",
                ):  # the namespace may be on its way out
                    raise
        elif "data" in wanted and found.get("data") != wanted["data"]:
            await self._client.update(ref, {**found, "data": wanted["data"]})
