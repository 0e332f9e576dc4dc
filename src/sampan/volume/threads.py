"""Between the event loop and the threads that do a volume's or an archive's work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sampan.base.errors import Cancelled
from sampan.host.pipe import READ_BYTES, Pipe

T = TypeVar("T")


class Threads:
    """A few threads. Work that is cancelled goes on to its end, so that what it holds is closed."""

    def __init__(self, name: str, count: int = 8) -> None:
        self._pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix=name)

    async def run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def stream(self, chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Yield what a blocking generator makes; it is closed when the reader leaves."""
        step: asyncio.Future[bytes | None] | None = None
        try:
            while True:
                step = asyncio.get_running_loop().run_in_executor(self._pool, next, chunks, None)
                chunk = await asyncio.shield(step)
                if chunk is None:
                    return
                yield chunk
        finally:
            if step is not None and not step.done():
                await asyncio.wait({step})
            close = getattr(chunks, "close", None)
            if close is not None:
                await self.run(close)

    async def consume(self, chunks: AsyncIterator[bytes], work: Callable[[Iterator[bytes]], T]) -> T:
        """Return `work` of the chunks, done in a thread of its own: a sender may be slow, and many may be at once.

        A reader that is behind holds the sender up.
        """
        pipe = Pipe()
        reading = _in_own_thread(lambda: _read(pipe, work))
        try:
            await self._feed(chunks, pipe)
            return await asyncio.shield(reading)
        finally:
            pipe.finish(Cancelled("the client went away"))
            await asyncio.wait({reading})

    async def _feed(self, chunks: AsyncIterator[bytes], pipe: Pipe) -> None:
        """Send all chunks, in larger pieces. Ends quietly when the reader has stopped: it says why itself."""
        held: list[bytes] = []
        size = 0
        with contextlib.suppress(Cancelled):
            async for chunk in chunks:
                held.append(chunk)
                size += len(chunk)
                if size >= READ_BYTES:
                    await self._send(b"".join(held), pipe)
                    held, size = [], 0
            if held:
                await self._send(b"".join(held), pipe)
            pipe.finish()

    async def _send(self, chunk: bytes, pipe: Pipe) -> None:
        if not pipe.offer(chunk):
            await asyncio.to_thread(pipe.send, chunk)

    def close(self) -> None:
        """May be repeated."""
        self._pool.shutdown(wait=False)


def _in_own_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="stream")
    try:
        return asyncio.get_running_loop().run_in_executor(pool, work)
    finally:
        pool.shutdown(wait=False)


def _read(pipe: Pipe, work: Callable[[Iterator[bytes]], T]) -> T:
    try:
        return work(iter(pipe))
    finally:
        pipe.abandon()
