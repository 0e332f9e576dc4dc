"""The order of merged lists: some items in a wanted order, the others where they stood.

Spec: the design proposal preserve-order-in-strategic-merge-patch.
"""

from __future__ import annotations

from typing import Any


def identity(item: Any, name: str) -> Any:
    """Return what tells an item from others: the value of the field `name`, or the item itself where that is ""."""
    return hashable(item.get(name) if name and isinstance(item, dict) else item)


def hashable(value: Any) -> tuple[type, Any]:
    """Return a key for a value; 1, 1.0 and true are three."""
    return type(value), repr(value) if isinstance(value, (dict, list)) else value


def ordered(merged: list[Any], before: list[Any], wanted: list[Any], name: str) -> list[Any]:
    """Bring a list into order: items of `wanted` in its order, all others in the order of `before`.

    Of one of each, the other one comes first if it did before.
    """
    place = _places(wanted, name)
    stood = _places(before, name)
    last = len(stood)
    named = sorted(
        (item for item in merged if identity(item, name) in place), key=lambda item: place[identity(item, name)]
    )
    rest = sorted(
        (item for item in merged if identity(item, name) not in place),
        key=lambda item: stood.get(identity(item, name), last),
    )
    out: list[Any] = []
    left = 0
    for item in named:
        limit = stood.get(identity(item, name), -1)
        while left < len(rest) and stood.get(identity(rest[left], name), last) < limit:
            out.append(rest[left])
            left += 1
        out.append(item)
    return [*out, *rest[left:]]


def _places(items: list[Any], name: str) -> dict[Any, int]:
    places: dict[Any, int] = {}
    for place, item in enumerate(items):
        places.setdefault(identity(item, name), place)
    return places
