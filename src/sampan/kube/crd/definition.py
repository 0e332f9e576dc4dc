"""A CustomResourceDefinition as what is served: a resource, its strategy and its schema in each version.

Spec: apiextensions.k8s.io/v1 CustomResourceDefinition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from sampan.kube import object as objects
from sampan.kube.crd.rules import Rules
from sampan.kube.fielderror import FieldError
from sampan.kube.kinds.scale import BUILTIN, Paths
from sampan.kube.object import Object
from sampan.kube.printing.custom import printer_of_columns
from sampan.kube.printing.jsonpath import Path
from sampan.kube.reading import flag, items, mapping, text, words
from sampan.kube.resource import VERBS, Resource, Subresource
from sampan.kube.schema import builtin, structural
from sampan.kube.schema.node import Node
from sampan.kube.strategy import Strategy

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
_OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_ANYTHING: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


class Version(NamedTuple):
    """One served version of a custom resource."""

    resource: Resource
    strategy: Strategy
    node: Node
    scale: Paths
    schema: Object
    """The openAPIV3Schema, as it was given."""
    several: bool
    """Whether objects may be kept in another version than this one."""


def versions(crd: Object) -> list[Version]:
    """Return the served versions of a definition that has passed validation.

    Raises:
        ValueError: it cannot be served; the text says why.
    """
    return [
        _version(crd, each, storage_version(crd)) for each in items(crd, "spec", "versions") if flag(each, "served")
    ]


def storage_version(crd: Object) -> str:
    """Return the version in which new objects are kept."""
    return next((text(each, "name") for each in items(crd, "spec", "versions") if flag(each, "storage")), "")


def _version(crd: Object, version: Object, kept: str) -> Version:
    schema = mapping(version, "schema", "openAPIV3Schema") or _ANYTHING
    node = structural.node_of(schema, metadata=builtin.definition(_OBJECT_META))
    resource = _resource(crd, version, kept)
    node.definition = resource.definition
    stored = {text(each, "name") for each in items(crd, "spec", "versions")} | set(
        words(crd, "status", "storedVersions")
    )
    scale = mapping(version, "subresources", "scale")
    return Version(
        resource,
        _strategy(version, node),
        node,
        Paths(
            text(scale, "specReplicasPath").lstrip("."),
            text(scale, "statusReplicasPath").lstrip("."),
            text(scale, "labelSelectorPath").lstrip("."),
        )
        if scale
        else BUILTIN,
        schema,
        len(stored) > 1,
    )


def _resource(crd: Object, version: Object, kept: str) -> Resource:
    spec, names = mapping(crd, "spec"), mapping(crd, "spec", "names")
    group, name = text(spec, "group"), text(version, "name")
    gone = ("create",) if objects.deleting(crd) else ()
    return Resource(
        group,
        name,
        text(names, "plural"),
        text(names, "kind"),
        namespaced=text(spec, "scope") == "Namespaced",
        singular=text(names, "singular") or text(names, "kind").lower(),
        short_names=tuple(words(names, "shortNames")),
        categories=tuple(words(names, "categories")),
        verbs=tuple(verb for verb in VERBS if verb not in gone),
        subresources=tuple(_subresources(version)),
        definition=".".join([*reversed(group.split(".")), name, text(names, "kind")]),
        storage="" if name == kept else f"{group}/{kept}",
    )


def _subresources(version: Object) -> list[Subresource]:
    said = mapping(version, "subresources")
    found = [Subresource("status")] if "status" in said else []
    if isinstance(said.get("scale"), dict):
        found.append(Subresource("scale", kind="Scale", group="autoscaling", version="v1"))
    return found


def _strategy(version: Object, node: Node) -> Strategy:
    rules = Rules(node)

    def validate(obj: Object) -> list[FieldError]:
        return structural.validate(node, obj) or rules.judge(obj)

    def validate_change(new: Object, old: Object) -> list[FieldError]:
        return structural.validate(node, new, old=old) or rules.judge(new, old)

    fields = {
        text(each, "jsonPath").lstrip("."): _reader(text(each, "jsonPath"))
        for each in items(version, "selectableFields")
    }
    return Strategy(
        validate=validate,
        validate_change=validate_change,
        validate_status=validate_change,
        fields=fields,
        printer=printer_of_columns(items(version, "additionalPrinterColumns")),
        has_status="status" in mapping(version, "subresources"),
        has_generation=True,
        update_names_version=True,
    )


def _reader(path: str) -> Callable[[Object], str]:
    found = Path(path)

    def read(obj: Object) -> str:
        values = found.find(obj)
        return _shown(values[0]) if values else ""

    return read


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def published(version: Version) -> Object:
    """Return a version's schema as OpenAPI shows it: with what all objects have, and its name."""
    schema = {key: value for key, value in version.schema.items() if not key.startswith("$")}
    reference = {"allOf": [{"$ref": f"#/components/schemas/{_OBJECT_META}"}]}
    string = {"type": "string"}
    given = mapping(schema, "properties")
    schema["type"] = "object"
    schema["properties"] = {**given, "apiVersion": string, "kind": string, "metadata": reference}
    resource = version.resource
    schema["x-kubernetes-group-version-kind"] = [
        {"group": resource.group, "version": resource.version, "kind": resource.kind}
    ]
    return schema
