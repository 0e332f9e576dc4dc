"""Detach keys: their notation, and the state machine that finds them in a terminal's input."""

from __future__ import annotations

from sampan.base.errors import InvalidArgument
from sampan.spec.docker.api import DEFAULT_DETACH_KEYS

_SPECIAL = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse_keys(text: str) -> bytes:
    r"""Return the key sequence of "ctrl-p,ctrl-q", "ctrl-a,x" …; the default for "".

    Raises:
        InvalidArgument: a word is neither one character nor ctrl-<a-z@[]\^_>.
    """
    if not text:
        return DEFAULT_DETACH_KEYS
    return bytes(_key(word, text) for word in text.split(","))


def _key(word: str, text: str) -> int:
    if len(word) == 1 and word.isascii():
        return ord(word)
    letter = word.removeprefix("ctrl-")
    if letter != word and len(letter) == 1:
        if "a" <= letter <= "z":
            return ord(letter) - ord("a") + 1
        if letter in _SPECIAL:
            return _SPECIAL[letter]
    raise InvalidArgument(f"Invalid detach keys ({text[:60]}) provided")


class DetachFilter:
    """Passes input on but for the key sequence; keys of a begun sequence are held back until it ends."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Return (what to pass on, whether the sequence is complete)."""
        if not self._matched and self._keys[:1] not in data:
            return data, False
        passed = bytearray()
        for byte in data:
            if byte != self._keys[self._matched]:
                passed += self._keys[: self._matched]
                self._matched = 0
            if byte != self._keys[self._matched]:
                passed.append(byte)
                continue
            self._matched += 1
            if self._matched == len(self._keys):
                return bytes(passed), True
        return bytes(passed), False
