"""Times as Docker writes them: RFC 3339 with nanoseconds, and "3 seconds"."""

from __future__ import annotations

from datetime import UTC, datetime

from sampan.spec.docker.api import ZERO_TIME

_SECOND_NS = 1_000_000_000


def rfc3339(time_ns: int) -> str:
    """Return the UTC time without trailing zeros in the fraction; 0 is Go's zero time."""
    if time_ns <= 0:
        return ZERO_TIME
    seconds, fraction = divmod(time_ns, _SECOND_NS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{fraction:09d}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"


def rfc3339_fixed(time_ns: int) -> str:
    """Return the UTC time with all nine digits, as log lines have it."""
    seconds, fraction = divmod(time_ns, _SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def unix_seconds(text: str) -> int:
    """Return the Unix time of an RFC 3339 text, 0 when it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp())


def human_duration(duration_ns: int) -> str:
    """Return a duration as people say it: "Less than a second", "3 seconds", "About an hour", "2 weeks"."""
    seconds = max(duration_ns, 0) // _SECOND_NS
    minutes, hours = seconds // 60, (seconds + 1800) // 3600
    if seconds < 1:
        return "Less than a second"
    if seconds == 1:
        return "1 second"
    if seconds < 60:
        return f"{seconds} seconds"
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{hours // 24 // 365} years"
