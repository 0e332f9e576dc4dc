"""The bench's HTTP client against a server that says what a test wants."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from bench.client import ApiError, Client

Serve = Callable[[list[bytes]], str]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Start a server for one connection that answers each request with the next of the answers, then closes."""

    def start(answers: list[bytes]) -> str:
        path = str(tmp_path / "s")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)

        def run() -> None:
            connection, _ = listener.accept()
            for answer in answers:
                connection.recv(65536)
                connection.sendall(answer)
            connection.close()
            listener.close()

        threading.Thread(target=run, daemon=True).start()
        return path

    return start


def test_many_calls_on_one_connection(serve: Serve) -> None:
    answers = [
        b'HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\n{"Id":"a"}',
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n',
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK",
    ]
    with Client(serve(answers)) as client:
        assert client.call("POST", "/create", {}) == {"Id": "a"}
        assert client.call("POST", "/start") is None
        assert client.call("GET", "/json") == {"a": 1}
        assert client.call("GET", "/_ping") == b"OK"


def test_an_unexpected_status_tells_the_daemons_words(serve: Serve) -> None:
    with (
        Client(serve([b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno such"])) as client,
        pytest.raises(ApiError, match="GET /x: 404 no such"),
    ):
        client.call("GET", "/x")


def test_a_stream_is_read_to_its_end(serve: Serve) -> None:
    with Client(serve([b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n\r\nhello"])) as client:
        assert client.stream("/exec", {}) == b"hello"


def test_a_daemon_that_closes_in_the_middle_is_an_error(serve: Serve) -> None:
    with (
        Client(serve([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"])) as client,
        pytest.raises(ApiError, match="closed the connection"),
    ):
        client.call("GET", "/x")
