"""Tracked connections forgotten by their destination port.

A UDP client that goes on sending keeps its entry, and with it the address that the port led to before: for ever.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable

from sampan.host.netlink import Netlink
from sampan.host.netlink_message import Message, attr, nest, u8, u32
from sampan.spec import ctnetlink as ct


def forget_udp(ports: Iterable[int]) -> None:
    """Forget every tracked UDP flow to one of these ports. Needs Linux 5.8; an older kernel forgets nothing."""
    messages = [_forget(family, port) for port in ports for family in (socket.AF_INET, socket.AF_INET6)]
    if messages:
        with Netlink(ct.NETLINK_NETFILTER) as netlink:
            netlink.batch(*messages, ignore={errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL})


def _forget(family: int, port: int) -> Message:
    protocol = nest(
        ct.CTA_TUPLE_PROTO,
        u8(ct.CTA_PROTO_NUM, socket.IPPROTO_UDP),
        attr(ct.CTA_PROTO_DST_PORT, struct.pack("!H", port)),
    )
    chosen = nest(
        ct.CTA_FILTER,
        u32(ct.CTA_FILTER_ORIG_FLAGS, ct.CTA_FILTER_F_PROTO_NUM | ct.CTA_FILTER_F_PROTO_DST_PORT),
        u32(ct.CTA_FILTER_REPLY_FLAGS, 0),
    )
    body = struct.pack("=BBH", family, 0, 0) + nest(ct.CTA_TUPLE_ORIG, protocol) + chosen
    kind = ct.NFNL_SUBSYS_CTNETLINK << 8 | ct.IPCTNL_MSG_CT_DELETE
    return Message(f"forget UDP flows to port {port}", kind, 0, body)
