"""Merging a configuration into a live object, and taking fields out again, by the schema."""

from __future__ import annotations

from typing import Any

from sampan.kube.apply.extract import below, element, granular
from sampan.kube.apply.fields import SELF, Fields, owns
from sampan.kube.schema.node import Node


def merge(node: Node | None, live: Any, config: Any) -> Any:
    """Return `live` with everything that `config` says; neither is changed."""
    if node is None or type(live) is not type(config) or not granular(node, config) or not granular(node, live):
        return config
    if isinstance(config, dict):
        out = dict(live)
        for name, value in config.items():
            out[name] = merge(below(node, name), out[name], value) if name in out else value
        return out
    return _merge_lists(node, live, config)


def _merge_lists(node: Node, live: list[Any], config: list[Any]) -> list[Any]:
    """Items of the configuration come in its order; those that only live has keep their place among those of both."""
    mine = {element(node, item): item for item in config}
    theirs = {element(node, item): item for item in live}
    out: list[Any] = []
    order, place = list(mine), 0
    for key, item in theirs.items():
        if key not in mine:
            out.append(item)
            continue
        if key not in order[place:]:
            continue  # was put earlier, with what the configuration has before it
        while order[place] != key:
            out.append(_merged(node, theirs, mine, order[place]))
            place += 1
        out.append(_merged(node, theirs, mine, key))
        place += 1
    return out + [_merged(node, theirs, mine, key) for key in order[place:]]


def _merged(node: Node, theirs: dict[str, Any], mine: dict[str, Any], key: str) -> Any:
    return merge(node.element, theirs[key], mine[key]) if key in theirs else mine[key]


def remove(node: Node, value: Any, fields: Fields) -> Any:
    """Return a value without the fields of a set; a field that is in the set goes with all that is below it."""
    if isinstance(value, dict):
        out = {}
        for name, item in value.items():
            inner = fields.get("f:" + name)
            if inner is None:
                out[name] = item
            elif not owns(inner):
                field = below(node, name)
                out[name] = remove(field, item, inner) if field is not None and granular(field, item) else item
        return out
    kept = []
    for item in value:
        inner = fields.get(element(node, item))
        if inner is None:
            kept.append(item)
        elif not owns(inner):
            kept.append(remove(node.element, item, inner) if node.element is not None else item)
    return kept


def named(node: Node | None, fields: Fields) -> Fields:
    """Return a set in which declared fields with something below them are members, too."""
    out: Fields = {}
    for key, inner in fields.items():
        if key == SELF:
            out[key] = inner
            continue
        child = _child(node, key)
        deeper = named(child, inner) if inner else inner
        if inner and key.startswith("f:") and node is not None and key[2:] in node.properties:
            deeper = {**deeper, SELF: {}}
        out[key] = deeper
    return out


def _child(node: Node | None, key: str) -> Node | None:
    if node is None:
        return None
    return below(node, key[2:]) if key.startswith("f:") else node.element
