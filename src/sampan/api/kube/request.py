"""What the HTTP server hands to the API and takes back, so that neither knows the other's insides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol
from urllib.parse import parse_qs

import msgspec


class User(msgspec.Struct, frozen=True):
    """Who asks. Spec: authentication.k8s.io/v1 UserInfo."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)


ANONYMOUS = User("system:anonymous", groups=("system:unauthenticated",))


class Request(msgspec.Struct):
    """One request. Header names are lower case; `path` is decoded once and has no query."""

    method: str
    path: str
    query: str = ""  # as sent
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""
    certificate: bytes = b""  # the client's, DER, verified by the handshake; b"" for none
    remote: str = ""
    user: User = ANONYMOUS  # set by authentication
    authenticated: User | None = None  # the same, or who impersonates the user
    annotations: dict[str, str] = msgspec.field(default_factory=dict)  # what the audit log is told besides
    _parameters: dict[str, list[str]] | None = None

    @property
    def parameters(self) -> dict[str, list[str]]:
        """Return the query's parameters, decoded, in order."""
        if self._parameters is None:
            self._parameters = parse_qs(self.query, keep_blank_values=True) if self.query else {}
        return self._parameters

    def parameter(self, name: str, default: str = "") -> str:
        """Return the first value of a parameter."""
        values = self.parameters.get(name)
        return values[0] if values else default

    def flag(self, name: str) -> bool:
        """Return whether a boolean parameter is on: `true`, `1`, or there without a value."""
        return name in self.parameters and self.parameter(name) in ("", "1", "true", "True", "t", "T")


class Shared:
    """Bytes that many sinks get: what one of them makes of them for its wire is made once."""

    __slots__ = ("data", "framed")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.framed = b""


class Sink(Protocol):
    """The body of an answer that goes on. Writes are never waited for: who writes looks at `buffered`."""

    def write(self, data: bytes) -> None:
        """Send `data`. Nothing happens after the end."""
        ...

    def write_shared(self, shared: Shared) -> None:
        """Send bytes that other sinks get, too."""
        ...

    @property
    def buffered(self) -> int:
        """Bytes that the client has not taken yet."""
        ...

    def close(self) -> None:
        """End the answer properly. May be repeated."""
        ...

    def abort(self) -> None:
        """Cut the connection: the client is too slow, or history is gone. May be repeated."""
        ...

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, when the answer has ended for whatever reason."""
        ...

    async def drain(self) -> None:
        """Return when little enough is buffered to write more. For bodies made in pieces, such as long lists."""
        ...


class Response(msgspec.Struct):
    """An answer. With `stream`, `body` is only its beginning, and `stream(sink)` is called once when it was sent."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    stream: Callable[[Sink], Awaitable[None] | None] | None = None


Handler = Callable[[Request], Awaitable[Response]]
"""Never raises: a refusal is a Response too."""

Judge = Callable[[Request], Awaitable[Response | None]]
"""Asked about a request whose body is large, when only its head has come: the refusal, or None. Never raises."""
