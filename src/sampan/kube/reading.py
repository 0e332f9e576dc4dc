"""Readings of an object that never raise: a value of a wrong type is read as if it were missing.

For what may not have been validated yet: what admission or a patch has made, or what an older version of ourselves kept.
"""

from __future__ import annotations

from typing import Any

from sampan.kube.object import Object, at


def text(obj: Any, *path: str, missing: str = "") -> str:
    """Return the string below `path`; `missing` where it is empty, not there or no string."""
    found = at(obj, *path)
    return found if isinstance(found, str) and found else missing


def number(obj: Any, *path: str) -> int:
    """Return the whole number below `path`, 0 where there is none."""
    found = at(obj, *path)
    return found if isinstance(found, int) else 0


def flag(obj: Any, *path: str, missing: bool = False) -> bool:
    found = at(obj, *path)
    return found if isinstance(found, bool) else missing


def items(obj: Any, *path: str) -> list[dict[str, Any]]:
    """Return the objects in the list below `path`."""
    found = at(obj, *path)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def words(obj: Any, *path: str) -> list[str]:
    """Return the strings in the list below `path`."""
    found = at(obj, *path)
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


def mapping(obj: Any, *path: str) -> Object:
    """Return the map below `path`, an empty one where there is none."""
    found = at(obj, *path)
    return found if isinstance(found, dict) else {}


def shown(value: Any, missing: str) -> str:
    """Return a quantity or an int-or-string as it is written; `missing` where there is none."""
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else missing
