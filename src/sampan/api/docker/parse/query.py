"""Query parameters: booleans, numbers, times, filters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from sampan.base.errors import InvalidArgument
from sampan.engine.port import Filters

_FALSE = frozenset({"", "0", "no", "false", "none"})
_filter_decoder = msgspec.json.Decoder(dict[str, dict[str, bool] | list[str]])
_MAX_INT = 2**63 - 1
_SECOND_NS = 1_000_000_000


def flag(query: Mapping[str, str], name: str, default: bool = False) -> bool:
    """Return a boolean; anything but "", 0, no, false and none is true."""
    value = query.get(name)
    return default if value is None else value.strip().lower() not in _FALSE


def integer(query: Mapping[str, str], name: str) -> int | None:
    """Return a whole number, None when it is absent or empty."""
    value = query.get(name, "")
    if not value:
        return None
    try:
        number = int(value) if value.isascii() and "_" not in value and value == value.strip() else None
    except ValueError:
        number = None
    if number is None or not -_MAX_INT <= number <= _MAX_INT:
        raise InvalidArgument(f'invalid value {value[:60]!r} for "{name}": it must be a whole number')
    return number


def require(query: Mapping[str, str], name: str) -> str:
    """Return a parameter that must be given."""
    value = query.get(name, "")
    if not value:
        raise InvalidArgument(f'bad parameter: "{name}" must be given')
    return value


def filters(query: Mapping[str, str], known: frozenset[str] | None = None) -> Filters:
    """Return the parameter `filters`: {"key": ["value"]} or the older {"key": {"value": true}}.

    Raises:
        InvalidArgument: not such JSON, or a key that is not in `known`.
    """
    text = query.get("filters", "")
    if not text or text == "{}":
        return Filters()
    try:
        decoded = _filter_decoder.decode(text.encode("utf-8", "surrogatepass"))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"invalid filter: {error}") from None
    terms = {key: _values(values) for key, values in decoded.items()}
    for key in terms:
        if known is not None and key not in known:
            raise InvalidArgument(f"invalid filter '{key}'")
    return Filters(terms={key: values for key, values in terms.items() if values})


def _values(values: dict[str, bool] | list[str]) -> tuple[str, ...]:
    return tuple(value for value, on in values.items() if on) if isinstance(values, dict) else tuple(values)


def time_ns(query: Mapping[str, str], name: str, now_ns: int) -> int:
    """Return a moment in ns: Unix seconds (with a fraction), RFC 3339, or a duration before now ("10m"). 0 if absent."""
    text = query.get(name, "")
    if not text:
        return 0
    moment = _unix_ns(text)
    if moment is None:
        moment = _duration_before(text, now_ns)
    if moment is None:
        moment = _rfc3339_ns(text)
    if moment is None or not -_MAX_INT <= moment <= _MAX_INT:
        raise InvalidArgument(f'invalid value for "{name}": {text[:60]!r} is not a time')
    return max(moment, 0)


def _unix_ns(text: str) -> int | None:
    whole, _, fraction = text.partition(".")
    digits = whole.removeprefix("-")
    if not text.isascii() or not digits.isdigit() or len(digits) > 18 or (fraction and not fraction.isdigit()):
        return None
    return int(whole) * _SECOND_NS + int((fraction + "0" * 9)[:9])


_UNITS_NS = {"h": 3600 * _SECOND_NS, "m": 60 * _SECOND_NS, "s": _SECOND_NS, "ms": 10**6, "us": 1000, "ns": 1}


def _duration_before(text: str, now_ns: int) -> int | None:
    total = 0
    rest = text
    while rest:
        number = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(number) :]
        unit = rest[: len(rest) - len(rest.lstrip("hmsun"))]
        rest = rest[len(unit) :]
        if unit not in _UNITS_NS or not 0 < len(number) < 19 or number.count(".") > 1 or number == ".":
            return None
        total += int(float(number) * _UNITS_NS[unit])
    return now_ns - total


def _rfc3339_ns(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * _SECOND_NS + since.microseconds * 1000


def tail(query: Mapping[str, str]) -> int | None:
    """Return how many lines of the end are wanted; None (also for "all" and what is no number) is all of them."""
    value = query.get("tail", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None


def size(query: Mapping[str, str]) -> tuple[int, int]:
    """Return a terminal's (height, width) of parameters h and w."""
    height, width = integer(query, "h"), integer(query, "w")
    if height is None or width is None or not (0 <= height <= 65535 and 0 <= width <= 65535):
        raise InvalidArgument('invalid terminal size: "h" and "w" must be between 0 and 65535')
    return height, width
