"""Objects with one edit, and what a strategy says of them."""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from sampan.kube.strategy import Strategy

GONE = object()


def edited(obj: Any, path: str, value: Any) -> Any:
    """Return a copy with the value at `a.b.0.c` replaced; GONE removes it."""
    made = copy.deepcopy(obj)
    *parents, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    target = made
    for part in parents:
        target = target[part]
    if value is GONE:
        del target[last]
    elif isinstance(target, list) and last == len(target):
        target.append(value)
    else:
        target[last] = value
    return made


def defaulted(strategy: Strategy, obj: Any) -> Any:
    """Return a copy with its defaults, which are the same when they are filled in twice."""
    made = copy.deepcopy(obj)
    strategy.default(made)
    again = copy.deepcopy(made)
    strategy.default(again)
    assert again == made
    return made


def faults(strategy: Strategy, obj: Any) -> list[str]:
    """Return what is wrong with a new object, as clients read it."""
    return [str(fault) for fault in strategy.validate(defaulted(strategy, obj))]


def changes(strategy: Strategy, old: Any, path: str, value: Any) -> list[str]:
    """Return what is wrong with a change of one field."""
    before = defaulted(strategy, old)
    after = defaulted(strategy, edited(before, path, value))
    return [str(fault) for fault in strategy.validate_update(after, before)]


def run(strategy: Strategy, obj: Any) -> None:
    """Do with an object all that a create and an update do."""
    strategy.default(obj)
    again = copy.deepcopy(obj)
    strategy.default(again)
    assert again == obj
    old = copy.deepcopy(obj)
    strategy.prepare_create(obj)
    strategy.prepare_update(obj, old)
    strategy.prepare_status(obj, old)
    for fault in (*strategy.validate(obj), *strategy.validate_update(obj, old), *strategy.validate_status(obj, old)):
        assert fault.path
        assert str(fault)
    assert all(isinstance(read(obj), str) for read in strategy.fields.values())
    msgspec.json.encode(obj)
