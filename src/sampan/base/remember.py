"""Remembering what functions of a text return, within bounds: of how many texts, and of short ones only."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

_T = TypeVar("_T")
SHORT = 256
"""Characters. What clients send may be megabytes; thousands of those would be all of the memory."""


def of_short_texts(count: int) -> Callable[[Callable[[str], _T]], Callable[[str], _T]]:
    """Return a decorator that remembers what a pure function returned for the last `count` short texts."""

    def decorate(function: Callable[[str], _T]) -> Callable[[str], _T]:
        remembered = lru_cache(maxsize=count)(function)

        @wraps(function)
        def call(text: str) -> _T:
            return remembered(text) if len(text) <= SHORT else function(text)

        return call

    return decorate
