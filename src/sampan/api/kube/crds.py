"""Custom resources being served: definitions become resources when they are made, and go with all their objects.

A definition's resources are in discovery before it says that it is Established.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sampan.api.kube.records import Change, Records
from sampan.api.kube.served import Registry, Served
from sampan.api.kube.view import View
from sampan.base import log
from sampan.client.port import Client, Ref
from sampan.kube import object as objects
from sampan.kube.crd import definition
from sampan.kube.object import Object, at
from sampan.kube.resource import Resource
from sampan.kube.status import ApiError
from sampan.reconcile.loop import Loop

CRDS = Ref("apiextensions.k8s.io", "v1", "customresourcedefinitions", namespaced=False)

_log = log.get("kube.crds")


class SameShape:
    """The conversion `None`: versions differ in their name only."""

    def __init__(self, served: str, stored: str) -> None:
        self._served = served
        self._stored = stored

    async def to_storage(self, found: list[Object]) -> list[Object]:
        return [{**obj, "apiVersion": self._stored} for obj in found]

    async def from_storage(self, found: list[Object]) -> list[Object]:
        return [{**obj, "apiVersion": self._served} for obj in found]


class CustomResources:
    """Keeps the registry's dynamic resources as the definitions in the view say."""

    def __init__(self, view: View, registry: Registry, records: Records, now: Callable[[], str]) -> None:
        """`view`: of CustomResourceDefinitions. `now`: RFC 3339."""
        self._view = view
        self._registry = registry
        self._records = records
        self._now = now
        self._served: dict[str, list[definition.Version]] = {}
        self._client: Client | None = None
        self._loop: Loop[str] = Loop("custom-resources", self._reconcile)
        view.on_change(self._changed)

    def start(self, client: Client) -> None:
        """Begin to write statuses; `client` may do so."""
        self._client = client
        self._loop.start()

    async def close(self) -> None:
        await self._loop.close()

    def schemas(self, group: str, version: str) -> Mapping[str, tuple[str, Object]]:
        """Return kind -> name and schema of what is served in a group and version, for OpenAPI."""
        return {
            item.resource.kind: (item.resource.definition, definition.published(item))
            for versions in self._served.values()
            for item in versions
            if (item.resource.group, item.resource.version) == (group, version)
        }

    def _changed(self, change: Change) -> None:
        name = objects.name(change.object)
        before = self._served.get(name)
        if change.type == "DELETED":
            self._served.pop(name, None)
        elif change.previous is None or _of_weight(change.object) != _of_weight(change.previous):
            self._serve(name, change.object)
        if self._served.get(name) is not before:
            self._registry.replace_dynamic(
                [item for versions in self._served.values() for item in map(_served_as, versions)]
            )
        if change.type != "DELETED":
            self._loop.queue.add(name)

    def _serve(self, name: str, crd: Object) -> None:
        try:
            if definition.conflicts(crd, list(self._view)):
                self._served.pop(name, None)
            else:
                self._served[name] = definition.versions(crd)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            _log.error("the definition %s cannot be served: %s", name, error)
            self._served.pop(name, None)

    async def _reconcile(self, name: str) -> float | None:
        client = self._client
        if client is None:
            return None
        try:
            crd = await client.get(CRDS, "", name)
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        if objects.deleting(crd):
            return await self._clean(client, crd)
        if definition.FINALIZER not in objects.finalizers(crd):
            objects.metadata(crd)["finalizers"] = [*objects.finalizers(crd), definition.FINALIZER]
            crd = await client.update(CRDS, crd)
        wanted = self._status(crd)
        if wanted != crd.get("status"):
            await client.update(CRDS, {**crd, "status": wanted}, subresource="status")
        return None

    def _status(self, crd: Object) -> Object:
        """Return the status that a definition should have."""
        clash = definition.conflicts(crd, list(self._view))
        state = dict(crd.get("status") or {})
        names = dict(crd["spec"]["names"])
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", f"{names['kind']}List")
        if not clash:
            state["acceptedNames"] = names
        else:
            state.setdefault("acceptedNames", {"plural": "", "kind": ""})
        stored = [*(state.get("storedVersions") or [])]
        current = definition.storage_version(crd)
        state["storedVersions"] = stored if current in stored else [*stored, current]
        served = objects.name(crd) in self._served
        conditions = state.get("conditions") or []
        accepted = ("NoConflicts", "no conflicts found") if not clash else ("NamesConflict", clash)
        conditions = self._with(conditions, "NamesAccepted", not clash, *accepted)
        ready = (
            ("InitialNamesAccepted", "the initial names have been accepted")
            if served
            else ("NotAccepted", "not all names are accepted")
        )
        state["conditions"] = self._with(conditions, "Established", served, *ready)
        return state

    def _with(self, conditions: list[Object], kind: str, holds: bool, reason: str, message: str) -> list[Object]:
        state = "True" if holds else "False"
        before = next((item for item in conditions if item.get("type") == kind), None)
        if before is not None and (before.get("status"), before.get("reason")) == (state, reason):
            return conditions
        fresh = {"type": kind, "status": state, "reason": reason, "message": message, "lastTransitionTime": self._now()}
        return [*(item for item in conditions if item.get("type") != kind), fresh]

    async def _clean(self, client: Client, crd: Object) -> float | None:
        """Delete all objects of a definition that is going, then let it go."""
        versions = self._served.get(objects.name(crd))
        if versions:
            resource = versions[0].resource
            ref = Ref(resource.group, resource.version, resource.plural, resource.namespaced)
            found = await client.list(ref)
            for obj in found.items:
                if not objects.deleting(obj):
                    try:
                        await client.delete(ref, objects.namespace(obj), objects.name(obj))
                    except ApiError as error:
                        if error.code != 404:
                            raise
            if found.items and (await client.list(ref)).items:
                return 0.5
        objects.metadata(crd)["finalizers"] = [item for item in objects.finalizers(crd) if item != definition.FINALIZER]
        try:
            await client.update(CRDS, crd)
        except ApiError as error:
            if error.code != 404:
                raise
        return None


def _of_weight(crd: Object | None) -> object:
    """Return what of a definition decides how it is served."""
    return (crd or {}).get("spec"), at(crd, "status", "acceptedNames")


def _served_as(version: definition.Version) -> Served:
    resource: Resource = version.resource
    stored = resource.storage or resource.api_version
    return Served(
        resource,
        version.strategy,
        version.node,
        # what was stored before the storage version changed is of another one
        conversion=SameShape(resource.api_version, stored) if version.several else None,
        scale=version.scale,
        dynamic=True,
    )
