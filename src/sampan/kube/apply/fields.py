"""Field sets, in the form in which objects carry them (FieldsV1): a tree of dicts.

A key is a path element: `f:NAME`, `k:{"KEY":VALUE}` (an item of a list by its keys), `v:VALUE` (an item of a set), `i:INDEX`.
An empty dict is a field that is in the set; one with further elements is in the set itself when it has the key `.`.

Spec: meta/v1 FieldsV1; structured-merge-diff fieldpath.
"""

from __future__ import annotations

from typing import Any

Fields = dict[str, Any]
SELF = "."


def owns(fields: Fields) -> bool:
    """Return whether the root of a tree is in the set itself."""
    return not fields or SELF in fields


def union(first: Fields, second: Fields) -> Fields:
    """Return what is in either; shares parts with both."""
    if not first or not second:
        if not first and not second:
            return {}
        return {**(first or second), SELF: {}}
    out = dict(first)
    for key, value in second.items():
        out[key] = union(out[key], value) if key in out else value
    return out


def join(first: Fields, second: Fields) -> Fields:
    """Return the union of whole sets, of which an empty one has nothing in it."""
    return union(first, second) if first and second else first or second


def difference(first: Fields, second: Fields) -> Fields:
    """Return what is in the first set and not in the second, both whole."""
    return _difference(first, second) or {}


def _difference(first: Fields, second: Fields) -> Fields | None:
    """Return the part of a tree that is not in another; None when nothing is left. Roots are judged by the caller."""
    out: Fields = {}
    for key, value in first.items():
        other = second.get(key)
        if other is None:
            out[key] = value
        elif key != SELF:
            left = subtract(value, other)
            if left is not None:
                out[key] = left
    return out or None


def subtract(first: Fields, second: Fields) -> Fields | None:
    """Return a field and what is below it without what another has there; None when nothing is left."""
    inner = _difference({key: value for key, value in first.items() if key != SELF}, second)
    kept = owns(first) and not owns(second)
    if inner is None:
        return {} if kept else None
    return {**inner, SELF: {}} if kept else inner


def intersection(first: Fields, second: Fields) -> Fields:
    """Return what is in both sets, whole."""
    out: Fields = {}
    for key, value in first.items():
        other = second.get(key)
        if other is None or key == SELF:
            continue
        inner = intersection(value, other)
        if owns(value) and owns(other):
            out[key] = {**inner, SELF: {}} if inner else {}
        elif inner:
            out[key] = inner
    return out


def cut(fields: Fields, *names: str) -> Fields:
    """Return a set without whole fields at its top."""
    gone = {f"f:{name}" for name in names}
    return {key: value for key, value in fields.items() if key not in gone}


def paths(fields: Fields, prefix: str = "") -> list[str]:
    """Return the set's fields as messages show them: `.spec.template.spec.containers[name="web"].image`."""
    out = []
    for key in sorted(fields):
        if key == SELF:
            continue
        value = fields[key]
        path = prefix + shown(key)
        if owns(value):
            out.append(path)
        out += paths(value, path)
    return out


def shown(element: str) -> str:
    """Return one element as messages show it."""
    import json

    kind, _, text = element.partition(":")
    if kind == "f":
        return f".{text}"
    if kind == "k":
        keys = json.loads(text)
        return "[" + ",".join(f"{key}={json.dumps(keys[key])}" for key in sorted(keys)) + "]"
    if kind == "v":
        return f"[={text}]"
    return f"[{text}]"
