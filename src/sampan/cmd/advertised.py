"""The address at which others reach a server of this machine."""

from __future__ import annotations

import ipaddress
import socket

_ANYWHERE = {4: "192.0.2.1", 6: "2001:db8::1"}
"""Addresses for documentation: nothing is sent to them, but the kernel says by which way it would go. Spec: RFC 5737, RFC 3849."""


def advertised(host: str) -> str:
    """Return the address of a server that listens on `host`; "" when only this machine can reach it."""
    try:
        address = ipaddress.ip_address(host or "0.0.0.0")
    except ValueError:
        return ""  # a name: what it stands for is its owner's business
    if address.is_loopback:
        return ""
    return str(address) if not address.is_unspecified else _outward(address.version)


def _outward(version: int) -> str:
    """Return this machine's own address towards others, "" where it has no way to any."""
    with socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_ANYWHERE[version], 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])
