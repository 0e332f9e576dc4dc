"""What is wrong with the schema of a CustomResourceDefinition: it has to be structural, and its defaults valid.

Spec: Kubernetes documentation, "Specifying a structural schema".
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from sampan.kube.cel.fault import Fault
from sampan.kube.cel.pattern import compiled
from sampan.kube.crd import rules
from sampan.kube.fielderror import FieldError, forbidden, invalid, not_supported, required
from sampan.kube.object import Object
from sampan.kube.reading import mapping
from sampan.kube.schema import structural
from sampan.kube.schema.node import Kind, Node

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_REFUSED = ("$ref", "$schema", "id", "additionalItems", "patternProperties", "definitions", "dependencies")
_VALUE_ONLY = (
    "type", "additionalProperties", "default", "nullable", "title", "description",
    "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource", "x-kubernetes-int-or-string",
    "x-kubernetes-list-type", "x-kubernetes-map-type",
)  # fmt: skip
"""What a logical junctor's part may not say."""
_LIST_TYPES, _MAP_TYPES = ("atomic", "set", "map"), ("granular", "atomic")
_JUNCTORS = ("allOf", "anyOf", "oneOf")
_DEPTH = 40


def faults(path: str, schema: Any) -> list[FieldError]:
    """Return what is wrong with the openAPIV3Schema at `path`."""
    found = list(_schema(path, schema, 0))
    if not found:
        node = structural.node_of(copy.deepcopy(schema))
        node.embedded = True
        found += _beyond_shape(path, schema, node)
        found += _root_metadata(path, schema)
    return found


def _schema(path: str, schema: Any, depth: int) -> Iterator[FieldError]:
    if not isinstance(schema, dict):
        yield invalid(path, schema, "must be a schema")
        return
    if depth > _DEPTH:
        yield forbidden(path, "is nested too deep")
        return
    yield from _type(path, schema)
    for field in _REFUSED:
        if schema.get(field):
            yield forbidden(f"{path}.{field}", f"{field} is not supported")
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{path}.uniqueItems", why)
    if schema.get("properties") and schema.get("additionalProperties"):
        yield forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")
    if isinstance(pattern := schema.get("pattern"), str):
        yield from _pattern(f"{path}.pattern", pattern)
    yield from _lists(path, schema)
    yield from _below(path, schema, depth)


def _type(path: str, schema: Object) -> Iterator[FieldError]:
    said = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        if said:
            yield forbidden(f"{path}.type", "must be empty if x-kubernetes-int-or-string is true")
        return
    if not said:
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield required(f"{path}.type", _empty(path))
    elif said not in _TYPES:
        yield not_supported(f"{path}.type", said, _TYPES)
    if schema.get("x-kubernetes-embedded-resource") and said != "object":
        yield invalid(f"{path}.type", said or "", "must be object if x-kubernetes-embedded-resource is true")


def _empty(path: str) -> str:
    if path.endswith(".items"):
        return "must not be empty for specified array items"
    return "must not be empty for specified object fields" if path.endswith("]") else "must not be empty at the root"


def _pattern(path: str, pattern: str) -> Iterator[FieldError]:
    try:
        compiled(pattern)
    except Fault as error:
        yield invalid(path, pattern, f"must be a valid regular expression, but isn't: {error}")


def _lists(path: str, schema: Object) -> Iterator[FieldError]:
    list_type, map_type = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-map-type")
    keys = schema.get("x-kubernetes-list-map-keys") or []
    if map_type is not None and map_type not in _MAP_TYPES:
        yield not_supported(f"{path}.x-kubernetes-map-type", map_type, _MAP_TYPES)
    if list_type is None:
        if keys:
            yield required(f"{path}.x-kubernetes-list-type", "must be map if x-kubernetes-list-map-keys is non-empty")
        return
    if list_type not in _LIST_TYPES:
        yield not_supported(f"{path}.x-kubernetes-list-type", list_type, _LIST_TYPES)
    if schema.get("type") != "array":
        yield invalid(f"{path}.type", schema.get("type") or "", "must be array if x-kubernetes-list-type is specified")
    if list_type != "map":
        return
    if not keys:
        yield required(f"{path}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map")
    items = mapping(schema, "items")
    properties = mapping(items, "properties")
    for index, key in enumerate(keys):
        where = f"{path}.x-kubernetes-list-map-keys[{index}]"
        if key not in properties:
            yield invalid(where, key, "entries must all be names of item properties")
        elif key not in (items.get("required") or ()) and "default" not in properties[key]:
            why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            yield required(f"{path}.items.properties[{key}].default", why)


