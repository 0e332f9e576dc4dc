"""An attached session: one poll loop between the terminal, the hijacked connection, signals and the wait.

Nothing here blocks on one side while the other has work: the connection does not block, what is typed waits in a
bounded buffer, and a closed stdin half-closes the connection so that output still arrives.
"""

from __future__ import annotations

import _socket
import os
import select
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from sampan.cli.terminal import DetachFilter

if TYPE_CHECKING:
    from typing import Self

_BUFFER = 64 * 1024


class Demux:
    """Docker's stream framing: 8 bytes (stream, 0, 0, 0, big-endian length), then the payload."""

    def __init__(self, write: Callable[[int, bytes], None]) -> None:
        self._write = write
        self._waiting = b""

    def feed(self, data: bytes) -> None:
        """Write what is complete, and what is there of a payload that is not."""
        waiting = self._waiting + data
        while len(waiting) >= 8:
            stream, length = waiting[0], int.from_bytes(waiting[4:8], "big")
            if len(waiting) < 8 + length:
                break
            self._write(2 if stream == 2 else 1, waiting[8 : 8 + length])
            waiting = waiting[8 + length :]
        self._waiting = waiting


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`, also to a terminal that was left non-blocking."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            poller = select.poll()
            poller.register(fd, select.POLLOUT)
            poller.poll()


class Signals:
    """Signals as readable bytes on `fd`, for the time of a `with` block."""

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self._numbers = numbers

    def __enter__(self) -> Self:
        self.fd, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._before = [(number, signal.signal(number, lambda *_: None)) for number in self._numbers]
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.close(self.fd)
        os.close(self._write)

    def read(self) -> list[int]:
        """Return the numbers that came."""
        try:
            return [number for number in os.read(self.fd, 512) if number in self._numbers]
        except BlockingIOError:
            return []


class Session:
    """Moves bytes until the remote end closes, or the detach keys are typed.

    `stdin` is a descriptor or None; `on_signal` is called with each signal that `signals` reports.
    """

    def __init__(
        self,
        connection: _socket.socket,
        received: bytes,
        *,
        tty: bool,
        stdin: int | None,
        detach: DetachFilter | None,
        signals: Signals,
        on_signal: Callable[[int], None],
    ) -> None:
        self._connection = connection
        self._stdin = stdin
        self._detach = detach
        self._signals = signals
        self._on_signal = on_signal
        self._outgoing = b""
        self._stdin_ended = False
        self._half_closed = False
        self._output: Callable[[bytes], None] = (lambda data: write_all(1, data)) if tty else Demux(write_all).feed
        connection.setblocking(False)
        if received:
            self._output(received)

    def run(self) -> bool:
        """Return True when the user detached, False when the remote end closed."""
        while True:
            ready = self._poll()
            if self._signals.fd in ready:
                for number in self._signals.read():
                    self._on_signal(number)
            if self._stdin is not None and self._stdin in ready and self._read_stdin():
                return True
            if self._outgoing or self._stdin_ended:
                self._flush()
            if self._connection.fileno() in ready and not self._read_connection():
                return False

    def _poll(self) -> set[int]:
        poller = select.poll()
        poller.register(self._signals.fd, select.POLLIN)
        poller.register(self._connection.fileno(), select.POLLIN | (select.POLLOUT if self._outgoing else 0))
        if self._stdin is not None and not self._stdin_ended and len(self._outgoing) < _BUFFER:
            poller.register(self._stdin, select.POLLIN)
        return {fd for fd, _ in poller.poll()}

    def _read_stdin(self) -> bool:
        """Take what was typed; returns True on the detach keys."""
        assert self._stdin is not None  # noqa: S101  for the type checker
        try:
            data = os.read(self._stdin, _BUFFER)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # a terminal that went away, or a background process group: no more input
        detached = False
        if data and self._detach:
            data, detached = self._detach.feed(data)
        elif not data:
            self._stdin_ended = True
        self._outgoing += data
        return detached

    def _flush(self) -> None:
        try:
            while self._outgoing:
                self._outgoing = self._outgoing[self._connection.send(self._outgoing) :]
            if self._stdin_ended and not self._half_closed:
                self._half_closed = True
                self._connection.shutdown(_socket.SHUT_WR)
        except BlockingIOError:
            return
        except OSError:
            self._outgoing, self._half_closed = b"", True  # the process takes no more input; its output still comes

    def _read_connection(self) -> bool:
        try:
            data = self._connection.recv(_BUFFER)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if data:
            self._output(data)
        return bool(data)
