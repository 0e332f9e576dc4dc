"""Addresses, versions, routes."""

from __future__ import annotations

import asyncio
import os

import pytest

from sampan.api.docker.listen import check_listen, open_socket
from sampan.api.docker.routes import Router
from sampan.api.docker.server import Server, refuse_browsers, split_version
from sampan.base.errors import Conflict, Forbidden, InvalidArgument


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:2375", "tcp://[::1]:1", "tcp://localhost:1", "unix:///x"])
def test_harmless_addresses(address):
    check_listen(address, tls=False)


@pytest.mark.parametrize(
    "address", ["tcp://0.0.0.0:2375", "tcp://10.0.0.1:1", "tcp://host:1", "x", "http://a:1", "tcp://a", "unix://rel"]
)
def test_refused_addresses(address):
    with pytest.raises(InvalidArgument):
        check_listen(address, tls=False)


def test_plain_tcp_says_the_fix():
    with pytest.raises(InvalidArgument, match="--tlsverify"):
        check_listen("tcp://0.0.0.0:2375", tls=False)
    check_listen("tcp://0.0.0.0:2376", tls=True)


def test_stale_socket_is_replaced_and_a_live_one_is_not(tmp_path):
    path = f"{tmp_path}/s"
    first = open_socket(f"unix://{path}", tls=False)
    first.listen(1)
    assert os.stat(path).st_mode & 0o777 == 0o660
    with pytest.raises(Conflict, match="another daemon listens there"):
        open_socket(f"unix://{path}", tls=False)
    first.close()
    open_socket(f"unix://{path}", tls=False).close()
    (tmp_path / "file").write_text("x")
    with pytest.raises(Conflict, match="no socket"):
        open_socket(f"unix://{tmp_path}/file", tls=False)
    with pytest.raises(InvalidArgument, match="no such group"):
        open_socket(f"unix://{tmp_path}/t", tls=False, group="no-such-group-here")


async def test_a_closed_server_removes_only_its_own_socket(tmp_path, engine):
    server = Server(engine, [f"unix://{tmp_path}/s"])
    await server.start()
    await server.close()
    assert not (tmp_path / "s").exists()
    await server.start()
    os.unlink(tmp_path / "s")
    other = open_socket(f"unix://{tmp_path}/s", tls=False)
    await server.close()
    assert (tmp_path / "s").exists()
    other.close()


def test_versions():
    assert split_version("/v1.43/info") == ((1, 43), "/info")
    assert split_version("/info") == ((1, 51), "/info")
    assert split_version("/v1.24/info")[0] == (1, 24)
    with pytest.raises(InvalidArgument, match=r"too new. Maximum supported API version is 1.51"):
        split_version("/v1.99/info")
    with pytest.raises(InvalidArgument, match="too old"):
        split_version("/v1.10/info")


def test_routes():
    router = Router()
    assert router.find("GET", "/images/a/b/c:1/json")[1] == {"name": "a/b/c:1"}
    assert router.find("DELETE", "/images/json")[1] == {"name": "json"}
    assert router.find("POST", "/containers/x/attach")[1] == {"name": "x"}
    for method, path in (
        ("GET", "/"),
        ("GET", ""),
        ("PUT", "/info"),
        ("GET", "/containers/a/b/json"),
        ("GET", "//info"),
    ):
        assert router.find(method, path) is None


async def raw(tmp_path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(f"{tmp_path}/s")
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(65536), 5)
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /nope HTTP/1.1\r\nHost: d\r\n\r\n", b"404"),
        (b"GET /v1.99/info HTTP/1.1\r\nHost: d\r\n\r\n", b"400"),
        (b"GET /containers/%00/json HTTP/1.1\r\nHost: d\r\n\r\n", b"400"),
        (b"GET /containers/\xff/json HTTP/1.1\r\nHost: d\r\n\r\n", b"400"),
        (b"GET /containers/none/json HTTP/1.1\r\nHost: d\r\n\r\n", b"404"),
        (b"garbage\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: d\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST /swarm/init HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n", b"503"),
        (b"POST /build HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n", b"501"),
        (b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: text/x\r\nContent-Length: 1\r\n\r\n{", b"400"),
        (b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: 99999999\r\n\r\n{", b"400"),
    ],
)
async def test_errors_are_json(server, tmp_path, request_, status):
    answer = await raw(tmp_path, request_)
    assert answer[9:12] == status
    assert b'{"message":"' in answer
    assert b"Traceback" not in answer


async def test_ping(server, tmp_path):
    for method in (b"GET", b"HEAD"):
        answer = await raw(tmp_path, method + b" /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        for line in (b"Api-Version: 1.51", b"Ostype: linux", b"Builder-Version: 1", b"Docker-Experimental: false"):
            assert line in answer
        assert answer.endswith(b"OK") is (method == b"GET")


def test_unix_path_length(tmp_path):
    with pytest.raises(InvalidArgument):
        open_socket("unix:///" + "a" * 200, tls=False)


class Tcp:
    def get_extra_info(self, name):
        return {"sockname": ("127.0.0.1", 1)}.get(name)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "127.0.0.1:2375"},
        {"Host": "localhost"},
        {"Host": "api.moby.localhost"},
        {"Origin": "http://localhost:1"},
        {"Host": "[::1]:1"},
    ],
)
def test_clients_are_let_in(headers):
    refuse_browsers(headers, Tcp())
    refuse_browsers({"Host": "docker"}, None)


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example:2375"}]
)
def test_web_pages_are_not(headers):
    with pytest.raises(Forbidden):
        refuse_browsers(headers, Tcp())
