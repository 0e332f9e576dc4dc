"""A CustomResourceDefinition as resources, strategies and schemas, one a version.

Spec: apiextensions.k8s.io/v1 CustomResourceDefinition; Kubernetes "Extend the Kubernetes API with CustomResourceDefinitions".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sampan.kube import object as objects
from sampan.kube.fielderror import FieldError
from sampan.kube.kinds.scale import BUILTIN, Paths
from sampan.kube.object import Object, at
from sampan.kube.printing.custom import printer_of_columns
from sampan.kube.printing.jsonpath import Path
from sampan.kube.resource import Resource, Subresource
from sampan.kube.schema import builtin, structural
from sampan.kube.schema.node import Node
from sampan.kube.strategy import Strategy

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_STATUS = Subresource("status")
_SCALE = Subresource("scale", kind="Scale", group="autoscaling", version="v1")


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
    """Return what a definition serves. It has been validated.

    Raises:
        ValueError: a path in it cannot be read.
    """
    return [_version(crd, version) for version in at(crd, "spec", "versions") or [] if version.get("served")]


def storage_version(crd: Object) -> str:
    """Return the version in which new objects are kept."""
    for version in at(crd, "spec", "versions") or []:
        if version.get("storage"):
            return str(version["name"])
    return ""


def _version(crd: Object, version: Object) -> Version:
    spec, names = crd["spec"], crd["spec"]["names"]
    parts = version.get("subresources") or {}
    resource = Resource(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        namespaced=spec.get("scope") == "Namespaced",
        singular=names.get("singular") or names["kind"].lower(),
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=tuple(
            part for part, name in ((_SCALE, "scale"), (_STATUS, "status")) if parts.get(name) is not None
        ),
        definition=_definition_name(spec["group"], version["name"], names["kind"]),
        storage="" if version.get("storage") else f"{spec['group']}/{storage_version(crd)}",
    )
    schema = at(version, "schema", "openAPIV3Schema") or {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
    }
    node = structural.node_of(schema, metadata=builtin.definition(_META))
    node.definition = resource.definition
    strategy = Strategy(
        validate=_validator(node),
        fields=_fields(version),
        printer=printer_of_columns(version.get("additionalPrinterColumns") or ()),
        has_status=parts.get("status") is not None,
        has_generation=True,
        validate_status=_status_validator(node),
        answers_with_object=False,
    )
    kept = {str(item.get("name")) for item in spec["versions"]} | set(at(crd, "status", "storedVersions") or ())
    return Version(resource, strategy, node, _scale(parts.get("scale")), schema, len(kept) > 1)


def _validator(node: Node) -> Callable[[Object], list[FieldError]]:
    return lambda obj: structural.validate(node, obj)


def _status_validator(node: Node) -> Callable[[Object, Object], list[FieldError]]:
    return lambda new, _: structural.validate(node, new)


def _fields(version: Object) -> dict[str, Callable[[Object], str]]:
    """Return the selectable fields."""

    def read(path: Path) -> Callable[[Object], str]:
        def value(obj: Object) -> str:
            found = path.find(obj)
            if not found or found[0] is None:
                return ""
            return str(found[0]).lower() if isinstance(found[0], bool) else str(found[0])

        return value

    listed = [str(item["jsonPath"]) for item in version.get("selectableFields") or ()]
    return {path.lstrip("."): read(Path(path)) for path in listed}


def _scale(scale: Any) -> Paths:
    if not isinstance(scale, dict):
        return BUILTIN
    return Paths(
        str(scale.get("specReplicasPath")).lstrip("."),
        str(scale.get("statusReplicasPath")).lstrip("."),
        str(scale.get("labelSelectorPath") or "").lstrip("."),
    )


def _definition_name(group: str, version: str, kind: str) -> str:
    return ".".join([*reversed(group.split(".")), version, kind])


def published(version: Version) -> Object:
    """Return a version's schema as OpenAPI shows it: with what all objects have, and its name."""
    schema = {key: value for key, value in version.schema.items() if not key.startswith("$")}
    reference = {"allOf": [{"$ref": f"#/components/schemas/{_META}"}]}
    text = {"type": "string"}
    schema["type"] = "object"
    schema["properties"] = {**(schema.get("properties") or {}), "apiVersion": text, "kind": text, "metadata": reference}
    resource = version.resource
    schema["x-kubernetes-group-version-kind"] = [
        {"group": resource.group, "version": resource.version, "kind": resource.kind}
    ]
    return schema


def conflicts(crd: Object, others: list[Object]) -> str:
    """Return why a definition's names cannot be had, "" when they can: another one of the group has one of them."""
    names, group = crd["spec"]["names"], crd["spec"]["group"]
    wanted = {names["plural"], names.get("singular") or names["kind"].lower(), *(names.get("shortNames") or ())}
    kinds = {names["kind"], names.get("listKind") or f"{names['kind']}List"}
    for other in others:
        accepted = at(other, "status", "acceptedNames") or {}
        if objects.name(other) == objects.name(crd) or at(other, "spec", "group") != group or not accepted:
            continue
        taken = {accepted.get("plural"), accepted.get("singular"), *(accepted.get("shortNames") or ())}
        if clash := sorted(str(name) for name in wanted & taken):
            return f'"{clash[0]}" is already in use'
        if clash := sorted(str(name) for name in kinds & {accepted.get("kind"), accepted.get("listKind")}):
            return f'"{clash[0]}" is already in use'
    return ""
