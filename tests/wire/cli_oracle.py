"""A socket that speaks just enough of the API to take what a client sends to /containers/create, and refuse it."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from typing import Self


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        for name, value in (("Api-Version", "1.51"), ("Ostype", "linux"), ("Content-Type", "application/json")):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self._answer(200, b"")

    def do_GET(self) -> None:
        self._answer(200, b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.bodies.append((self.path, json.loads(body or b"null")))
        self._answer(418, b'{"message":"recorded"}')

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        pass


class Recorder(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """`with Recorder(path) as recorder:` collects (path, body) of every POST in `recorder.bodies`."""

    daemon_threads = True

    def __init__(self, path: str) -> None:
        self.bodies: list[tuple[str, dict]] = []
        super().__init__(path, _Handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
