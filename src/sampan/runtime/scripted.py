"""Programs for the in-memory runtime: coroutines with stdio, an environment and signals, and a shell of a few words."""

from __future__ import annotations

import asyncio
import shlex
from collections import deque
from collections.abc import Awaitable, Callable


class Terminated(Exception):
    """The program ends at once with `code`."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Stdin:
    """Bytes on their way to a program."""

    def __init__(self, *, is_open: bool) -> None:
        self._chunks: deque[bytes] = deque()
        self._ended = not is_open
        self._wake = asyncio.Event()

    def feed(self, data: bytes) -> None:
        self._chunks.append(data)
        self._wake.set()

    def end(self) -> None:
        self._ended = True
        self._wake.set()

    async def read(self) -> bytes:
        """Return the next bytes, b"" at the end."""
        while not self._chunks and not self._ended:
            self._wake.clear()
            await self._wake.wait()
        return self._chunks.popleft() if self._chunks else b""


class Process:
    """What a program sees of the world."""

    def __init__(self, *, args: tuple[str, ...], env: tuple[str, ...], stdin_open: bool) -> None:
        self.args = args
        self.env = dict(item.partition("=")[::2] for item in env)
        self.stdin = Stdin(is_open=stdin_open)
        self.write: Callable[[str, bytes], None] = lambda _stream, _data: None
        self.handlers: dict[int, Callable[[], None]] = {}
        self.go = asyncio.Event()  # clear while frozen
        self.go.set()
        self.room = asyncio.Event()  # clear while output has no room
        self.room.set()

    async def out(self, data: bytes, stream: str = "stdout") -> None:
        """Write output; waits while the container is frozen or a client is slow."""
        await self.go.wait()
        await self.room.wait()
        self.write(stream, data)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.go.wait()

    def deliver(self, number: int) -> None:
        """A signal without a handler is ignored, as by the first process of a PID namespace."""
        if number in self.handlers:
            self.handlers[number]()


Program = Callable[[Process], Awaitable[int]]


async def true(_: Process) -> int:
    return 0


async def false(_: Process) -> int:
    return 1


async def echo(process: Process) -> int:
    await process.out((" ".join(process.args[1:]) + "\n").encode())
    return 0


async def cat(process: Process) -> int:
    while data := await process.stdin.read():
        await process.out(data)
    return 0


async def sleep(process: Process) -> int:
    word = process.args[1] if len(process.args) > 1 else "0"
    await process.sleep(float("inf") if word == "infinity" else float(word))
    return 0


async def env(process: Process) -> int:
    await process.out("".join(f"{name}={value}\n" for name, value in process.env.items()).encode())
    return 0


async def sh(process: Process) -> int:
    """Run `sh -c "word …; word … >&2; exit N"`: commands in a row, nothing else of a shell."""
    if len(process.args) < 3 or process.args[1] != "-c":
        return await cat(process)
    code = 0
    for text in process.args[2].replace("\n", ";").split(";"):
        words = shlex.split(text)
        if not words:
            continue
        if words[0] == "exit":
            return int(words[1]) if len(words) > 1 else code
        code = await _command(process, words)
    return code


async def _command(process: Process, words: list[str]) -> int:
    stream = "stderr" if words[-1] in (">&2", "1>&2") else "stdout"
    if stream == "stderr":
        words = words[:-1]
    program = PROGRAMS.get(words[0].rsplit("/", 1)[-1])
    if program is None:
        await process.out(f"sh: {words[0]}: not found\n".encode(), "stderr")
        return 127
    child = Process(args=tuple(words), env=(), stdin_open=False)
    child.env, child.stdin, child.go, child.room = process.env, process.stdin, process.go, process.room
    child.write = lambda _, data: process.write(stream, data)
    return await program(child)


PROGRAMS: dict[str, Program] = {
    "true": true,
    "false": false,
    "echo": echo,
    "cat": cat,
    "sleep": sleep,
    "env": env,
    "sh": sh,
    ":": true,
}
"""By the last part of argv[0]."""
