"""A real webhook server on loopback, with an authority of its own.

with webhook_server(tmp_path) as hooks:
    hooks.on("/deny", lambda request: {"allowed": False})
    hooks.asked["/deny"]            # the AdmissionRequests that came
"""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from certificates import make_certificates

Answer = Callable[[dict], dict]


class WebhookServer:
    """Answers AdmissionReviews and ConversionReviews by path. An answer may be a whole body, said by `kind`."""

    def __init__(self, directory: Path, *names: str, host: str = "127.0.0.1") -> None:
        files = make_certificates(directory, *names)
        self.ca = base64.b64encode(Path(files["cacert"]).read_bytes()).decode()
        self.answers: dict[str, Answer] = {}
        self.asked: dict[str, list[dict]] = defaultdict(list)
        self.urls: list[str] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files["cert"], files["key"])
        self._server = ThreadingHTTPServer((host, 0), self._handler())
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def on(self, path: str, answer: Answer) -> None:
        self.answers[path] = answer

    def config(self, path: str) -> dict:
        """Return a clientConfig that leads here."""
        return {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": self.ca}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                with hooks._lock:
                    hooks.at_once += 1
                    hooks.most_at_once = max(hooks.most_at_once, hooks.at_once)
                try:
                    self._answer()
                finally:
                    with hooks._lock:
                        hooks.at_once -= 1

            def _answer(self) -> None:
                path = self.path.partition("?")[0]
                review = json.loads(self.rfile.read(int(self.headers["content-length"])))
                hooks.urls.append(self.path)
                hooks.asked[path].append(review["request"])
                said = hooks.answers[path](review["request"])
                if "kind" not in said:
                    part = {"uid": review["request"]["uid"], **said}
                    said = {"kind": review["kind"], "apiVersion": review["apiVersion"], "response": part}
                body = json.dumps(said).encode()
                with contextlib.suppress(OSError):
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def patch(*operations: dict) -> dict:
    """Return a response that allows, and changes."""
    encoded = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": encoded}


def slowly(seconds: float, answer: Answer) -> Answer:
    """Return an answer that takes its time, as a slow webhook does."""

    def late(request: dict) -> dict:
        time.sleep(seconds)
        return answer(request)

    return late


@contextlib.contextmanager
def webhook_server(directory: Path, *names: str, host: str = "127.0.0.1") -> Iterator[WebhookServer]:
    """Serve at `host`; the certificate is for `names` as well."""
    server = WebhookServer(directory, *names, host=host)
    try:
        yield server
    finally:
        server.close()
