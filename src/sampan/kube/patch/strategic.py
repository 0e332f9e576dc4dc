"""Strategic merge patch: a merge patch that knows lists of objects, by the schema of the kind.

Directives: `$patch: merge|replace|delete` in a map or in an item of a list, `$retainKeys` in a map,
`$deleteFromPrimitiveList/F` and `$setElementOrder/F` beside the list F.

Spec: Kubernetes "Update API Objects in Place Using kubectl patch"; the design proposals strategic-merge-patch and
preserve-order-in-strategic-merge-patch.
"""

from __future__ import annotations

from typing import Any

from sampan.kube import status
from sampan.kube.patch.merge import copied
from sampan.kube.patch.order import hashable, identity, ordered
from sampan.kube.schema.node import Kind, Node

_PATCH, _RETAIN = "$patch", "$retainKeys"
_DELETE_FROM, _ORDER = "$deleteFromPrimitiveList/", "$setElementOrder/"


def apply(node: Node | None, target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return `target` changed by `patch`; what no schema describes is merged as by a plain merge patch.

    Neither is changed. The result shares with `target` what the patch leaves alone, and nothing with the patch.

    Raises:
        ApiError: 400, the patch is at odds with itself or with the schema.
    """
    return _map(node, target, patch)


def _map(node: Node | None, target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    directive = patch.get(_PATCH, "merge")
    if directive == "delete":
        return {}
    if directive == "replace":
        return _cleaned({key: value for key, value in patch.items() if key != _PATCH})
    if directive != "merge":
        raise status.bad_request(f"unknown patch type: {_shown(directive)} in map: {_shown(patch)}")
    merged = _retained(target, patch) if _RETAIN in patch else dict(target)
    orders = {key.removeprefix(_ORDER): value for key, value in patch.items() if key.startswith(_ORDER)}
    for key, value in patch.items():
        if not _directs(key):
            _field(_child(node, key), merged, key, value, orders.pop(key, None))
    for key, order in orders.items():
        _reorder(_child(node, key), merged, key, order)
    for key, value in patch.items():
        if key.startswith(_DELETE_FROM):
            _delete_from(merged, key.removeprefix(_DELETE_FROM), value)
    return merged


def _child(node: Node | None, key: str) -> Node | None:
    return node.child(key) if node is not None else None


def _directs(key: str) -> bool:
    return key in (_PATCH, _RETAIN) or key.startswith((_DELETE_FROM, _ORDER))


def _field(node: Node | None, merged: dict[str, Any], key: str, value: Any, order: Any) -> None:
    """Bring one field of a patch into a map; `order`: what `$setElementOrder` says of it, None when nothing."""
    if value is None:
        merged.pop(key, None)
        return
    before = merged.get(key)
    strategy = node.patch_strategy if node is not None else ()
    if isinstance(value, list) and order is not None:
        merged[key] = _list_in_order(node, before, value, order)
    elif isinstance(value, dict) and isinstance(before, dict):
        merged[key] = copied(value) if "replace" in strategy else _map(node, before, value)
    elif isinstance(value, list) and isinstance(before, list):
        merged[key] = _list(node, before, value) if _merges(node) else copied(value)
    elif isinstance(value, dict) and _PATCH in value:
        merged.pop(key, None)  # a directive about what is not there
    else:
        merged[key] = _clean(value)


def _merges(node: Node | None) -> bool:
    return node is not None and node.kind is Kind.ARRAY and "merge" in node.patch_strategy


# --- lists ------------------------------------------------------------------------------------------------------------


def _list(node: Node | None, before: list[Any], patch: list[Any]) -> list[Any]:
    """Merge a list of the strategy `merge`: of objects by their key, or of scalars as a set.

    What the patch names comes in the patch's order, all else in its own.
    """
    if not before and not patch:
        return []
    if _kind_of(before, patch) is not dict:
        merged = list({identity(item, ""): item for item in (*before, *patch)}.values())
        return ordered(merged, before, patch, "")
    name = node.patch_merge_key if node is not None else ""
    if not name:
        kind = (node.type_name or node.kind.name.lower()) if node is not None else ""
        raise status.bad_request(f"cannot merge lists without merge key for {kind}")
    before, patch = _directed(before, patch, name)
    merged = list(before)
    for item in patch:
        _merge_item(node.element if node is not None else None, merged, item, name)
    return ordered(merged, before, patch, name)


def _kind_of(*lists: list[Any]) -> type:
    """Return the one type of all items."""
    kinds = {type(item) for items in lists for item in items}
    if list in kinds:
        raise status.bad_request("lists of lists are not supported")
    if len(kinds) != 1:
        raise status.bad_request(f"list element types are not identical: {_shown(list(lists))}")
    return kinds.pop()


def _directed(before: list[Any], patch: list[Any], name: str) -> tuple[list[Any], list[Any]]:
    """Return the old list without the items that the patch deletes, and the patch's items that are to be merged."""
    plain = [item for item in patch if item.get(_PATCH, "merge") == "merge"]
    replaces = False
    for item in patch:
        directive = item.get(_PATCH, "merge")
        if directive == "replace":
            replaces = True
        elif directive == "delete":
            gone = _key_of(item, name)
            before = [other for other in before if hashable(other.get(name)) != gone]
        elif directive != "merge":
            raise status.bad_request(f"unknown patch type: {_shown(directive)} in map: {_shown(item)}")
    return ([], plain) if replaces else (before, plain)


def _merge_item(node: Node | None, merged: list[Any], item: dict[str, Any], name: str) -> None:
    key = _key_of(item, name)
    for place, other in enumerate(merged):
        if name in other and hashable(other[name]) == key:
            merged[place] = _map(node, other, item)
            return
    merged.append(_cleaned(item))


def _key_of(item: dict[str, Any], name: str) -> Any:
    if name not in item:
        raise status.bad_request(f"map: {_shown(item)} does not contain declared merge key: {name}")
    return hashable(item[name])


def _list_in_order(node: Node | None, before: Any, patch: list[Any], order: Any) -> list[Any]:
    name = node.patch_merge_key if node is not None else ""
    _check_order(patch, order, name)
    if not isinstance(before, list):
        merged, known = _clean(patch), []
    elif _merges(node):
        merged = _list(node, before, patch)
        known = _stood(before, merged, name)
    else:
        merged, known = copied(patch), before
    _check_keys(merged, name)
    return ordered(merged, known, order, name)


def _stood(before: list[Any], merged: list[Any], name: str) -> list[Any]:
    """Return the list in its old order, in which items that are new stand in for as many as are gone."""
    old = {identity(item, name) for item in before}
    now = {identity(item, name) for item in merged}
    left = [item for item in before if identity(item, name) in now]
    new = [item for item in merged if identity(item, name) not in old]
    return [*left, *new][: len(before)]


def _reorder(node: Node | None, merged: dict[str, Any], key: str, order: Any) -> None:
    """Do what `$setElementOrder` says of a list that the patch does not change."""
    name = node.patch_merge_key if node is not None else ""
    _check_order([], order, name)
    if isinstance(merged.get(key), list):
        _check_keys(merged[key], name)
        merged[key] = ordered(merged[key], merged[key], order, name)


def _check_order(patch: list[Any], order: Any, name: str) -> None:
    """Refuse an order in which the patch's items are not, or come in another order."""
    if not isinstance(order, list):
        raise status.bad_request("invalid patch format of setElementOrder list")
    _check_keys([*patch, *order], name)
    if not order:
        return
    wanted = iter([identity(item, name) for item in order])
    for item in patch:
        if not (isinstance(item, dict) and _PATCH in item) and identity(item, name) not in wanted:
            raise status.bad_request(
                f"The order in patch list:\n{_shown(patch)}\n doesn't match $setElementOrder list:\n{_shown(order)}\n"
            )


def _check_keys(items: list[Any], name: str) -> None:
    """Refuse items without the key that tells them apart."""
    for item in items:
        if name and not isinstance(item, dict):
            raise status.bad_request(f"expected a map[string]interface {{}}, but received {_shown(item)}")
        if name and item.get(_PATCH) != "replace":
            _key_of(item, name)


def _delete_from(merged: dict[str, Any], key: str, gone: Any) -> None:
    if not isinstance(gone, list):
        raise status.bad_request("invalid patch format of primitive list")
    if isinstance(merged.get(key), list):
        names = {identity(item, "") for item in gone}
        merged[key] = [item for item in merged[key] if identity(item, "") not in names]


# --- maps -------------------------------------------------------------------------------------------------------------


def _retained(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that `$retainKeys` names, and refuse a patch that gives others."""
    kept = patch[_RETAIN]
    given = [key for key, value in patch.items() if not _directs(key) and value is not None]
    if not isinstance(kept, list) or any(key not in kept for key in given):
        raise status.bad_request("invalid patch format of retainKeys")
    return {key: value for key, value in target.items() if key in kept}


def _cleaned(value: dict[str, Any]) -> dict[str, Any]:
    """Return a map for a place where nothing was: without nulls, directives, and maps with `$patch`."""
    return {
        key: _clean(item)
        for key, item in value.items()
        if item is not None and not _directs(key) and not (isinstance(item, dict) and _PATCH in item)
    }


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return _cleaned(value)
    if isinstance(value, list):
        return [_clean(item) for item in value if not (isinstance(item, dict) and _PATCH in item)]
    return value


# --- messages ---------------------------------------------------------------------------------------------------------


def _shown(value: Any) -> str:
    """Return a value as messages show it: `map[a:1 b:[x y]]`."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_shown(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(_shown(item) for item in value) + "]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)
