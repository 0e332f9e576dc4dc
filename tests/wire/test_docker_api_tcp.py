"""The docker CLI over TCP with mutual TLS, a WebSocket client, and clients that do not read."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from pathlib import Path

import aiohttp
import pytest

from certificates import make_certificates
from daemon import DOCKER, SAMPAN, need_docker, running_daemon


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def tls_daemon(tmp_path_factory):
    need_docker()
    home = tmp_path_factory.mktemp("tls")
    files = make_certificates(home)
    port = free_port()
    flags = ["-H", f"tcp://127.0.0.1:{port}", "--tlsverify"]
    for name, path in files.items():
        flags += [f"--tls{name}", path]
    with running_daemon(home, *flags) as daemon:
        daemon.tcp = port
        yield daemon


def over_tls(daemon, *args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    home = Path(daemon.home)
    flags = [
        "--tlsverify",
        "--tlscacert",
        home / "ca.pem",
        "--tlscert",
        home / "cert.pem",
        "--tlskey",
        home / "key.pem",
    ]
    command = [DOCKER, "-H", f"tcp://127.0.0.1:{daemon.tcp}", *flags, *args]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=40, check=False)


def test_tls_run_and_exec_with_input(tls_daemon):
    assert over_tls(tls_daemon, "run", "--rm", "-i", "busybox", "cat", stdin=b"x" * 100_000).stdout == b"x" * 100_000
    over_tls(tls_daemon, "run", "-d", "--name", "one", "busybox", "sleep", "1000")
    command = "cat; sleep 0.3; head -c 3000000 /dev/zero; exit 3"
    done = over_tls(tls_daemon, "exec", "-i", "one", "sh", "-c", command, stdin=b"head")
    assert done.stdout == b"head" + bytes(3_000_000)
    assert done.returncode == 3


def test_tls_refuses_strangers(tls_daemon):
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", tls_daemon.tcp), 5) as plain:
        plain.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        if b"HTTP" not in plain.recv(100):
            raise ConnectionResetError


def test_plain_tcp_beyond_loopback_does_not_start(tmp_path):
    done = subprocess.run(
        [SAMPAN, "daemon", "--data-root", f"{tmp_path}/d", "--exec-root", f"{tmp_path}/e", "-H", "tcp://0.0.0.0:0"],
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1
    assert b"--tlsverify" in done.stderr
    assert not (tmp_path / "d").exists()


async def test_websocket(daemon):
    created = daemon.api(
        "POST", "/containers/create?name=sock", {"Image": "busybox", "Cmd": ["cat"], "OpenStdin": True}
    )
    daemon.api("POST", "/containers/sock/start")
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(daemon.socket)) as session:
        url = f"http://d/v1.51/containers/{created['Id']}/attach/ws?stream=1&stdin=1&stdout=1"
        async with session.ws_connect(url) as websocket:
            await websocket.send_bytes(b"hello\n")
            assert (await asyncio.wait_for(websocket.receive_bytes(), 10)) == b"hello\n"
            daemon.api("DELETE", "/containers/sock?force=1")
            assert (await asyncio.wait_for(websocket.receive(), 10)).type is aiohttp.WSMsgType.CLOSE


@pytest.mark.soak
def test_a_client_that_reads_nothing_is_cut_and_the_container_ends_well(daemon):
    command = ["sh", "-c", "head -c 50000000 /dev/zero; exit 4"]
    daemon.api("POST", "/containers/create?name=flood", {"Image": "busybox", "Cmd": command, "AttachStdout": True})
    client = socket.socket(socket.AF_UNIX)
    client.connect(daemon.socket)
    client.sendall(
        b"POST /containers/flood/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    assert client.recv(1000).startswith(b"HTTP/1.1 101")
    daemon.api("POST", "/containers/flood/start")
    started = time.monotonic()
    assert daemon.api("POST", "/containers/flood/wait")["StatusCode"] == 4
    assert time.monotonic() - started < 40
    for _ in range(200):
        if "client cut" in daemon.tail() or "cut" in daemon.tail():
            break
        time.sleep(0.1)
    assert "cut" in daemon.tail()
    client.close()
    assert daemon.out("run", "--rm", "busybox", "echo", "alive") == "alive"
