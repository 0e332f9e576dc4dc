from __future__ import annotations

import pytest

from sampan.cli.errors import UsageError
from sampan.cli.units import human_duration, human_size, parse_duration_ns, parse_size, timestamp


@pytest.mark.parametrize(
    ("text", "count"),
    [("64", 64), ("64b", 64), ("1k", 1024), ("1.5m", 1572864), ("2G", 2 << 30), ("10MiB", 10 << 20), ("1kb", 1024)],
)
def test_sizes(text, count):
    assert parse_size(text) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1s", 10**9),
        ("1h2m3.5s", 3723_500_000_000),
        ("100ms", 10**8),
        ("5us", 5000),
        ("0", None),
        ("1x", None),
        ("s", None),
    ],
)
def test_durations(text, count):
    if count is None:
        with pytest.raises(UsageError, match="invalid duration"):
            parse_duration_ns(text)
    else:
        assert parse_duration_ns(text) == count


@pytest.mark.parametrize("text", ["", "x", "1q", "m"])
def test_wrong_sizes(text):
    with pytest.raises(UsageError, match="invalid size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.5, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (150, "2 minutes"),
     (3600, "About an hour"), (7200, "2 hours"), (3 * 86400, "3 days"), (20 * 86400, "2 weeks"), (100 * 86400, "3 months")],
)  # fmt: skip
def test_durations_in_words(seconds, words):
    assert human_duration(seconds) == words


def test_human_sizes_are_decimal():
    assert [human_size(count) for count in (0, 999, 1500, 4_261_550, 1_234_000_000)] == [
        "0B",
        "999B",
        "1.5kB",
        "4.26MB",
        "1.23GB",
    ]


def test_times_for_the_api():
    assert timestamp("1700000000", 0) == "1700000000"
    assert timestamp("10m", 1000.0) == "400.000000000"
    assert timestamp("2026-01-01T00:00:00.5Z", 0) == "1767225600.500000000"
