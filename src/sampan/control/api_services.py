"""Each group and version that is served here has an APIService that says so, as clients of the aggregation layer expect.

Spec: apiregistration.k8s.io/v1 APIService; kube-aggregator's registration of local groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from sampan.client.informer import Informer
from sampan.client.port import Client, Ref
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.status import ApiError
from sampan.reconcile.loop import Loop

API_SERVICES = Ref("apiregistration.k8s.io", "v1", "apiservices", namespaced=False)
_MANAGED = "kube-aggregator.kubernetes.io/automanaged"
_GROUP = "apiregistration.k8s.io"

_PRIORITY: Mapping[str, int] = {
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
    "resource.k8s.io": 15900,
    "storagemigration.k8s.io": 15800,
}
_VERSION_PRIORITY = 15
_VERSION_PRIORITIES = {"v1.": 1, "v2.autoscaling": 30, "v1.flowcontrol.apiserver.k8s.io": 21}
_CUSTOM = (1000, 100)
"""Priorities of groups that custom resources make."""


class ApiServices:
    """Keeps the local ones; those that name a service are their owners'."""

    name = "api-services"

    def __init__(
        self, client: Client, served: Callable[[], Iterable[tuple[str, str, bool]]], now: Callable[[], str]
    ) -> None:
        """`served`: (group, version, whether custom resources make it) of all that is served now. `now`: RFC 3339."""
        self._client = client
        self._served = served
        self._now = now
        self._found = Informer(client, API_SERVICES)
        self._loop: Loop[str] = Loop(self.name, self._reconcile, workers=4)

    async def start(self) -> None:
        self._found.on_change(lambda old, new: self._loop.queue.add(objects.name(new or old or {})))
        self._found.start()
        self._loop.start()
        self.refresh()

    async def close(self) -> None:
        await self._loop.close()
        await self._found.close()

    def refresh(self) -> None:
        """Look at everything again, as groups or versions came or went."""
        for name in {*(f"{version}.{group}" for group, version, _ in self._served()), *map(objects.name, self._found)}:
            self._loop.queue.add(name)

    async def _reconcile(self, name: str) -> None:
        await self._found.synced()
        live = self._found.get("", name)
        custom = next((own for group, version, own in self._served() if f"{version}.{group}" == name), None)
        if custom is None or name.endswith(f".{_GROUP}"):
            if live is not None and _MANAGED in objects.labels(live):
                await self._drop(name)
            return
        wanted = _wanted(name, custom=custom)
        if live is None:
            live = await self._create(wanted)
        if live is not None and not objects.at(live, "spec", "service") and not _available(live):
            condition = {
                "type": "Available",
                "status": "True",
                "reason": "Local",
                "message": "Local APIServices are always available",
                "lastTransitionTime": self._now(),
            }
            await self._client.update(
                API_SERVICES, {**live, "status": {"conditions": [condition]}}, subresource="status"
            )

    async def _create(self, wanted: Object) -> Object | None:
        try:
            return await self._client.create(API_SERVICES, wanted)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            return None  # told to us in a moment

    async def _drop(self, name: str) -> None:
        try:
            await self._client.delete(API_SERVICES, "", name)
        except ApiError as error:
            if error.code != 404:
                raise


def _wanted(name: str, *, custom: bool) -> Object:
    version, _, group = name.partition(".")
    minimum, priority = (
        _CUSTOM if custom else (_PRIORITY.get(group, 15000), _VERSION_PRIORITIES.get(name, _VERSION_PRIORITY))
    )
    return {
        "metadata": {"name": name, "labels": {_MANAGED: "true" if custom else "onstart"}},
        "spec": {
            **({"group": group} if group else {}),
            "version": version,
            "groupPriorityMinimum": minimum,
            "versionPriority": priority,
        },
    }


def _available(obj: Object) -> bool:
    conditions = objects.at(obj, "status", "conditions") or []
    return any(each.get("type") == "Available" and each.get("status") == "True" for each in conditions)
