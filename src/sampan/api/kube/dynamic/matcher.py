"""Matcher: is a webhook or policy about a write, and in which version does it see it."""

from __future__ import annotations

import msgspec

from sampan.api.kube import metadata
from sampan.api.kube.admission import Attributes
from sampan.api.kube.dynamic.authorizer import told
from sampan.api.kube.lookup import Lookup
from sampan.api.kube.served import Registry, Served
from sampan.kube import object as objects
from sampan.kube import status
from sampan.kube.admission import matching
from sampan.kube.admission.ask import NAMESPACES, Ask, Kind, Matched, Place
from sampan.kube.admission.matching import Criteria
from sampan.kube.fielderror import invalid
from sampan.kube.kinds import scale
from sampan.kube.object import Object
from sampan.kube.patch.merge import copied
from sampan.kube.reading import text
from sampan.kube.resource import Resource
from sampan.kube.schema import check

ITSELF = "system:apiserver"
"""What the server does for itself is judged by nobody outside: it could not start while a webhook is down."""
_OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


class Matcher:
    """Holds what matching looks at besides the write: namespaces, and which versions a resource has."""

    def __init__(self, registry: Registry, namespaces: Lookup) -> None:
        self._registry = registry
        self._namespaces = namespaces

    async def match(self, criteria: Criteria, ask: Ask) -> Matched | None:
        """Return the write as the criteria are about it, None where they are not.

        Raises:
            ApiError: 404, labels of a namespace decide that is not there.
        """
        if not matching.selects_object(criteria.objects, ask):
            return None
        if matching.needs_namespace(criteria.namespaces, ask):
            labels = matching.own_labels(ask)
            if labels is None:
                labels = objects.labels(await self.namespace(ask.namespace))
            if not matching.selects_namespace(criteria.namespaces, labels):
                return None
        if matching.any_rule(criteria.excluded, ask) or (
            criteria.equivalent and any(matching.any_rule(criteria.excluded, each) for each in self._others(ask))
        ):
            return None
        if not criteria.ruled and not criteria.rules:
            return Matched(ask, ask.kind, ask.resource)
        if matching.any_rule(criteria.rules, ask):
            return Matched(ask, ask.kind, ask.resource)
        for other in self._others(ask) if criteria.equivalent else ():
            if matching.any_rule(criteria.rules, other):
                return Matched(await self._converted(ask, other), ask.kind, ask.resource)
        return None

    async def namespace(self, name: str) -> Object:
        """Return a namespace. What is returned is shared.

        Raises:
            ApiError: 404
        """
        found = await self._namespaces.find("", name)
        if found is None:
            raise status.not_found("namespaces", "", name)
        return found

    def ask(self, attributes: Attributes) -> Ask | None:
        """Return a write as others are asked about it, None where nobody is. Objects are shared with the write."""
        resource = attributes.resource
        if resource.group == matching.OWN_GROUP or attributes.user.name == ITSELF:
            return None
        served = self.served(Place(resource.group, resource.version, resource.plural))
        return _ask(attributes, served.scale if served is not None else scale.BUILTIN)

    def served(self, place: Place) -> Served | None:
        return self._registry.find(*place)

    def _others(self, ask: Ask) -> list[Ask]:
        """Return the write as it would be asked through other versions; objects are not converted yet."""
        served = self.served(ask.resource)
        if served is None:
            return []
        others = []
        for each in self._registry:
            resource = each.resource
            place = Place(resource.group, resource.version, resource.plural)
            if resource.prefix == served.resource.prefix and place != ask.resource:
                own = ask.kind.kind == served.resource.kind
                kind = Kind(resource.group, resource.version, resource.kind) if own else ask.kind
                others.append(msgspec.structs.replace(ask, resource=place, kind=kind))
        return others

    async def _converted(self, ask: Ask, other: Ask) -> Ask:
        if ask.kind == other.kind:
            return other
        made = [await self.convert(obj, ask.resource, other.resource) for obj in (ask.object, ask.old)]
        return msgspec.structs.replace(other, object=made[0], old=made[1])

    async def convert(self, obj: Object | None, from_: Place, to: Place) -> Object | None:
        """Return an object of one version in another one; the given one is not changed."""
        before, after = self.served(from_), self.served(to)
        if obj is None or before is None or after is None:
            return obj
        made = [copied(obj)]
        made = await before.conversion.to_storage(made) if before.conversion else made
        [one] = await after.conversion.from_storage(made) if after.conversion else made
        return one

    async def take(self, attributes: Attributes, matched: Matched, changed: Object) -> bool:
        """Make `changed` the object of a write, checked against its schema and filled with defaults again.

        `changed` is of the version that was matched. Returns whether anything is different now.

        Raises:
            ApiError: 500, it is not of its kind.
        """
        ask, obj = matched.ask, attributes.object
        served = self.served(matched.asked_resource)
        if obj is None or served is None or changed == ask.object:
            return False
        if ask.subresource == "scale":
            scale.from_scale(obj, changed, served.scale)
            return True
        if ask.subresource == "binding":
            obj["spec"]["nodeName"] = text(changed, "target", "name", missing=obj["spec"]["nodeName"])
            if annotations := objects.annotations(changed):
                objects.metadata(obj).setdefault("annotations", {}).update(annotations)
            return True
        if ask.kind != matched.asked_kind:
            changed = await self.convert(changed, ask.resource, matched.asked_resource) or changed
        if (changed.get("apiVersion"), changed.get("kind")) != (obj.get("apiVersion"), obj.get("kind")):
            raise status.internal(f"the object is no {served.resource.kind} any more")
        try:
            if served.node is not None and not served.dynamic:
                check.check(served.node, changed)
        except check.WrongType as error:
            raise status.internal(f"the object is no {served.resource.kind} any more: {error}") from error
        _restore(attributes, served, changed, obj)
        served.fill(changed)
        before = copied(obj)
        obj.clear()
        obj.update(changed)
        attributes.name = objects.name(obj) or attributes.name
        return bool(before != obj)


