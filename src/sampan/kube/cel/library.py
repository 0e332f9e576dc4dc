"""The functions that expressions may call. Spec: cel-spec "List of Standard Definitions"; Kubernetes CEL libraries."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping
from datetime import timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sampan.kube.cel import lists, pattern, strings
from sampan.kube.cel.addresses import ADDRESS_FUNCTIONS
from sampan.kube.cel.fault import Fault
from sampan.kube.cel.formats import FORMAT_FUNCTIONS
from sampan.kube.cel.quantities import QUANTITY_FUNCTIONS
from sampan.kube.cel.semver import SEMVER_FUNCTIONS
from sampan.kube.cel.urls import URL_FUNCTIONS
from sampan.kube.cel.value import (
    ABSENT,
    NANO,
    Duration,
    Optional,
    Timestamp,
    Uint,
    checked,
    compare,
    duration,
    equal,
    moment,
    no_overload,
    number,
    timestamp,
    type_of,
)

# --- conversions ------------------------------------------------------------------------------------------------------


def _to_int(value: Any) -> int:
    if isinstance(value, Timestamp):
        return value.nanoseconds // NANO
    if isinstance(value, float):
        if not -(2**63) <= value < 2**63:
            raise Fault("integer overflow")
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+", value):
        return int(checked(int(value)))
    if number(value):
        return int(checked(int(value)))
    raise no_overload("int", value)


def _to_uint(value: Any) -> Uint:
    if isinstance(value, str) and not value.isdecimal():
        raise no_overload("uint", value)
    if isinstance(value, str) or number(value):
        return Uint(checked(int(value), Uint(0)))
    raise no_overload("uint", value)


def _to_double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise no_overload("double", value)
    return float(value)


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "True", "TRUE", "t", "1") and isinstance(value, str):
        return True
    if value in ("false", "False", "FALSE", "f", "0") and isinstance(value, str):
        return False
    raise no_overload("bool", value)


def to_string(value: Any) -> str:
    """Return `string(value)`."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return strings.double(value)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, Timestamp):
        return _rendered(value)
    if isinstance(value, Duration):
        return f"{Decimal(value.nanoseconds).scaleb(-9).normalize():f}s"
    if hasattr(value, "text"):
        return str(value.text)
    raise no_overload("string", value)


def _rendered(value: Timestamp) -> str:
    seconds, rest = divmod(value.nanoseconds, NANO)
    base = moment(Timestamp(seconds * NANO)).strftime("%Y-%m-%dT%H:%M:%S")
    return base.rjust(19, "0") + (f".{rest:09}".rstrip("0") if rest else "") + "Z"


def _to_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


_UNITS = {"h": 3600 * NANO, "m": 60 * NANO, "s": NANO, "ms": 10**6, "us": 1000, "µs": 1000, "ns": 1}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")


def to_duration(value: Any) -> Duration:
    """Return a duration such as `1h30m`.

    Raises:
        Fault
    """
    if isinstance(value, Duration):
        return value
    text = value.lstrip("+-")
    if text == "0":
        return Duration(0)
    if not text or not re.fullmatch(f"(?:{_PART.pattern})+", text) or len(value) - len(text) > 1:
        raise Fault(f'time: invalid duration "{value}"')
    total = sum(int(Decimal(amount) * _UNITS[unit]) for amount, unit in _PART.findall(text))
    return duration(-total if value[0] == "-" else total)


_TIME = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[-+]\d\d:\d\d)")


def to_timestamp(value: Any) -> Timestamp:
    """Return a moment written as RFC 3339.

    Raises:
        Fault
    """
    from datetime import datetime

    if isinstance(value, Timestamp):
        return value
    if number(value) and isinstance(value, int):
        return timestamp(value * NANO)
    match = _TIME.fullmatch(value)
    if match is None:
        raise Fault(f'parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse')
    try:
        whole = datetime.fromisoformat(match[1].upper() + match[3].upper().replace("Z", "+00:00"))
    except ValueError as error:
        raise Fault(f'parsing time "{value}": {error}') from None
    return timestamp(int(whole.timestamp()) * NANO + int((match[2] or "0").ljust(9, "0")))


def _size(value: Any) -> int:
    if not isinstance(value, (str, bytes, list, dict)):
        raise no_overload("size", value)
    return len(value)


# --- times ------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _zone(name: str) -> Any:
    if match := re.fullmatch(r"([-+]?)(\d\d):(\d\d)", name):
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(-offset if match[1] == "-" else offset)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Fault(f"unknown time zone {name}") from None


def _get(of_time: Callable[[Any], int], of_duration: Callable[[int], int] | None = None) -> Callable[..., int]:
    """Return a part of a timestamp, in a time zone where one is given, or of a duration in nanoseconds."""

    def get(value: Any, zone: str = "UTC") -> int:
        if isinstance(value, Timestamp):
            return of_time(moment(value, _zone(zone)))
        if isinstance(value, Duration) and of_duration is not None:
            return of_duration(value.nanoseconds)
        raise TypeError

    return get


def _whole(unit: int) -> Callable[[int], int]:
    return lambda nanoseconds: int(nanoseconds / unit) if abs(nanoseconds) < 2**53 else nanoseconds // unit


