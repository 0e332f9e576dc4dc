"""Where the API is reachable: which addresses are refused, and the sockets of those that are not."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import stat
from collections.abc import Mapping

from sampan.api.http.files import TlsFiles
from sampan.base.errors import Conflict, InvalidArgument, Unavailable

_GROUPS = ("docker", "sampan")
_SOCKET_MODE = 0o660


def tls_files(settings: Mapping[str, str]) -> TlsFiles:
    """Return the files of settings "cacert", "cert" and "key".

    Raises:
        InvalidArgument: one is missing or cannot be read.
    """
    files = TlsFiles(ca=settings.get("cacert", ""), cert=settings.get("cert", ""), key=settings.get("key", ""))
    for option, path in (("--tlscacert", files.ca), ("--tlscert", files.cert), ("--tlskey", files.key)):
        if not path or not os.access(path, os.R_OK):
            raise InvalidArgument(f"--tlsverify needs {option} with the path of a readable PEM file, not {path!r}")
    return files


def split_address(address: str) -> tuple[str, str, int]:
    """Return ("unix", path, 0) or ("tcp", host, port).

    Raises:
        InvalidArgument: another scheme, a relative path, no port.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        raise InvalidArgument(f"invalid listen address {address!r}: use unix:///path/to.sock or tcp://host:port")
    if scheme == "unix":
        if not rest.startswith("/") or len(rest.encode()) > 107:
            raise InvalidArgument(
                f"invalid listen address {address!r}: a socket's path is absolute and at most 107 bytes long"
            )
        return "unix", rest, 0
    if scheme != "tcp":
        raise InvalidArgument(f"invalid listen address {address!r}: scheme {scheme!r} is none of unix, tcp")
    host, _, port = rest.rstrip("/").rpartition(":")
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise InvalidArgument(f"invalid listen address {address!r}: it must end in :port")
    return "tcp", host.strip("[]") or "127.0.0.1", int(port)


def check_listen(address: str, tls: bool) -> None:
    """Refuse what would give root on this machine to the network.

    Raises:
        InvalidArgument: a malformed address, or plain TCP on an address that is not loopback.
    """
    scheme, host, port = split_address(address)
    if scheme == "tcp" and not tls and not _is_loopback(host):
        raise InvalidArgument(
            f"refusing to listen on {address} without TLS: whoever reaches this port would be root on this machine. "
            f"Give --tlsverify with --tlscacert, --tlscert and --tlskey, or listen on tcp://127.0.0.1:{port}, or use "
            "the Unix socket through ssh: docker -H ssh://user@host"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def open_socket(address: str, *, tls: bool, group: str = "") -> socket.socket:
    """Return a bound, not yet listening socket. A stale Unix socket is replaced, a live one is refused.

    Raises:
        InvalidArgument: see `check_listen`; or `group` does not exist.
        Conflict: another process listens there.
        Unavailable: the address cannot be bound.
    """
    check_listen(address, tls)
    scheme, host, port = split_address(address)
    return _open_unix(host, group) if scheme == "unix" else _open_tcp(host, port)


def _open_tcp(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        raise Unavailable(f"cannot listen on tcp://{host}:{port}: {error}") from error
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
    except OSError as error:
        opened.close()
        raise Unavailable(f"cannot listen on tcp://{host}:{port}: {error.strerror}; choose another port") from error
    return opened


def _open_unix(path: str, group: str) -> socket.socket:
    _remove_stale(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~_SOCKET_MODE)
    try:
        opened.bind(path)
    except OSError as error:
        opened.close()
        raise Unavailable(f"cannot listen on unix://{path}: {error.strerror}") from error
    finally:
        os.umask(before)
    _give_to_group(path, group)
    return opened


def _remove_stale(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise Conflict(
            f"cannot listen on unix://{path}: a file that is no socket is there; remove it or choose another"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:
            pass  # its backlog is full: somebody listens
        except (ConnectionRefusedError, FileNotFoundError):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
    raise Conflict(f"cannot listen on unix://{path}: another daemon listens there; stop it or give another -H")


def _give_to_group(path: str, group: str) -> None:
    """Let the group that was asked for, or else docker's or ours, use the socket."""
    import grp

    for name in (group,) if group else _GROUPS:
        try:
            number = grp.getgrnam(name).gr_gid
        except KeyError:
            continue
        os.chown(path, -1, number)
        return
    if group:
        raise InvalidArgument(f"--group {group}: there is no such group; make it with: groupadd {group}")
