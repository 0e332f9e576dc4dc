"""Custom resources being served: definitions become resources when they are made, and go with all their objects.

A definition's resources are in discovery before it says that it is Established.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from sampan.api.kube.conversion import Filled, NewUid, Remote, Renaming
from sampan.api.kube.records import Change
from sampan.api.kube.served import Conversion, Registry, Served
from sampan.api.kube.view import View
from sampan.api.kube.webhook import Caller
from sampan.base import log
from sampan.client.port import Client, Ref
from sampan.kube import object as objects
from sampan.kube.crd import names
from sampan.kube.crd.definition import FINALIZER, Version, published, versions
from sampan.kube.object import Object
from sampan.kube.reading import mapping, text, words
from sampan.kube.resource import Resource
from sampan.kube.schema import structural
from sampan.kube.status import ApiError
from sampan.reconcile.loop import Loop

CRDS = Ref("apiextensions.k8s.io", "v1", "customresourcedefinitions", namespaced=False)

_log = log.get("kube.crds")


class _Made(NamedTuple):
    """What was made of a definition, which said this then."""

    mark: str
    versions: list[Version]


def _mark(crd: Object) -> str:
    """Return what a definition's resources depend on: they are made anew when it changes."""
    stored = ",".join(words(crd, "status", "storedVersions"))
    return f"{objects.uid(crd)} {crd['metadata'].get('generation')} {objects.deleting(crd)} {stored}"


def _as_definition(resource: Resource) -> Object:
    """Return a built-in resource as a definition would name it: its keys in the store are no other's."""
    said = {
        "plural": resource.plural,
        "singular": resource.singular,
        "kind": resource.kind,
        "listKind": resource.list_kind,
        "shortNames": list(resource.short_names),
    }
    return {"metadata": {}, "spec": {"group": resource.group, "names": said}}


class CustomResources:
    """Keeps the registry's dynamic resources as the definitions in the view say."""

    def __init__(self, view: View, registry: Registry, now: Callable[[], str], caller: Caller, new_uid: NewUid) -> None:
        """`view`: of CustomResourceDefinitions. `now`: RFC 3339. `caller`: asks conversion webhooks."""
        self._view = view
        self._registry = registry
        self._caller = caller
        self._new_uid = new_uid
        self._now = now
        self._held = [_as_definition(resource) for resource in registry.builtin]
        self._made: dict[str, _Made] = {}
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
            item.resource.kind: (item.resource.definition, published(item))
            for made in self._made.values()
            for item in made.versions
            if (item.resource.group, item.resource.version) == (group, version)
        }

    def _changed(self, change: Change) -> None:
        self._serve()
        for crd in self._view:  # another one may get its names now
            self._loop.queue.add(objects.name(crd))

    def _serve(self) -> None:
        """Put into the registry what has its names; a definition that did not change keeps its schemas."""
        made: dict[str, _Made] = {}
        served: list[Served] = []
        for crd in self._winners():
            name, mark = objects.name(crd), _mark(crd)
            before = self._made.get(name)
            try:
                made[name] = before if before is not None and before.mark == mark else _Made(mark, versions(crd))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                _log.error("the definition %s cannot be served: %s", name, error)
                continue
            served += [self._served(crd, version) for version in made[name].versions]
        changed = made != self._made
        self._made = made
        if changed:
            self._registry.replace_dynamic(served)

    def _winners(self) -> list[Object]:
        """Return the definitions that have their names, or get them now. Those of built-in resources are never to be had."""
        found: list[Object] = []
        for crd in names.order(self._view):
            if not names.conflict(crd, [*self._held, *found])[0]:
                found.append(crd)
        return found

    def _served(self, crd: Object, version: Version) -> Served:
        resource = version.resource
        stored = resource.storage or resource.api_version
        conversion: Conversion | None = None
        if version.several:
            # what was stored before the storage version changed is of another one
            if text(crd, "spec", "conversion", "strategy") == "Webhook":
                hook = mapping(crd, "spec", "conversion", "webhook")
                conversion = Remote(resource.api_version, stored, hook, self._caller, self._new_uid)
            else:
                conversion = Renaming(resource.api_version, stored)
        # a definition as it was made has no objects that are older than its defaults
        if crd["metadata"].get("generation") != 1 and structural.fills(version.node):
            conversion = Filled(version.node, conversion)
        return Served(resource, version.strategy, version.node, conversion, scale=version.scale, dynamic=True)

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
        if FINALIZER not in objects.finalizers(crd):
            objects.metadata(crd)["finalizers"] = [*objects.finalizers(crd), FINALIZER]
            crd = await client.update(CRDS, crd)
        winners = self._winners()
        reason, message = (
            names.conflict(crd, [*self._held, *winners]) if name not in map(objects.name, winners) else ("", "")
        )
        wanted = names.status(crd, reason, message, self._now())
        if wanted != crd.get("status"):
            await client.update(CRDS, {**crd, "status": wanted}, subresource="status")
        return None

    async def _clean(self, client: Client, crd: Object) -> float | None:
        """Delete all objects of a definition that is going, then let it go."""
        wanted = names.status(crd, "", "", self._now())
        if names.accepted(crd) and wanted != crd.get("status"):
            crd = await client.update(CRDS, {**crd, "status": wanted}, subresource="status")
        made = self._made.get(objects.name(crd))
        if made is not None and made.versions:
            resource = made.versions[0].resource
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
        objects.metadata(crd)["finalizers"] = [item for item in objects.finalizers(crd) if item != FINALIZER]
        try:
            await client.update(CRDS, crd)
        except ApiError as error:
            if error.code != 404:
                raise
        return None
