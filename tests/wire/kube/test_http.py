"""The HTTP server of the Kubernetes API by raw sockets: what it answers, in which order, and what it refuses."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import random
import socket
import struct

import pytest

from sampan.api.kube.http import connection as connections
from sampan.api.kube.http import reader as readers
from sampan.api.kube.http.server import Server
from sampan.api.kube.request import Request, Response, Shared

BIG = os.urandom(150_000).hex().encode()


class World:
    """A server with a handler of ours, and its streams."""

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self.sinks = []
        self.gate = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.ended = 0
        self.judged: list[Request] = []
        self.server = Server(self.handle, self.judge, sweep_s=0.05)
        self.address = ("", 0)

    async def handle(self, request: Request) -> Response:
        self.seen.append(request)
        if request.path == "/later":
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        if request.path == "/stream":
            return Response(stream=self.stream)
        if request.path == "/slices":
            return Response(stream=self.slices)
        if request.path == "/broken":
            raise RuntimeError("a defect")
        if request.path == "/big":
            return Response(200, BIG)
        if request.path == "/huge":
            return Response(200, BIG * 8)
        if request.path == "/warned":
            return Response(200, b"{}", headers=(("Warning", '299 - "a\r\nEvil: 1 \u65e5"'),))
        body = json.dumps({"path": request.path, "query": request.query, "body": request.body.decode("latin-1")})
        return Response(200, body.encode())

    async def judge(self, head: Request) -> Response | None:
        self.judged.append(head)
        await asyncio.sleep(0)
        return Response(401, b"no") if head.path == "/nobody" else None

    def stream(self, sink) -> None:
        self.sinks.append(sink)
        sink.on_close(self.end)
        sink.write(b"first\n")

    async def slices(self, sink) -> None:
        sink.on_close(self.end)
        for _ in range(200):
            sink.write(BIG)
            await sink.drain()

    def end(self) -> None:
        self.ended += 1

    async def until(self, condition) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)


class Client:
    def __init__(self, reader, writer) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))

    def ask(self, path: str = "/", method: str = "GET", headers: str = "", body: bytes = b"") -> None:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.send(f"{method} {path} HTTP/1.1\r\nHost: a\r\n{headers}{length}\r\n".encode(), body)

    async def head(self) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(10):
            raw = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
        headers = dict(line.split(": ", 1) for line in lines)
        return int(first.split()[1]), {name.lower(): value for name, value in headers.items()}

    async def answer(self) -> tuple[int, bytes]:
        code, headers = await self.head()
        async with asyncio.timeout(10):
            return code, await self.reader.readexactly(int(headers["content-length"]))

    async def ended(self) -> bytes:
        """Return what comes until the server ends the connection."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read(-1)
            except ConnectionResetError:
                return b""


@pytest.fixture
async def world():
    world = World()
    listener = socket.create_server(("127.0.0.1", 0))
    world.address = listener.getsockname()
    await world.server.listen(listener)
    yield world
    await world.server.close()


@pytest.fixture
async def connect(world):
    async with contextlib.AsyncExitStack() as stack:

        async def connect() -> Client:
            reader, writer = await asyncio.open_connection(*world.address)
            stack.callback(writer.transport.abort)
            return Client(reader, writer)

        yield connect


@pytest.fixture
async def client(connect):
    return await connect()


# --- large bodies ----------------------------------------------------------------------------------------------------


async def test_a_large_body_is_read_when_it_is_known_who_sends_it(world, client):
    body = os.urandom(1_000_000)
    client.ask("/some", "POST", "X-Who: me\r\n", body)
    client.ask("/next")
    assert (await client.answer())[0] == 200
    assert (await client.answer())[0] == 200
    assert world.seen[0].body == body
    [head] = world.judged
    assert (head.path, head.headers["x-who"], head.body) == ("/some", "me", b"")


async def test_a_small_body_is_not_asked_about(world, client):
    client.ask("/some", "POST", "", b"x" * readers.EARLY_BYTES)
    assert (await client.answer())[0] == 200
    assert world.judged == []