def _below(path: str, schema: Object, depth: int) -> Iterator[FieldError]:
    for name, child in (schema.get("properties") or {}).items():
        yield from _schema(f"{path}.properties[{name}]", child, depth + 1)
    items, more = schema.get("items"), schema.get("additionalProperties")
    if isinstance(items, list):
        yield forbidden(f"{path}.items", "items must be a schema object and not an array")
    elif items is not None:
        yield from _schema(f"{path}.items", items, depth + 1)
    elif schema.get("type") == "array":
        yield required(f"{path}.items", "must be specified")
    if isinstance(more, dict):
        yield from _schema(f"{path}.additionalProperties", more, depth + 1)
    for junctor in _JUNCTORS:
        for index, part in enumerate(schema.get(junctor) or ()):
            yield from _part(f"{path}.{junctor}[{index}]", part, bool(schema.get("x-kubernetes-int-or-string")))
    if isinstance(schema.get("not"), dict):
        yield from _part(f"{path}.not", schema["not"], typed=False)


def _part(path: str, part: Any, typed: bool) -> Iterator[FieldError]:
    """A part of a logical junctor judges values; it says nothing of their shape."""
    if not isinstance(part, dict):
        return
    for field in _VALUE_ONLY:
        if field in part and part[field] not in (None, "", False) and not (typed and field == "type"):
            yield forbidden(
                f"{path}.{field}",
                "must be empty to be structural" if field == "type" else "must be undefined to be structural",
            )
    for name, child in (part.get("properties") or {}).items():
        yield from _part(f"{path}.properties[{name}]", child, typed=False)
    for junctor in _JUNCTORS:
        for index, inner in enumerate(part.get(junctor) or ()):
            yield from _part(f"{path}.{junctor}[{index}]", inner, typed)


# --- what needs nodes: defaults and rules -----------------------------------------------------------------------------


def _beyond_shape(path: str, schema: Object, node: Node, lost: str = "") -> Iterator[FieldError]:
    """`lost`: within which list or map it cannot be said what a value was before; "" where it can."""
    if "default" in schema:
        yield from _default(f"{path}.default", schema["default"], node)
    if said := schema.get("x-kubernetes-validations"):
        yield from rules.faults(f"{path}.x-kubernetes-validations", node, said, lost)
    in_list = node.kind is Kind.ARRAY
    if not lost and (node.list_type != "map" if in_list else node.map_type == "atomic"):
        lost = path
    for name, child in (schema.get("properties") or {}).items():
        yield from _beyond_shape(f"{path}.properties[{name}]", child, node.properties[name], lost)
    if node.element is not None:
        field = "items" if in_list else "additionalProperties"
        if isinstance(schema.get(field), dict):
            yield from _beyond_shape(f"{path}.{field}", schema[field], node.element, lost)


def _default(path: str, value: Any, node: Node) -> Iterator[FieldError]:
    filled = copy.deepcopy(value)
    for unknown in structural.prune(node, filled):
        yield invalid(path, value, f"must not have unknown fields: {unknown}")
    structural.default(node, filled)
    for fault in structural.validate(node, filled):
        yield fault._replace(path=f"{path}.{fault.path}" if fault.path not in ("", "<nil>") else path)


def _root_metadata(path: str, schema: Object) -> Iterator[FieldError]:
    said = (schema.get("properties") or {}).get("metadata")
    extra = set((said or {}).get("properties") or {}) - {"name", "generateName"}
    if extra:
        why = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        yield forbidden(f"{path}.properties[metadata]", why)
