"""Reserve: disk space held back, so that a full disk can still be cleaned up."""

from __future__ import annotations

import contextlib
import os


class Reserve:
    """A file of `size_bytes` that is let go when the disk is full and remade when there is room again."""

    def __init__(self, path: str, size_bytes: int) -> None:
        self._path = path
        self._size = size_bytes
        self.held = self._is_whole()
        self.remake()

    def release(self) -> bool:
        """Give the space back to the disk; returns whether there was any to give."""
        held, self.held = self.held, False
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        return held

    def remake(self) -> bool:
        """Take the space again when at least twice as much is free; returns whether it is held."""
        if self.held:
            return True
        if self._free_bytes() < 2 * self._size:
            return False
        self.held = self._allocate()
        return self.held

    def _is_whole(self) -> bool:
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return False
        return found.st_blocks * 512 >= self._size

    def _free_bytes(self) -> int:
        room = os.statvfs(os.path.dirname(self._path))
        return room.f_bavail * room.f_frsize

    def _allocate(self) -> bool:
        handle = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(handle, 0, self._size)
            return True
        except OSError:
            os.unlink(self._path)
            return False
        finally:
            os.close(handle)
