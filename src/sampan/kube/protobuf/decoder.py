"""Decoders, one a message, made when first needed: bytes to the dict that the object's JSON would be."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from sampan.base.remember import of_short_texts
from sampan.kube import quantity, rfc3339
from sampan.kube.protobuf import messages
from sampan.kube.protobuf.messages import Field
from sampan.kube.protobuf.wire import BYTES, FIXED64, VARINT, WireError, signed, skip, varint

Decode = Callable[[memoryview], Any]
_MACHINERY = "k8s.io.apimachinery.pkg"
_JSON_TYPES = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1"


@cache
def message(name: str) -> Decode:
    """Return the decoder of a message."""
    return _SPECIAL.get(name) or _Message(name)


class _Message:
    def __init__(self, name: str) -> None:
        self._name = name
        self._setters: dict[int, Callable[[dict[str, Any], Any], None]] | None = None
        self._kinds: dict[int, int] = {}

    def __call__(self, data: memoryview) -> dict[str, Any]:
        if self._setters is None:
            fields = messages.fields(self._name)
            self._setters = {field.number: _setter(field) for field in fields}
            self._kinds = {field.number: _wire(field) for field in fields}
        out: dict[str, Any] = {}
        setters, kinds, place, end = self._setters, self._kinds, 0, len(data)
        while place < end:
            tag, place = varint(data, place)
            number, kind = tag >> 3, tag & 7
            setter = setters.get(number)
            if setter is None:
                place = skip(data, place, kind)
                continue
            if kind != kinds[number]:
                raise WireError(f"field {number} of {self._name} has wire type {kind}")
            if kind == BYTES:
                length, place = varint(data, place)
                stop = place + length
                if stop > end:
                    raise WireError("it ends in the middle of a value")
                setter(out, data[place:stop])
                place = stop
            elif kind == VARINT:
                value, place = varint(data, place)
                setter(out, value)
            else:
                if place + 8 > end:
                    raise WireError("it ends in the middle of a value")
                setter(out, data[place : place + 8])
                place += 8
        return out


def _wire(field: Field) -> int:
    if field.map:
        return BYTES
    return {"bool": VARINT, "int32": VARINT, "int64": VARINT, "uint32": VARINT, "double": FIXED64}.get(
        field.type, BYTES
    )


def _setter(field: Field) -> Callable[[dict[str, Any], Any], None]:
    name = field.name
    value = _value(field.type)
    if field.inlined:
        return lambda out, data: out.update(value(data))
    if field.map:
        return lambda out, data: out.setdefault(name, {}).update([_entry(data, value)])
    if field.repeated:
        return lambda out, data: out.setdefault(name, []).append(value(data))
    if field.pointer or not field.omitted:
        return lambda out, data: out.__setitem__(name, value(data))

    def set_unless_empty(out: dict[str, Any], data: Any) -> None:
        if found := value(data):
            out[name] = found

    return set_unless_empty


def _entry(data: memoryview, value: Decode) -> tuple[str, Any]:
    """Return one entry of a map, which is a message of a key and a value."""
    key, found, place = "", value(memoryview(b"")), 0
    while place < len(data):
        tag, place = varint(data, place)
        if tag & 7 != BYTES:
            raise WireError("a map's entry has wrong fields")
        length, place = varint(data, place)
        part = data[place : place + length]
        place += length
        if tag >> 3 == 1:
            key = str(part, "utf-8")
        elif tag >> 3 == 2:
            found = value(part)
    return key, found


def _value(kind: str) -> Decode:
    if kind in _SCALARS:
        return _SCALARS[kind]
    return message(kind)


def _double(data: memoryview) -> float:
    found: float = struct.unpack("<d", data)[0]
    return found


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "string": lambda data: str(data, "utf-8"),
    "bytes": lambda data: base64.b64encode(data).decode(),
    "bool": bool,
    "int32": signed,
    "int64": signed,
    "uint32": int,
    "double": _double,
}


# --- types whose JSON is not their fields -----------------------------------------------------------------------------

_FIRST_S, _LAST_S = -62135596800, 253402300799
"""What RFC 3339 can say."""


def _raw_fields(data: memoryview) -> dict[int, Any]:
    """Return a message's last values by number, unread."""
    out: dict[int, Any] = {}
    place = 0
    while place < len(data):
        tag, place = varint(data, place)
        if tag & 7 == VARINT:
            out[tag >> 3], place = varint(data, place)
        else:
            start = varint(data, place)[1] if tag & 7 == BYTES else place
            place = skip(data, place, tag & 7)
            out[tag >> 3] = data[start:place]
    return out