def _restore(attributes: Attributes, served: Served, changed: Object, obj: Object) -> None:
    """Restore what nobody may change: who an object is, its history, and what this (sub)resource does not write.

    Raises:
        ApiError: it would be another object.
    """
    if objects.namespace(changed) != objects.namespace(obj):
        raise status.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if attributes.old is not None and objects.name(changed) != objects.name(obj):
        fault = invalid("metadata.name", objects.name(changed), "field is immutable")
        raise status.invalid(served.resource.kind, served.resource.group, attributes.name, [fault])
    new, known = objects.metadata(changed), objects.metadata(obj)
    for field in _KEPT:
        new.pop(field, None)
        if field in known:
            new[field] = known[field]
    if attributes.old is not None:
        metadata.confine(served, attributes.subresource, changed, attributes.old)
    elif served.strategy.has_status:
        changed.pop("status", None)


_KEPT = ("uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")


def _ask(attributes: Attributes, scales: scale.Paths) -> Ask:
    resource = attributes.resource
    place = Place(resource.group, resource.version, resource.plural)
    operation, kind = attributes.operation, Kind(resource.group, resource.version, resource.kind)
    obj, old = attributes.object, attributes.old
    if attributes.subresource == "scale":
        kind = Kind("autoscaling", "v1", "Scale")
        obj, old = (scale.to_scale(each, scales) if each is not None else None for each in (obj, old))
    elif attributes.subresource == "binding" and obj is not None:
        operation, kind, obj, old = "CREATE", Kind("", "v1", "Binding"), _binding(obj), None
    elif attributes.subresource == "eviction":
        kind = Kind("policy", "v1", "Eviction")
    return Ask(
        operation,
        kind,
        place,
        attributes.subresource,
        attributes.name if place == NAMESPACES else attributes.namespace,
        attributes.name,
        obj,
        old,
        told(attributes.user),
        attributes.dry_run,
        _options(operation, resource, dry_run=attributes.dry_run),
    )


def _binding(pod: Object) -> Object:
    meta = {key: objects.metadata(pod)[key] for key in ("name", "namespace") if key in objects.metadata(pod)}
    target = {"kind": "Node", "name": objects.at(pod, "spec", "nodeName")}
    return {"kind": "Binding", "apiVersion": "v1", "metadata": meta, "target": target}


def _options(operation: str, resource: Resource, *, dry_run: bool) -> Object:
    options: Object = {"kind": _OPTIONS.get(operation, f"{resource.kind}Options"), "apiVersion": "meta.k8s.io/v1"}
    if dry_run:
        options["dryRun"] = ["All"]
    return options
