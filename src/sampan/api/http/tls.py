"""TLS with a working half-close, between a TCP transport and the HTTP protocol.

asyncio's own TLS ends the connection when the client ends its input, and loses what the process still prints
(`echo hi | docker --tlsverify exec -i C cat`). Here a close_notify from the client is the end of its input only.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, cast

from sampan.api.http.files import TlsFiles
from sampan.base import log
from sampan.base.errors import InvalidArgument

_READ_BYTES = 64 * 1024
_HANDSHAKE_S = 10.0

_logger = log.get("api")


def make_context(files: TlsFiles, *, anonymous: bool = False) -> ssl.SSLContext:
    """Return a server context that accepts clients with a certificate of `files.ca` only; `anonymous`: or with none.

    Raises:
        InvalidArgument: a file is no PEM, or key and certificate do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL if anonymous else ssl.CERT_REQUIRED
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.cert, files.key)
        context.load_verify_locations(files.ca)
    except (ssl.SSLError, OSError) as error:
        raise InvalidArgument(f"cannot use TLS files {files.ca}, {files.cert}, {files.key}: {error}") from error
    return context


class TlsLayer(asyncio.Protocol):
    """The protocol on the TCP side. Its application starts when the handshake is done."""

    def __init__(self, context: ssl.SSLContext, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._factory = factory
        self._raw: asyncio.Transport | None = None
        self._handshake_timer: asyncio.TimerHandle | None = None
        self._eof = False
        self.app: asyncio.Protocol | None = None
        self.reading = True

    @property
    def raw(self) -> asyncio.Transport:
        """The TCP transport."""
        if self._raw is None:
            raise ConnectionResetError("the connection is not open")
        return self._raw

    # from below

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast("asyncio.Transport", transport)
        self._handshake_timer = asyncio.get_running_loop().call_later(_HANDSHAKE_S, self._raw.abort)

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        try:
            if self.app is None and not self._shake_hands():
                return
            self.deliver()
        except ssl.SSLError as error:
            _logger.info("TLS client refused: %s", error.reason or error)
            self._flush()
            self.raw.abort() if self.app else self.raw.close()

    def eof_received(self) -> bool:
        if self.app is None:
            return False
        self._end_input()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._handshake_timer is not None:
            self._handshake_timer.cancel()
        if self.app is not None:
            self.app.connection_lost(exc)

    def pause_writing(self) -> None:
        if self.app is not None:
            self.app.pause_writing()

    def resume_writing(self) -> None:
        if self.app is not None:
            self.app.resume_writing()

    # between

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        self._flush()
        if self._handshake_timer is not None:
            self._handshake_timer.cancel()
        self.app = cast("asyncio.Protocol", self._factory())
        self.app.connection_made(TlsTransport(self, self._tls))
        return True

    def deliver(self) -> None:
        """Hand decrypted input up until there is no more, or the application wants none."""
        while self.reading and not self._eof and self.app is not None:
            try:
                data = self._tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                data = b""
            if not data:
                self._end_input()
                break
            self.app.data_received(data)
        self._flush()

    def _end_input(self) -> None:
        """Tell the application once; unless it keeps the connection for output, that is its end."""
        if self._eof or self.app is None:
            return
        self._eof = True
        if not self.app.eof_received():
            self.close()

    def _flush(self) -> None:
        if self._outgoing.pending and not self.raw.is_closing():
            self.raw.write(self._outgoing.read())

    # from above

    def write(self, data: bytes) -> None:
        """Encrypt and send."""
        view = memoryview(data)
        while view and not self.raw.is_closing():
            view = view[self._tls.write(view) :]
            self._flush()

    def write_eof(self) -> None:
        """Send our close_notify."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # the client's own close_notify is not there yet, which is its right
        self._flush()

    def close(self) -> None:
        """Send what is unsent and a close_notify, then end."""
        if not self.raw.is_closing():
            self.write_eof()
            self.raw.close()


class TlsTransport(asyncio.Transport):
    """What the application writes to."""

    def __init__(self, layer: TlsLayer, tls: ssl.SSLObject) -> None:
        super().__init__()
        self._layer = layer
        self._tls = tls

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "peercert":
            return self._tls.getpeercert()
        if name == "peercert_der":
            return self._tls.getpeercert(binary_form=True) or b""
        if name in ("ssl_object", "sslcontext"):
            return self._tls if name == "ssl_object" else self._tls.context
        return self._layer.raw.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._layer.app = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return cast("asyncio.BaseProtocol", self._layer.app)

    def is_reading(self) -> bool:
        return self._layer.reading

    def pause_reading(self) -> None:
        self._layer.reading = False
        self._layer.raw.pause_reading()

    def resume_reading(self) -> None:
        if not self._layer.reading:
            self._layer.reading = True
            self._layer.raw.resume_reading()
            # What was decrypted meanwhile is not announced again by the socket.
            asyncio.get_running_loop().call_soon(self._layer.deliver)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._layer.raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._layer.raw.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._layer.raw.get_write_buffer_limits()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._layer.write(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self._layer.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._layer.write_eof()

    def is_closing(self) -> bool:
        return self._layer.raw.is_closing()

    def close(self) -> None:
        self._layer.close()

    def abort(self) -> None:
        self._layer.raw.abort()
