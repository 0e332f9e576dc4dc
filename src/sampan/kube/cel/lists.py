"""Functions of lists. Spec: Kubernetes CEL "list library"; cel-go ext "Lists"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cmp_to_key, reduce
from itertools import pairwise
from typing import Any

from sampan.kube.cel.fault import Fault
from sampan.kube.cel.value import add, compare, equal

_LONGEST = 10_000


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _sum(items: Any) -> Any:
    items = _list(items)
    return reduce(add, items) if items else 0


def _extreme(wanted: int, name: str) -> Callable[[Any], Any]:
    def extreme(items: Any) -> Any:
        if not _list(items):
            raise Fault(f"{name} called on empty list")
        return reduce(lambda best, item: item if compare(item, best) == wanted else best, items)

    return extreme


def index_of(items: list[Any], wanted: Any) -> int:
    return next((index for index, item in enumerate(items) if equal(item, wanted)), -1)


def last_index_of(items: list[Any], wanted: Any) -> int:
    return next((index for index in reversed(range(len(items))) if equal(items[index], wanted)), -1)


def _slice(items: Any, start: int, end: int) -> Any:
    if not 0 <= start <= end <= len(_list(items)):
        raise Fault(f"cannot slice({start}, {end}), list is length {len(items)}")
    return items[start:end]


def _flatten(items: Any, depth: int = 1) -> Any:
    if depth <= 0:
        return items
    out: list[Any] = []
    for item in _list(items):
        out += _flatten(item, depth - 1) if isinstance(item, list) else [item]
    return out


def _distinct(items: Any) -> Any:
    out: list[Any] = []
    for item in _list(items)[:_LONGEST]:
        if not any(equal(item, each) for each in out):
            out.append(item)
    return out


def range_(count: int) -> list[int]:
    """Return 0 up to `count`."""
    if count > _LONGEST:
        raise Fault(f"lists.range({count}) is too long")
    return list(range(count))


METHODS: Mapping[str, Callable[..., Any]] = {
    "isSorted": lambda items: all(compare(left, right) <= 0 for left, right in pairwise(_list(items))),
    "sum": _sum,
    "min": _extreme(-1, "min"),
    "max": _extreme(1, "max"),
    "slice": _slice,
    "flatten": _flatten,
    "distinct": _distinct,
    "sort": lambda items: sorted(_list(items), key=cmp_to_key(compare)),
    "first": lambda items: _edge(items, 0),
    "last": lambda items: _edge(items, -1),
}


def _edge(items: Any, index: int) -> Any:
    from sampan.kube.cel.value import ABSENT, Optional

    return Optional(True, items[index]) if _list(items) else ABSENT
