"""URLs. Spec: Kubernetes CEL "URL library"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

from sampan.kube.cel.fault import Fault
from sampan.kube.cel.value import Native


class UrlValue(Native):
    type_name = "kubernetes.URL"

    def __init__(self, parts: SplitResult) -> None:
        self.parts = parts

    @property
    def text(self) -> str:
        return self.parts.geturl()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UrlValue) and other.parts == self.parts

    def __hash__(self) -> int:
        return hash(self.parts)


def _url(text: str) -> UrlValue:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise Fault(f"URL parse error during conversion from string: {error}") from None
    if not parts.scheme and not text.startswith("/"):
        raise Fault(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return UrlValue(parts)


def _is(text: str) -> bool:
    if not isinstance(text, str):
        raise TypeError
    try:
        _url(text)
    except Fault:
        return False
    return True


UrlValue.methods = {
    "getScheme": lambda url: url.parts.scheme,
    "getHost": lambda url: url.parts.netloc.rpartition("@")[2],
    "getHostname": lambda url: (
        url.parts.netloc.rpartition("@")[2].rsplit(":", 1)[0].strip("[]")
        if url.parts.port is not None
        else url.parts.netloc.rpartition("@")[2].strip("[]")
    ),
    "getPort": lambda url: str(url.parts.port) if url.parts.port is not None else "",
    "getEscapedPath": lambda url: quote(url.parts.path, safe="/%:@!$&'()*+,;=-._~"),
    "getQuery": lambda url: parse_qs(url.parts.query, keep_blank_values=True),
}

URL_FUNCTIONS: Mapping[str, Callable[..., Any]] = {"url": _url, "isURL": _is}
