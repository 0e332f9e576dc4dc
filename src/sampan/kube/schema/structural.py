"""Structural schemas of custom resources: made into nodes, and what they do to objects: prune, default, validate.

Spec: apiextensions.k8s.io/v1 JSONSchemaProps; Kubernetes "Extend the Kubernetes API with CustomResourceDefinitions".
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import msgspec

from sampan.kube import fielderror
from sampan.kube.cel import pattern
from sampan.kube.fielderror import FieldError
from sampan.kube.object import Object
from sampan.kube.schema import formats
from sampan.kube.schema.node import Kind, Node

_SCALARS = {"string": Kind.STRING, "integer": Kind.INTEGER, "number": Kind.NUMBER, "boolean": Kind.BOOLEAN}
_BOUNDS = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern",
    "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties",
)  # fmt: skip
_LOGICAL = ("allOf", "anyOf", "oneOf")
_TYPES: dict[Kind, tuple[str, tuple[type, ...]]] = {
    Kind.OBJECT: ("object", (dict,)),
    Kind.MAP: ("object", (dict,)),
    Kind.ARRAY: ("array", (list,)),
    Kind.STRING: ("string", (str,)),
    Kind.INTEGER: ("integer", (int,)),
    Kind.NUMBER: ("number", (int, float)),
    Kind.BOOLEAN: ("boolean", (bool,)),
}
_META = ("apiVersion", "kind", "metadata")


def node_of(schema: dict[str, Any], *, metadata: Node | None = None) -> Node:
    """Return the node of an openAPIV3Schema; `metadata`: the schema of ObjectMeta, for the root of a resource."""
    node = _node(schema)
    if metadata is not None:
        node.embedded = True
        _be_resource(node, metadata)
    return node


def _be_resource(node: Node, metadata: Node) -> None:
    if node.kind is not Kind.OBJECT:
        node.kind, node.element = Kind.OBJECT, None
    text = Node(Kind.STRING)
    node.properties = {**node.properties, "apiVersion": text, "kind": text, "metadata": metadata}


def _node(schema: dict[str, Any]) -> Node:
    node = Node()
    kind = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        node.kind = Kind.INT_OR_STRING
    elif kind == "array":
        node.kind = Kind.ARRAY
        node.element = _node(schema["items"]) if isinstance(schema.get("items"), dict) else None
    elif kind == "object":
        more = schema.get("additionalProperties")
        node.kind = Kind.OBJECT
        if more is not None and more is not False and not schema.get("properties"):
            node.kind, node.element = Kind.MAP, _node(more) if isinstance(more, dict) else Node()
        node.properties = {name: _node(child) for name, child in (schema.get("properties") or {}).items()}
    elif kind:
        node.kind = _SCALARS.get(kind, Kind.ANY)
    else:  # as a part of a logical junctor, which says no type: it judges what is there, of whatever type
        node.properties = {name: _node(child) for name, child in (schema.get("properties") or {}).items()}
        inner = schema.get("items") or schema.get("additionalProperties")
        node.element = _node(inner) if isinstance(inner, dict) else None
    node.required = tuple(schema.get("required") or ())
    node.format = schema.get("format") or ""
    node.enum = tuple(schema.get("enum") or ())
    node.nullable = bool(schema.get("nullable"))
    node.has_default, node.default = "default" in schema, schema.get("default")
    node.preserve_unknown = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    node.embedded = bool(schema.get("x-kubernetes-embedded-resource"))
    node.list_type = schema.get("x-kubernetes-list-type") or ""
    node.list_map_keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    node.map_type = schema.get("x-kubernetes-map-type") or ""
    node.bounds = {name: schema[name] for name in _BOUNDS if name in schema}
    node.bounds |= {name: [_node(part) for part in schema[name]] for name in _LOGICAL if schema.get(name)}
    if isinstance(schema.get("not"), dict):
        node.bounds["not"] = _node(schema["not"])
    node.rules = tuple(schema.get("x-kubernetes-validations") or ())
    return node


# --- prune and default ------------------------------------------------------------------------------------------------


def prune(node: Node, value: Any, path: str = "") -> list[str]:
    """Take out fields that no schema knows; returns `unknown field "spec.x"` for each."""
    gone: list[str] = []
    _prune(node, value, path, gone)
    return gone


def _prune(node: Node, value: Any, path: str, gone: list[str]) -> None:
    if isinstance(value, list):
        if node.element is not None:
            for index, item in enumerate(value):
                _prune(node.element, item, f"{path}[{index}]", gone)
        return
    if not isinstance(value, dict):
        return
    for key in list(value):
        child = node.properties.get(key) or node.element
        if child is not None:
            _prune(child, value[key], f"{path}.{key}" if path else key, gone)
        elif not (node.preserve_unknown or node.kind is Kind.ANY or (node.embedded and key in _META)):
            gone.append(f'unknown field "{path}.{key}"' if path else f'unknown field "{key}"')
            del value[key]


def default(node: Node, value: Any) -> None:
    """Fill in defaults; a null where none is allowed gets the default, or goes."""
    if isinstance(value, list):
        if node.element is not None:
            for item in value:
                default(node.element, item)
        return
    if not isinstance(value, dict):
        return
    for name, child in node.properties.items():
        present = value.get(name, _ABSENT)
        if present is None and not child.nullable:
            del value[name]
            present = _ABSENT
        if present is _ABSENT and child.has_default:
            value[name] = copy.deepcopy(child.default)
        if name in value:
            default(child, value[name])
    if node.element is not None:
        for item in value.values():
            default(node.element, item)


def fills(node: Node) -> bool:
    """Return whether a schema has any default of its own; that of metadata is no part of it."""
    parts = [child for name, child in node.properties.items() if not (node.embedded and name == "metadata")]
    parts += [node.element] if node.element is not None else []
    return any(part.has_default or fills(part) for part in parts)


_ABSENT = object()


# --- validate ---------------------------------------------------------------------------------------------------------


NEW: Any = object()
"""What was before something new."""


def validate(node: Node, value: Any, path: str = "", old: Any = NEW) -> list[FieldError]:
    """Return what a value breaks of its schema; rules in CEL are judged elsewhere.

    `old`: what it was. What has not changed is not judged: it may be older than its schema.
    """
    if value == old and _frozen(value) == _frozen(old):  # 1 is not true
        return []
    if value is None:
        if node.nullable or node.kind is Kind.ANY:
            return []
        return [_type_error(path, "null", node)]
    if not _of_type(node, value):
        return [_type_error(path, _name(value), node)]
    faults: list[FieldError] = []
    if node.enum and value not in node.enum:
        faults.append(fielderror.not_supported(path, value, tuple(str(item) for item in node.enum)))
    if node.bounds:
        _bounds(node, value, path, faults)
    if isinstance(value, str) and node.format:
        if fault := formats.fault(node.format, value):
            faults.append(fielderror.invalid(path, value, f"{path} in body {fault}"))
    elif isinstance(value, list):
        _items(node, value, path, old, faults)
    elif isinstance(value, dict):
        _fields(node, value, path, old if isinstance(old, dict) else {}, faults)
    return faults


def _of_type(node: Node, value: Any) -> bool:
    if node.kind is Kind.INT_OR_STRING:
        return isinstance(value, (int, str)) and not isinstance(value, bool)
    if node.kind not in _TYPES:
        return True
    if node.kind is Kind.INTEGER and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[node.kind][1]) and (node.kind is Kind.BOOLEAN or not isinstance(value, bool))


def _type_error(path: str, found: str, node: Node) -> FieldError:
    wanted = "integer,string" if node.kind is Kind.INT_OR_STRING else _TYPES[node.kind][0]
    detail = f'{path or "<nil>"} in body must be of type {wanted}: "{found}"'
    return FieldError(fielderror.Fault.TYPE_INVALID, path or "<nil>", detail, found)


def _name(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _items(node: Node, value: list[Any], path: str, old: Any, faults: list[FieldError]) -> None:
    keys = [_key(node, item) for item in value] if node.list_type == "map" else []
    known: dict[bytes, Any] = {}
    if keys and isinstance(old, list):
        known = {_key(node, item): item for item in old}
    if node.element is not None:
        for index, item in enumerate(value):
            faults += validate(node.element, item, f"{path}[{index}]", known.get(keys[index], NEW) if known else NEW)
    if node.list_type == "set":
        _unique(value, [_frozen(item) for item in value], path, faults)
    elif keys:
        _unique(value, keys, path, faults)


def _key(node: Node, item: Any) -> bytes:
    """Return what tells an item of a list of type map from the others."""
    return _frozen([item.get(key) for key in node.list_map_keys] if isinstance(item, dict) else item)


def _unique(value: list[Any], keys: list[Any], path: str, faults: list[FieldError]) -> None:
    seen: set[Any] = set()
    for index, key in enumerate(keys):
        if key in seen:
            faults.append(fielderror.duplicate(f"{path}[{index}]", value[index]))
        seen.add(key)


def _frozen(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def _fields(node: Node, value: Object, path: str, old: Object, faults: list[FieldError]) -> None:
    faults += [fielderror.required(f"{path}.{name}" if path else name) for name in node.required if name not in value]
    for name, item in value.items():
        if name == "metadata" and node.embedded:
            continue
        child = node.properties.get(name) or node.element
        if child is not None:
            inner = f"{path}.{name}" if name in node.properties else f"{path}[{name}]"
            faults += validate(child, item, inner if path else name, old.get(name, NEW))


def _bounds(node: Node, value: Any, path: str, faults: list[FieldError]) -> None:
    for name, limit in node.bounds.items():
        judge = _JUDGES.get(name)
        if judge is not None and (fault := judge(value, limit, node)):
            faults.append(_bound(path, value, name, limit, fault))
    bounds = node.bounds
    for part in bounds.get("allOf", ()):
        faults += _loose(part, value, path)
    if "anyOf" in bounds and not any(not _loose(part, value, path) for part in bounds["anyOf"]):
        faults.append(fielderror.invalid(path, "", f'"{path}" must validate at least one schema (anyOf)'))
    if "oneOf" in bounds and sum(not _loose(part, value, path) for part in bounds["oneOf"]) != 1:
        faults.append(fielderror.invalid(path, "", f'"{path}" must validate one and only one schema (oneOf)'))
    if "not" in bounds and not _loose(bounds["not"], value, path):
        faults.append(fielderror.invalid(path, "", f'"{path}" must not validate the schema (not)'))


def _bound(path: str, value: Any, name: str, limit: Any, fault: str) -> FieldError:
    if name == "maxLength":
        return fielderror.too_long(path, limit)
    if name in ("maxItems", "maxProperties"):
        return fielderror.too_many(path, len(value), limit)
    return fielderror.invalid(path, _shown(value), f"{path} in body {fault}")


def _loose(part: Node, value: Any, path: str) -> list[FieldError]:
    """Validate against a part of a logical junctor, which says no types of its own."""
    return validate(part, value, path)


def _shown(value: Any) -> Any:
    return value if isinstance(value, (str, int, float)) else len(value)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _minimum(value: Any, limit: Any, node: Node) -> str:
    strict = bool(node.bounds.get("exclusiveMinimum"))
    if not _number(value) or value > limit or (value == limit and not strict):
        return ""
    return f"should be greater than {'' if strict else 'or equal to '}{limit}"


def _maximum(value: Any, limit: Any, node: Node) -> str:
    strict = bool(node.bounds.get("exclusiveMaximum"))
    if not _number(value) or value < limit or (value == limit and not strict):
        return ""
    return f"should be less than {'' if strict else 'or equal to '}{limit}"


def _multiple(value: Any, limit: Any, node: Node) -> str:
    return f"should be a multiple of {limit}" if _number(value) and limit and value % limit else ""


def _length(what: type[str | list[Any] | Object], at_least: bool, words: str) -> Callable[[Any, Any, Node], str]:
    def judge(value: Any, limit: Any, node: Node) -> str:
        if not isinstance(value, what):
            return ""
        count = len(value)
        return words.format(limit) if (count < limit if at_least else count > limit) else ""

    return judge


def _pattern(value: Any, limit: Any, node: Node) -> str:
    return f"should match '{limit}'" if isinstance(value, str) and not pattern.matches(value, limit) else ""


def _distinct(value: Any, limit: Any, node: Node) -> str:
    if not (limit and isinstance(value, list)):
        return ""
    return "shouldn't contain duplicates" if len({_frozen(item) for item in value}) < len(value) else ""


_JUDGES: dict[str, Callable[[Any, Any, Node], str]] = {
    "minimum": _minimum,
    "maximum": _maximum,
    "multipleOf": _multiple,
    "minLength": _length(str, True, "should be at least {} chars long"),
    "maxLength": _length(str, False, "should be at most {} chars long"),
    "pattern": _pattern,
    "minItems": _length(list, True, "should have at least {} items"),
    "maxItems": _length(list, False, "should have at most {} items"),
    "uniqueItems": _distinct,
    "minProperties": _length(dict, True, "should have at least {} properties"),
    "maxProperties": _length(dict, False, "should have at most {} properties"),
}
