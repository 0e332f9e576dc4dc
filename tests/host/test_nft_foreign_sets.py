"""A set that a newer nft described makes libnftables 1.0 jump to address 0: told before it happens in the daemon."""

import os
import socket
import struct
import subprocess
import sys

import pytest

pytestmark = pytest.mark.root

_SUBSYSTEM = 10
_NEWTABLE, _NEWSET = (_SUBSYSTEM << 8) | 0, (_SUBSYSTEM << 8) | 9


def _attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _message(kind, flags, family, resource, payload, sequence):
    body = struct.pack("=BBH", family, 0, resource) + payload
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body


def _tlv(kind, value):
    return struct.pack("BB", kind, len(value)) + value


def make_strange_set():
    """Make table foreign with a set whose key is described by an expression that 1.0.6 cannot read back."""
    typeof = _tlv(0, struct.pack("=I", 4)) + _tlv(1, b"")
    described = _tlv(0, struct.pack("=I", 2)) + _tlv(3, typeof)
    table = _attribute(1, b"foreign\0")
    rows = [(2, b"strange\0"), (3, struct.pack(">I", 0)), (4, struct.pack(">I", 7)), (5, struct.pack(">I", 4))]
    rows += [(10, struct.pack(">I", 1)), (13, described)]
    strange = table + b"".join(_attribute(kind, value) for kind, value in rows)
    batch = [
        _message(16, 1, 0, socket.htons(_SUBSYSTEM), b"", 1),
        _message(_NEWTABLE, 0x405, 2, 0, table, 2),
        _message(_NEWSET, 0x405, 2, 0, strange, 3),
        _message(17, 1, 0, socket.htons(_SUBSYSTEM), b"", 4),
    ]
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netlink:
        netlink.bind((0, 0))
        netlink.send(b"".join(batch))
        for _ in range(2):
            assert struct.unpack_from("=IHHIIi", netlink.recv(65536))[5] == 0


def try_a_handle():
    from sampan.base.errors import Unavailable
    from sampan.host.nft import Nft

    make_strange_set()
    try:
        Nft().run("add table ip mine")
    except Unavailable as error:
        print("told:", error)
    else:
        print("worked")


def test_a_handles_socket_is_kept_from_children():
    from sampan.host.nft import Nft

    handle = Nft()
    try:
        sockets = [fd for fd in map(int, os.listdir("/proc/self/fd")) if fd > 2 and _is_netlink(fd)]
        assert sockets
        assert not any(os.get_inheritable(fd) for fd in sockets)
    finally:
        handle.close()


def _is_netlink(fd):
    try:
        with socket.socket(fileno=os.dup(fd)) as opened:
            return opened.family == socket.AF_NETLINK
    except OSError:
        return False


def test_the_daemon_is_told_and_does_not_die():
    done = subprocess.run(
        ["unshare", "-n", sys.executable, os.path.abspath(__file__)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(("told: this machine's nftables dies", "worked")), done.stdout


if __name__ == "__main__":
    try_a_handle()
