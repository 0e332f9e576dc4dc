"""One netlink socket (rtnetlink, if nothing else is said): batches of requests in one send, and dumps.

The kernel handles a batch inside one system call, so a kill -9 leaves all of it done or none. A socket belongs to the
network namespace of the thread that opened it.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Collection, Iterator
from typing import Self

from sampan.host.netlink_message import Message, attributes
from sampan.spec import rtnetlink as nl

_HEADER = struct.Struct("=IHHII")


class NetlinkError(OSError):
    """A request that the kernel refused; `strerror` is the kernel's own text where it gives one."""


class Netlink:
    """An rtnetlink socket in the namespace of the calling thread. Not for two threads at once."""

    def __init__(self, protocol: int = nl.NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.bind((0, 0))
        for option in (nl.NETLINK_CAP_ACK, nl.NETLINK_EXT_ACK, nl.NETLINK_GET_STRICT_CHK):
            self._socket.setsockopt(nl.SOL_NETLINK, option, 1)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def batch(self, *messages: Message, ignore: Collection[int] = ()) -> None:
        """Carry out all of `messages`, in order, in one send. Errors whose errno is in `ignore` are not errors.

        Raises:
            NetlinkError: the first refused message. The later ones were carried out all the same.
        """
        failed = [error for error in self.results(*messages) if error is not None and error.errno not in ignore]
        if failed:
            raise failed[0]

    def results(self, *messages: Message) -> list[NetlinkError | None]:
        """Carry out `messages` in one send; return each one's error, or None."""
        if not messages:
            return []
        first = self._sequence + 1
        parts = []
        for message in messages:
            self._sequence += 1
            parts.append(message.encode(self._sequence, nl.NLM_F_REQUEST | nl.NLM_F_ACK))
        self._socket.send(b"".join(parts))
        found: list[NetlinkError | None] = [None] * len(messages)
        waiting = set(range(first, first + len(messages)))
        while waiting:
            for kind, flags, sequence, payload in self._receive():
                if kind == nl.NLMSG_ERROR and sequence in waiting:
                    waiting.discard(sequence)
                    found[sequence - first] = _error(payload, flags, messages[sequence - first].what)
        return found

    def get(self, message: Message) -> bytes:
        """Return the one answer to a get request.

        Raises:
            NetlinkError: errno ENODEV when there is no such link.
        """
        self._sequence += 1
        self._socket.send(message.encode(self._sequence, nl.NLM_F_REQUEST))
        while True:
            for kind, flags, sequence, payload in self._receive():
                if sequence != self._sequence:
                    continue
                if kind == nl.NLMSG_ERROR:
                    error = _error(payload, flags, message.what)
                    if error is not None:
                        raise error
                    continue
                return payload

    def dump(self, message: Message) -> Iterator[bytes]:
        """Yield every payload of a dump."""
        self._sequence += 1
        self._socket.send(message.encode(self._sequence, nl.NLM_F_REQUEST | nl.NLM_F_DUMP))
        while True:
            for kind, flags, sequence, payload in self._receive():
                if sequence != self._sequence:
                    continue
                if kind == nl.NLMSG_DONE:
                    return
                if kind == nl.NLMSG_ERROR:
                    error = _error(payload, flags, message.what)
                    if error is not None:
                        raise error
                    return
                yield payload

    def _receive(self) -> list[tuple[int, int, int, bytes]]:
        data = self._socket.recv(1 << 20)
        found = []
        offset = 0
        while offset + 16 <= len(data):
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
            found.append((kind, flags, sequence, data[offset + 16 : offset + length]))
            offset += (length + 3) & ~3
        return found


def _error(payload: bytes, flags: int, what: str) -> NetlinkError | None:
    code = struct.unpack_from("=i", payload)[0]
    if code == 0:
        return None
    text = os.strerror(-code)
    if flags & nl.NLM_F_ACK_TLVS:
        # With CAP_ACK the error holds only the request's header: code (4) + nlmsghdr (16).
        detail = attributes(payload, 20).get(nl.NLMSGERR_ATTR_MSG)
        if detail:
            text = f"{text} ({detail.rstrip(bytes(1)).decode(errors='replace')})"
    return NetlinkError(-code, f"{what}: {text}")
