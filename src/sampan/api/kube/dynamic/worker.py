"""Worker: a thread in which code of others runs, one call at a time, and for so long only.

What takes too long is interrupted where that can be done, and its thread is left to itself: the server answers on.
"""

from __future__ import annotations

import asyncio
import ctypes
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class TookTooLong(Exception):
    """A call did not end in time."""


class _Interrupted(BaseException):
    """Raised in the thread, between two of its instructions."""


class _Thread:
    """One thread and what it is to do."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="policies", daemon=True)
        self._thread.start()

    def put(self, call: Callable[[], None] | None) -> None:
        self._calls.put(call)

    def interrupt(self) -> None:
        """End the thread, now where it runs Python, else when its call ends."""
        self._calls.put(None)
        ident = ctypes.c_ulong(self._thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(_Interrupted))

    def _run(self) -> None:
        try:
            while (call := self._calls.get()) is not None:
                call()
        except _Interrupted:
            pass


class Worker:
    """Started when it is first needed. Call it from one event loop."""

    def __init__(self) -> None:
        self._thread: _Thread | None = None
        self._turn = asyncio.Lock()

    def close(self) -> None:
        """End the thread when its call ends."""
        if self._thread is not None:
            self._thread.put(None)

    async def run(self, call: Callable[[], T], timeout_s: float) -> T:
        """Return what a call returns.

        Raises:
            TookTooLong: and whatever the call raises.
        """
        async with self._turn:
            thread = self._thread = self._thread or _Thread()
            loop = asyncio.get_running_loop()
            done: asyncio.Future[T] = loop.create_future()

            def expire() -> None:
                if not done.done():
                    self._thread = None
                    thread.interrupt()
                    done.set_exception(TookTooLong())

            thread.put(lambda: _run(call, loop, done))
            timer = loop.call_later(timeout_s, expire)
            try:
                return await done
            finally:
                timer.cancel()


def _run(call: Callable[[], T], loop: asyncio.AbstractEventLoop, done: asyncio.Future[T]) -> None:
    def tell(set_: Callable[[Any], None], outcome: Any) -> None:
        if not done.done():
            set_(outcome)

    try:
        result = call()
    except Exception as error:
        loop.call_soon_threadsafe(tell, done.set_exception, error)
    else:
        loop.call_soon_threadsafe(tell, done.set_result, result)
