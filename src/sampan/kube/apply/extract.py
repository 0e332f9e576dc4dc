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


class Unindexed(ValueError):
    """An item of an associative list cannot be told from others."""


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
    """Return the path element of an item of an associative list. A key that it lacks and that has no default is left out.

    Raises:
        Unindexed
    """
    if node.list_type == "set":
        return _of_set(item)
    if not isinstance(item, dict):
        what = "a null element" if item is None else "non-map elements"
        raise Unindexed(f"associative list with keys may not have {what}")
    if len(node.list_map_keys) == 1:
        name = node.list_map_keys[0]
        value = item.get(name)
        if type(value) is str and value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
            return f'k:{{"{name}":"{value}"}}'
    keys = {name: item[name] if name in item else _default(node, name) for name in node.list_map_keys}
    keys = {name: value for name, value in keys.items() if value is not None or name in item}
    if not keys:
        raise Unindexed(
            f"associative list with keys has an element that omits all key fields {_listed(node.list_map_keys)} "
            "(and doesn't have default values for any key fields)"
        )
    return "k:" + _encode(keys).decode()


def _of_set(item: Any) -> str:
    if isinstance(item, dict):
        raise Unindexed("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise Unindexed("not supported: associative list with lists as elements")
    if item is None:
        raise Unindexed("associative list without keys has an element that's an explicit null")
    return "v:" + _encode(item).decode()


def _default(node: Node, name: str) -> Any:
    field = node.element.properties.get(name) if node.element is not None else None
    return field.default if field is not None and field.has_default else None


def _listed(keys: tuple[str, ...]) -> str:
    return "[" + " ".join(f'"{key}"' for key in keys) + "]"


def fields_of(node: Node, value: Any) -> Fields:
    """Return the set of an object's fields: leaves, items of lists, and entries of maps.

    Raises:
        Unindexed
    """
    return _inside(node, value) if granular(node, value) else {}


def _inside(node: Node, value: Any) -> Fields:
    return _map(node, value) if type(value) is dict else _list(node, value)


def _map(node: Node, value: dict[str, Any]) -> Fields:
    out: Fields = {}
    properties = node.properties
    for name, item in value.items():
        field = properties.get(name)
        declared = field is not None
        if field is None:
            field = below(node, name)
        if not granular(field, item):
            out["f:" + name] = {}
        elif item:
            inner = _inside(field, item)
            if declared:
                if inner:
                    out["f:" + name] = inner
            else:
                out["f:" + name] = _itself(inner)
        elif not declared or type(item) is dict:
            out["f:" + name] = {}
    return out


def _list(node: Node, value: list[Any]) -> Fields:
    """An item that is there more than once is of a piece."""
    out: Fields = {}
    inner_node = node.element
    for item in value:
        key = element(node, item)
        if key in out or not item or not granular(inner_node, item):
            out[key] = {}
        else:
            out[key] = _itself(_inside(inner_node, item))
    return out


def _itself(fields: Fields) -> Fields:
    if fields:
        fields[SELF] = {}
    return fields


def everything(node: Node | None, value: Any) -> Fields:
    """Return a value with all that is in it as a set, where the value is new as a whole: each part of it is a member.

    Raises:
        Unindexed
    """
    if not value or not granular(node, value):
        return {}
    out: Fields = {SELF: {}}
    if type(value) is dict:
        for name, item in value.items():
            out["f:" + name] = everything(below(node, name), item)
        return out
    for item in value:
        key = element(node, item)
        out[key] = {} if key in out else everything(node.element, item)
    return out
