"""Whole objects, with every field that a definition has; and the same with one value of a wrong type."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

from sampan.kube.schema import builtin

WRONG: tuple[Any, ...] = (None, True, 7, -1, 1.5, "word", "", [], ["word"], [None], {}, {"a": 1}, [[{}]])
_FORMATS = {"date-time": "2024-01-01T00:00:00Z", "byte": "eA=="}
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_SCALARS = {"string": "x", "integer": 1, "number": 1.5, "boolean": True}


def kinds() -> dict[tuple[str, str, str], str]:
    """Return (group, version, kind) of every definition that has one, with its name."""
    found = {}
    for name in builtin.names():
        for gvk in builtin.published(name).get("x-kubernetes-group-version-kind") or ():
            found[gvk["group"], gvk["version"], gvk["kind"]] = name
    return found


def whole(definition: str) -> Any:
    """Return an object with a value in every field. A definition inside of itself is left empty."""
    return _value({"$ref": definition}, ())


def _value(schema: Any, within: tuple[str, ...]) -> Any:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name == _QUANTITY:
            return "1"
        return {} if name in within else _value(builtin.published(name), (*within, name))
    if "properties" in schema:
        return {key: _value(each, within) for key, each in schema["properties"].items()}
    types = schema.get("type")
    type_ = next((each for each in types if each != "null"), "") if isinstance(types, list) else types
    if type_ == "array":
        return [_value(schema.get("items") or {}, within)]
    if type_ == "object":
        return {"k": _value(schema.get("additionalProperties") or {}, within)}
    return _FORMATS.get(schema.get("format") or "") or _SCALARS.get(type_ or "", "x")


def broken(obj: Any, count: int, seed: str) -> Iterator[Any]:
    """Yield copies of an object with one value of a wrong type each."""
    chance = random.Random(seed)
    places = list(_places(obj))
    for _ in range(count):
        made = copy.deepcopy(obj)
        parent = made
        *path, last = chance.choice(places)
        for key in path:
            parent = parent[key]
        parent[last] = copy.deepcopy(chance.choice(WRONG))
        yield made


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _places(child, (*path, key))
