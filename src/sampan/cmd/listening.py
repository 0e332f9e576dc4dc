"""Sockets that servers listen on."""

from __future__ import annotations

import socket

from sampan.base.errors import InvalidArgument, Unavailable

_BACKLOG = 1024


def checked(address: str, flag: str) -> str:
    """Return an address that is HOST:PORT; `flag` gave it.

    Raises:
        InvalidArgument
    """
    _, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise InvalidArgument(f"{flag} {address}: write it as HOST:PORT")
    return address


def bind(address: str, flag: str, *, instead: str = "") -> socket.socket:
    """Return a socket that listens on HOST:PORT. `flag` gave the address; `instead`: what else may be given to it.

    Raises:
        InvalidArgument: it is no address.
        Unavailable: it cannot be listened on.
    """
    host, _, port = checked(address, flag).rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"cannot listen on {address}: {error.strerror}. Give another one with {flag} HOST:PORT{instead}"
        ) from error
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener
