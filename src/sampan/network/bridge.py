"""Linux bridges of networks: made, repaired, removed. Blocking; each call is a few system calls."""

from __future__ import annotations

import errno
import hashlib
import ipaddress
from pathlib import Path

from sampan.base import crash, log
from sampan.base.errors import Conflict
from sampan.host import netlink_message as message
from sampan.host import netlink_query as query
from sampan.host.netlink import Netlink
from sampan.model.network import Network
from sampan.network.options import bridge_options

_logger = log.get("network")
_SYSCTL = Path("/proc/sys/net")


def ensure(netlink: Netlink, network: Network, alias: str) -> query.Link:
    """Make the network's bridge as it should be, whatever is there of it; return it."""
    link = query.link(netlink, network.bridge)
    options = bridge_options(network)
    if link is None:
        crash.point("network.bridge.create.before")
        netlink.batch(
            message.bridge_new(network.bridge, mac=_mac(network.id), mtu=options.mtu),
            message.link_set(network.bridge, alias=alias),
        )
        crash.point("network.bridge.create.after")
        link = query.link(netlink, network.bridge)
    if link is None or link.kind != "bridge":
        raise Conflict(f"interface {network.bridge} is on the host and is not a bridge: choose another bridge name")
    _address(netlink, link, network, own=link.alias == alias)
    _sysctls(network)
    netlink.batch(message.link_set(network.bridge, up=True, mtu=options.mtu))
    crash.point("network.bridge.up.after")
    return link


def _address(netlink: Netlink, link: query.Link, network: Network, *, own: bool) -> None:
    """Give the bridge its gateway addresses; on a bridge of ours, no others."""
    wanted = {
        str(ipaddress.ip_interface(f"{subnet.gateway}/{ipaddress.ip_network(subnet.subnet).prefixlen}"))
        for subnet in network.subnets
    }
    present = {row.interface: row.value for row in query.addresses(netlink) if row.index == link.index}
    crash.point("network.bridge.address.before")
    if own:
        stale = [value for text, value in present.items() if text not in wanted and not value.ip.is_link_local]
        netlink.batch(*(message.address_delete(link.index, value) for value in stale))
    missing = sorted(wanted - present.keys())
    netlink.batch(*(message.address_add(link.index, ipaddress.ip_interface(text)) for text in missing))
    crash.point("network.bridge.address.after")


def _sysctls(network: Network) -> None:
    """Let the host's own 127.0.0.1 reach published ports; the ruleset keeps everybody else's 127/8 out."""
    write_sysctl(f"ipv4/conf/{network.bridge}/route_localnet", "1")
    write_sysctl(f"ipv6/conf/{network.bridge}/accept_ra", "0")  # no container is the host's router (CVE-2020-13401)
    if not network.ipv6:
        write_sysctl(f"ipv6/conf/{network.bridge}/disable_ipv6", "1")


def remove(netlink: Netlink, name: str, alias: str) -> None:
    """Remove a bridge that is ours. Idempotent; one that somebody else made stays."""
    link = query.link(netlink, name)
    if link is None or link.alias != alias:
        return
    crash.point("network.bridge.delete.before")
    netlink.batch(message.link_delete(name), ignore={errno.ENODEV})
    crash.point("network.bridge.delete.after")


def enable_forwarding(*, ipv6: bool) -> None:
    """Let the host route. For IPv6 the interfaces that live on router advertisements keep taking them."""
    if read_sysctl("ipv4/ip_forward") == "0":
        write_sysctl("ipv4/ip_forward", "1")
    if ipv6 and read_sysctl("ipv6/conf/all/forwarding") == "0":
        for entry in (_SYSCTL / "ipv6/conf").glob("*/accept_ra"):
            if entry.parent.name not in {"all", "default"} and entry.read_text().strip() == "1":
                entry.write_text("2")
        write_sysctl("ipv6/conf/all/forwarding", "1")


def write_sysctl(name: str, value: str) -> None:
    """Set a network sysctl of the calling thread's namespace; one that this kernel lacks, or forbids, is logged."""
    try:
        (_SYSCTL / name).write_text(value)
    except FileNotFoundError:
        _logger.debug("no sysctl net/%s on this kernel", name)
    except OSError as error:
        _logger.warning("sysctl net/%s=%s: %s", name, value, error.strerror)


def read_sysctl(name: str) -> str:
    """Return a network sysctl, "" when this kernel lacks it."""
    try:
        return (_SYSCTL / name).read_text().strip()
    except FileNotFoundError:
        return ""


def _mac(network_id: str) -> str:
    """Return a fixed address: a bridge without one changes it with its ports, and neighbours lose it for a while."""
    return (bytes([0x02, 0x42]) + hashlib.sha256(network_id.encode()).digest()[:4]).hex(":")
