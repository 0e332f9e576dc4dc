"""Strict decoding: an object against the schema of its built-in kind.

Wrong types are refused. Unknown fields are told and kept. Nulls are dropped, and quantities are put into their canonical
form, as a server does that decodes into structs.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from sampan.kube import quantity
from sampan.kube.object import Object
from sampan.kube.schema.node import Kind, Node

Path = tuple[Any, ...]
"""(parent path, key), the innermost last; () at the top. Rendered only for those who are told."""
_Check = Callable[[Node, Any, Path, list[str]], Any]

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_JSON_NAMES = {str: "string", int: "number", float: "number", bool: "bool", list: "array", dict: "object"}
_GO_NAMES = {
    Kind.STRING: "string",
    Kind.BOOLEAN: "bool",
    Kind.NUMBER: "float64",
    Kind.INT_OR_STRING: "intstr.IntOrString",
    Kind.QUANTITY: "resource.Quantity",
    Kind.TIME: "v1.Time",
    Kind.BYTES: "[]uint8",
    Kind.MAP: "map",
    Kind.ARRAY: "slice",
}
_INT_BITS = {"int32": 31, "int64": 63, "": 63}


class WrongType(ValueError):
    """A value is of a type that its field cannot have."""


def check(node: Node, obj: Object) -> list[str]:
    """Return what is said about unknown fields: `unknown field "spec.containers[0].imagee"`. See above for what changes.

    Raises:
        WrongType
    """
    unknown: list[str] = []
    _object(node, obj, (), unknown)
    return unknown


def dotted(path: Path) -> str:
    """Return a path as errors show it: `spec.containers[0].image`."""
    parts: list[str] = []
    while path:
        path, key = path
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key}")
    return "".join(reversed(parts)).removeprefix(".")


def _object(node: Node, value: Any, path: Path, unknown: list[str]) -> Any:
    if type(value) is not dict:
        raise _wrong(node, value, path)
    fields = node.properties
    nulls: list[str] | None = None
    for key, item in value.items():
        field = fields.get(key)
        if field is None:
            unknown.append(f'unknown field "{dotted((path, key))}"')
        elif item is None:
            nulls = [key] if nulls is None else [*nulls, key]
        elif type(item) is str:
            kind = field.kind
            if kind is not _STRING:
                if kind is _QUANTITY or kind is _BYTES:
                    value[key] = _CHECKS[kind](field, item, (path, key), unknown)
                elif kind is not _ANY and kind is not _INT_OR_STRING:
                    _CHECKS[kind](field, item, (path, key), unknown)
        else:
            changed = _CHECKS[field.kind](field, item, (path, key), unknown)
            if changed is not item:
                value[key] = changed
    if nulls is not None:
        for key in nulls:
            del value[key]
    return value


_STRING, _ANY, _BYTES, _QUANTITY, _INT_OR_STRING = Kind.STRING, Kind.ANY, Kind.BYTES, Kind.QUANTITY, Kind.INT_OR_STRING
_ZEROS = {Kind.STRING: "", Kind.BYTES: "", Kind.QUANTITY: "0"}
"""What null is, as the value of a map or an item of a list."""


def _map(node: Node, value: Any, path: Path, unknown: list[str]) -> Any:
    if type(value) is not dict:
        raise _wrong(node, value, path)
    element = node.element
    if element is None:
        return value
    kind, each = element.kind, _CHECKS[element.kind]
    for key, item in value.items():
        if kind is _STRING and type(item) is str:
            continue
        if item is None:
            if kind in _ZEROS:
                value[key] = _ZEROS[kind]
            continue
        value[key] = each(element, item, (path, key), unknown)
    return value


def _array(node: Node, value: Any, path: Path, unknown: list[str]) -> Any:
    if type(value) is not list:
        raise _wrong(node, value, path)
    element = node.element
    if element is None:
        return value
    each = _CHECKS[element.kind]
    for index, item in enumerate(value):
        if item is not None:
            value[index] = each(element, item, (path, index), unknown)
        elif element.kind is Kind.OBJECT:
            value[index] = {}
        elif element.kind in _ZEROS:
            value[index] = _ZEROS[element.kind]
    return value


def _string(node: Node, value: Any, path: Path, unknown: list[str]) -> Any:
    if type(value) is not str:
        raise _wrong(node, value, path)
    return value


def _boolean(node: Node, value: Any, path: Path, unknown: list[str]) -> Any:
    if type(value) is not bool:
        raise _wrong(node, value, path)
    return value


def _integer(node: Node, value: Any, path: Path, unknown: list[str]) -> Any:
    if type(value) is not int or not -(1 << (bits := _INT_BITS.get(node.format, 63))) <= value < 1 << bits:
        raise _wrong(node, value, path)
    return value


def _number(node: Node, value: Any, path: Path, unknown: list[str]) -> Any:
    if type(value) not in (int, float):
        raise _wrong(node, value, path)
    return value


def _int_or_string(node: Node, value: Any, path: Path, unknown: list[str]) -> Any:
    if type(value) is str:
        return value
    if type(value) is not int or not -(1 << 31) <= value < 1 << 31:
        raise _wrong(node, value, path)
    return value


def _quantity(node: Node, value: Any, path: Path, unknown: list[str]) -> Any:
    if type(value) is not str:
        if type(value) not in (int, float):
            raise _wrong(node, value, path)
        value = repr(value)
    try:
        return quantity.canonical(value)
    except quantity.QuantityError as error:
        raise WrongType(f"{dotted(path)}: {error}") from error


def _time(node: Node, value: Any, path: Path, unknown: list[str]) -> Any:
    if type(value) is not str:
        raise _wrong(node, value, path)
    if not _TIME.fullmatch(value):
        raise WrongType(f'{dotted(path)}: parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse')
    return value


def _bytes(node: Node, value: Any, path: Path, unknown: list[str]) -> Any:
    if type(value) is not str:
        raise _wrong(node, value, path)
    if "\n" in value or "\r" in value:  # ends of lines are allowed, and are not kept
        value = value.replace("\n", "").replace("\r", "")
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise WrongType(f"{dotted(path)}: illegal base64 data") from None
    return value


def _any(node: Node, value: Any, path: Path, unknown: list[str]) -> Any:
    return value


_CHECKS: dict[Kind, _Check] = {
    Kind.OBJECT: _object,
    Kind.MAP: _map,
    Kind.ARRAY: _array,
    Kind.STRING: _string,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.INT_OR_STRING: _int_or_string,
    Kind.QUANTITY: _quantity,
    Kind.TIME: _time,
    Kind.BYTES: _bytes,
    Kind.ANY: _any,
}


def _wrong(node: Node, value: Any, path: Path) -> WrongType:
    found = _JSON_NAMES.get(type(value), "null")
    if node.kind is Kind.INTEGER:
        wanted = node.format or "int64"
        found = f"number {value}" if found == "number" else found
    elif node.kind is Kind.OBJECT:
        wanted = f"v1.{node.type_name}"
    else:
        wanted = _GO_NAMES.get(node.kind, "object")
    fields = re.sub(r"\[\d+\]", "", dotted(path))
    where = f"Go struct field {fields}" if fields else "Go value"
    return WrongType(f"json: cannot unmarshal {found} into {where} of type {wanted}")
