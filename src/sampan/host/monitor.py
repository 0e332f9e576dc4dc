"""The monitor of a container: conmon's command line, its attach socket, its control pipe and its records.

One conmon runs beside each container, outside the daemon. It owns stdio, the log file and the exit code. All that it
leaves on disk is in the container's directory: `attach` (socket), `ctl` and `winsz` (pipes), `pid`, `exit`, `oom`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from sampan.host.process import wake

SYNC_FD = 3
START_FD = 4
ATTACH_FD = 5
PACKET_BYTES = 8193
"""conmon sends at most 8192 bytes of output, with one byte ahead that names the stream."""
STDIN_BYTES = 16384
STREAMS = {2: "stdout", 3: "stderr"}


class Files:
    """Names in a container's (or exec's) directory."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.attach = f"{directory}/attach"
        self.control = f"{directory}/ctl"
        self.pid = f"{directory}/pid"
        self.exit = f"{directory}/exit"
        self.oom = f"{directory}/oom"
        self.stdin = f"{directory}/stdin"
        self.log_limits = f"{directory}/log-limits"

    def exit_code(self) -> tuple[int, int] | None:
        """Return (code, nanoseconds of its recording), None when there is no record."""
        try:
            with open(self.exit) as record:
                text = record.read().strip()
                return int(text), os.fstat(record.fileno()).st_mtime_ns
        except (FileNotFoundError, ValueError):
            return None

    def container_pid(self) -> int:
        """Return the pid of the container's first process, 0 when none was recorded."""
        try:
            with open(self.pid) as record:
                return int(record.read())
        except (FileNotFoundError, ValueError):
            return 0


class Order(NamedTuple):
    """One monitor to start."""

    program: str
    container_id: str
    name: str  # unique: the container's or the exec's id
    directory: str
    runtime: str
    runtime_args: tuple[str, ...] = ()
    log_path: str = ""  # "" for no log
    tty: bool = False
    stdin: bool = False  # the monitor hands what clients send to the program; for an exec they also end it
    stdin_pipe: str = ""  # a named pipe that the program reads instead
    process_file: str = ""  # of an exec


def command(order: Order) -> list[str]:
    """Return conmon's command line."""
    files = Files(order.directory)
    argv = [order.program, "--api-version", "--sync", "--full-attach", "--no-sync-log"]
    argv += ["-c", order.container_id, "-u", order.name, "-b", order.directory]
    argv += ["-p", files.pid, "--persist-dir", order.directory]
    argv += ["-l", f"k8s-file:{order.log_path}" if order.log_path else "none"]
    for number, word in enumerate(_runtime(order)):
        argv += ["--runtime-arg" if number else "-r", word]
    argv += ["-t"] if order.tty else []
    argv += ["-i"] if order.stdin else []
    argv += ["--leave-stdin-open"] if order.stdin and not order.process_file else []
    if order.process_file:
        argv += ["-e", "--exec-attach", "--exec-process-spec", order.process_file]
    return argv


def _runtime(order: Order) -> tuple[str, ...]:
    """Return the runtime's command; conmon has no option for another stdin, so a shell opens it on the way."""
    if not order.stdin_pipe:
        return (order.runtime, *order.runtime_args)
    return ("/bin/sh", "-c", 'exec <"$0" "$@"', order.stdin_pipe, order.runtime, *order.runtime_args)


class Report(msgspec.Struct):
    """A line on the sync pipe: a pid (or -1 and why), later an exec's exit code."""

    data: int
    message: str = ""


async def read_report(descriptor: int) -> Report | None:
    """Return the next line on the sync pipe, None when the monitor closed it."""
    text = b""
    while not text.endswith(b"\n"):
        try:
            chunk = os.read(descriptor, 65536)
        except BlockingIOError:
            await _readable(descriptor)
            continue
        if not chunk:
            break
        text += chunk
    lines = text.splitlines()
    return msgspec.json.decode(lines[-1], type=Report, strict=False) if lines else None


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, wake, ready)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


class Connection:
    """The daemon's one attach connection to a monitor. `on_output(stream, data)`, `on_end()` are called on the loop.

    While `paused` nothing is read: the monitor, and with it the container, waits.
    """

    def __init__(self, on_output: Callable[[str, bytes], None], on_end: Callable[[], None]) -> None:
        self._on_output = on_output
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._reading = False
        self._stdin_ended = False
        self._write_lock = asyncio.Lock()

    def connect(self, path: str) -> None:
        """Connect and start to read.

        Raises:
            OSError: there is no monitor.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            _connect(connection, path)
        except OSError:
            connection.close()
            raise
        connection.setblocking(False)
        self._socket = connection
        self.resume()

    def resume(self) -> None:
        if self._socket is not None and not self._reading:
            self._loop.add_reader(self._socket.fileno(), self._read)
            self._reading = True

    def pause(self) -> None:
        if self._socket is not None and self._reading:
            self._loop.remove_reader(self._socket.fileno())
            self._reading = False

    def _read(self) -> None:
        # a few packets a turn: other callbacks of the loop must get theirs
        for _ in range(16):
            if self._socket is None or not self._reading:
                return
            try:
                packet = self._socket.recv(PACKET_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                packet = b""
            if not packet:
                self.close()
                self._on_end()
                return
            self._on_output(STREAMS.get(packet[0], "stdout"), packet[1:])

    async def write(self, data: bytes) -> None:
        """Send to stdin; returns when the monitor took it. What comes after its end is dropped."""
        async with self._write_lock:
            for start in range(0, len(data), STDIN_BYTES):
                await self._send(data[start : start + STDIN_BYTES])

    async def _send(self, packet: bytes) -> None:
        while self._socket is not None and not self._stdin_ended:
            try:
                self._socket.send(packet)
            except (BlockingIOError, InterruptedError):
                await self._writable()
            except (BrokenPipeError, ConnectionResetError):
                return
            else:
                return

    async def _writable(self) -> None:
        assert self._socket is not None
        ready: asyncio.Future[None] = self._loop.create_future()
        descriptor = os.dup(self._socket.fileno())
        self._loop.add_writer(descriptor, wake, ready)
        try:
            await ready
        finally:
            self._loop.remove_writer(descriptor)
            os.close(descriptor)

    async def end_stdin(self) -> None:
        """Half-close, after what is being written. May be repeated."""
        async with self._write_lock:
            if self._socket is not None and not self._stdin_ended:
                self._stdin_ended = True
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Leave. May be repeated."""
        self.pause()
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _connect(connection: socket.socket, path: str) -> None:
    """Connect by a path of any length: a name in sockaddr_un has at most 107 bytes."""
    if len(os.fsencode(path)) <= 107:
        connection.connect(path)
        return
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
    finally:
        os.close(directory)


def control(path: str, kind: int, first: int, second: int) -> bool:
    """Send a control message (1 height width: resize; 2 0 0: reopen the log); False when there is no monitor."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENXIO}:
            return False
        raise
    try:
        os.write(descriptor, f"{kind} {first} {second}\n".encode())
    except (BrokenPipeError, BlockingIOError):
        return False
    finally:
        os.close(descriptor)
    return True
