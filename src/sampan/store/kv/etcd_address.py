"""Where an etcd is, written as one URL: etcd://HOST:PORT[,HOST:PORT…][/PREFIX][?cacert=FILE[&cert=FILE&key=FILE]]."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qsl

from sampan.base.errors import InvalidArgument

PREFIX = "/sampan"
_FORM = "write it as etcd://HOST:PORT[,HOST:PORT][/PREFIX][?cacert=FILE&cert=FILE&key=FILE]"


class Address(NamedTuple):
    """`endpoints` as HOST:PORT; all keys lie below `prefix`; TLS where there is a `cacert`, with a client's `cert` and `key`."""

    endpoints: tuple[str, ...]
    prefix: str = PREFIX
    cacert: str = ""
    cert: str = ""
    key: str = ""

    def below(self, name: str) -> Address:
        """Return the same etcd with a part of the prefix of its own."""
        return self._replace(prefix=f"{self.prefix}/{name}")


def parse(url: str) -> Address:
    """Return the address that a URL says.

    Raises:
        InvalidArgument: it says something else.
    """
    scheme, _, rest = url.partition("://")
    if scheme != "etcd":
        raise InvalidArgument(f"--store {url}: {_FORM}")
    rest, _, query = rest.partition("?")
    members, _, path = rest.partition("/")
    endpoints = tuple(members.split(","))
    for endpoint in endpoints:
        host, _, port = endpoint.rpartition(":")
        if not host or "@" in host or not port.isdecimal() or int(port) > 65535:
            raise InvalidArgument(f"--store {url}: {endpoint!r} is not HOST:PORT; {_FORM}")
    files = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := sorted(set(files) - {"cacert", "cert", "key"}):
        raise InvalidArgument(f"--store {url}: unknown {', '.join(unknown)}; {_FORM}")
    if ("cert" in files) != ("key" in files) or ("cert" in files and "cacert" not in files):
        raise InvalidArgument(f"--store {url}: a client certificate needs cacert, cert and key together")
    path = path.strip("/")
    return Address(endpoints, f"/{path}" if path else PREFIX, **files)
