"""What differs between two states of an object, as field sets."""

from __future__ import annotations

from typing import Any, NamedTuple

from sampan.kube.apply.extract import below, element, fields_of, granular
from sampan.kube.apply.fields import Fields, difference, join
from sampan.kube.schema.node import Node


class Comparison(NamedTuple):
    removed: Fields
    modified: Fields
    added: Fields

    @property
    def changed(self) -> Fields:
        """Return what is new or has another value."""
        return join(self.modified, self.added)

    @property
    def same(self) -> bool:
        return not (self.removed or self.modified or self.added)


def compare(node: Node, old: dict[str, Any], new: dict[str, Any]) -> Comparison:
    """Return what the new object has lost, changed and gained."""
    before, after = fields_of(node, old), fields_of(node, new)
    return Comparison(difference(before, after), _modified(node, old, new), difference(after, before))


def _modified(node: Node, old: dict[str, Any], new: dict[str, Any]) -> Fields:
    out: Fields = {}
    for name, value in new.items():
        if name not in old:
            continue
        before = old[name]
        if before is value or before == value:
            continue
        field = below(node, name)
        if granular(field, before) and granular(field, value) and type(before) is type(value):
            inner = (
                _modified(field, before, value) if isinstance(value, dict) else _modified_items(field, before, value)
            )
            if inner:
                out["f:" + name] = inner
        else:
            out["f:" + name] = {}
    return out


def _modified_items(node: Node, old: list[Any], new: list[Any]) -> Fields:
    out: Fields = {}
    before = {element(node, item): item for item in old}
    inner_node = node.element
    for item in new:
        key = element(node, item)
        other = before.get(key)
        if other is None or other == item or not isinstance(item, dict):
            continue
        if granular(inner_node, item) and isinstance(other, dict):
            if inner := _modified(inner_node, other, item):
                out[key] = inner
        else:
            out[key] = {}
    return out
