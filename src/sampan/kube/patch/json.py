"""JSON patch. Spec: RFC 6902, RFC 6901."""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from sampan.kube import status

MOST_OPERATIONS = 10_000
_OPS = ("add", "remove", "replace", "move", "copy", "test")
_MOST_COPIED_BYTES = 3 * 1024 * 1024


class Operation(msgspec.Struct, rename={"from_": "from"}):
    op: str
    path: str
    from_: str | None = None
    value: msgspec.Raw = msgspec.Raw(b"")


_decode = msgspec.json.Decoder(list[Operation]).decode


def parse(body: bytes) -> list[Operation]:
    """Return a patch's operations.

    Raises:
        ApiError: 400, it is no patch; 413, it has too many.
    """
    try:
        operations = _decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise status.bad_request(f"error decoding patch: {error}") from error
    if len(operations) > MOST_OPERATIONS:
        raise status.too_large(
            f"The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {len(operations)}"
        )
    return operations


def apply(target: Any, patch: list[Operation]) -> Any:
    """Return `target` changed by the operations, in order.

    Raises:
        ApiError: 422, one of them cannot be done.
    """
    document: list[Any] = [copy.deepcopy(target)]  # in a list, so that the root can be replaced as well
    copied = 0
    for operation in patch:
        if operation.op not in _OPS:
            raise _refused(f"Unexpected kind: {operation.op}")
        if operation.op in ("move", "copy"):
            if operation.from_ is None:
                raise _refused(f"{operation.op} operation needs a from")
            value = _get(document, operation.from_)
            if operation.op == "move":
                if operation.path.startswith(operation.from_ + "/"):
                    raise _refused("a value cannot be moved into itself")
                _remove(document, operation.from_)
            else:
                copied += len(msgspec.json.encode(value))
                if copied > _MOST_COPIED_BYTES:
                    raise status.too_large("copy operations make the object too large")
                value = copy.deepcopy(value)
            _add(document, operation.path, value)
        elif operation.op == "remove":
            _remove(document, operation.path)
        else:
            _write(document, operation)
    return document[0]


def _write(document: list[Any], operation: Operation) -> None:
    raw = bytes(operation.value)
    if not raw:
        raise _refused(f"{operation.op} operation needs a value")
    value = msgspec.json.decode(raw)
    if operation.op == "add":
        _add(document, operation.path, value)
    elif operation.op == "replace":
        _get(document, operation.path)
        parent, key = _parent(document, operation.path)
        parent[_index(parent, key, operation.path) if isinstance(parent, list) else key] = value
    else:
        found = _get(document, operation.path, missing=None)
        if found != value or isinstance(found, bool) != isinstance(value, bool):
            raise _refused(f"testing value {operation.path} failed")


def _tokens(path: str) -> list[str]:
    if path and not path.startswith("/"):
        raise _refused(f"invalid path {path!r}: it must begin with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _parent(document: list[Any], path: str) -> tuple[Any, str]:
    tokens = _tokens(path)
    if not tokens:
        return document, "0"
    found = document[0]
    for token in tokens[:-1]:
        found = _step(found, token, path)
    if not isinstance(found, (dict, list)):
        raise _refused(f"operation does not apply: doc is missing path: {path!r}")
    return found, tokens[-1]


def _step(found: Any, token: str, path: str) -> Any:
    if isinstance(found, dict) and token in found:
        return found[token]
    if isinstance(found, list):
        return found[_index(found, token, path)]
    raise _refused(f'operation does not apply: doc is missing path: "{path}": missing value')


def _index(found: list[Any], token: str, path: str, *, end: bool = False) -> int:
    if token == "-" and end:  # noqa: S105  (a part of a path)
        return len(found)
    if not token.isdecimal() or (len(token) > 1 and token[0] == "0") or int(token) >= len(found) + end:
        raise _refused(f'operation does not apply: "{path}": invalid array index {token!r}')
    return int(token)


_MISSING = object()


def _get(document: list[Any], path: str, missing: Any = _MISSING) -> Any:
    parent, key = _parent(document, path)
    if isinstance(parent, dict) and key not in parent and missing is not _MISSING:
        return missing
    return _step(parent, key, path)


def _add(document: list[Any], path: str, value: Any) -> None:
    parent, key = _parent(document, path)
    if parent is document:
        document[0] = value
    elif isinstance(parent, dict):
        parent[key] = value
    else:
        parent.insert(_index(parent, key, path, end=True), value)


def _remove(document: list[Any], path: str) -> None:
    parent, key = _parent(document, path)
    if isinstance(parent, dict):
        if key not in parent:
            raise _refused(f"operation does not apply: Unable to remove nonexistent key: {key}: missing value")
        del parent[key]
    else:
        del parent[_index(parent, key, path)]


def _refused(why: str) -> status.ApiError:
    message = f"the server rejected our request due to an error in our request: {why}"
    return status.ApiError(422, "Invalid", message, details={"causes": [{"message": why}]})
