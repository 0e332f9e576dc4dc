"""The client's own terminal: raw mode, size, detach keys."""

from __future__ import annotations

import os

from sampan.cli.errors import UsageError

DEFAULT_DETACH = "ctrl-p,ctrl-q"


class RawMode:
    """`with RawMode(fd):` passes every key through, and gives the terminal back as it was."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> None:
        import termios
        import tty

        self._saved = termios.tcgetattr(self._fd)
        tty.setraw(self._fd, termios.TCSADRAIN)

    def __exit__(self, *_: object) -> None:
        import termios

        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)


def size(fd: int) -> tuple[int, int] | None:
    """Return (height, width) in cells, None when `fd` is no terminal."""
    try:
        columns, rows = os.get_terminal_size(fd)
    except OSError:
        return None
    return rows, columns


def parse_detach_keys(text: str) -> bytes:
    """Return the key codes of `ctrl-p,ctrl-q` or `a,b`.

    Raises:
        UsageError: a word that is neither a character nor `ctrl-` and one of a-z or one of @ [ ] ^ _ and the backslash.
    """
    codes = []
    for word in (text or DEFAULT_DETACH).split(","):
        key = word.removeprefix("ctrl-")
        if len(key) != 1 or (word != key and not "@" <= key.upper() <= "_"):
            raise UsageError(f"invalid detach keys: {text!r}: write characters and ctrl-X, separated by commas")
        codes.append(ord(key) if word == key else ord(key.upper()) & 0x1F)
    return bytes(codes)


class DetachFilter:
    """Finds the detach keys in what is typed; holds back a started sequence until it is sure."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Return what to pass on, and whether the sequence is complete (what follows it is dropped)."""
        out = bytearray()
        for byte in data:
            if byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    return bytes(out), True
                continue
            out += self._keys[: self._matched]
            self._matched = 1 if byte == self._keys[0] else 0
            if not self._matched:
                out.append(byte)
        return bytes(out), False
