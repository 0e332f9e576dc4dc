"""rtnetlink requests as bytes, and attributes read back. Pure."""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import NamedTuple

from sampan.spec import rtnetlink as nl

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Message(NamedTuple):
    """A request without its sequence number; `what` names it in errors."""

    what: str
    kind: int
    flags: int
    body: bytes

    def encode(self, sequence: int, flags: int) -> bytes:
        """Return the message as sent."""
        return struct.pack("=IHHII", 16 + len(self.body), self.kind, self.flags | flags, sequence, 0) + _padded(
            self.body
        )


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def attr(kind: int, payload: bytes) -> bytes:
    """Return one attribute."""
    return struct.pack("=HH", 4 + len(payload), kind) + _padded(payload)


def text(kind: int, value: str) -> bytes:
    """Return a NUL-terminated string attribute."""
    return attr(kind, value.encode() + b"\0")


def u8(kind: int, value: int) -> bytes:
    """Return an 8-bit attribute."""
    return attr(kind, struct.pack("=B", value))


def u32(kind: int, value: int) -> bytes:
    """Return a 32-bit attribute."""
    return attr(kind, struct.pack("=I", value))


def nest(kind: int, *parts: bytes) -> bytes:
    """Return a nested attribute."""
    return attr(kind | nl.NLA_F_NESTED, b"".join(parts))


