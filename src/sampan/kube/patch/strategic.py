"""Strategic merge patch: a merge patch that knows lists of objects, by the schema of the kind.

Directives: `$patch: merge|replace|delete`, `$retainKeys`, `$deleteFromPrimitiveList/F`, `$setElementOrder/F`.

Spec: Kubernetes "Update API Objects in Place Using kubectl patch"; design proposal strategic-merge-patch.
"""

from __future__ import annotations

from typing import Any

from sampan.kube import status
from sampan.kube.schema.node import Kind, Node

_PATCH, _RETAIN = "$patch", "$retainKeys"
_DELETE_FROM, _ORDER = "$deleteFromPrimitiveList/", "$setElementOrder/"


def apply(node: Node | None, target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return `target` changed by `patch`; neither is changed.

    Raises:
        ApiError: 400, the patch is at odds with itself or with the schema.
    """
    return _map(node, target, patch)


def _map(node: Node | None, target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    directive = patch.get(_PATCH)
    if directive is not None:
        if directive == "replace":
            return _cleaned(patch)
        if directive == "delete":
            return {}
        if directive != "merge":
            raise status.bad_request(f"unknown patch type: {directive}")
    merged = dict(target)
    if _RETAIN in patch:
        _retain(merged, patch)
    orders: dict[str, list[Any]] = {}
    for key, value in patch.items():
        if key in (_PATCH, _RETAIN):
            continue
        if key.startswith(_ORDER):
            orders[key.removeprefix(_ORDER)] = _list_of(key, value)
        elif key.startswith(_DELETE_FROM):
            _delete_from(merged, key.removeprefix(_DELETE_FROM), _list_of(key, value))
    for key, value in patch.items():
        if not key.startswith("$"):
            child = node.child(key) if node is not None else None
            _field(child, merged, key, value, orders.get(key))
    for key, order in orders.items():
        if key not in patch and isinstance(merged.get(key), list):
            child = node.child(key) if node is not None else None
            merged[key] = _ordered(merged[key], merged[key], order, _merge_key(child))
    return merged


def _field(node: Node | None, merged: dict[str, Any], key: str, value: Any, order: list[Any] | None) -> None:
    if value is None:
        merged.pop(key, None)
        return
    before = merged.get(key)
    if isinstance(value, dict):
        replaces = node is not None and "replace" in node.patch_strategy
        if isinstance(before, dict) and not replaces:
            merged[key] = _map(node, before, value)
        else:
            merged[key] = _map(node, {}, value)
    elif isinstance(value, list) and node is not None and node.kind is Kind.ARRAY and "merge" in node.patch_strategy:
        merged[key] = _list(node, before if isinstance(before, list) else [], value, order)
    else:
        merged[key] = _clean_list(value) if isinstance(value, list) else value


def _list(node: Node, target: list[Any], patch: list[Any], order: list[Any] | None) -> list[Any]:
    """Merge a list of the strategy `merge`: of objects by their key, or of scalars as a set."""
    name = _merge_key(node)
    if not name:
        if any(isinstance(item, (dict, list)) for item in patch):
            raise status.bad_request("list of maps has no merge key in the schema, so it cannot be merged")
        merged = [*target, *(item for item in dict.fromkeys(patch) if item not in target)]
        return _ordered(merged, target, order, "") if order is not None else merged
    replace = [item for item in patch if isinstance(item, dict) and item.get(_PATCH) == "replace" and len(item) == 1]
    if replace:
        return _clean_list([item for item in patch if item not in replace])
    merged = list(target)
    for item in patch:
        _merge_item(node, merged, item, name)
    return _ordered(merged, target, order, name) if order is not None else merged


def _merge_item(node: Node, merged: list[Any], item: Any, name: str) -> None:
    if not isinstance(item, dict):
        raise status.bad_request(f"list of maps with merge key {name} has an element that is no map")
    directive = item.get(_PATCH)
    if name not in item:
        raise status.bad_request(f"map: {_shown(item)} does not contain declared merge key: {name}")
    places = [place for place, other in enumerate(merged) if isinstance(other, dict) and other.get(name) == item[name]]
    if directive == "delete":
        for place in reversed(places):
            del merged[place]
    elif directive == "replace":
        fresh = _cleaned(item)
        if places:
            merged[places[0]] = fresh
        else:
            merged.append(fresh)
    elif places:
        merged[places[0]] = _map(node.element, merged[places[0]], item)
    else:
        merged.append(_map(node.element, {}, item))


def _ordered(merged: list[Any], before: list[Any], order: list[Any], name: str) -> list[Any]:
    """Bring items into the order that the patch wants; those it does not name keep their place beside their neighbours.

    Named items come in the wanted order. An unnamed one stands, relative to named ones that were there before, where it
    stood before.
    """

    def identity(item: Any) -> Any:
        return item.get(name) if name and isinstance(item, dict) else item

    wanted = [identity(item) for item in order]
    place = {_hashable(key): number for number, key in enumerate(wanted)}
    named = [item for item in merged if _hashable(identity(item)) in place]
    rest = [item for item in merged if _hashable(identity(item)) not in place]
    named.sort(key=lambda item: place[_hashable(identity(item))])
    stood = {_hashable(identity(item)): number for number, item in enumerate(before)}
    out: list[Any] = []
    while named and rest:
        first, second = _hashable(identity(named[0])), _hashable(identity(rest[0]))
        if first in stood and second in stood and stood[second] < stood[first]:
            out.append(rest.pop(0))
        else:
            out.append(named.pop(0))
    return [*out, *named, *rest]


def _hashable(key: Any) -> Any:
    return key if not isinstance(key, (dict, list)) else repr(key)


def _merge_key(node: Node | None) -> str:
    return node.patch_merge_key if node is not None else ""


def _retain(merged: dict[str, Any], patch: dict[str, Any]) -> None:
    kept = _list_of(_RETAIN, patch[_RETAIN])
    for key, value in patch.items():
        if not key.startswith("$") and value is not None and key not in kept:
            raise status.bad_request(f"$retainKeys directive is not a superset of the fields that are present: {key}")
    for key in [key for key in merged if key not in kept]:
        del merged[key]


def _delete_from(merged: dict[str, Any], key: str, gone: list[Any]) -> None:
    if isinstance(merged.get(key), list):
        merged[key] = [item for item in merged[key] if item not in gone]


def _list_of(key: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise status.bad_request(f"{key} must be a list")
    return value


def _cleaned(value: dict[str, Any]) -> dict[str, Any]:
    """Return a map that replaces, without directives and nulls."""
    return {key: _clean(item) for key, item in value.items() if item is not None and not key.startswith("$")}


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return _cleaned(value)
    return _clean_list(value) if isinstance(value, list) else value


def _clean_list(value: list[Any]) -> list[Any]:
    return [
        _clean(item)
        for item in value
        if not (isinstance(item, dict) and item.get(_PATCH) in ("delete", "replace", "merge") and len(item) == 1)
    ]


def _shown(item: dict[str, Any]) -> str:
    return str(dict(list(item.items())[:4]))
