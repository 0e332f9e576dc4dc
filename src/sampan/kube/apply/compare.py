"""What differs between two states of an object, as field sets."""

from __future__ import annotations

from typing import Any, NamedTuple

from sampan.kube.apply.extract import below, element, everything, granular
from sampan.kube.apply.fields import SELF, Fields, join
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


def compare(node: Node, old: Any, new: Any) -> Comparison:
    """Return what the new object has lost, changed and gained.

    Raises:
        Unindexed: a list has items that cannot be told apart.
    """
    found = Comparison({}, {}, {})
    if granular(node, old) and granular(node, new):
        _inside(node, old, new, found)
    return found


def _inside(node: Node, old: Any, new: Any, found: Comparison) -> None:
    if type(new) is dict:
        _maps(node, old, new, found)
    else:
        _lists(node, old, new, found)


def _maps(node: Node, old: dict[str, Any], new: dict[str, Any], found: Comparison) -> None:
    for name, value in new.items():
        if name not in old:
            found.added["f:" + name] = everything(below(node, name), value)
            continue
        before = old[name]
        if before is not value and before != value:
            _differ(below(node, name), before, value, "f:" + name, found)
    for name, value in old.items():
        if name not in new:
            found.removed["f:" + name] = everything(below(node, name), value)


def _differ(node: Node | None, old: Any, new: Any, key: str, found: Comparison) -> None:
    """Note under its path element how a value came to be another."""
    was, is_ = granular(node, old), granular(node, new)
    if node is not None and was and is_ and type(old) is type(new):
        inner = Comparison({}, {}, {})
        _inside(node, old, new, inner)
        for part, whole in zip(inner, found, strict=True):
            if part:
                whole[key] = part
        return
    if was and old:
        found.removed[key] = _parts(node, old)
    if is_ and new:
        found.added[key] = _parts(node, new)
    if not ((was and old and new is None) or (is_ and new and old is None)):
        found.modified[key] = {}


def _parts(node: Node | None, value: Any) -> Fields:
    parts = everything(node, value)
    del parts[SELF]
    return parts


def _lists(node: Node, old: list[Any], new: list[Any], found: Comparison) -> None:
    """Compare items that go by the same keys. Those that do so in one list are compared as one."""
    before, after = _grouped(node, old), _grouped(node, new)
    for key, there in before.items():
        here = after.get(key, ())
        if len(there) > 1 and len(here) > 1:
            if list(there) != list(here):
                found.modified[key] = {}
        elif len(there) > 1:
            found.removed[key] = {}
            if here:
                found.added[key] = everything(node.element, here[0])
        elif len(here) > 1:
            found.added[key] = {}
            found.removed[key] = everything(node.element, there[0])
        elif not here:
            found.removed[key] = everything(node.element, there[0])
        elif there[0] != here[0]:
            _differ(node.element, there[0], here[0], key, found)
    for key, here in after.items():
        if key not in before:
            found.added[key] = everything(node.element, here[0]) if len(here) == 1 else {}


def _grouped(node: Node, items: list[Any]) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {}
    for item in items:
        out.setdefault(element(node, item), []).append(item)
    return out