@pytest.mark.parametrize("kind", ["sized", "chunked"])
async def test_who_is_nobody_is_told_so_before_all_of_it_has_come(world, client, kind):
    part = b"x" * 200_000
    if kind == "sized":
        client.send(b"POST /nobody HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n", part)
    else:
        client.send(b"POST /nobody HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n30d40\r\n", part, b"\r\n")
    assert await client.answer() == (401, b"no")
    client.send(part)
    await client.ended()
    assert world.seen == []


async def test_who_leaves_while_it_is_judged_leaves_nothing(world, client):
    client.send(b"POST /some HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n", b"x" * 200_000)
    await world.until(lambda: world.judged)
    client.writer.transport.abort()
    await world.until(lambda: not world.server.connections)
    assert world.seen == []


# --- answers ----------------------------------------------------------------------------------------------------------


async def test_one_connection_serves_many_requests_in_order(client):
    for number in range(100):
        client.ask(f"/{number}?q={number}")
    for number in range(100):
        code, body = await client.answer()
        assert (code, json.loads(body)) == (200, {"path": f"/{number}", "query": f"q={number}", "body": ""})


async def test_a_slow_request_holds_those_behind_it(world, client):
    client.ask("/later")
    client.ask("/next")
    await world.until(lambda: world.seen)
    assert [request.path for request in world.seen] == ["/later"]
    world.gate.set()
    assert [json.loads((await client.answer())[1])["path"] for _ in range(2)] == ["/later", "/next"]


async def test_bodies_by_length_and_in_chunks(client):
    client.ask("/a", "POST", body=b"x" * 100_000)
    assert json.loads((await client.answer())[1])["body"] == "x" * 100_000
    head = b"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    for part in (head, b"3\r\nabc", b"\r\n", b"2;ext=1\r\nde\r\n", b"0\r\nImpersonate-User: root\r\n\r\n"):
        client.send(part)
        await client.writer.drain()
    assert json.loads((await client.answer())[1])["body"] == "abcde"


async def test_what_trails_a_body_is_no_header(world, client):
    client.send(b"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nImpersonate-User: root\r\n\r\n")
    await client.answer()
    assert "impersonate-user" not in world.seen[0].headers


async def test_every_split_of_a_request_reads_the_same(world, connect):
    raw = b"POST /a%20b?x=1 HTTP/1.1\r\nHost: a\r\nX-Y: z\r\nContent-Length: 3\r\n\r\nabc"
    for place in range(1, len(raw)):
        client = await connect()
        client.send(raw[:place])
        await asyncio.sleep(0)
        client.send(raw[place:])
        assert json.loads((await client.answer())[1]) == {"path": "/a b", "query": "x=1", "body": "abc"}


async def test_head_has_the_length_and_no_body(client):
    client.ask("/", "HEAD")
    code, headers = await client.head()
    assert code == 200
    assert int(headers["content-length"]) > 10
    client.ask("/after")
    assert json.loads((await client.answer())[1])["path"] == "/after"


async def test_leave_to_send_a_body(client):
    client.ask("/a", "POST", "Expect: 100-continue\r\nContent-Length: 3\r\n")
    assert (await client.head())[0] == 100
    client.send(b"abc")
    assert json.loads((await client.answer())[1])["body"] == "abc"
    client.ask("/a", "POST", "Expect: 100-continue\r\n", b"xyz")  # who sends it at once needs no leave
    assert (await client.answer())[0] == 200


