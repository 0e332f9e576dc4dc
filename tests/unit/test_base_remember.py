from __future__ import annotations

from sampan.base.remember import SHORT, of_short_texts


def test_short_texts_are_worked_out_once_and_long_ones_are_not_kept() -> None:
    asked: list[int] = []

    @of_short_texts(2)
    def length(text: str) -> int:
        """Say how long."""
        asked.append(len(text))
        return len(text)

    assert length.__doc__ == "Say how long."
    for _ in range(3):
        assert length("a") == 1
        assert length("a" * (SHORT + 1)) == SHORT + 1
    assert asked == [1, *[SHORT + 1] * 3]
