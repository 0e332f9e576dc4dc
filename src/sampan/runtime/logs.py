"""Reading a container's log: over all rotations, from the end for `tail`, and on for `follow`."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import mmap
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from typing import BinaryIO

from sampan.base.clock import Clock
from sampan.host import logfile
from sampan.runtime import parse
from sampan.runtime.port import LogLine

BLOCK_BYTES = 64 * 1024
_TAG_AT = parse.PREFIX_BYTES - 2


class Reader:
    """One reading of one container's log."""

    def __init__(self, path: str, *, tail: int | None, since_ns: int, until_ns: int) -> None:
        self._path = path
        self._tail = tail
        self._since_ns = since_ns
        self._until_ns = until_ns
        self._joiner = parse.LineJoiner()
        self._rest = b""

    async def lines(self, growth: Callable[[], Awaitable[bool]] | None, clock: Clock) -> AsyncIterator[LogLine]:
        """Yield the lines; with `growth` wait there for more until it has nothing more to wait for."""
        async with contextlib.aclosing(self._blocks(growth, clock)) as blocks:
            async for block in blocks:
                for line in self._wanted(self._split(block)):
                    if self._until_ns and line.time_ns > self._until_ns:
                        return
                    yield line
        for line in self._wanted(itertools.chain(self._joiner.flush(), self._lost())):
            yield line

    def _lost(self) -> Iterator[LogLine]:
        """Tell what the log does not have."""
        found = logfile.lost(self._path)
        if found.lines:
            text = f"[sampan: {found.lines} lines ({found.size_bytes} bytes) could not be logged: the disk was full]\n"
            yield LogLine(time_ns=found.time_ns, stream="stderr", data=text.encode())

    def _wanted(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        return (line for line in lines if line.time_ns >= self._since_ns)

    def _split(self, block: bytes) -> Iterator[LogLine]:
        *whole, self._rest = (self._rest + block).split(b"\n")
        for line in whole:
            yield from self._joiner.feed(line + b"\n")

    async def _blocks(self, growth: Callable[[], Awaitable[bool]] | None, clock: Clock) -> AsyncGenerator[bytes, None]:
        source = await asyncio.to_thread(self._open_first)
        ending = growth is None
        try:
            while True:
                if source is not None and (block := source.read(BLOCK_BYTES)):
                    yield block
                    await asyncio.sleep(0)
                elif (newer := self._open_next(source)) is not None:
                    if source is not None:
                        source.close()
                    source = newer
                elif ending or growth is None:
                    return
                else:
                    ending = await self._wait(growth, clock)
        finally:
            if source is not None:
                source.close()

    async def _wait(self, growth: Callable[[], Awaitable[bool]], clock: Clock) -> bool:
        """Wait for more; returns True when this reading is to end with what is there."""
        left_s = (self._until_ns - clock.now_ns()) / 1e9 if self._until_ns else None
        if left_s is not None and left_s <= 0:
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left_s):
                return not await growth()
        return True

    # --- where to begin -----------------------------------------------------------------------------------------------

    def _open_first(self) -> BinaryIO | None:
        """Open the file, at the place, where the last `tail` lines begin."""
        files = logfile.files(self._path)
        if not files:
            return None
        if self._tail is None:
            return _open(files[0])
        left = self._tail
        for path in reversed(files):
            source = _open(path)
            if source is None:
                continue
            offset, found = _tail_offset(source, left, newest=path == files[-1])
            left -= found
            if left <= 0 or path == files[0]:
                source.seek(offset)
                return source
            source.close()
        return None

    def _open_next(self, source: BinaryIO | None) -> BinaryIO | None:
        """Open the file that follows the open one; None when that is the current one."""
        files = logfile.files(self._path)
        if source is None:
            return _open(files[0]) if files else None
        here = os.fstat(source.fileno())
        for index, path in enumerate(files):
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path), here):
                    return _open(files[index + 1]) if index + 1 < len(files) else None
        # rotated away while it was read: go on with the oldest that there is
        return _open(files[0]) if files else None


def _open(path: str) -> BinaryIO | None:
    try:
        return open(path, "rb", buffering=0)
    except FileNotFoundError:
        return None


def _tail_offset(source: BinaryIO, wanted: int, *, newest: bool) -> tuple[int, int]:
    """Return (where the last `wanted` lines begin, how many there are).

    A line is what ends with tag F, and in the newest file also what stands last.
    """
    size = os.fstat(source.fileno()).st_size
    if size == 0 or wanted <= 0:
        return size, 0
    with mmap.mmap(source.fileno(), size, access=mmap.ACCESS_READ) as view:
        end, found = size, 0
        while end > 0:
            begin = view.rfind(b"\n", 0, end - 1) + 1
            ends_line = view[begin + _TAG_AT : begin + _TAG_AT + 1] == b"F" or (newest and end == size)
            if ends_line:
                if found == wanted:
                    return end, found
                found += 1
            end = begin
        return 0, found
