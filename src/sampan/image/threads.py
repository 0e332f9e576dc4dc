"""Between the event loop and the threads that read, hash and unpack."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, TypeVar, cast

from sampan.base.errors import Cancelled
from sampan.host.pipe import READ_BYTES, Pipe

T = TypeVar("T")
U = TypeVar("U")


def in_own_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Run long work in a thread of its own. Cancelling the future does not stop the work."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            outcome = partial(_fail, future, error)
        else:
            outcome = partial(_succeed, future, result)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(outcome)

    threading.Thread(target=run, daemon=True).start()
    return future


def _succeed(future: asyncio.Future[Any], result: object) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


async def feed(chunks: AsyncIterator[bytes], pipe: Pipe, executor: Executor) -> None:
    """Send all chunks into the pipe, in larger pieces, by back-pressure; ends quietly when the reader has stopped."""
    parts: list[bytes] = []
    held = 0
    try:
        async for chunk in chunks:
            parts.append(chunk)
            held += len(chunk)
            if held >= READ_BYTES:
                await _send(b"".join(parts), pipe, executor)
                parts, held = [], 0
        if held:
            await _send(b"".join(parts), pipe, executor)
        pipe.finish()
    except Cancelled:
        pass  # the reader failed and says why itself
    except BaseException as error:
        pipe.finish(Cancelled("the client went away") if isinstance(error, asyncio.CancelledError) else error)
        if not isinstance(error, Exception):
            raise


async def _send(chunk: bytes, pipe: Pipe, executor: Executor) -> None:
    if not pipe.offer(chunk):
        await asyncio.get_running_loop().run_in_executor(executor, pipe.send, chunk)


async def stream(chunks: Iterator[bytes], executor: Executor) -> AsyncIterator[bytes]:
    """Yield what a blocking iterator makes, each piece made in a thread."""
    loop = asyncio.get_running_loop()
    try:
        while (chunk := await loop.run_in_executor(executor, next, chunks, None)) is not None:
            yield chunk
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            await loop.run_in_executor(executor, close)


async def together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Return all results in order; the first error ends the others and is raised alone."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in work]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


class Reports(asyncio.Queue[U]):
    """Progress told by threads, read by one coroutine."""

    def __init__(self) -> None:
        super().__init__()
        self._loop_of_reader = asyncio.get_running_loop()

    def tell(self, report: U) -> None:
        """Add a report, from any thread."""
        self._loop_of_reader.call_soon_threadsafe(self.put_nowait, report)

    async def until(self, work: asyncio.Future[T]) -> AsyncIterator[U]:
        """Yield reports until `work` has ended (well or not) and none is left."""
        while not work.done() or not self.empty():
            getter = asyncio.ensure_future(self.get())
            try:
                await asyncio.wait((getter, cast("asyncio.Future[Any]", work)), return_when=asyncio.FIRST_COMPLETED)
                if getter.done():
                    yield getter.result()
            finally:
                getter.cancel()
