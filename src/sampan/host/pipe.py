"""A bounded pipe of byte chunks between threads, and between the event loop and a thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from sampan.base.errors import Cancelled

READ_BYTES = 1 << 18
"""The chunk size that keeps the GIL's hand-overs rare and the memory small."""


class Pipe:
    """At most `limit_bytes` (and at least one chunk) wait in it. One sender, one receiver.

    The sender ends it with `finish`, with an error if it failed; the receiver with `abandon`, after which sending
    raises `Cancelled`. Nobody waits for ever once the other side has ended.
    """

    def __init__(self, limit_bytes: int = 4 << 20) -> None:
        self._limit = limit_bytes
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._finished = False
        self._abandoned = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def offer(self, chunk: bytes) -> bool:
        """Put `chunk` in without waiting; returns False when there is no room."""
        with self._changed:
            if self._abandoned:
                raise Cancelled("the reader of this stream has stopped")
            if self._chunks and self._held + len(chunk) > self._limit:
                return False
            self._put(chunk)
            return True

    def send(self, chunk: bytes) -> None:
        """Put `chunk` in, waiting for room."""
        with self._changed:
            while self._chunks and self._held + len(chunk) > self._limit and not self._abandoned:
                self._changed.wait()
            if self._abandoned:
                raise Cancelled("the reader of this stream has stopped")
            self._put(chunk)

    def _put(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._held += len(chunk)
        self._changed.notify_all()

    def finish(self, error: BaseException | None = None) -> None:
        """End the stream; the receiver gets what waits, then `error` if there is one. May be repeated."""
        with self._changed:
            if not self._finished:
                self._finished, self._error = True, error
            self._changed.notify_all()

    def abandon(self) -> None:
        """Stop receiving. May be repeated."""
        with self._changed:
            self._abandoned = True
            self._chunks.clear()
            self._held = 0
            self._changed.notify_all()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            with self._changed:
                while not self._chunks and not self._finished:
                    self._changed.wait()
                if not self._chunks:
                    if self._error is not None:
                        raise self._error
                    return
                chunk = self._chunks.popleft()
                self._held -= len(chunk)
                self._changed.notify_all()
            yield chunk


class Task:
    """A thread whose result or error `join` hands over. `pipe`, if given, is abandoned when the thread fails."""

    def __init__(self, work: Callable[[], object], pipe: Pipe | None = None) -> None:
        self._work = work
        self._pipe = pipe
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # handed over by `join`
            self.error = error
        finally:
            if self._pipe is not None:
                self._pipe.abandon()

    def join(self) -> None:
        """Wait for the thread's end and raise what it raised."""
        self._thread.join()
        if self.error is not None:
            raise self.error


def in_second_thread(chunks: Iterable[bytes], limit_bytes: int = 4 << 20) -> Iterator[bytes]:
    """Yield `chunks`, made ahead by a thread. Closing the generator stops and joins the thread."""
    pipe = Pipe(limit_bytes)

    def pump() -> None:
        try:
            for chunk in chunks:
                pipe.send(chunk)
        except Cancelled as cancelled:
            pipe.finish(cancelled)
        except BaseException as error:
            pipe.finish(error)
        else:
            pipe.finish()
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=pump, daemon=True)
    thread.start()
    try:
        yield from pipe
    finally:
        pipe.abandon()
        thread.join()
