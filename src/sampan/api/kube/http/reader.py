"""Bytes of one connection to requests, within limits."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import httptools

from sampan.api.kube.http import wire
from sampan.api.kube.http.wire import Refused
from sampan.api.kube.request import Request, Response
from sampan.kube import status
from sampan.kube.decoding import MOST_BYTES

QUEUED = 256
"""Requests that a connection may have sent ahead."""
EARLY_BYTES = 64 * 1024
"""What is read of a body before it is asked whether the rest is wanted."""
HEAD_S, BODY_S, IDLE_S = 30.0, 300.0, 300.0
"""How long the head of a request, and its body, may be on its way; and how long there may be none."""
_OVERHEAD_BYTES = 1024 * 1024
"""What may be sent with a body that is not body: sizes of chunks, extensions, trailers."""
_IDLE, _HEAD, _BODY = range(3)
_ALLOWED_S = (IDLE_S, HEAD_S, BODY_S)

Queue = deque[tuple[Request | Response, bool]]
"""What is to be answered, or is an answer already; and whether the connection may be kept after it."""


class Reader:
    """Appends what it reads to a queue."""

    __slots__ = (
        "_began",
        "_body",
        "_body_bytes",
        "_bytes",
        "_certificate",
        "_headers",
        "_large",
        "_now",
        "_parser",
        "_phase",
        "_queue",
        "_remote",
        "_target",
        "expected",
        "head",
    )

    def __init__(self, queue: Queue, certificate: bytes, remote: str) -> None:
        self._queue = queue
        self._certificate = certificate
        self._remote = remote
        self._parser: Any = httptools.HttpRequestParser(self)
        self._phase = _IDLE
        self._began = self._now = asyncio.get_running_loop().time()  # of this phase; of what came last
        self._bytes = self._body_bytes = 0  # of this phase; of the body itself
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._large = False  # this body
        self.expected = False
        """Whether the client waits for leave to send its body. Whoever gives it sets this back."""
        self.head: Request | None = None
        """The request of a large body that is on its way, without it. Whoever judges it sets this back."""

    def feed(self, data: bytes) -> None:
        """Read what has come.

        Raises:
            Refused: the rest of the connection cannot be read. What came before is in the queue.
        """
        self._bytes += len(data)
        self._now = asyncio.get_running_loop().time()
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            if isinstance(cause := error.__context__, Refused):
                raise cause from None
            raise Refused(status.bad_request(f"this is no HTTP/1.1: {error}")) from None
        if self._phase == _HEAD and self._bytes > wire.HEAD_BYTES:
            raise wire.too_big_head()
        if self._phase == _BODY and self._bytes - self._body_bytes > _OVERHEAD_BYTES:
            raise Refused(status.too_large("there is more around the body than in it"))

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # We speak nothing but HTTP/1.1, and may say so by going on in it. Spec: RFC 9110 section 7.8.
                data = data[upgrade.args[0] :]
                self._parser = httptools.HttpRequestParser(self)
            else:
                return

    def close(self) -> None:
        """Let go of the parser, which holds on to its reader."""
        self._parser = None

    @property
    def between(self) -> bool:
        """Whether no request is on its way."""
        return self._phase == _IDLE

    def late(self, now: float) -> bool:
        """Return whether the client has taken too long with what it is at."""
        return now - self._began > _ALLOWED_S[self._phase]

    def _enter(self, phase: int) -> None:
        self._phase, self._bytes, self._began = phase, 0, self._now

    # --- from the parser

    def on_message_begin(self) -> None:
        self._target, self._headers, self._body, self._body_bytes = b"", {}, [], 0
        self._large, self.head = False, None
        self._enter(_HEAD)

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase == _HEAD:  # what trails a body is no header of ours: nobody has looked at it before us
            wire.add_header(self._headers, name, value)

    def on_headers_complete(self) -> None:
        version = self._parser.get_http_version()
        wire.check_head(self._target, self._headers, version, MOST_BYTES)
        self.expected = version == "1.1" and "expect" in self._headers
        self._enter(_BODY)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > MOST_BYTES:
            raise Refused(status.too_large(f"limit is {MOST_BYTES}"))
        self._body.append(body)
        if self._body_bytes > EARLY_BYTES and not self._large:
            self._large, self.head = True, self._request(b"")

    def on_message_complete(self) -> None:
        if len(self._queue) >= QUEUED:
            raise Refused(status.too_many_requests("too many requests were sent ahead"))
        request = self._request(self._body[0] if len(self._body) == 1 else b"".join(self._body))
        keep = self._parser.should_keep_alive() and self._parser.get_http_version() == "1.1"
        self._queue.append((request, keep))
        self._headers, self._body, self.head = {}, [], None
        self.expected = False
        self._enter(_IDLE)

    def _request(self, body: bytes) -> Request:
        target, _, query = self._target.partition(b"?")
        return Request(
            self._parser.get_method().decode("latin-1"),
            wire.path_of(target),
            query.decode("latin-1"),
            self._headers,
            body,
            self._certificate,
            self._remote,
        )
