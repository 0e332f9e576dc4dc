"""What HTTP/1.1 looks like on the wire, and what a request may look like. Pure.

Spec: RFC 9112; RFC 9110.
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import unquote_to_bytes

from sampan.api.kube.request import Response
from sampan.base.remember import of_short_texts
from sampan.kube import status
from sampan.kube.status import ApiError

HEAD_BYTES = 64 * 1024
"""Of a request line and its headers together."""
HEADERS = 200
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
_ONCE = frozenset({"authorization", "content-length", "content-type", "host", "transfer-encoding"})
_PHRASES = {code.value: code.phrase.encode() for code in HTTPStatus}
_SCHEMES = (b"http://", b"https://")


class Refused(Exception):
    """This is no request that can be answered. What comes after it on the connection cannot be read."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(str(error))
        self.error = error


def too_big_head() -> Refused:
    return Refused(ApiError(431, "RequestHeaderFieldsTooLarge", "the request's head is too large"))


def add_header(headers: dict[str, str], name: bytes, value: bytes) -> None:
    """Add a header; values of one name are joined by commas.

    Raises:
        Refused: it may come once only, and two readers could each believe another one; or there are too many.
    """
    key, text = name.decode("latin-1").lower(), value.decode("latin-1")
    if key in headers:
        if key in _ONCE:
            raise Refused(status.bad_request(f"the header {key} came twice"))
        text = f"{headers[key]}, {text}"
    elif len(headers) >= HEADERS:
        raise too_big_head()
    headers[key] = text


def check_head(target: bytes, headers: dict[str, str], version: str, most_bytes: int) -> None:
    """Refuse a head whose body could not be read, or should not be.

    Raises:
        Refused: 400, 413, 417, 431, 501, 505
    """
    if version not in ("1.0", "1.1"):
        raise Refused(ApiError(505, "", f"HTTP/{version} is not spoken here"))
    if len(target) + sum(len(key) + len(value) + 4 for key, value in headers.items()) > HEAD_BYTES:
        raise too_big_head()
    if "host" not in headers and version == "1.1":
        raise Refused(status.bad_request("missing required Host header"))
    if headers.get("transfer-encoding", "chunked").lower() != "chunked":
        raise Refused(ApiError(501, "", "no transfer encoding but chunked is supported"))
    if int(headers.get("content-length") or "0") > most_bytes:
        raise Refused(status.too_large(f"limit is {most_bytes}"))
    if "upgrade" in headers and (headers.get("content-length", "0") != "0" or "transfer-encoding" in headers):
        # the parser takes the body for the other protocol
        raise Refused(ApiError(501, "", "an offer of another protocol with a body cannot be read"))
    if headers.get("expect", "100-continue").lower() != "100-continue":
        raise Refused(ApiError(417, "", "no expectation but 100-continue can be met"))


def path_of(target: bytes) -> str:
    """Return the path that a request's target (without its query) names, decoded once.

    Raises:
        Refused: it is no path, or its decoded form could be read in two ways.
    """
    if not target.startswith(b"/"):
        target = _without_authority(target)
    if b"%" in target:
        if b"%2f" in target.lower() or b"%00" in target:
            raise Refused(status.bad_request("a path's part may not contain a slash or a zero byte"))
        target = unquote_to_bytes(target)
    try:
        text = target.decode()
    except UnicodeDecodeError:
        raise Refused(status.bad_request("the path is no UTF-8")) from None
    if not text.isprintable():
        raise Refused(status.bad_request("the path has characters that cannot be printed"))
    return text


def _without_authority(target: bytes) -> bytes:
    """Return the path of a target in the absolute form, which proxies send."""
    for scheme in _SCHEMES:
        if target.lower().startswith(scheme):
            _, slash, path = target[len(scheme) :].partition(b"/")
            return slash + path or b"/"
    raise Refused(status.bad_request("the target of a request is a path that begins with /"))


@of_short_texts(64)
def takes_gzip(accept_encoding: str) -> bool:
    """Return whether a client takes gzip."""
    for wanted in accept_encoding.lower().split(","):
        coding, _, weight = wanted.replace(" ", "").partition(";q=")
        if coding in ("gzip", "*"):
            return weight.strip("0.") != "" if weight else True
    return False


def chunk(data: bytes) -> bytes:
    """Return a chunk of a body. `data` is not empty: that would be the end."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def head(response: Response, extra: bytes) -> bytes:
    """Return status line and headers, without the empty line at their end. `extra`: further header lines."""
    out = b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nCache-Control: no-cache, private\r\n%b" % (
        response.status,
        _PHRASES.get(response.status, b"Unknown"),
        response.content_type.encode(),
        extra,
    )
    for name, value in response.headers:
        out += b"%b: %b\r\n" % (name.encode(), _one_line(value))
    return out


def _one_line(value: str) -> bytes:
    """Return a header's value, which ends where it should whatever it was made of."""
    raw = value.encode("latin-1", "replace")
    return raw.replace(b"\r", b" ").replace(b"\n", b" ") if b"\r" in raw or b"\n" in raw else raw
