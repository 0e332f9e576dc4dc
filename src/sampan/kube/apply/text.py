"""The field set of a whole object as JSON text, written in one walk: what a create owns, without a tree in between.

What a field becomes is compiled once per schema node. `extract.fields_of` says the same as a tree; a law keeps them equal.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from sampan.kube.apply.extract import below, element
from sampan.kube.schema.node import Kind, Node

_encode = msgspec.json.Encoder().encode
_LEAF, _MAP, _LIST = range(3)
_MEMO = "owned text"
_ALIKE = "io.k8s.api.core.v1.PodSpec"
_REMEMBERED_BYTES = 16 * 1024
"""Hundreds of larger ones would fill the memory."""


class _Step(NamedTuple):
    """`key`: `"f:name":`; `whole`: `"f:name":{}`."""

    key: str
    whole: str
    mode: int
    node: Node | None  # None: a leaf
    mark: str  # what says that the field itself is in the set, where it has others below


_OWN = '".":{}'


def text_of(node: Node, value: dict[str, Any]) -> str:
    """Return the set of an object's fields as the JSON of FieldsV1.

    Raises:
        Unindexed: an item of an associative list lacks its keys.
    """
    return "{" + _inside(node, value) + "}"


def _inside(node: Node, value: dict[str, Any]) -> str:
    plan: dict[str, _Step] | None = node.memo.get(_MEMO)
    if plan is None:
        plan = node.memo[_MEMO] = {}
    if not node.properties and node.element is not None and _mode(node.element) == _LEAF:
        return ",".join([f"{_quoted(f'f:{name}')}:{{}}" for name in value])  # a map of texts, such as labels
    parts: list[str] = []
    for name, item in value.items():
        step = plan.get(name)
        if step is None:
            step = _step(node, name)
            if name in node.properties:  # other names are as many as users think of
                plan[name] = step
        inner = step.node
        if inner is not None and type(item) is dict and item and step.mode == _MAP:
            small = inner.definition == _ALIKE and len(raw := _encode(item)) <= _REMEMBERED_BYTES
            below_it = _alike(inner, raw) if small else _inside(inner, item)
        elif inner is not None and type(item) is list and step.mode == _LIST:
            below_it = _items(inner, item)
        else:
            parts.append(step.whole)
            continue
        if below_it:
            parts.append(f"{step.key}{{{below_it}{step.mark}}}")
        elif step.mark:
            parts.append(step.whole)
    return ",".join(parts)


@lru_cache(maxsize=512)
def _alike(node: Node, raw: bytes) -> str:
    """Return the same as `_inside`, remembered for the many pods that are made of one template."""
    return _inside(node, msgspec.json.decode(raw))


def _items(node: Node, value: list[Any]) -> str:
    """An item that is there more than once is of a piece."""
    inner = node.element if _mode(node.element) == _MAP else None
    parts: dict[str, str] = {}
    for item in value:
        key = _quoted(element(node, item))
        below_it = _inside(inner, item) if inner is not None and type(item) is dict and key not in parts else ""
        parts[key] = f"{key}:{{{below_it},{_OWN}}}" if below_it else f"{key}:{{}}"
    return ",".join(parts.values())


def _step(node: Node, name: str) -> _Step:
    child = below(node, name)
    key = _quoted(f"f:{name}") + ":"
    mark = "" if name in node.properties else f",{_OWN}"
    mode = _mode(child)
    return _Step(key, key + "{}", mode, child if mode != _LEAF else None, mark)


def _mode(node: Node | None) -> int:
    if node is None:
        return _LEAF
    if node.kind in (Kind.OBJECT, Kind.MAP):
        return _LEAF if node.map_type == "atomic" else _MAP
    if node.kind is Kind.ARRAY and node.list_type in ("map", "set"):
        return _LIST
    return _MAP if node.kind is Kind.ANY and node.preserve_unknown else _LEAF


def _quoted(text: str) -> str:
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return _encode(text).decode()