def attributes(data: bytes, offset: int) -> dict[int, bytes]:
    """Return the attributes that begin at `offset`, by type. A cut-off one ends the list."""
    found = {}
    end = len(data)
    while offset + 4 <= end:
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4 or offset + length > end:
            break
        found[kind & nl.NLA_TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def mac_bytes(mac: str) -> bytes:
    """Return the six bytes of a colon-separated MAC address."""
    return bytes(int(part, 16) for part in mac.split(":"))


def family(address: Address | Interface | IPNetwork) -> int:
    """Return AF_INET or AF_INET6."""
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _link(index: int = 0, *, up: bool | None = None) -> bytes:
    flags, change = (0, 0) if up is None else (nl.IFF_UP if up else 0, nl.IFF_UP)
    return struct.pack("=BBHiII", socket.AF_UNSPEC, 0, 0, index, flags, change)


def bridge_new(name: str, *, mac: str, mtu: int = 0) -> Message:
    """Make a bridge that is down. It never waits in the learning state."""
    body = _link() + text(nl.IFLA_IFNAME, name) + attr(nl.IFLA_ADDRESS, mac_bytes(mac))
    if mtu:
        body += u32(nl.IFLA_MTU, mtu)
    body += nest(
        nl.IFLA_LINKINFO,
        text(nl.IFLA_INFO_KIND, "bridge"),
        nest(nl.IFLA_INFO_DATA, u32(nl.IFLA_BR_FORWARD_DELAY, 0)),
    )
    return Message(f"make bridge {name}", nl.RTM_NEWLINK, nl.NLM_F_CREATE | nl.NLM_F_EXCL, body)


def veth_new(name: str, *, master: int, peer: str, peer_ns_fd: int, peer_mac: str, mtu: int = 0) -> Message:
    """Make a veth that is up and a port of `master`, its (down) peer inside of another namespace."""
    size = u32(nl.IFLA_MTU, mtu) if mtu else b""
    inner = (
        _link()
        + text(nl.IFLA_IFNAME, peer)
        + attr(nl.IFLA_ADDRESS, mac_bytes(peer_mac))
        + u32(nl.IFLA_NET_NS_FD, peer_ns_fd)
        + size
    )
    body = _link(up=True) + text(nl.IFLA_IFNAME, name) + u32(nl.IFLA_MASTER, master) + size
    body += nest(
        nl.IFLA_LINKINFO,
        text(nl.IFLA_INFO_KIND, "veth"),
        nest(nl.IFLA_INFO_DATA, attr(nl.VETH_INFO_PEER | nl.NLA_F_NESTED, inner)),
    )
    return Message(f"make veth {name}", nl.RTM_NEWLINK, nl.NLM_F_CREATE | nl.NLM_F_EXCL, body)


def link_set(
    name: str, *, up: bool | None = None, alias: str | None = None, mtu: int = 0, master: int | None = None
) -> Message:
    """Change the link called `name`."""
    body = _link(up=up) + text(nl.IFLA_IFNAME, name)
    if alias is not None:
        body += text(nl.IFLA_IFALIAS, alias)
    if mtu:
        body += u32(nl.IFLA_MTU, mtu)
    if master is not None:
        body += u32(nl.IFLA_MASTER, master)
    return Message(f"set link {name}", nl.RTM_NEWLINK, 0, body)


def link_rename(index: int, name: str) -> Message:
    """Give the (down) link at `index` a new name."""
    return Message(f"rename link {index} to {name}", nl.RTM_NEWLINK, 0, _link(index) + text(nl.IFLA_IFNAME, name))


def link_move(index: int, ns_fd: int) -> Message:
    """Move the link at `index` into another namespace."""
    return Message(f"move link {index}", nl.RTM_NEWLINK, 0, _link(index) + u32(nl.IFLA_NET_NS_FD, ns_fd))


def link_up(index: int) -> Message:
    """Set the link at `index` up."""
    return Message(f"set link {index} up", nl.RTM_NEWLINK, 0, _link(index, up=True))


def bridge_port(name: str, *, hairpin: bool, isolated: bool) -> Message:
    """Set a bridge port's options."""
    options = (u8(nl.IFLA_BRPORT_MODE, hairpin), u8(nl.IFLA_BRPORT_ISOLATED, isolated))
    body = _link() + text(nl.IFLA_IFNAME, name)
    body += nest(nl.IFLA_LINKINFO, text(nl.IFLA_INFO_SLAVE_KIND, "bridge"), nest(nl.IFLA_INFO_SLAVE_DATA, *options))
    return Message(f"set bridge port {name}", nl.RTM_NEWLINK, 0, body)


def link_delete(name: str) -> Message:
    """Delete the link called `name`."""
    return Message(f"delete link {name}", nl.RTM_DELLINK, 0, _link() + text(nl.IFLA_IFNAME, name))


def link_get(name: str) -> Message:
    """Ask for one link."""
    return Message(f"find link {name}", nl.RTM_GETLINK, 0, _link() + text(nl.IFLA_IFNAME, name))


def link_dump() -> Message:
    """Ask for all links."""
    return Message("list links", nl.RTM_GETLINK, 0, _link())


def address_add(index: int, interface: Interface) -> Message:
    """Give the link at `index` an address; IPv6 without duplicate detection, because we hand addresses out."""
    return _address(nl.RTM_NEWADDR, nl.NLM_F_CREATE | nl.NLM_F_REPLACE, "add", index, interface)


def address_delete(index: int, interface: Interface) -> Message:
    """Take an address away."""
    return _address(nl.RTM_DELADDR, 0, "delete", index, interface)


def _address(kind: int, flags: int, verb: str, index: int, interface: Interface) -> Message:
    prefix = interface.network.prefixlen
    body = struct.pack("=BBBBi", family(interface), prefix, 0, nl.RT_SCOPE_UNIVERSE, index)
    body += attr(nl.IFA_LOCAL, interface.packed) + attr(nl.IFA_ADDRESS, interface.packed)
    if interface.version == 4 and prefix < 31:
        body += attr(nl.IFA_BROADCAST, interface.network.broadcast_address.packed)
    if interface.version == 6:
        body += u32(nl.IFA_FLAGS, nl.IFA_F_NODAD)
    return Message(f"{verb} address {interface}", kind, flags, body)


def address_dump() -> Message:
    """Ask for all addresses."""
    return Message("list addresses", nl.RTM_GETADDR, 0, struct.pack("=BBBBi", socket.AF_UNSPEC, 0, 0, 0, 0))


def default_route(gateway: Address, index: int) -> Message:
    """Send everything else to `gateway`. Replaces the default route that is there."""
    body = _route(family(gateway), nl.RTN_UNICAST) + attr(nl.RTA_GATEWAY, gateway.packed) + u32(nl.RTA_OIF, index)
    return Message(f"route by {gateway}", nl.RTM_NEWROUTE, nl.NLM_F_CREATE | nl.NLM_F_REPLACE, body)


def default_route_delete(version: int) -> Message:
    """Take the default route away."""
    body = _route(socket.AF_INET if version == 4 else socket.AF_INET6, 0)
    return Message("delete the default route", nl.RTM_DELROUTE, 0, body)


def _route(family_: int, kind: int) -> bytes:
    scope = nl.RT_SCOPE_UNIVERSE
    return struct.pack("=BBBBBBBBI", family_, 0, 0, 0, nl.RT_TABLE_MAIN, nl.RTPROT_STATIC, scope, kind, 0)


def route_dump(family_: int) -> Message:
    """Ask for the main table's routes of a family."""
    body = struct.pack("=BBBBBBBBI", family_, 0, 0, 0, 0, 0, 0, 0, 0)
    return Message("list routes", nl.RTM_GETROUTE, 0, body + u32(nl.RTA_TABLE, nl.RT_TABLE_MAIN))


def fdb_add(index: int, mac: str) -> Message:
    """Tell the bridge behind which port a MAC address is: it would send to the last owner until it heard the new one."""
    body = struct.pack("=BBHiHBB", socket.AF_BRIDGE, 0, 0, index, nl.NUD_NOARP, nl.NTF_MASTER, 0)
    body += attr(nl.NDA_LLADDR, mac_bytes(mac))
    return Message(f"place {mac}", nl.RTM_NEWNEIGH, nl.NLM_F_CREATE | nl.NLM_F_REPLACE, body)
