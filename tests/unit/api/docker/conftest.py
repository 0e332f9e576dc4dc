"""A server of the API on a socket of its own, over an engine that has one container with an echoing process."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from sampan.api.docker.server import Server
from sampan.api.docker.stall import STALL_S
from sampan.base.errors import Conflict, NotFound
from sampan.engine.port import ExecRecord, ExecSpec, Exit
from sampan.model.container import Container, ContainerSpec, ContainerState, Phase, Process


class EchoStreams:
    """A process that prints its input, and `at_end` some time after its end."""

    def __init__(self, at_end: bytes = b"", delay_s: float = 0.0) -> None:
        self.queue: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue()
        self.at_end, self.delay_s = at_end, delay_s
        self.written = bytearray()
        self.closed = self.detached = False

    async def output(self):
        while (item := await self.queue.get()) is not None:
            yield item

    async def write(self, data: bytes) -> None:
        self.written += data
        await self.queue.put(("stdout", data))

    async def close_stdin(self) -> None:
        if self.closed:
            return
        self.closed = True
        await asyncio.sleep(self.delay_s)
        if self.at_end:
            await self.queue.put(("stdout", self.at_end))
        await self.queue.put(None)

    async def resize(self, height: int, width: int) -> None: ...

    def detach(self) -> None:
        self.detached = True


class Waiting:
    def __init__(self) -> None:
        self.ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self.cancelled = False

    async def result(self) -> Exit:
        return await self.ended

    def cancel(self) -> None:
        self.cancelled = True


class OneContainer:
    """Just enough of `engine.port.Engine` for the streams."""

    def __init__(self) -> None:
        self.process = Process(stdin_open=True, stdin_once=True)
        self.streams = EchoStreams()
        self.waiting: Waiting | None = None
        self.emitted: list[str] = []

    def container(self, reference: str) -> Container:
        if reference != "one":
            raise NotFound(f"No such container: {reference}")
        spec = ContainerSpec(image="x", process=self.process)
        return Container(id="1" * 64, name="one", created_at_ns=1, spec=spec, state=ContainerState(phase=Phase.RUNNING))

    async def attach(self, reference: str) -> EchoStreams:
        if self.streams.detached:
            raise Conflict("gone")
        return self.streams

    def wait(self, reference: str, condition: str) -> Waiting:
        self.waiting = Waiting()
        return self.waiting

    def exec_inspect(self, exec_id: str) -> ExecRecord:
        spec = ExecSpec(args=("cat",), tty=self.process.tty)
        return ExecRecord(
            id=exec_id, container_id="1" * 64, spec=spec, attach_stdin=True, attach_stdout=True, attach_stderr=True
        )

    async def exec_start(self, exec_id: str, *, tty: bool, detach: bool, console_size=None) -> EchoStreams:
        return self.streams

    async def logs_forever(self):
        while True:
            yield b"x" * 65536

    async def export(self, reference: str):
        return self.logs_forever()

    async def events(self, *, since_ns=0, until_ns=0, filters=None):
        await asyncio.Event().wait()
        yield None

    def emit(self, kind: str, action: str, object_id: str, attributes) -> None:
        self.emitted.append(action)


@pytest.fixture
def engine():
    return OneContainer()


@pytest.fixture
def stall_s():
    return STALL_S


@pytest.fixture
async def server(engine, tmp_path, stall_s):
    server = Server(engine, [f"unix://{tmp_path}/s"], stall_s=stall_s)
    await server.start()
    yield server
    await server.close()


@pytest.fixture
def connect(server, tmp_path):
    """Open a raw connection to the server."""

    @contextlib.asynccontextmanager
    async def open_():
        reader, writer = await asyncio.open_unix_connection(f"{tmp_path}/s")
        try:
            yield reader, writer
        finally:
            writer.close()

    return open_
