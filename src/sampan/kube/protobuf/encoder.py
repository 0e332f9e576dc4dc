"""Encoders, one a message: the dict that an object's JSON is to bytes. Maps come in the order of their keys."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from sampan.kube import rfc3339
from sampan.kube.protobuf import messages
from sampan.kube.protobuf.messages import Field
from sampan.kube.protobuf.wire import BYTES, FIXED64, VARINT, render

Encode = Callable[[Any], bytes]
_MACHINERY = "k8s.io.apimachinery.pkg"


@cache
def message(name: str) -> Encode:
    """Return the encoder of a message."""
    return _SPECIAL.get(name) or _Message(name)


def envelope(about: dict[str, str], raw: bytes) -> bytes:
    """Return the Unknown that carries an object."""
    named = message(f"{_MACHINERY}.runtime.TypeMeta")(about)
    return _sized(1, named) + _sized(2, raw) + _sized(3, b"") + _sized(4, b"")


class _Message:
    def __init__(self, name: str) -> None:
        self._name = name
        self._fields: list[tuple[Field, Encode]] | None = None

    def __call__(self, value: Any) -> bytes:
        if self._fields is None:
            self._fields = [(field, _value(field.type)) for field in messages.fields(self._name)]
        return b"".join([_field(field, encode, value) for field, encode in self._fields])


def _field(field: Field, encode: Encode, outer: dict[str, Any]) -> bytes:
    if field.inlined:
        return _sized(field.number, encode(outer))
    value = outer.get(field.name)
    if value is None:
        # what is no pointer is always there, empty
        if field.pointer or field.repeated or field.map:
            return b""
        value = _ZEROES.get(field.type, {})
        if field.type in _NULLS:
            return _sized(field.number, b"")
    if field.map:
        return b"".join(
            _sized(field.number, _sized(1, key.encode()) + _sized(2, encode(value[key]))) for key in sorted(value)
        )
    if field.repeated:
        return b"".join(_one(field, encode, item) for item in value)
    return _one(field, encode, value)


def _one(field: Field, encode: Encode, value: Any) -> bytes:
    if field.type in ("bool", "int32", "int64", "uint32"):
        return render(field.number << 3 | VARINT) + encode(value)
    if field.type == "double":
        return render(field.number << 3 | FIXED64) + encode(value)
    return _sized(field.number, encode(value))


def _sized(number: int, data: bytes) -> bytes:
    return render(number << 3 | BYTES) + render(len(data)) + data


def _value(kind: str) -> Encode:
    return _SCALARS[kind] if kind in _SCALARS else message(kind)


_ZEROES: dict[str, Any] = {"string": "", "bool": False, "int32": 0, "int64": 0, "uint32": 0, "double": 0.0, "bytes": ""}
_SCALARS: dict[str, Encode] = {
    "string": lambda value: str(value).encode(),
    "bytes": base64.b64decode,
    "bool": lambda value: b"\x01" if value else b"\x00",
    "int32": lambda value: render(int(value)),
    "int64": lambda value: render(int(value)),
    "uint32": lambda value: render(int(value)),
    "double": lambda value: struct.pack("<d", value),
}


def _number(number: int, value: int) -> bytes:
    return render(number << 3 | VARINT) + render(value)


def _time(value: str | None) -> bytes:
    if value is None:
        return b""
    return _number(1, int(rfc3339.parse(value))) + _number(2, 0)


def _micro_time(value: str | None) -> bytes:
    if value is None:
        return b""
    seconds = int(rfc3339.parse(value))
    fraction = re.search(r"\.(\d+)", value)
    nanos = int(fraction[1].ljust(9, "0")[:9]) if fraction else 0
    return _number(1, seconds) + _number(2, nanos)


def _int_or_string(value: int | str) -> bytes:
    text = isinstance(value, str)
    number = 0 if isinstance(value, str) else value
    return _number(1, int(text)) + _number(2, number) + _sized(3, value.encode() if isinstance(value, str) else b"")


def _json(value: Any) -> bytes:
    return _sized(1, msgspec.json.encode(value))


def _strings(value: list[str]) -> bytes:
    return b"".join(_sized(1, item.encode()) for item in value)


_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def _duration(value: str) -> bytes:
    total = sum(
        round(float(number) * _UNITS[unit]) for number, unit in re.findall(r"([\d.]+)(ns|us|µs|ms|s|m|h)", value)
    )
    return _number(1, -total if value.startswith("-") else total)


def _quantity(value: Any) -> bytes:
    return _sized(1, str(value).encode())


_NULLS = {f"{_MACHINERY}.apis.meta.v1.Time", f"{_MACHINERY}.apis.meta.v1.MicroTime"}
_SPECIAL: dict[str, Encode] = {
    f"{_MACHINERY}.apis.meta.v1.Time": _time,
    f"{_MACHINERY}.apis.meta.v1.MicroTime": _micro_time,
    f"{_MACHINERY}.apis.meta.v1.FieldsV1": _json,
    f"{_MACHINERY}.apis.meta.v1.Verbs": _strings,
    f"{_MACHINERY}.apis.meta.v1.Duration": _duration,
    f"{_MACHINERY}.util.intstr.IntOrString": _int_or_string,
    f"{_MACHINERY}.api.resource.Quantity": _quantity,
    f"{_MACHINERY}.runtime.RawExtension": _json,
    **{
        f"k8s.io.api.{group}.{version}.ExtraValue": _strings
        for group in ("authentication", "authorization", "certificates")
        for version in ("v1", "v1beta1", "v1alpha1")
    },
}
