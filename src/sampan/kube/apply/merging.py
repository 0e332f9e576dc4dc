"""Merging a configuration into a live object, and taking fields out again, by the schema."""

from __future__ import annotations

from typing import Any

from sampan.kube.apply.extract import below, element, granular
from sampan.kube.apply.fields import SELF, Fields, owns
from sampan.kube.schema.node import Node


def merge(node: Node | None, live: Any, config: Any) -> Any:
    """Return `live` with everything that `config` says; neither is changed.

    Raises:
        Unindexed: a list has items that cannot be told apart.
    """
    if config is None and live and granular(node, live):
        return live
    if type(live) is not type(config) or not (granular(node, live) and granular(node, config)):
        return config
    if isinstance(config, dict):
        out = dict(live)
        for name, value in config.items():
            out[name] = merge(below(node, name), out[name], value) if name in out else value
        return out
    return _merge_lists(node, live, config) if config else live


def _merge_lists(node: Node, live: list[Any], config: list[Any]) -> list[Any]:
    """Items of the configuration come in its order. Those that only live has stay where they were among those of both."""
    theirs, mine = [element(node, item) for item in live], {element(node, item): item for item in config}
    found = _by_key(theirs, live)
    merged = {key: merge(node.element, found[key], item) if key in found else item for key, item in mine.items()}
    order = list(mine)
    shared = [key for key in order if key in found]
    out: list[Any] = []
    put = together = 0  # of the configuration's items, and of those that both have
    for key, item in zip(theirs, live, strict=True):
        if key not in mine:
            out.append(item)
        elif together < len(shared) and shared[together] == key:
            end = order.index(key, put) + 1
            out += [merged[name] for name in order[put:end]]
            put, together = end, together + 1
    return out + [merged[name] for name in order[put:]]


def _by_key(keys: list[str], items: list[Any]) -> dict[str, Any]:
    """Return items by their keys; those that share one are merged with nothing."""
    out: dict[str, Any] = {}
    for key, item in zip(keys, items, strict=True):
        out[key] = None if key in out else item
    return out


def remove(node: Node | None, value: Any, fields: Fields) -> Any:
    """Return a value without the fields of a set; a field that is in the set goes with all that is below it.

    A map or list that loses all it has is None, and so is what is of a piece and should lose a part.
    """
    if not isinstance(value, (dict, list)):
        return value
    if not granular(node, value):
        return None
    return (_without(node, value, fields) if isinstance(value, dict) else _fewer(node, value, fields)) or None


def _without(node: Node, value: dict[str, Any], fields: Fields) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, item in value.items():
        inner = fields.get("f:" + name)
        if inner is None:
            out[name] = item
        elif not owns(inner):
            out[name] = remove(below(node, name), item, inner)
    return out


def _fewer(node: Node, value: list[Any], fields: Fields) -> list[Any]:
    kept = []
    for item in value:
        inner = fields.get(element(node, item))
        if inner is None:
            kept.append(item)
        elif not owns(inner):
            kept.append(remove(node.element, item, inner))
    return kept


def less_emptied(value: Any, before: Any) -> Any:
    """Return a map without the nulls that `remove` left where there was more in `before`."""
    if isinstance(value, dict) and isinstance(before, dict):
        return {
            name: less_emptied(item, before.get(name))
            for name, item in value.items()
            if item is not None or before.get(name) is None
        }
    if isinstance(value, list) and isinstance(before, list) and len(value) == len(before):
        return [less_emptied(item, was) for item, was in zip(value, before, strict=True)]
    return value


def named(node: Node | None, fields: Fields) -> Fields:
    """Return a set in which declared fields with something below them are members, too."""
    out: Fields = {}
    for key, inner in fields.items():
        if inner:
            deeper = named(child(node, key), inner)
            if node is not None and key[2:] in node.properties and key.startswith("f:"):
                deeper[SELF] = {}
            inner = deeper
        out[key] = inner
    return out


def child(node: Node | None, key: str) -> Node | None:
    """Return the schema of a path element."""
    if node is None:
        return None
    return below(node, key[2:]) if key.startswith("f:") else node.element
