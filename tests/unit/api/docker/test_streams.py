"""Hijacked and streamed connections, on real sockets."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from certificates import make_certificates
from sampan.api.docker import hijack
from sampan.api.docker.hijack import frame
from sampan.api.docker.server import Server
from sampan.engine.port import Exit
from sampan.model.container import Process

ATTACH = b"POST /v1.51/containers/one/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: d\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"


async def head_of(reader: asyncio.StreamReader) -> str:
    return (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()


async def test_attach_upgrades_and_frames(connect):
    async with connect() as (reader, writer):
        writer.write(ATTACH + UPGRADE)
        head = await head_of(reader)
        assert head.startswith("HTTP/1.1 101 UPGRADED\r\n")
        assert "application/vnd.docker.multiplexed-stream" in head
        writer.write(b"hello")
        assert await reader.readexactly(13) == frame("stdout", b"hello")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_input_that_comes_with_the_head_is_not_lost(connect):
    async with connect() as (reader, writer):
        writer.write(ATTACH + UPGRADE + b"early")
        await head_of(reader)
        assert await asyncio.wait_for(reader.readexactly(13), 5) == frame("stdout", b"early")


async def test_a_refused_upgrade_leaves_the_connection_usable(connect):
    async with connect() as (reader, writer):
        for _ in range(2):
            writer.write(ATTACH.replace(b"/one/", b"/none/") + UPGRADE)
            head = await head_of(reader)
            assert "404" in head
            length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
            assert b"No such container: none" in await reader.readexactly(length)


async def test_old_clients_get_200_and_a_raw_stream_type(connect):
    async with connect() as (reader, writer):
        writer.write(ATTACH.replace(b"v1.51", b"v1.41") + b"Content-Length: 0\r\n\r\n")
        head = await head_of(reader)
        assert head.startswith("HTTP/1.1 200 OK\r\n")
        assert "application/vnd.docker.raw-stream" in head


async def test_output_after_the_end_of_input(connect, engine):
    engine.streams.at_end, engine.streams.delay_s = b"tail", 0.2
    async with connect() as (reader, writer):
        writer.write(ATTACH + UPGRADE)
        await head_of(reader)
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 5) == frame("stdout", b"tail")


async def test_exec_start_with_a_body_and_an_upgrade(connect):
    body = b'{"Detach":false,"Tty":false}'
    async with connect() as (reader, writer):
        writer.write(
            b"POST /exec/e1/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        assert "101 UPGRADED" in await head_of(reader)
        writer.write(b"abc")
        assert await asyncio.wait_for(reader.readexactly(11), 5) == frame("stdout", b"abc")


async def test_detach_keys_end_the_session_and_not_the_process(connect, engine):
    engine.process = Process(stdin_open=True, tty=True)
    async with connect() as (reader, writer):
        writer.write(ATTACH + UPGRADE)
        await head_of(reader)
        writer.write(b"ab\x10")
        assert await reader.readexactly(2) == b"ab"
        writer.write(b"\x11")
        assert await asyncio.wait_for(reader.read(), 5) == b""
    assert engine.streams.detached
    assert not engine.streams.closed
    assert engine.emitted == ["detach"]


async def test_big_input_is_bounded_and_complete(connect, engine):
    data = bytes(range(256)) * 16384
    async with connect() as (reader, writer):
        writer.write(ATTACH + UPGRADE)
        await head_of(reader)
        received = bytearray()

        async def read() -> None:
            while len(received) < len(data):
                length = int.from_bytes((await reader.readexactly(8))[4:], "big")
                received.extend(await reader.readexactly(length))

        reading = asyncio.ensure_future(read())
        writer.write(data)
        await writer.drain()
        await asyncio.wait_for(reading, 20)
        assert bytes(received) == data


async def test_a_lost_client_closes_stdin_that_was_for_one_client(connect, engine):
    async with connect() as (reader, writer):
        writer.write(ATTACH + UPGRADE)
        await head_of(reader)
        writer.transport.abort()
    for _ in range(100):
        if engine.streams.detached:
            break
        await asyncio.sleep(0.01)
    assert engine.streams.closed
    assert engine.streams.detached


async def test_wait_sends_its_head_at_once_and_its_body_at_the_end(connect, engine):
    async with connect() as (reader, writer):
        writer.write(b"POST /v1.51/containers/one/wait HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n")
        assert "200 OK" in await head_of(reader)
        engine.waiting.ended.set_result(Exit(code=3))
        assert b'{"StatusCode":3}' in await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5)


async def test_a_client_that_leaves_ends_its_wait(connect, engine):
    async with connect() as (reader, writer):
        writer.write(b"POST /v1.51/containers/one/wait HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n")
        await head_of(reader)
    for _ in range(100):
        if engine.waiting.cancelled:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the wait goes on")


@pytest.mark.parametrize("stall_s", [0.2])
@pytest.mark.parametrize("hijacked", [True, False])
async def test_a_client_that_takes_nothing_is_cut(connect, engine, hijacked):
    async with connect() as (reader, writer):
        if hijacked:
            writer.write(ATTACH + UPGRADE)
            for _ in range(64):
                await engine.streams.queue.put(("stdout", b"x" * 65536))
        else:
            writer.write(b"GET /containers/one/export HTTP/1.1\r\nHost: d\r\n\r\n")
        await asyncio.sleep(1)  # the time in which nothing is read is the test's subject
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            while True:
                await asyncio.wait_for(reader.readexactly(1 << 16), 5)
    if hijacked:
        assert engine.streams.detached


async def test_close_is_quick_with_open_streams(connect, server, engine):
    async with connect() as (reader, writer), connect() as (other, other_writer):
        writer.write(ATTACH + UPGRADE)
        await head_of(reader)
        other_writer.write(b"POST /containers/one/wait HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n")
        await head_of(other)
        before = asyncio.get_running_loop().time()
        await server.close()
        assert asyncio.get_running_loop().time() - before < 1.0


class HalfClosingClient:
    """A TLS client that sends close_notify and goes on reading, as Go's does (Python's own cannot)."""

    def __init__(self, reader, writer, context):
        self.reader, self.writer = reader, writer
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")

    async def _feed(self) -> bool:
        self.writer.write(self.outgoing.read())
        data = await asyncio.wait_for(self.reader.read(65536), 10)
        self.incoming.write(data)
        return bool(data)

    async def handshake(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                if not await self._feed():
                    raise ConnectionResetError from None
                continue
            self.writer.write(self.outgoing.read())
            return

    def send(self, data: bytes) -> None:
        self.tls.write(data)
        self.writer.write(self.outgoing.read())

    def end_input(self) -> None:
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass
        self.writer.write(self.outgoing.read())

    async def read_all(self) -> bytes:
        received = bytearray()
        while True:
            try:
                data = self.tls.read(65536)
                if not data:
                    return bytes(received)
                received += data
            except ssl.SSLWantReadError:
                if not await self._feed():
                    return bytes(received)
            except ssl.SSLZeroReturnError:
                return bytes(received)


@pytest.fixture
async def tls_server(engine, tmp_path):
    server = Server(engine, ["tcp://127.0.0.1:0"], tls=make_certificates(tmp_path))
    await server.start()
    yield server
    await server.close()


def client_context(tmp_path, *, with_certificate=True):
    context = ssl.create_default_context(cafile=f"{tmp_path}/ca.pem")
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if with_certificate:
        context.load_cert_chain(f"{tmp_path}/cert.pem", f"{tmp_path}/key.pem")
    return context


async def test_tls_output_after_the_end_of_input(tls_server, engine, tmp_path):
    engine.streams.at_end, engine.streams.delay_s = b"z" * 3_000_000, 0.3
    host, port = tls_server.addresses[0]
    reader, writer = await asyncio.open_connection(host, port)
    client = HalfClosingClient(reader, writer, client_context(tmp_path))
    await client.handshake()
    client.send(ATTACH + UPGRADE + b"hello")
    await asyncio.sleep(0.05)
    client.end_input()
    received = await asyncio.wait_for(client.read_all(), 20)
    writer.close()
    body = received.partition(b"\r\n\r\n")[2]
    assert body.startswith(frame("stdout", b"hello"))
    assert body.count(b"z") == 3_000_000


async def test_tls_needs_a_client_certificate(tls_server, tmp_path):
    host, port = tls_server.addresses[0]
    with pytest.raises((ssl.SSLError, ConnectionError)):
        reader, writer = await asyncio.open_connection(
            host, port, ssl=client_context(tmp_path, with_certificate=False), server_hostname="127.0.0.1"
        )
        writer.write(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        if not await asyncio.wait_for(reader.read(10), 5):
            raise ConnectionResetError


async def test_tls_ping_and_plain_bytes_refused(tls_server, tmp_path):
    host, port = tls_server.addresses[0]
    reader, writer = await asyncio.open_connection(
        host, port, ssl=client_context(tmp_path), server_hostname="127.0.0.1"
    )
    writer.write(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
    assert "Api-Version: 1.51" in await head_of(reader)
    writer.close()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
    assert b"HTTP" not in await asyncio.wait_for(reader.read(100), 5)
    writer.close()


def test_frames():
    assert hijack.frame("stderr", b"ab") == b"\x02\0\0\0\0\0\0\x02ab"
