"""JSON patch. Spec: RFC 6902, RFC 6901; an index of -1 is the last item, as Kubernetes has it."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from sampan.kube import status
from sampan.kube.patch.merge import copied

MOST_OPERATIONS = 10_000
_MOST_COPIED_BYTES = 3 * 1024 * 1024
_INDEX = re.compile(r"0|-?[1-9][0-9]{0,8}")


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
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise status.bad_request(f"error decoding patch: {error}") from error
    if len(operations) > MOST_OPERATIONS:
        raise status.too_large(
            f"The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {len(operations)}"
        )
    return operations


def apply(target: Any, patch: list[Operation]) -> Any:
    """Return `target` changed by the operations, in order.

    Neither is changed. The result shares with `target` what the patch leaves alone, and nothing with the patch.

    Raises:
        ApiError: 422, one of them cannot be done; 413, copies make it too large.
    """
    document = _Document(target)
    for operation in patch:
        if operation.op in ("move", "copy"):
            if operation.from_ is None:
                raise _refused(f"{operation.op} operation does not apply: from is missing")
            (document.move if operation.op == "move" else document.copy)(operation.from_, operation.path)
        elif operation.op == "remove":
            document.remove(operation.path, "remove")
        elif operation.op in ("add", "replace", "test"):
            _write(document, operation)
        else:
            raise _refused(f"Unexpected kind: {operation.op}")
    return document.root[0]


def _write(document: _Document, operation: Operation) -> None:
    raw = bytes(operation.value)
    if not raw:
        raise _refused(f"{operation.op} operation does not apply: value is missing")
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise status.bad_request(f"error decoding patch: {error}") from error
    if operation.op == "add":
        document.add(operation.path, value, "add")
    elif operation.op == "replace":
        document.replace(operation.path, value)
    elif not _equal(document.get(operation.path, "test", missing=None), value):
        raise _refused(f"testing value {operation.path} failed")


_MISSING = object()


class _Document:
    """The object that is made; containers are copied on the way to where something changes."""

    def __init__(self, target: Any) -> None:
        self.root: list[Any] = [target]  # in a list, so that the whole can be replaced as well
        self._copied_bytes = 0

    def get(self, path: str, op: str, *, missing: Any = _MISSING) -> Any:
        tokens = _tokens(path)
        found: Any = self.root
        for place, token in enumerate(tokens):
            if isinstance(found, dict) and token not in found and place == len(tokens) - 1 and missing is not _MISSING:
                return missing
            found = _step(found, token, path, op)
        return found

    def add(self, path: str, value: Any, op: str) -> None:
        parent, key = self._opened(path, op)
        if isinstance(parent, dict):
            parent[key] = value
        elif parent is self.root:
            parent[0] = value
        else:
            parent.insert(_index(parent, key, path, op, end=True), value)

    def replace(self, path: str, value: Any) -> None:
        parent, key = self._opened(path, "replace")
        if isinstance(parent, dict):
            if key not in parent:
                raise _refused(f"replace operation does not apply: doc is missing key: {path}: missing value")
            parent[key] = value
        else:
            parent[_index(parent, key, path, "replace")] = value

    def remove(self, path: str, op: str) -> None:
        parent, key = self._opened(path, op)
        if parent is self.root:
            raise _missing(path, op)
        if isinstance(parent, dict):
            if key not in parent:
                raise _refused(f"{op} operation does not apply: Unable to remove nonexistent key: {key}: missing value")
            del parent[key]
        else:
            del parent[_index(parent, key, path, op)]

    def move(self, source: str, path: str) -> None:
        value = self.get(source, "move")
        if path.startswith(source + "/"):
            raise _refused("move operation does not apply: a value cannot be moved into itself")
        self.remove(source, "move")
        self.add(path, value, "move")

    def copy(self, source: str, path: str) -> None:
        value = self.get(source, "copy")
        self._copied_bytes += len(msgspec.json.encode(value))
        if self._copied_bytes > _MOST_COPIED_BYTES:
            raise status.too_large("copy operations make the object too large")
        self.add(path, copied(value), "copy")

    def _opened(self, path: str, op: str) -> tuple[Any, str]:
        """Return the container that a path ends in, to be changed, and the last part of the path."""
        *outer, key = _tokens(path)
        parent: Any = self.root
        for token in outer:
            found = _step(parent, token, path, op)
            if not isinstance(found, (dict, list)):
                raise _missing(path, op)
            fresh = found.copy()
            parent[token if isinstance(parent, dict) else _index(parent, token, path, op)] = fresh
            parent = fresh
        return parent, key


def _tokens(path: str) -> list[str]:
    """Return the parts of a path, of which the first leads from the root to the whole."""
    if path and not path.startswith("/"):
        raise _refused(f'invalid path "{path}": it must begin with /')
    return ["0", *(part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:])]


def _step(found: Any, token: str, path: str, op: str) -> Any:
    if isinstance(found, dict) and token in found:
        return found[token]
    if isinstance(found, list):
        return found[_index(found, token, path, op)]
    raise _missing(path, op)


def _index(found: list[Any], token: str, path: str, op: str, *, end: bool = False) -> int:
    """Return a place in a list; `end`: its end is one as well, also called `-`."""
    size = len(found) + end
    if token == "-" and end:  # noqa: S105  (a part of a path)
        return len(found)
    if not _INDEX.fullmatch(token):
        raise _refused(f'{op} operation does not apply: "{path}": invalid array index "{token}"')
    place = int(token)
    if not -size <= place < size:
        raise _refused(
            f"{op} operation does not apply: Unable to access invalid index: {place}: invalid index referenced"
        )
    return place % size


def _equal(first: Any, second: Any) -> bool:
    """Return whether two values are the same JSON; true is no number."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_equal(value, second[key]) for key, value in first.items())
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_equal, first, second))
    return isinstance(first, bool) == isinstance(second, bool) and bool(first == second)


def _missing(path: str, op: str) -> status.ApiError:
    return _refused(f'{op} operation does not apply: doc is missing path: "{path}": missing value')


def _refused(why: str) -> status.ApiError:
    message = f"the server rejected our request due to an error in our request: {why}"
    return status.ApiError(422, "Invalid", message, details={"causes": [{"message": why}]})
