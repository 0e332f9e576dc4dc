"""HTTP/1.1 over the daemon's socket, as small as the CLI needs: http.client with json alone would cost 50 ms.

One connection a request. A body is bytes or an iterable of bytes (sent chunked); an answer is read whole, in pieces,
or, after a hijack, becomes the bare socket.
"""

from __future__ import annotations

import _socket
from collections.abc import Iterable, Iterator

from sampan.cli.errors import CliError

API = "/v1.51"
DEFAULT_HOST = "unix:///run/sampan/sampan.sock"


class EngineError(CliError):
    """The engine answered with an error; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"Error response from daemon: {message}")
        self.status = status
        self.message = message


class Answer:
    """A response whose head was read. Iterating yields body pieces as they arrive, never more than was sent."""

    def __init__(self, connection: _socket.socket, head: bytes, rest: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ", 2)[1])
        self.headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        self.connection = connection
        self.buffer = rest

    def __iter__(self) -> Iterator[bytes]:
        try:
            if self.headers.get("transfer-encoding", "").lower() == "chunked":
                yield from self._chunks()
            elif "content-length" in self.headers:
                yield from self._exactly(int(self.headers["content-length"]))
            elif self.status not in (204, 304):
                yield from self._until_eof()
        finally:
            self.connection.close()

    def read(self) -> bytes:
        """Return the whole body."""
        return b"".join(self)

    def json(self) -> object:
        """Return the body decoded."""
        import json

        return json.loads(self.read() or b"null")

    def lines(self) -> Iterator[bytes]:
        """Yield a stream of JSON documents, one a line."""
        waiting = b""
        for piece in self:
            *whole, waiting = (waiting + piece).split(b"\n")
            yield from (line for line in whole if line.strip())
        if waiting.strip():
            yield waiting

    def _more(self) -> bytes:
        data, self.buffer = self.buffer, b""
        return data or self.connection.recv(65536)

    def _exactly(self, left: int) -> Iterator[bytes]:
        while left:
            data = self._more()
            if not data:
                raise CliError("the daemon closed the connection in the middle of its answer. Try again.")
            piece, self.buffer = data[:left], data[left:]
            left -= len(piece)
            yield piece

    def _until_eof(self) -> Iterator[bytes]:
        while data := self._more():
            yield data

    def _line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            data = self.connection.recv(65536)
            if not data:
                raise CliError("the daemon closed the connection in the middle of its answer. Try again.")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._line().split(b";")[0], 16):
            yield from self._exactly(size)
            self._line()


class Client:
    """Speaks to one daemon. `host` is `unix:///path` or, for a daemon on loopback, `tcp://127.0.0.1:port`."""

    def __init__(self, host: str) -> None:
        self.host = host

    def connect(self) -> _socket.socket:
        """Return a connected socket.

        Raises:
            CliError: nothing listens there; says how to start a daemon.
        """
        scheme, _, where = self.host.partition("://")
        try:
            if scheme == "unix":
                connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
                connection.connect(where)
            elif scheme == "tcp":
                name, _, port = where.partition("/")[0].rpartition(":")
                connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
                connection.connect((name.strip("[]") or "127.0.0.1", int(port or 2375)))
            else:
                raise CliError(f"cannot speak {self.host!r}: use unix:///path or tcp://127.0.0.1:port.")
        except (OSError, ValueError) as error:
            raise CliError(_unreachable(self.host, error)) from None
        return connection

    def send(
        self, method: str, path: str, body: bytes | Iterable[bytes] = b"", headers: tuple[tuple[str, str], ...] = ()
    ) -> Answer:
        """Send a request and return its answer, whatever the status; the caller reads or hijacks it."""
        connection = self.connect()
        whole = body if isinstance(body, bytes) else None
        size = f"Content-Length: {len(whole)}" if whole is not None else "Transfer-Encoding: chunked"
        lines = [f"{method} {path} HTTP/1.1", "Host: sampan", "User-Agent: sampan", size]
        lines += [f"{name}: {value}" for name, value in headers]
        try:
            connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + (whole or b""))
            if not isinstance(body, bytes):
                _send_chunks(connection, body)
            return _read_head(connection)
        except OSError as error:
            connection.close()
            raise CliError(f"the connection to the daemon at {self.host} broke: {error.strerror or error}.") from None

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: Iterable[bytes] | None = None,
        kind: str = "",
        headers: tuple[tuple[str, str], ...] = (),
        ok: tuple[int, ...] = (),
    ) -> Answer:
        """Send an API request and return the answer, which is a success or one of the `ok` statuses.

        `body` is sent as JSON; `raw` is sent as it is, with `kind` as its type.

        Raises:
            EngineError: any other status, with the engine's message.
        """
        data: bytes | Iterable[bytes] = b""
        if raw is not None:
            data, headers = raw, (*headers, ("Content-Type", kind or "application/x-tar"))
        elif body is not None:
            import json

            data, headers = json.dumps(body).encode(), (*headers, ("Content-Type", "application/json"))
        answer = self.send(method, API + path, data, headers)
        if answer.status >= 400 and answer.status not in ok:
            raise EngineError(answer.status, _message(answer))
        return answer

    def get(self, path: str) -> object:
        """Return the decoded answer of a GET."""
        return self.request("GET", path).json()

    def hijack(self, path: str, body: object) -> tuple[_socket.socket, bytes]:
        """POST and take the connection over. Returns the socket and bytes that came with the head already."""
        answer = self.request("POST", path, body, headers=(("Connection", "Upgrade"), ("Upgrade", "tcp")))
        return answer.connection, answer.buffer


def _send_chunks(connection: _socket.socket, pieces: Iterable[bytes]) -> None:
    try:
        for piece in pieces:
            if piece:
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        return  # the daemon has answered already, most likely with a refusal: read it


def _read_head(connection: _socket.socket) -> Answer:
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                raise CliError("the daemon closed the connection without an answer: see its log.")
            data += piece
        head, _, data = data.partition(b"\r\n\r\n")
        answer = Answer(connection, head, data)
        if answer.status != 100:
            return answer


def _message(answer: Answer) -> str:
    body = answer.read()
    try:
        import json

        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip() or f"HTTP status {answer.status}"


def _unreachable(host: str, error: Exception) -> str:
    why = getattr(error, "strerror", None) or str(error)
    if isinstance(error, PermissionError):
        return f"cannot open {host}: {why}. Use sudo, or join the group that owns the socket."
    return f"no daemon answers at {host}: {why}. Start one with 'sampan up', or point -H or DOCKER_HOST at another."


def quote(text: str) -> str:
    """Return `text` percent-encoded for a path segment or a query value; "/" and ":" stay."""
    safe = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~/:@,"
    return "".join(chr(byte) if byte in safe else f"%{byte:02X}" for byte in text.encode())


def query(**terms: object) -> str:
    """Return `?a=b&c=d` from the terms that are set: None, False and "" are left out, True is 1."""
    pairs = [
        f"{name}={quote('1' if value is True else str(value))}"
        for name, value in terms.items()
        if value is not None and value is not False and value != ""
    ]
    return "?" + "&".join(pairs) if pairs else ""
