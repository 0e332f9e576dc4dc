"""Ages as kubectl shows them."""

from __future__ import annotations

import pytest

from sampan.kube.printing import age

S, M, H, D, Y = 1, 60, 3600, 86400, 365 * 86400


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (-5, "<invalid>"),
        (-2, "<invalid>"),
        (-1.9, "0s"),
        (-0.5, "0s"),
        (0, "0s"),
        (1.999, "1s"),
        (70, "70s"),
        (2 * M - 1, "119s"),
        (2 * M, "2m"),
        (3 * M + 5, "3m5s"),
        (10 * M - 1, "9m59s"),
        (10 * M, "10m"),
        (3 * H - 1, "179m"),
        (3 * H, "3h"),
        (7 * H + 59 * M + 59, "7h59m"),
        (8 * H + 30 * M, "8h"),
        (2 * D - 1, "47h"),
        (2 * D, "2d"),
        (7 * D + 23 * H, "7d23h"),
        (8 * D + 5 * H, "8d"),
        (2 * Y - 1, "729d"),
        (2 * Y, "2y"),
        (3 * Y + 12 * D, "3y12d"),
        (8 * Y + 12 * D, "8y"),
        (10 * Y, "10y"),
    ],
)
def test_human(duration_s: float, text: str) -> None:
    assert age.human(duration_s) == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (-2, "<invalid>"),
        (-1, "0s"),
        (59, "59s"),
        (61, "1m"),
        (3 * H - 1, "2h"),
        (25 * H, "1d"),
        (Y - 1, "364d"),
        (2 * Y, "2y"),
    ],
)
def test_short(duration_s: float, text: str) -> None:
    assert age.short(duration_s) == text


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [
        (None, "<unknown>"),
        ("", "<unknown>"),
        ("soon", "<invalid>"),
        (17, "<invalid>"),
        ("2024-01-01T00:00:00Z", "5m"),
        ("2024-01-01T01:00:00+01:00", "5m"),
        ("2024-01-01T00:00:00.500000Z", "4m59s"),
    ],
)
def test_since(timestamp: object, text: str) -> None:
    assert age.since(timestamp, 1_704_067_200 + 300) == text
