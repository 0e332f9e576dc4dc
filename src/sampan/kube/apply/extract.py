"""Which fields a value has, by its schema."""

from __future__ import annotations

from typing import Any, TypeGuard

import msgspec

from sampan.kube.apply.fields import SELF, Fields
from sampan.kube.schema.node import Kind, Node

_encode = msgspec.json.Encoder(order="sorted").encode
DEDUCED = Node(Kind.MAP)
"""The schema of what has none: maps are granular, lists and all else are of a piece."""
DEDUCED.element = DEDUCED
DEDUCED.definition = "deduced"


def granular(node: Node | None, value: Any) -> TypeGuard[Node]:
    """Return whether a value's parts have owners of their own."""
    if node is None:
        return False
    if isinstance(value, dict):
        if node.kind is Kind.OBJECT or node.kind is Kind.MAP:
            return node.map_type != "atomic"
        return node.kind is Kind.ANY and node.preserve_unknown
    return isinstance(value, list) and node.kind is Kind.ARRAY and node.list_type in ("map", "set")


def below(node: Node, name: str) -> Node | None:
    """Return the schema of a field, None where there is none."""
    found = node.properties.get(name)
    if found is not None:
        return found
    if node.element is not None:
        return node.element
    return DEDUCED if node.preserve_unknown or node is DEDUCED else None


def element(node: Node, item: Any) -> str:
    """Return the path element of an item of an associative list.

    Raises:
        KeyError: it lacks a key that has no default.
    """
    if node.list_type == "set":
        return "v:" + _encode(item).decode()
    if len(node.list_map_keys) == 1:
        name = node.list_map_keys[0]
        value = item.get(name) if isinstance(item, dict) else None
        if type(value) is str and value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
            return f'k:{{"{name}":"{value}"}}'
    keys = {}
    for name in node.list_map_keys:
        if name in item:
            keys[name] = item[name]
        else:
            field = node.element.properties.get(name) if node.element is not None else None
            if field is None or not field.has_default:
                raise KeyError(name)
            keys[name] = field.default
    return "k:" + _encode(keys).decode()


def fields_of(node: Node, value: Any) -> Fields:
    """Return the set of an object's fields."""
    return _map(node, value)


def _map(node: Node, value: dict[str, Any]) -> Fields:
    out: Fields = {}
    properties = node.properties
    for name, item in value.items():
        field = properties.get(name)
        declared = field is not None
        if field is None:
            field = below(node, name)
        kind = type(item)
        if kind is dict and item and granular(field, item):
            inner = _map(field, item)
            if not declared:
                inner[SELF] = {}
            out["f:" + name] = inner
        elif kind is list and granular(field, item):
            inner = _list(field, item)
            if inner:
                if not declared:
                    inner[SELF] = {}
                out["f:" + name] = inner
        else:
            out["f:" + name] = {}
    return out


def _list(node: Node, value: list[Any]) -> Fields:
    out: Fields = {}
    inner_node = node.element
    for item in value:
        key = element(node, item)
        if isinstance(item, dict) and item and granular(inner_node, item):
            inner = _map(inner_node, item)
            inner[SELF] = {}
            out[key] = inner
        else:
            out[key] = {}
    return out
