"""A container's log file: rotation without a lost line, and counting the lines that the disk refused.

conmon appends and never rotates. Rotation renames the file and tells conmon to open the name anew; what it writes in
between goes to the renamed file. While the daemon is away nothing rotates: the disk is then the only bound, and the
daemon rotates at once when it is back.

conmon drops what it cannot write (a full disk) and says nothing. It logs each chunk before it hands it on, so the log
must never be behind of what was handed on: by how much it is, is what was lost.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import NamedTuple

CHECK_EVERY_BYTES = 64 * 1024
COMPARE_EVERY_BYTES = 4 * 1024
LOST_ATTRIBUTE = "trusted.sampan.lost"


class Lost(NamedTuple):
    """Output that is in no log: how much, and when it was last noticed."""

    lines: int = 0
    size_bytes: int = 0
    time_ns: int = 0


class LogFile:
    """The log that one monitor writes. Make it before the monitor is connected to."""

    def __init__(
        self,
        path: str,
        max_bytes: int,
        max_files: int,
        *,
        reopen: Callable[[], bool],
        cost: Callable[[bytes], int],
        now_ns: Callable[[], int],
    ) -> None:
        """`reopen` tells the monitor; `cost` says by how much the log grows for a chunk of output."""
        self.path = path
        self.max_bytes = max_bytes
        self.max_files = max_files
        self._reopen = reopen
        self._cost = cost
        self._now_ns = now_ns
        self._unrotated = 0  # bytes since the size was last looked at
        self._pending = 0  # bytes and lines since the last comparison with the disk
        self._pending_lines = 0
        self._older = 0  # size of the rotated files, as last counted
        self._dropped = 0  # size of the files that rotation has deleted
        self._wanted = self._written()  # what should have been written by now, over all files
        self._told = lost(path)
        self.lost = self._told

    def grew(self, data: bytes) -> bool:
        """Note output; compares with the disk and rotates now and then. Returns whether lines were newly lost."""
        cost = self._cost(data)
        self._wanted += cost
        self._pending += cost
        self._pending_lines += data.count(b"\n") + (not data.endswith(b"\n"))
        new = self._pending >= COMPARE_EVERY_BYTES and self.compare()
        self._unrotated += cost
        if self._unrotated >= min(CHECK_EVERY_BYTES, self.max_bytes):
            self._unrotated = 0
            self.rotate_if_full()
        return new

    def compare(self) -> bool:
        """Compare what should be in the log with what is; returns whether lines were newly lost."""
        cost, lines = self._pending, self._pending_lines
        self._pending = self._pending_lines = 0
        # one look at the newest file is enough while all is well
        if self._wanted <= self._dropped + self._older + _size(self.path):
            return False
        missing = self._wanted - self._dropped - self._written()
        if missing <= 0 or not cost:
            return False
        self._wanted -= missing
        share = min(-(-lines * missing // cost), lines)
        self.lost = Lost(self.lost.lines + share, self.lost.size_bytes + missing, self._now_ns())
        self.save_lost()
        return True

    def _written(self) -> int:
        self._older = sum(_size(path) for path in files(self.path) if path != self.path)
        return self._older + _size(self.path)

    def save_lost(self) -> None:
        """Record what was lost: in the directory's own inode, where even a full disk has room."""
        if self.lost != self._told:
            with contextlib.suppress(OSError):
                os.setxattr(os.path.dirname(self.path), LOST_ATTRIBUTE, " ".join(map(str, self.lost)).encode())
                self._told = self.lost

    def rotate_if_full(self) -> bool:
        """Rotate when the file has reached its size; returns whether it did."""
        self.save_lost()
        try:
            if self.max_bytes <= 0 or os.stat(self.path).st_size < self.max_bytes:
                return False
        except FileNotFoundError:
            return False
        self._shift()
        self._reopen()
        return True

    def take_up(self) -> None:
        """Finish a rotation that an earlier daemon died in, and rotate what grew without one."""
        if not os.path.exists(self.path):
            self._reopen()
        self.rotate_if_full()

    def _shift(self) -> None:
        keep = max(self.max_files - 1, 0)
        self._dropped += _size(f"{self.path}.{keep}" if keep else self.path)
        for number in range(keep - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{self.path}.{number}", f"{self.path}.{number + 1}")
        if keep:
            os.rename(self.path, f"{self.path}.1")
        else:
            os.unlink(self.path)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def lost(path: str) -> Lost:
    """Return what is recorded as lost of a log."""
    try:
        return Lost(*(int(word) for word in os.getxattr(os.path.dirname(path), LOST_ATTRIBUTE).split()))
    except (OSError, ValueError, TypeError):
        return Lost()


def files(path: str) -> list[str]:
    """Return the log's files that exist, oldest first."""
    directory, name = os.path.split(path)
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    numbers = [
        int(item[len(name) + 1 :]) for item in names if item.startswith(f"{name}.") and item[len(name) + 1 :].isdigit()
    ]
    rotated = [f"{path}.{number}" for number in sorted(numbers, reverse=True)]
    return [*rotated, *([path] if name in names else [])]


def remove(path: str) -> None:
    """Delete a log with all that is beside it. Idempotent."""
    for name in [*files(path), f"{path}.tmp"]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(path))
