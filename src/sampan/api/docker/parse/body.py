"""JSON bodies: bytes to typed wire structs, any malformed input to one `InvalidArgument`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from sampan.base.errors import InvalidArgument

T = TypeVar("T")

_decoders: dict[object, msgspec.json.Decoder[object]] = {}


def decode(body: bytes, kind: type[T]) -> T:
    """Return the body as `kind`; an empty body or a bare `null` is an empty object.

    Raises:
        InvalidArgument: not JSON, not UTF-8, of a wrong type, nested too deeply, or with a NUL character in a text.
    """
    if not body or body.isspace():
        return kind()
    try:
        decoded = _decoder(kind).decode(body)
        if b"\\u0000" in body:
            _refuse_nul(msgspec.json.decode(body))
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None
    except RecursionError:
        raise InvalidArgument("invalid JSON: nested too deeply") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None
    return kind() if decoded is None else decoded  # type: ignore[return-value]


def _decoder(kind: type[T]) -> msgspec.json.Decoder[object]:
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind | None)
    return decoder


def _refuse_nul(value: object) -> None:
    """No path, argument or name of the host can hold a NUL."""
    if isinstance(value, str):
        if "\0" in value:
            raise InvalidArgument(f"invalid JSON: a text holds a NUL character: {value!r}")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _refuse_nul(key)
            _refuse_nul(item)
    elif isinstance(value, Sequence):
        for item in value:
            _refuse_nul(item)


def strings(values: list[str] | None) -> tuple[str, ...]:
    """Return the list, empty for null."""
    return tuple(values or ())


def words(value: str | list[str] | None) -> tuple[str, ...] | None:
    """Return a command's words; one string is one word, null stays None."""
    if value is None:
        return None
    return (value,) if isinstance(value, str) else tuple(value)


def mapping(values: dict[str, str | None] | None) -> dict[str, str]:
    """Return the map with "" for null values, empty for null."""
    return {key: value or "" for key, value in (values or {}).items()}
