"""Times as API objects have them. Spec: RFC 3339; meta/v1 Time (seconds) and MicroTime (microseconds)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


def render(seconds: int) -> str:
    """Return seconds since the epoch as `2026-01-02T03:04:05Z`."""
    return f"{_moment(seconds)}Z"


def render_micro(microseconds: int) -> str:
    """Return microseconds since the epoch as `2026-01-02T03:04:05.000006Z`."""
    seconds, micro = divmod(microseconds, 1_000_000)
    return f"{_moment(seconds)}.{micro:06}Z"


@lru_cache(64)
def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


def parse(text: str) -> float:
    """Return seconds since the epoch.

    Raises:
        ValueError: it is no such time.
    """
    moment = datetime.fromisoformat(text.replace("z", "Z"))
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment.timestamp()
