"""What a network namespace holds: links, addresses and routes, read over one rtnetlink socket."""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from collections.abc import Iterator

from sampan.host import netlink_message as message
from sampan.host.netlink import Netlink, NetlinkError
from sampan.host.netlink_message import Address, Interface, IPNetwork, attributes
from sampan.model.container import Struct
from sampan.spec import rtnetlink as nl


class Counters(Struct, frozen=True, kw_only=True):
    """A link's traffic since it was made."""

    rx_packets: int = 0
    tx_packets: int = 0
    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_errors: int = 0
    tx_errors: int = 0
    rx_dropped: int = 0
    tx_dropped: int = 0


class Link(Struct, frozen=True, kw_only=True):
    """One interface. `kind` is "bridge", "veth", … or "" for hardware and loopback."""

    index: int
    name: str
    kind: str = ""
    mac: str = ""
    mtu: int = 0
    up: bool = False
    master: int = 0
    alias: str = ""
    peer: int = 0  # of a veth: the index of its other end, where that is
    counters: Counters = Counters()


class Placed(Struct, frozen=True, kw_only=True):
    """An address on a link."""

    index: int
    interface: str

    @property
    def value(self) -> Interface:
        return ipaddress.ip_interface(self.interface)


class Route(Struct, frozen=True, kw_only=True):
    """A route of the main table; `network` None is the default."""

    network: str | None
    index: int = 0
    gateway: str = ""


def links(netlink: Netlink) -> tuple[Link, ...]:
    """Return all links of the namespace."""
    return tuple(_link(payload) for payload in netlink.dump(message.link_dump()))


def link(netlink: Netlink, name: str) -> Link | None:
    """Return the link called `name`, or None."""
    try:
        return _link(netlink.get(message.link_get(name)))
    except NetlinkError as error:
        if error.errno == errno.ENODEV:
            return None
        raise


def _link(payload: bytes) -> Link:
    index, flags = struct.unpack_from("=4xiI", payload)
    found = attributes(payload, 16)
    info = attributes(found.get(nl.IFLA_LINKINFO, b""), 0)
    return Link(
        index=index,
        name=_text(found.get(nl.IFLA_IFNAME, b"")),
        kind=_text(info.get(nl.IFLA_INFO_KIND, b"")),
        mac=found.get(nl.IFLA_ADDRESS, b"").hex(":"),
        mtu=_u32(found.get(nl.IFLA_MTU)),
        up=bool(flags & nl.IFF_UP),
        master=_u32(found.get(nl.IFLA_MASTER)),
        peer=_u32(found.get(nl.IFLA_LINK)),
        alias=_text(found.get(nl.IFLA_IFALIAS, b"")),
        counters=_counters(found.get(nl.IFLA_STATS64, b"")),
    )


def _counters(data: bytes) -> Counters:
    if len(data) < 64:
        return Counters()
    packets_in, packets_out, in_, out, errors_in, errors_out, drops_in, drops_out = struct.unpack_from("=8Q", data)
    return Counters(
        rx_packets=packets_in,
        tx_packets=packets_out,
        rx_bytes=in_,
        tx_bytes=out,
        rx_errors=errors_in,
        tx_errors=errors_out,
        rx_dropped=drops_in,
        tx_dropped=drops_out,
    )


def addresses(netlink: Netlink) -> tuple[Placed, ...]:
    """Return all addresses of the namespace."""
    return tuple(_placed(netlink))


def _placed(netlink: Netlink) -> Iterator[Placed]:
    for payload in netlink.dump(message.address_dump()):
        prefix, index = struct.unpack_from("=xBxxi", payload)
        found = attributes(payload, 8)
        raw = found.get(nl.IFA_LOCAL) or found.get(nl.IFA_ADDRESS)
        if raw is not None:
            yield Placed(index=index, interface=f"{ipaddress.ip_address(raw)}/{prefix}")


def routes(netlink: Netlink, version: int) -> tuple[Route, ...]:
    """Return the main table's routes of IP version 4 or 6."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    return tuple(_route(payload) for payload in netlink.dump(message.route_dump(family)))


def _route(payload: bytes) -> Route:
    prefix = payload[1]
    found = attributes(payload, 12)
    destination = found.get(nl.RTA_DST)
    gateway = found.get(nl.RTA_GATEWAY)
    return Route(
        network=None if destination is None else str(_network(ipaddress.ip_address(destination), prefix)),
        index=_u32(found.get(nl.RTA_OIF)),
        gateway="" if gateway is None else str(ipaddress.ip_address(gateway)),
    )


def _network(address: Address, prefix: int) -> IPNetwork:
    return ipaddress.ip_network(f"{address}/{prefix}", strict=False)


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode(errors="replace")


def _u32(data: bytes | None) -> int:
    return 0 if data is None else int(struct.unpack_from("=I", data)[0])
