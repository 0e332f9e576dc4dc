"""A file of lines that is written away from the loop, and rotated. What does not fit into the buffer is counted, not waited for."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sampan.base import log

BUFFER_BYTES = 8 << 20
_GATHER_S = 0.1

_log = log.get("audit")


class LineFile:
    """Call it on one event loop."""

    def __init__(
        self, path: Path, *, most_bytes: int = 100 << 20, kept: int = 10, buffer_bytes: int = BUFFER_BYTES
    ) -> None:
        """`most_bytes`: of one file; then it becomes `path.1`, and so on up to `kept`."""
        self._path = path
        self._most_bytes = most_bytes
        self._kept = kept
        self._buffer_bytes = buffer_bytes
        self._lines: list[bytes] = []
        self._bytes = 0
        self._flushing: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._thread = ThreadPoolExecutor(1, "audit")
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.dropped = 0
        """Lines that were lost: the disk is full, or slower than they come."""

    def write(self, line: bytes) -> None:
        """Take a line, without its end. It is in the file a moment later."""
        if self._bytes + len(line) > self._buffer_bytes:
            self._lose(1)
            return
        self._lines.append(line)
        self._bytes += len(line) + 1
        if self._timer is None and self._flushing is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHER_S, self._flush)

    async def close(self) -> None:
        """Write what is left. May be repeated."""
        if self._flushing is not None:
            await self._flushing
        if self._timer is not None:
            self._timer.cancel()
            self._flush()
            if self._flushing is not None:
                await self._flushing
        self._thread.shutdown()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _flush(self) -> None:
        self._timer = None
        lines, self._lines, self._bytes = self._lines, [], 0
        if lines:
            loop = asyncio.get_running_loop()
            self._flushing = loop.create_task(
                self._written(loop.run_in_executor(self._thread, self._append, lines), len(lines))
            )

    async def _written(self, work: asyncio.Future[None], count: int) -> None:
        try:
            await work
        except OSError as error:
            _log.error("cannot write %s: %s", self._path, error.strerror)
            self._lose(count)
        self._flushing = None
        if self._lines and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHER_S, self._flush)

    def _append(self, lines: list[bytes]) -> None:
        """Runs in the thread."""
        if os.fstat(self._file).st_size >= self._most_bytes:
            self._rotate()
        data = memoryview(b"\n".join(lines) + b"\n")
        while data:
            data = data[os.write(self._file, data) :]

    def _rotate(self) -> None:
        for number in range(self._kept - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{self._path}.{number}", f"{self._path}.{number + 1}")
        os.replace(self._path, f"{self._path}.1")
        fresh = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.close(self._file)
        self._file = fresh

    def _lose(self, count: int) -> None:
        if self.dropped == 0:
            _log.error("lines of %s are lost; how many is counted", self._path)
        self.dropped += count


Write = Callable[[bytes], None]
