"""Sizes, durations and times between people and the API; the shapes are docker's."""

from __future__ import annotations

from sampan.cli.errors import UsageError

_BINARY = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_DURATION_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def parse_size(text: str) -> int:
    """Return the bytes that `64m`, `1.5g`, `512kb`, `10MiB` or a bare number mean (units of 1024)."""
    number = text.strip().lower().removesuffix("ib").removesuffix("b").strip()
    factor = 1
    if number and number[-1] in _BINARY:
        number, factor = number[:-1], _BINARY[number[-1]]
    try:
        return int(float(number) * factor)
    except ValueError:
        raise UsageError(f"invalid size: '{text}'. Write a number and one of b, k, m, g: 64m, 1.5g.") from None


def parse_duration_ns(text: str) -> int:
    """Return the nanoseconds of a duration such as `1h30m`, `2.5s` or `100ms`."""
    total, rest = 0.0, text.strip()
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        number, rest = rest[:digits], rest[digits:]
        letters = len(rest) - len(rest.lstrip("nuµmsh"))
        unit, rest = rest[:letters], rest[letters:]
        if not number or unit not in _DURATION_NS:
            raise UsageError(f"invalid duration: '{text}'. Write a number and a unit: 100ms, 30s, 1m30s, 2h.")
        total += float(number) * _DURATION_NS[unit]
    return int(total)


def human_size(count: float, digits: int = 3) -> str:
    """Return bytes in decimal units as `docker images` writes them: 4.26MB."""
    return _scaled(count, 1000.0, ("B", "kB", "MB", "GB", "TB", "PB"), digits)


def human_binary_size(count: float) -> str:
    """Return bytes in binary units as `docker stats` writes them: 1.5MiB."""
    return _scaled(count, 1024.0, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"), 4)


def _scaled(count: float, base: float, names: tuple[str, ...], digits: int) -> str:
    index = 0
    while count >= base and index < len(names) - 1:
        count /= base
        index += 1
    return f"{count:.{digits}g}{names[index]}" if count < 1000 else f"{count:.0f}{names[index]}"


def human_duration(seconds: float) -> str:
    """Return a duration in words as docker writes it: `About an hour`, `3 weeks`."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    steps = (
        (2, 1, "1 second"), (60, 1, "{} seconds"), (120, 60, "About a minute"), (3600, 60, "{} minutes"),
        (5400, 3600, "About an hour"), (48 * 3600, 3600, "{} hours"), (14 * 86400, 86400, "{} days"),
        (60 * 86400, 7 * 86400, "{} weeks"), (730 * 86400, 30 * 86400, "{} months"),
    )  # fmt: skip
    for below, unit, words in steps:
        if whole < below:
            return words.format(round(whole / unit) if unit == 3600 else whole // unit)
    return f"{seconds / (365 * 86400):.0f} years"


def timestamp(text: str, now_s: float) -> str:
    """Return `since`/`until` in the API's form: a duration back from now, or seconds, or an RFC 3339 time."""
    if text.replace(".", "", 1).isdigit():
        return text
    if text[0].isdigit() and "-" not in text and ":" not in text:
        return f"{now_s - parse_duration_ns(text) / 1e9:.9f}"
    return f"{parse_time_s(text):.9f}"


def parse_time_s(text: str) -> float:
    """Return the seconds since the epoch of an RFC 3339 time; nanoseconds are kept to the microsecond."""
    import datetime as dt

    cleaned = text.strip().replace("Z", "+00:00")
    head, dot, tail = cleaned.partition(".")
    if dot:
        digits = len(tail) - len(tail.lstrip("0123456789"))
        cleaned = f"{head}.{tail[: min(digits, 6)]:0<6}{tail[digits:]}"
    try:
        return dt.datetime.fromisoformat(cleaned).astimezone().timestamp()
    except ValueError:
        raise UsageError(
            f"invalid time: '{text}'. Write 2026-01-31T12:00:00Z, seconds since the epoch, or 10m."
        ) from None
