"""A container's log file: rotation without a lost line, and counting what the disk refused.

conmon appends and never rotates. Rotation renames the file and tells conmon to open the name anew; what it writes in
between goes to the renamed file. While the daemon is away nothing rotates: the disk is then the only bound, and the
daemon rotates at once when it is back.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

CHECK_EVERY_BYTES = 64 * 1024


class LogFile:
    """The log that one monitor writes."""

    def __init__(
        self, path: str, max_bytes: int, max_files: int, reopen: Callable[[], bool], cost: Callable[[bytes], int]
    ) -> None:
        """`reopen` tells the monitor; `cost` says by how much the log grows for a chunk of output."""
        self.path = path
        self.max_bytes = max_bytes
        self.max_files = max_files
        self._reopen = reopen
        self._cost = cost
        self._unchecked = 0

    def grew(self, data: bytes) -> None:
        """Note output; looks at the file's size now and then, and rotates."""
        self._unchecked += self._cost(data)
        if self._unchecked >= min(CHECK_EVERY_BYTES, self.max_bytes):
            self._unchecked = 0
            self.rotate_if_full()

    def rotate_if_full(self) -> bool:
        """Rotate when the file has reached its size; returns whether it did."""
        try:
            if self.max_bytes <= 0 or os.stat(self.path).st_size < self.max_bytes:
                return False
        except FileNotFoundError:
            return False
        self._shift()
        self._reopen()
        return True

    def _shift(self) -> None:
        keep = max(self.max_files - 1, 0)
        for number in range(keep - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{self.path}.{number}", f"{self.path}.{number + 1}")
        if keep:
            os.rename(self.path, f"{self.path}.1")
        else:
            os.unlink(self.path)


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
