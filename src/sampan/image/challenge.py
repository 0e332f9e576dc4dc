"""Who may see which credentials, and where a request may be redirected. No I/O.

Spec: RFC 7235 "WWW-Authenticate"; RFC 6454 (origins).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from sampan.model.container import Struct

_PARAMETER = re.compile(r'([a-zA-Z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


class Challenge(Struct, frozen=True, kw_only=True):
    """One WWW-Authenticate header: `scheme` in lower case ("basic", "bearer"), and its parameters."""

    scheme: str
    parameters: dict[str, str] = {}


def parse_challenge(header: str) -> Challenge:
    """Return the challenge of a header; an unreadable one has no scheme."""
    scheme, _, rest = header.strip().partition(" ")
    parameters = {
        match[1].lower(): match[2] if match[2] is not None else match[3] for match in _PARAMETER.finditer(rest)
    }
    return Challenge(scheme=scheme.lower(), parameters=parameters)


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def may_see_credentials(registry_url: str, realm: str) -> bool:
    """Tell whether a token server may get the credentials that the user gave for a registry.

    Itself, or over TLS a server of the same domain (auth.docker.io for registry-1.docker.io). Nobody else.
    """
    scheme, host, _ = origin(realm)
    registry_scheme, registry_host, _ = origin(registry_url)
    if host == registry_host:
        return scheme in {"https", registry_scheme}
    if scheme != "https" or _address(host) or _address(registry_host):
        return False
    return host.count(".") >= 1 and host.split(".")[-2:] == registry_host.split(".")[-2:]


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def is_inside(host: str) -> bool:
    """Tell a host that only this machine or its private network has: no stranger may send us there."""
    address = _address(host)
    if address is None:
        return host == "localhost" or host.endswith((".localhost", ".internal", ".local"))
    return not address.is_global


def redirect_problem(registry_url: str, from_url: str, to_url: str) -> str:
    """Return why a redirect must not be followed, "" when it may."""
    scheme, host, _ = origin(to_url)
    if scheme not in {"http", "https"}:
        return f"it leads to a {scheme or 'nameless'} URL"
    if urlsplit(to_url).username is not None:
        return "it carries credentials"
    if scheme == "http" and origin(from_url)[0] == "https":
        return "it leads from https to http"
    if is_inside(host) and not is_inside(origin(registry_url)[1]):
        return f"it leads to the internal address {host}"
    return ""


def allows_plain_http(domain: str, insecure: Iterable[str]) -> bool:
    """Tell whether a registry may be spoken to without TLS: on loopback, or named in the configuration.

    `insecure` has host, host:port or networks in CIDR notation.
    """
    host = origin("//" + domain)[1]
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(_covers(entry, domain, host, address) for entry in insecure)


def _covers(entry: str, domain: str, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if entry in {domain, host}:
        return True
    try:
        network = ipaddress.ip_network(entry)
    except ValueError:
        return False
    return address is not None and address.version == network.version and address in network
