"""Field sets, in the form in which objects carry them (FieldsV1): a tree of dicts.

A key is a path element: `f:NAME`, `k:{"KEY":VALUE}` (an item of a list by its keys), `v:VALUE` (an item of a set), `i:INDEX`.
An empty dict is a field that is in the set; one with further elements is in the set itself when it has the key `.`.

Spec: meta/v1 FieldsV1; structured-merge-diff fieldpath.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

Fields = dict[str, Any]
SELF = "."
_encode = msgspec.json.Encoder(order="sorted").encode


class Unreadable(ValueError):
    """Fields that a client sent are not in the form above."""


def parsed(value: Any) -> Fields:
    """Return fields that a client sent, their path elements written as we write them.

    Raises:
        Unreadable
    """
    if not isinstance(value, dict):
        raise Unreadable(f"not a set: {value!r}")
    return {_canonical(key): parsed(item) for key, item in value.items()}


def _canonical(key: str) -> str:
    kind, _, text = key.partition(":")
    if key == SELF or kind == "f":
        return key
    try:
        found = msgspec.json.decode(text)
    except msgspec.MsgspecError as error:
        raise Unreadable(f"not a path element: {key}") from error
    fits = {"k": isinstance(found, dict), "v": isinstance(found, (str, int, float)), "i": isinstance(found, int)}
    if not fits.get(kind):
        raise Unreadable(f"not a path element: {key}")
    return f"{kind}:{_encode(found).decode()}"


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


def exclude(fields: Fields, whole: Fields) -> Fields:
    """Return a set without the members of another and all that is below them."""
    out: Fields = {}
    for key, value in fields.items():
        other = whole.get(key)
        if other is None:
            out[key] = value
        elif not owns(other):
            inner = exclude(value, other)
            if inner or owns(value):
                out[key] = inner
    return out


def paths(fields: Fields) -> list[str]:
    """Return the set's members as messages show them: `.spec.template.spec.containers[name="web"].image`."""
    return list(_paths(fields, ""))


def _paths(fields: Fields, prefix: str) -> Iterator[str]:
    """What is at a place comes before what is below it."""
    found = sorted((key for key in fields if key != SELF), key=_rank)
    for key in found:
        if owns(fields[key]):
            yield prefix + shown(key)
    for key in found:
        yield from _paths(fields[key], prefix + shown(key))


def _rank(element: str) -> tuple[Any, ...]:
    """Names come first, then keys, then values; numbers among themselves go by their size."""
    kind, _, text = element.partition(":")
    if kind == "f":
        return (0, text)
    found = msgspec.json.decode(text)
    if kind == "k":
        return (1, *((key, *_size(found[key])) for key in sorted(found)))
    return (2 if kind == "v" else 3, *_size(found))


def _size(value: Any) -> tuple[Any, ...]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (0, value)
    return (1, value) if isinstance(value, str) else (2, repr(value))


def shown(element: str) -> str:
    """Return one element as messages show it."""
    kind, _, text = element.partition(":")
    if kind == "f":
        return f".{text}"
    if kind == "k":
        keys = msgspec.json.decode(text)
        return "[" + ",".join(f"{key}={_encode(keys[key]).decode()}" for key in sorted(keys)) + "]"
    return f"[={text}]" if kind == "v" else f"[{text}]"
