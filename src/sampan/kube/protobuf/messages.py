"""Messages: field numbers, types and JSON names, from published data, and which message a kind is."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import msgspec

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_META = "k8s.io.apimachinery.pkg.apis.meta.v1"
_EVERYWHERE = {
    "DeleteOptions",
    "CreateOptions",
    "UpdateOptions",
    "PatchOptions",
    "ListOptions",
    "GetOptions",
    "Status",
    "WatchEvent",
    "APIGroup",
    "APIVersions",
}


class Field(NamedTuple):
    number: int
    name: str
    type: str
    flags: str

    @property
    def repeated(self) -> bool:
        return "r" in self.flags

    @property
    def map(self) -> bool:
        return "m" in self.flags

    @property
    def inlined(self) -> bool:
        """Return whether the fields of its message are the outer one's own in JSON."""
        return "i" in self.flags

    @property
    def pointer(self) -> bool:
        """Return whether zero is a value of its own, and not the want of one."""
        return "p" in self.flags

    @property
    def omitted(self) -> bool:
        """Return whether JSON leaves it out when it is empty."""
        return "o" in self.flags


class _Data(msgspec.Struct):
    messages: dict[str, msgspec.Raw]
    kinds: dict[str, str]


@lru_cache(maxsize=1)
def _data() -> _Data:
    packed = files("sampan.kube.data").joinpath("messages.json.zst").read_bytes()
    return msgspec.json.decode(zstd.decompress(packed), type=_Data)


def fields(message: str) -> list[Field]:
    """Return a message's fields.

    Raises:
        KeyError: there is no such message.
    """
    return msgspec.json.decode(_data().messages[message], type=list[Field])


def of_kind(api_version: str, kind: str) -> str | None:
    """Return the message of a kind, None when it has none. What names no kind is an event of a watch."""
    if not api_version and not kind:
        return f"{_META}.WatchEvent"
    if kind in _EVERYWHERE:
        return f"{_META}.{kind}"
    group, _, version = api_version.rpartition("/")
    return _data().kinds.get(f"{group}/{version}/{kind}")
