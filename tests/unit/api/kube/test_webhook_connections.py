"""Connections to webhooks, against a server that says what a test wants, byte by byte, over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest

from certificates import make_certificates
from sampan.api.kube.host_names import HostNames
from sampan.api.kube.webhook_connections import MOST_BYTES, Connections, Endpoint

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Place:
    """Answers each question with the next of `answers`, the last one again; None ends the connection before an answer."""

    def __init__(self) -> None:
        self.answers = [OK]
        self.connections = 0
        self.questions: list[bytes] = []
        self.end_after = 0  # questions on one connection
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader, writer):
        self.connections += 1
        self.writers.append(writer)
        with contextlib.suppress(OSError, EOFError):
            asked = 0
            while not self.end_after or asked < self.end_after:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.questions.append(head + await reader.readexactly(size))
                asked += 1
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if b"Content-Length" not in answer and b"chunked" not in answer:
                    break
        writer.close()


@pytest.fixture
async def place(tmp_path):
    files = make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["cert"], files["key"])
    made = Place()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    made.to = Endpoint(
        "127.0.0.1", port, "127.0.0.1", "/judge?a=b", f"127.0.0.1:{port}", Path(files["cacert"]).read_text()
    )
    made.connections_kept = Connections()
    yield made
    made.connections_kept.close()
    server.close()
    for writer in made.writers:
        writer.transport.abort()
    await asyncio.sleep(0.01)


async def ask(place, body=b"{}"):
    async with asyncio.timeout(5):
        return await place.connections_kept.post(place.to, body)


async def test_a_connection_is_used_again(place):
    for _ in range(5):
        assert await ask(place) == (200, b"ok")
    assert place.connections == 1
    assert place.questions[0].startswith(b"POST /judge?a=b HTTP/1.1\r\nHost: 127.0.0.1:")


async def test_questions_at_once_have_connections_of_their_own(place):
    assert [await each for each in [asyncio.ensure_future(ask(place)) for _ in range(4)]] == [(200, b"ok")] * 4
    assert place.connections == 4
    await ask(place)
    assert place.connections == 4


async def test_a_connection_that_has_ended_is_not_used(place):
    place.end_after = 1
    for _ in range(3):
        assert await ask(place) == (200, b"ok")
        await asyncio.sleep(0.02)
    assert place.connections == 3


async def test_a_question_that_was_not_answered_on_a_kept_connection_is_asked_again(place):
    place.answers = [OK, None, OK]
    assert await ask(place) == (200, b"ok")
    assert await ask(place) == (200, b"ok")
    assert (place.connections, len(place.questions)) == (2, 3)


async def test_a_question_that_was_not_answered_on_a_new_connection_fails(place):
    place.answers = [None, OK]
    with pytest.raises(EOFError):
        await ask(place)
    assert place.connections == 1


@pytest.mark.parametrize(
    ("answer", "content", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", b"ok", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok", False),
        (b"HTTP/1.1 200 OK\r\n\r\nall of it", b"all of it", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n3\r\n ay\r\n0\r\n\r\n", b"ok ay", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nTrailer: x\r\n\r\n", b"ok", True),
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", b"", True),
    ],
)
async def test_answers(place, answer, content, kept):
    place.answers = [answer]
    _, found = await ask(place)
    assert found == content
    await ask(place)
    assert place.connections == (1 if kept else 2)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MOST_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["no-http", "no-status", "no-size", "negative", "too-long", "no-chunk", "long-chunk", "long-head"],
)
async def test_answers_that_are_none(place, answer):
    place.answers = [answer]
    with pytest.raises((ValueError, asyncio.LimitOverrunError)):
        await ask(place)


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: y", "/ä"])
async def test_paths_that_no_url_has(place, path):
    place.to = place.to._replace(path=path)
    with pytest.raises(ValueError, match="characters that no URL has"):
        await ask(place)


async def test_another_authority_is_another_connection(place, tmp_path_factory):
    assert await ask(place) == (200, b"ok")
    other = make_certificates(tmp_path_factory.mktemp("other"))
    place.to = place.to._replace(ca=Path(other["cacert"]).read_text())
    with pytest.raises(ssl.SSLCertVerificationError):
        await ask(place)


async def test_a_host_by_its_name(place):
    place.to = place.to._replace(host="localhost")
    assert await ask(place) == (200, b"ok")


async def test_a_name_that_nobody_has(place):
    place.to = place.to._replace(host="nobody.invalid")
    with pytest.raises(OSError, match=r"lookup nobody\.invalid: "):
        await ask(place)


async def test_a_name_is_looked_up_once_for_all_who_ask():
    names = HostNames()
    found = await asyncio.gather(*(names.addresses("localhost") for _ in range(50)))
    assert {address for each in found for address in each} <= {"127.0.0.1", "::1"}
    assert names._asked == {}
    assert await names.addresses("127.0.0.9") == ["127.0.0.9"]
    waiting = asyncio.ensure_future(names.addresses("localhost"))
    await asyncio.sleep(0)
    waiting.cancel()
    assert await names.addresses("localhost")
