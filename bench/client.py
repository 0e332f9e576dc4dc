"""Client: the least HTTP/1.1 over a Unix socket, the same for every side, so that the daemons are what is measured."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Any, Self

import msgspec

TIMEOUT_S = 120.0


class ApiError(Exception):
    """A status that the caller did not expect, with the daemon's own words."""


class Client:
    """One persistent connection. Not thread-safe: one a thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._buffer = bytearray()

    def call(self, method: str, path: str, body: Any = None, *, ok: tuple[int, ...] = (200, 201, 204, 304)) -> Any:
        """Return the decoded JSON answer, or the raw bytes when it is no single JSON value.

        Raises:
            ApiError: the status is not in `ok`.
        """
        payload = b"" if body is None else msgspec.json.encode(body)
        self._send(method, path, payload, "Content-Type: application/json\r\n" if payload else "")
        status, data = self._receive()
        if status not in ok:
            raise ApiError(f"{method} {path}: {status} {data.decode(errors='replace').strip()}")
        return _decoded(data)

    def upload(self, path: str, file: str) -> bytes:
        """POST a file as it is and return the answer's body."""
        connection = self._connection()
        with open(file, "rb") as source:
            size = source.seek(0, 2)
            source.seek(0)
            head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-tar\r\nContent-Length: {size}\r\n\r\n"
            connection.sendall(head.encode())
            connection.sendfile(source)
        status, data = self._receive()
        if status != 200 or b'"error"' in data:
            raise ApiError(f"POST {path}: {status} {data.decode(errors='replace').strip()}")
        return data

    def stream(self, path: str, body: Any) -> bytes:
        """POST an upgrade to a raw stream and return all that comes until the other end closes."""
        self._send(
            "POST",
            path,
            msgspec.json.encode(body),
            "Content-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n",
        )
        status, _ = self._head()
        if status not in (101, 200):
            raise ApiError(f"POST {path}: {status} {bytes(self._buffer).decode(errors='replace')}")
        while self._more():
            pass
        output = bytes(self._buffer)
        self.close()
        return output

    def close(self) -> None:
        """Drop the connection; the next call makes a new one. May be repeated."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._buffer.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connection(self) -> socket.socket:
        if self._socket is None:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(TIMEOUT_S)
            connection.connect(self._path)
            self._socket = connection
        return self._socket

    def _send(self, method: str, path: str, payload: bytes, headers: str) -> None:
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\n{headers}Content-Length: {len(payload)}\r\n\r\n"
        self._connection().sendall(head.encode() + payload)

    def _more(self) -> bool:
        data = self._connection().recv(65536)
        self._buffer += data
        return bool(data)

    def _until(self, mark: bytes) -> bytes:
        while (end := self._buffer.find(mark)) < 0:
            if not self._more():
                raise ApiError(f"{self._path}: the daemon closed the connection in the middle of an answer")
        return self._take(end + len(mark))

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not self._more():
                raise ApiError(f"{self._path}: the daemon closed the connection in the middle of an answer")
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _head(self) -> tuple[int, dict[str, str]]:
        first, *rest = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in rest if line)
        return int(first.split(" ", 2)[1]), {name.lower(): value.strip() for name, _, value in pairs}

    def _receive(self) -> tuple[int, bytes]:
        status, headers = self._head()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            data = b"".join(self._chunks())
        elif status in {204, 304}:
            data = b""
        else:
            data = self._take(int(headers.get("content-length", "0")))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return status, data

    def _chunks(self) -> list[bytes]:
        chunks = []
        while size := int(self._until(b"\r\n").split(b";")[0], 16):
            chunks.append(self._take(size))
            self._take(2)
        self._until(b"\r\n")
        return chunks


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data) if data else None
    except msgspec.DecodeError:
        return data