def _number(fields: dict[int, Any], number: int) -> int:
    """Return a field's number, 0 where it is left out."""
    found = fields.get(number, 0)
    if not isinstance(found, int):
        raise WireError(f"field {number} is no number")
    return signed(found)


def _part(fields: dict[int, Any], number: int) -> memoryview:
    """Return a field's bytes, none where it is left out."""
    found = fields.get(number, memoryview(b""))
    if not isinstance(found, memoryview):
        raise WireError(f"field {number} has no length")
    return found


def _seconds(fields: dict[int, Any]) -> int:
    found = _number(fields, 1)
    if not _FIRST_S <= found <= _LAST_S:
        raise WireError("a time before year 1 or after year 9999")
    return found


def _time(data: memoryview) -> str | None:
    fields = _raw_fields(data)
    return rfc3339.render(_seconds(fields)) if 1 in fields else None


def _micro_time(data: memoryview) -> str | None:
    fields = _raw_fields(data)
    if 1 not in fields:
        return None
    nanoseconds = _number(fields, 2)
    if not 0 <= nanoseconds < 10**9:
        raise WireError("a second has fewer nanoseconds")
    return rfc3339.render_micro(_seconds(fields) * 1_000_000 + nanoseconds // 1000)


def _int_or_string(data: memoryview) -> int | str:
    fields = _raw_fields(data)
    return str(_part(fields, 3), "utf-8") if _number(fields, 1) else _number(fields, 2)


@of_short_texts(1024)
def _canonical(text: str) -> str:
    try:
        return quantity.canonical(text) if text else "0"
    except quantity.QuantityError as error:
        raise WireError(str(error)) from error


def _quantity(data: memoryview) -> str:
    return _canonical(str(_part(_raw_fields(data), 1), "utf-8"))


def _json(data: memoryview) -> Any:
    raw = bytes(_part(_raw_fields(data), 1))
    try:
        return msgspec.json.decode(raw) if raw else None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(f"embedded JSON: {error}") from error


def _strings(data: memoryview) -> list[str]:
    out, place = [], 0
    while place < len(data):
        tag, place = varint(data, place)
        end = skip(data, place, tag & 7)
        out.append(str(data[varint(data, place)[1] : end], "utf-8"))
        place = end
    return out


def _duration(data: memoryview) -> str:
    """Return a Go duration. Spec: time.Duration.String."""
    left = _number(_raw_fields(data), 1)
    sign, left = ("-", -left) if left < 0 else ("", left)
    for limit, unit in ((1_000, "ns"), (1_000_000, "µs"), (1_000_000_000, "ms")):
        if left < limit:
            return f"{sign}{left / (limit // 1000):.10g}{unit}" if left else "0s"
    minutes, seconds = divmod(left, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{seconds / 1e9:.10g}s"
    return sign + (f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}" if minutes else text)


def _unknown(data: memoryview) -> dict[str, Any]:
    fields = _raw_fields(data)
    about = message(f"{_MACHINERY}.runtime.TypeMeta")(_part(fields, 1))
    return {"typeMeta": about, "raw": bytes(_part(fields, 2))}


_SPECIAL: dict[str, Decode] = {
    f"{_MACHINERY}.apis.meta.v1.Time": _time,
    f"{_MACHINERY}.apis.meta.v1.MicroTime": _micro_time,
    f"{_MACHINERY}.apis.meta.v1.FieldsV1": _json,
    f"{_MACHINERY}.apis.meta.v1.Verbs": _strings,
    f"{_MACHINERY}.apis.meta.v1.Duration": _duration,
    f"{_MACHINERY}.util.intstr.IntOrString": _int_or_string,
    f"{_MACHINERY}.api.resource.Quantity": _quantity,
    f"{_MACHINERY}.api.resource.QuantityValue": _quantity,
    f"{_MACHINERY}.runtime.RawExtension": _json,
    f"{_MACHINERY}.runtime.Unknown": _unknown,
    f"{_JSON_TYPES}.JSON": _json,
    **{
        f"k8s.io.api.{group}.{version}.ExtraValue": _strings
        for group in ("authentication", "authorization", "certificates")
        for version in ("v1", "v1beta1", "v1alpha1")
    },
}
