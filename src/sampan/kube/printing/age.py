"""Ages as people read them: `5m12s`, `3d4h`, `2y10d`.

Spec: k8s.io/apimachinery/pkg/util/duration.
"""

from __future__ import annotations

from typing import Any

from sampan.kube import rfc3339

UNKNOWN = "<unknown>"
INVALID = "<invalid>"

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def moment(timestamp: Any) -> float | None:
    """Return an RFC 3339 time in seconds since the epoch, None where it is none."""
    try:
        return rfc3339.parse(timestamp) if isinstance(timestamp, str) else None
    except ValueError:
        return None


def since(timestamp: Any, now_s: float) -> str:
    """Return how long ago a time was, `<unknown>` where there is none."""
    if timestamp is None or timestamp == "":
        return UNKNOWN
    at_s = moment(timestamp)
    return INVALID if at_s is None else human(now_s - at_s)


def human(duration_s: float) -> str:
    """Return a duration with the two or three figures that matter. Up to two seconds in the future are now."""
    seconds = int(duration_s)
    if seconds < 0:
        return INVALID if seconds < -1 else "0s"
    if seconds < 2 * _MINUTE:
        return f"{seconds}s"
    if seconds < 10 * _MINUTE:
        return _pair(seconds, _MINUTE, "m", 1, "s")
    if seconds < 3 * _HOUR:
        return f"{seconds // _MINUTE}m"
    if seconds < 8 * _HOUR:
        return _pair(seconds, _HOUR, "h", _MINUTE, "m")
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR}h"
    if seconds < 8 * _DAY:
        return _pair(seconds, _DAY, "d", _HOUR, "h")
    if seconds < 2 * 365 * _DAY:
        return f"{seconds // _DAY}d"
    if seconds < 8 * 365 * _DAY:
        return _pair(seconds, 365 * _DAY, "y", _DAY, "d")
    return f"{seconds // (365 * _DAY)}y"


def _pair(seconds: int, large: int, large_name: str, small: int, small_name: str) -> str:
    whole, rest = divmod(seconds, large)
    part = rest // small
    return f"{whole}{large_name}{part}{small_name}" if part else f"{whole}{large_name}"


def short(duration_s: float) -> str:
    """Return a duration with its largest unit only."""
    seconds = int(duration_s)
    if seconds < 0:
        return INVALID if seconds < -1 else "0s"
    for limit, unit, name in ((_MINUTE, 1, "s"), (_HOUR, _MINUTE, "m"), (_DAY, _HOUR, "h"), (365 * _DAY, _DAY, "d")):
        if seconds < limit:
            return f"{seconds // unit}{name}"
    return f"{seconds // (365 * _DAY)}y"
