"""Values: what CEL's types are here, when two are equal, which is less, and what operators make of them.

null, bool, int, double, string, bytes, list and map are Python's own. Spec: cel-spec "Values", "Equality", "Ordering".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sampan.kube.cel.fault import Fault


class Uint(int):
    """An unsigned integer; 2**64 - 1 at most."""

    __slots__ = ()


class Duration(NamedTuple):
    nanoseconds: int


class Timestamp(NamedTuple):
    """Nanoseconds since the epoch."""

    nanoseconds: int


class Type(NamedTuple):
    name: str


class Optional(NamedTuple):
    """A value that may be absent."""

    present: bool
    value: Any = None


ABSENT = Optional(present=False)


class Native:
    """A value of a library type: equal by its parts, with methods of its own.

    `methods`: name -> function(self, *arguments). `type_name`: what `type(x)` says.
    """

    type_name = "dyn"
    methods: Mapping[str, Callable[..., Any]] = {}
    fields: Mapping[str, Callable[..., Any]] = {}


NANO = 10**9
_INT_MIN, _INT_MAX, _UINT_MAX = -(2**63), 2**63 - 1, 2**64 - 1
_YEAR_1, _YEAR_9999 = -62135596800, 253402300799


def type_of(value: Any) -> Type:
    if isinstance(value, Native):
        return Type(value.type_name)
    for kind, name in _NAMES:
        if isinstance(value, kind):
            return Type(name)
    return Type("null_type" if value is None else "dyn")


_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "bool"), (Uint, "uint"), (int, "int"), (float, "double"), (str, "string"), (bytes, "bytes"), (list, "list"),
    (dict, "map"), (Duration, "google.protobuf.Duration"), (Timestamp, "google.protobuf.Timestamp"), (Type, "type"),
    (Optional, "optional_type"),
)  # fmt: skip


def number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def equal(left: Any, right: Any) -> bool:
    """Return whether two values are equal: numbers by what they are worth, others only within their type."""
    if number(left) and number(right):
        return bool(left == right)
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(equal(*pair) for pair in zip(left, right, strict=True))
    if isinstance(left, dict):
        return len(left) == len(right) and all(key in right and equal(left[key], right[key]) for key in left)
    if isinstance(left, Optional):
        return left.present == right.present and equal(left.value, right.value)
    return bool(left == right)


def compare(left: Any, right: Any) -> int:
    """Return -1, 0 or 1.

    Raises:
        Fault: they have no order.
    """
    if not (number(left) and number(right)) and (type(left) is not type(right) or not isinstance(left, _ORDERED)):
        raise no_overload("_<_", left, right)
    return -1 if left < right else int(left > right)


_ORDERED = (bool, str, bytes, Duration, Timestamp)


def no_overload(name: str, *values: Any) -> Fault:
    return Fault(f"no such overload: {name}({', '.join(type_of(value).name for value in values)})")


def checked(value: Any, like: Any = 0) -> Any:
    """Return an integer of the type of `like`.

    Raises:
        Fault: it does not fit.
    """
    if isinstance(like, Uint):
        if not 0 <= value <= _UINT_MAX:
            raise Fault("unsigned integer overflow")
        return Uint(value)
    if not _INT_MIN <= value <= _INT_MAX:
        raise Fault("integer overflow")
    return value


def duration(nanoseconds: int) -> Duration:
    return Duration(checked(nanoseconds))


def timestamp(nanoseconds: int) -> Timestamp:
    if not _YEAR_1 * NANO <= nanoseconds < (_YEAR_9999 + 1) * NANO:
        raise Fault("timestamp overflow")
    return Timestamp(nanoseconds)


def moment(value: Timestamp, zone: Any = UTC) -> datetime:
    """Return a timestamp as a datetime, whose finest part is a microsecond."""
    base = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value.nanoseconds // 1000)
    return base.astimezone(zone)


# --- operators --------------------------------------------------------------------------------------------------------


def _same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and number(left)


def add(left: Any, right: Any) -> Any:
    if _same(left, right):
        return left + right if isinstance(left, float) else checked(left + right, left)
    if type(left) is type(right) and isinstance(left, (str, bytes, list)):
        return left + right
    if isinstance(left, Duration) and isinstance(right, Duration):
        return duration(left.nanoseconds + right.nanoseconds)
    if {type(left), type(right)} == {Timestamp, Duration}:
        return timestamp(left.nanoseconds + right.nanoseconds)
    raise no_overload("_+_", left, right)


def subtract(left: Any, right: Any) -> Any:
    if _same(left, right):
        return left - right if isinstance(left, float) else checked(left - right, left)
    if isinstance(left, Timestamp) and isinstance(right, Duration):
        return timestamp(left.nanoseconds - right.nanoseconds)
    if type(left) is type(right) and isinstance(left, (Timestamp, Duration)):
        return duration(left.nanoseconds - right.nanoseconds)
    raise no_overload("_-_", left, right)


def multiply(left: Any, right: Any) -> Any:
    if not _same(left, right):
        raise no_overload("_*_", left, right)
    return left * right if isinstance(left, float) else checked(left * right, left)


def divide(left: Any, right: Any) -> Any:
    if not _same(left, right):
        raise no_overload("_/_", left, right)
    if isinstance(left, float):
        if right == 0:
            return (
                math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1, right)
            )
        return left / right
    if right == 0:
        raise Fault("division by zero")
    quotient = abs(left) // abs(right)
    return checked(quotient if (left < 0) == (right < 0) else -quotient, left)


def remainder(left: Any, right: Any) -> Any:
    if not _same(left, right) or isinstance(left, float):
        raise no_overload("_%_", left, right)
    if right == 0:
        raise Fault("modulus by zero")
    rest = abs(left) % abs(right)
    return checked(-rest if left < 0 else rest, left)


def negate(value: Any) -> Any:
    if isinstance(value, float):
        return -value
    if not number(value) or isinstance(value, Uint):
        raise no_overload("-_", value)
    return checked(-value)


def invert(value: Any) -> Any:
    if not isinstance(value, bool):
        raise no_overload("!_", value)
    return not value


def contains(item: Any, within: Any) -> bool:
    """Return what `item in within` is."""
    if isinstance(within, dict):
        if isinstance(item, float) and item.is_integer():
            item = int(item)
        return item in within if isinstance(item, (str, int, bool)) else False
    if isinstance(within, list):
        if isinstance(item, str):
            return item in within
        return any(equal(item, each) for each in within)
    raise no_overload("@in", item, within)


def at(value: Any, key: Any) -> Any:
    """Return `value[key]`.

    Raises:
        Fault: it is not there.
    """
    if isinstance(value, dict):
        if isinstance(key, float) and key.is_integer():
            key = int(key)
        try:
            return value[key]
        except (KeyError, TypeError):
            raise Fault(f"no such key: {key}") from None
    if isinstance(value, list):
        if not number(key) or key != int(key):
            raise no_overload("_[_]", value, key)
        if not 0 <= key < len(value):
            raise Fault(f"index out of bounds: {key}")
        return value[int(key)]
    raise no_overload("_[_]", value, key)


OPERATORS: Mapping[str, Callable[..., Any]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": remainder,
    "-x": negate,
    "!x": invert,
    "in": contains,
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": lambda left, right: compare(left, right) < 0,
    "<=": lambda left, right: compare(left, right) <= 0,
    ">": lambda left, right: compare(left, right) > 0,
    ">=": lambda left, right: compare(left, right) >= 0,
}