async def test_the_connection_ends_when_the_client_says_so(connect):
    for head in (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"):
        client = await connect()
        client.send(head)
        assert (await client.head())[1]["connection"] == "close"
        await client.ended()


async def test_a_client_that_ends_its_input_still_gets_its_answers(world, client):
    client.ask("/later")
    client.ask("/b")
    client.writer.write_eof()
    await world.until(lambda: world.seen)
    world.gate.set()
    assert (await client.ended()).count(b"HTTP/1.1 200 OK") == 2


async def test_large_answers_are_packed_for_those_who_take_it(client):
    for path, size in (("/big", len(BIG)), ("/huge", 8 * len(BIG))):
        client.ask(path, headers="Accept-Encoding: deflate, gzip;q=0.5\r\n")
        code, headers = await client.head()
        assert (code, headers["content-encoding"]) == (200, "gzip")
        raw = await client.reader.readexactly(int(headers["content-length"]))
        assert len(gzip.decompress(raw)) == size
    for accepted in ("", "Accept-Encoding: br\r\n", "Accept-Encoding: gzip;q=0\r\n"):
        client.ask("/big", headers=accepted)
        assert (await client.answer())[1] == BIG


async def test_an_offer_of_another_protocol_is_not_taken(client):
    offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    client.ask("/a", headers=offer)
    client.ask("/b", headers="Connection: Upgrade\r\nUpgrade: websocket\r\n")
    client.ask("/c")
    paths = [json.loads((await client.answer())[1])["path"] for _ in range(3)]
    assert paths == ["/a", "/b", "/c"]


async def test_a_header_ends_where_it_should(client):
    client.ask("/warned")
    code, headers = await client.head()
    assert code == 200
    assert "evil" not in headers
    assert headers["warning"] == '299 - "a  Evil: 1 ?"'


async def test_a_target_with_its_authority(client):
    client.send(b"GET http://elsewhere:1/a?b=c HTTP/1.1\r\nHost: a\r\n\r\nGET HTTP://x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert json.loads((await client.answer())[1])["path"] == "/a"
    assert json.loads((await client.answer())[1])["path"] == "/"


# --- refusals ---------------------------------------------------------------------------------------------------------

MALFORMED = {
    "nonsense": (b"\x00\x01\x02\r\n\r\n", 400),
    "tls to a plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "http/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "http/0.9": (b"GET /\r\n\r\n", 505),
    "http/3": (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "two authorizations": (b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\nAuthorization: y\r\n\r\n", 400),
    "length and chunks": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunks and length": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde", 400),
    "lengths in a list": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\nabcd", 400),
    "a length with a sign": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nabcd", 400),
    "a length below zero": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -4\r\n\r\nabcd", 400),
    "a length of many digits": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400),
    "two codings": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "chunked twice": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "an unknown coding": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    "a space before the colon": (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", 400),
    "a folded header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400),
    "a zero byte in a header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\x00z\r\n\r\n", 400),
    "a bare line feed": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "a size that is no number": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", 400),
    "a size below zero": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n", 400),
    "a size that is too long": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc", 400),
    "a chunk longer than it says": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", 400),
    "an unknown method": (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a method in small letters": (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "connect": (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "the server itself": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "another scheme": (b"GET file:///etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a slash in disguise": (b"GET /a%2Fb HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a zero byte in the path": (b"GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a line end in the path": (b"GET /a%0d%0ab HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no utf-8": (b"GET /a%ff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "half a surrogate": (b"GET /a%ed%a0%80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a body that is too large": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n", 413),
    "a large body with leave": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\nExpect: 100-continue\r\n\r\n", 413),
    "an offer with a body": (b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc", 501),
    "an expectation": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: the-unexpected\r\n\r\n", 417),
    "a long target": (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
    "a long header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    "many headers": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(300)) + b"\r\n", 431),
    "one header many times": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: %b\r\n" % (b"y" * 1000) * 100 + b"\r\n", 431),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_refused(world, client, name):
    raw, expected = MALFORMED[name]
    client.send(raw)
    code, headers = await client.head()
    assert (code, headers["connection"]) == (expected, "close")
    refusal = json.loads(await client.ended())
    assert (refusal["kind"], refusal["status"], refusal["code"]) == ("Status", "Failure", expected)
    assert "Traceback" not in refusal["message"]
    assert not world.seen


async def test_nothing_after_a_refusal_is_a_request(world, client):
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    client.ask("/smuggled")
    assert (await client.ended()).count(b"HTTP/1.1 ") == 1
    assert not world.seen


async def test_a_refusal_comes_after_the_answers_before_it(world, client):
    client.ask("/later")
    client.send(b"nonsense\r\n\r\n")
    await world.until(lambda: world.seen)
    world.gate.set()
    assert (await client.answer())[0] == 200
    assert (await client.answer())[0] == 400


async def test_a_client_sees_the_refusal_while_it_sends(client):
    client.ask("/", "POST", "Content-Length: 8000000\r\n")
    with contextlib.suppress(ConnectionError):
        for _ in range(80):
            client.send(b"x" * 100_000)
            await client.writer.drain()
    assert (await client.head())[0] == 413


async def test_a_body_in_chunks_has_the_same_limit(client):
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(40):
        client.send(b"186a0\r\n", b"x" * 100_000, b"\r\n")
    assert (await client.head())[0] == 413


@pytest.mark.parametrize(
    ("start", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", 431),
        (b"GET /", 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x=", 413),
    ],
)
async def test_what_never_ends_is_cut_short(client, start, code):
    client.send(start)
    for _ in range(60):
        client.send(b"a" * 30_000)
    assert (await client.head())[0] == code


async def test_too_many_requests_sent_ahead(world, client):
    for _ in range(readers.QUEUED + 50):
        client.ask("/later")
    await world.until(lambda: world.seen)
    world.gate.set()
    assert b"HTTP/1.1 429" in await client.ended()


async def test_random_bytes_end_in_a_refusal(world, connect):
    chance = random.Random(7)
    base = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    for _ in range(200):
        raw = bytearray(base)
        for _ in range(chance.randrange(1, 4)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        client = await connect()
        client.send(bytes(raw))
        client.writer.write_eof()
        answers = await client.ended()
        assert b"HTTP/1.1 500" not in answers
        assert not answers or answers.startswith(b"HTTP/1.1 "), raw


# --- time and memory --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw", [b"GET / HTTP/1.1\r\nHost", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na"]
)
async def test_a_request_that_does_not_arrive(world, client, raw):
    client.send(raw)
    await world.until(lambda: any(not one._reader.between for one in world.server.connections))
    [one] = world.server.connections
    now = asyncio.get_running_loop().time()
    one.look(now + readers.HEAD_S - 1)
    assert one in world.server.connections
    one.look(now + readers.BODY_S + 1)
    assert (await client.head())[0] == 408


async def test_an_idle_connection_is_ended_and_a_busy_one_is_not(world, connect):
    idle, busy, watching = await connect(), await connect(), await connect()
    for one, path in ((idle, "/"), (busy, "/later"), (watching, "/stream")):
        one.ask(path)
    await idle.answer()
    await world.until(lambda: len(world.seen) == 3)
    now = asyncio.get_running_loop().time()
    for one in list(world.server.connections):
        one.look(now + readers.IDLE_S + 1)
    await idle.ended()
    await world.until(lambda: len(world.server.connections) == 2)
    world.gate.set()
    assert (await busy.answer())[0] == 200


async def test_who_does_not_take_an_answer_is_asked_no_more(world, client):
    client.writer.transport.pause_reading()
    for _ in range(200):
        client.ask("/big")
    await world.until(lambda: len(world.seen) > 1)
    [one] = world.server.connections
    await asyncio.sleep(0.1)  # what would be answered in this time, were it not held back
    assert len(world.seen) < 100
    now = asyncio.get_running_loop().time()
    one.look(now)
    one.look(now + connections.STALLED_S + 1)
    await world.until(lambda: not world.server.connections)


async def test_held_back_answers_come_when_the_client_reads_again(world, client):
    client.writer.transport.pause_reading()
    for _ in range(60):
        client.ask("/big")
    await world.until(lambda: len(world.seen) > 1)
    await asyncio.sleep(0.05)
    client.writer.transport.resume_reading()
    for _ in range(60):
        assert (await client.answer())[1] == BIG


# --- streams ----------------------------------------------------------------------------------------------------------


async def chunks(client: Client, count: int) -> list[bytes]:
    found = []
    async with asyncio.timeout(10):
        for _ in range(count):
            size = int(await client.reader.readline(), 16)
            found.append(await client.reader.readexactly(size))
            await client.reader.readexactly(2)
    return found


async def test_a_stream_in_chunks(world, client):
    client.ask("/stream")
    code, headers = await client.head()
    assert (code, headers["transfer-encoding"]) == (200, "chunked")
    assert await chunks(client, 1) == [b"first\n"]
    [sink] = world.sinks
    sink.write(b"")  # would be the end
    sink.write(b"second")
    shared = Shared(b"third")
    sink.write_shared(shared)
    sink.write_shared(shared)
    assert await chunks(client, 3) == [b"second", b"third", b"third"]
    sink.close()
    sink.write(b"late")
    assert await client.reader.readexactly(5) == b"0\r\n\r\n"
    await world.until(lambda: world.ended)
    sink.on_close(world.end)
    assert world.ended == 2


@pytest.mark.parametrize(("head", "said"), [(b"", False), (b"Connection: close\r\n", True)])
async def test_a_stream_says_that_it_closes_only_to_who_asked_for_that(client, head, said):
    """Python's clients let go of their socket when they hear it, and hang in a watch that they want to stop."""
    client.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n")
    assert ("connection" in (await client.head())[1]) is said


async def test_after_a_stream_a_client_asks_on(world, client):
    for number in range(3):
        client.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.head()
        assert await chunks(client, 1) == [b"first\n"]
        world.sinks[number].close()
        assert await client.reader.readexactly(5) == b"0\r\n\r\n"
        await world.until(lambda number=number: world.ended == number + 1)
    client.ask("/")
    assert (await client.head())[0] == 200


async def test_a_parked_stream_holds_no_task(world, connect):
    before = len(asyncio.all_tasks())
    clients = [await connect() for _ in range(50)]
    for client in clients:
        client.ask("/stream")
    await world.until(lambda: len(world.sinks) == 50)
    assert len(asyncio.all_tasks()) == before
    assert all(one._reader is None for one in world.server.connections)


@pytest.mark.parametrize("after", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"nonsense" * 1000])
async def test_what_a_client_says_during_a_stream_is_not_heard(world, client, after):
    client.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n", after)
    await client.head()
    assert await chunks(client, 1) == [b"first\n"]
    client.send(after)
    world.sinks[0].write(b"more")
    assert await chunks(client, 1) == [b"more"]


@pytest.mark.parametrize("how", ["close", "eof"])
async def test_a_stream_ends_with_its_client(world, client, how):
    client.ask("/stream")
    await client.head()
    client.writer.close() if how == "close" else client.writer.write_eof()
    await world.until(lambda: world.ended == 1)
    world.sinks[0].write(b"to nobody")


async def test_a_request_is_cancelled_with_its_client(world, client):
    client.ask("/later")
    await world.until(lambda: world.seen)
    raw = client.writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # end without a word
    client.writer.transport.abort()
    await asyncio.wait_for(world.cancelled.wait(), 10)


async def test_a_slow_client_costs_only_itself(world, connect):
    slow, quick = await connect(), await connect()
    for one in (slow, quick):
        one.ask("/stream")
        await one.head()
    slow.writer.transport.pause_reading()
    await chunks(quick, 1)
    shared = Shared(BIG)
    for _ in range(50):
        for sink in world.sinks:
            sink.write_shared(shared)
        assert await chunks(quick, 1) == [BIG]
    assert sorted(sink.buffered > len(BIG) for sink in world.sinks) == [False, True]
    max(world.sinks, key=lambda sink: sink.buffered).abort()
    await world.until(lambda: len(world.server.connections) == 1)
    world.sinks[1].write(b"x")


async def test_a_stream_in_slices_waits_for_its_client(world, client):
    client.writer.transport.pause_reading()
    client.ask("/slices")
    await world.until(lambda: any(one._writable for one in world.server.connections))
    [one] = world.server.connections
    assert one._transport.get_write_buffer_size() < 3 * len(BIG)
    client.writer.transport.resume_reading()
    await client.head()
    assert sum(map(len, await chunks(client, 200))) == 200 * len(BIG)


# --- the end ----------------------------------------------------------------------------------------------------------


async def test_a_server_that_closes_ends_what_is_open_and_answers_what_was_asked(world, connect):
    idle, busy, watching = await connect(), await connect(), await connect()
    busy.ask("/later")
    watching.ask("/stream")
    await world.until(lambda: len(world.seen) == 2 and len(world.server.connections) == 3)
    closing = asyncio.create_task(world.server.close())
    assert await idle.ended() == b""
    assert (await watching.ended()).endswith(b"0\r\n\r\n")
    world.gate.set()
    code, headers = await busy.head()
    assert (code, headers["connection"]) == (200, "close")
    await closing
    assert not world.server.connections
    with pytest.raises(OSError, match="Connect call failed"):
        await connect()


async def test_a_handler_with_a_defect_cuts_its_own_connection_only(connect):
    broken, other = await connect(), await connect()
    broken.ask("/broken")
    assert await broken.ended() == b""
    other.ask("/")
    assert (await other.answer())[0] == 200
