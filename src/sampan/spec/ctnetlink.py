"""Numbers of the kernel's connection tracking interface over netlink.

Spec: include/uapi/linux/netfilter/{nfnetlink,nfnetlink_conntrack}.h, include/linux/netfilter/nf_internals.h (filter flags)
"""

from __future__ import annotations

NETLINK_NETFILTER = 12
NFNL_SUBSYS_CTNETLINK = 1
IPCTNL_MSG_CT_DELETE = 2
CTA_TUPLE_ORIG = 1
CTA_FILTER = 25
CTA_FILTER_ORIG_FLAGS, CTA_FILTER_REPLY_FLAGS = 1, 2
CTA_TUPLE_IP, CTA_TUPLE_PROTO = 1, 2
CTA_PROTO_NUM, CTA_PROTO_DST_PORT = 1, 3
CTA_FILTER_F_PROTO_NUM = 1 << 3
CTA_FILTER_F_PROTO_DST_PORT = 1 << 5