def _milliseconds(value: Any, zone: str = "UTC") -> int:
    if isinstance(value, Duration):
        return abs(value.nanoseconds) // 10**6 * (-1 if value.nanoseconds < 0 else 1)
    if isinstance(value, Timestamp):
        return value.nanoseconds % NANO // 10**6
    raise TypeError


# --- mathematics, optional values -------------------------------------------------------------------------------------


def _extreme(wanted: int) -> Callable[..., Any]:
    def extreme(first: Any, *others: Any) -> Any:
        values = first if isinstance(first, list) and not others else [first, *others]
        best = values[0]
        for value in values:
            if not number(value):
                raise TypeError
            if compare(value, best) == wanted:
                best = value
        return best

    return extreme


def _sign(value: Any) -> Any:
    kind = type(value)
    return value if value != value else kind((value > 0) - (value < 0))  # noqa: PLR0124  NaN has no sign


def _rounded(value: float) -> float:
    return float(math.floor(abs(value) + 0.5)) * (1 if value >= 0 else -1) if math.isfinite(value) else value


def _real(function: Callable[[float], Any]) -> Callable[[float], float]:
    def apply(value: float) -> float:
        if not isinstance(value, float):
            raise TypeError
        return float(function(value)) if math.isfinite(value) else value

    return apply


def _of_non_zero(value: Any) -> Optional:
    return ABSENT if value in (None, False, 0, 0.0, "", b"", [], {}) else Optional(True, value)


def _present(value: Any) -> Any:
    if not isinstance(value, Optional):
        raise TypeError
    if not value.present:
        raise Fault("optional.none() dereference")
    return value.value


def _or(value: Any, other: Any) -> Any:
    if not isinstance(value, Optional) or not isinstance(other, Optional):
        raise TypeError
    return value if value.present else other


def _or_value(value: Any, other: Any) -> Any:
    if not isinstance(value, Optional):
        raise TypeError
    return value.value if value.present else other


def _subset(some: Any, of: Any) -> bool:
    return all(any(equal(item, each) for each in some) for item in of)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "size": _size,
    "int": _to_int,
    "uint": _to_uint,
    "double": _to_double,
    "bool": _to_bool,
    "string": to_string,
    "bytes": _to_bytes,
    "duration": to_duration,
    "timestamp": to_timestamp,
    "type": type_of,
    "dyn": lambda value: value,
    "matches": pattern.matches,
    "math.greatest": _extreme(1),
    "math.least": _extreme(-1),
    "math.abs": lambda value: checked(abs(value), value) if isinstance(value, int) else abs(value),
    "math.sign": _sign,
    "math.ceil": _real(math.ceil),
    "math.floor": _real(math.floor),
    "math.round": _real(_rounded),
    "math.trunc": _real(math.trunc),
    "math.sqrt": lambda value: math.sqrt(value) if value >= 0 else math.nan,
    "math.isNaN": math.isnan,
    "math.isInf": math.isinf,
    "math.isFinite": math.isfinite,
    "optional.of": lambda value: Optional(True, value),
    "optional.none": lambda: ABSENT,
    "optional.ofNonZeroValue": _of_non_zero,
    "sets.contains": _subset,
    "sets.equivalent": lambda left, right: _subset(left, right) and _subset(right, left),
    "sets.intersects": lambda left, right: any(equal(one, two) for one in left for two in right),
    "base64.encode": lambda value: base64.b64encode(value).decode(),
    "base64.decode": lambda value: base64.b64decode(value + "=" * (-len(value) % 4), validate=True),
    "strings.quote": strings.quote,
    "lists.range": lists.range_,
    "jsonpatch.escapeKey": lambda key: key.replace("~", "~0").replace("/", "~1"),
    **QUANTITY_FUNCTIONS,
    **URL_FUNCTIONS,
    **ADDRESS_FUNCTIONS,
    **FORMAT_FUNCTIONS,
    **SEMVER_FUNCTIONS,
}

METHODS: Mapping[str, Callable[..., Any]] = {
    "size": _size,
    "matches": pattern.matches,
    "getFullYear": _get(lambda at: at.year),
    "getMonth": _get(lambda at: at.month - 1),
    "getDate": _get(lambda at: at.day),
    "getDayOfMonth": _get(lambda at: at.day - 1),
    "getDayOfWeek": _get(lambda at: at.isoweekday() % 7),
    "getDayOfYear": _get(lambda at: at.timetuple().tm_yday - 1),
    "getHours": _get(lambda at: at.hour, _whole(3600 * NANO)),
    "getMinutes": _get(lambda at: at.minute, _whole(60 * NANO)),
    "getSeconds": _get(lambda at: at.second, _whole(NANO)),
    "getMilliseconds": _milliseconds,
    "hasValue": lambda value: value.present,
    "value": _present,
    "or": _or,
    "orValue": _or_value,
    **strings.METHODS,
    **lists.METHODS,
    **pattern.METHODS,
}

NATIVE = frozenset(
    "isGreaterThan isLessThan compareTo asInteger asApproximateFloat isInteger sign add sub getScheme getHost getHostname "
    "getPort getEscapedPath getQuery family isUnspecified isLoopback isLinkLocalMulticast isLinkLocalUnicast "
    "isGlobalUnicast ip prefixLength masked containsIP containsCIDR validate major minor patch value path group resource "
    "subresource namespace name check allowed reason errored error serviceAccount fieldSelector labelSelector".split()
)
"""Methods of values that are no plain ones."""
