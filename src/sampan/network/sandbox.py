"""A container's network namespace: made with its interfaces, changed while it runs, dropped. Blocking."""

from __future__ import annotations

import errno
import ipaddress
import itertools
import os
from collections.abc import Container, Iterable

from sampan.base import crash
from sampan.base.errors import InvalidArgument, NotFound, Unavailable
from sampan.host import netlink_message as message
from sampan.host import netlink_query as query
from sampan.host import netns
from sampan.host.netlink import Netlink
from sampan.model.container import Endpoint
from sampan.model.network import Network
from sampan.network.bridge import write_sysctl
from sampan.network.naming import Names
from sampan.network.options import BridgeOptions, bridge_options, endpoint_interface
from sampan.network.port import Attachment

_LOOPBACK = 1


def make(
    netlink: Netlink,
    names: Names,
    path: str,
    endpoints: Iterable[Endpoint],
    networks: dict[str, Network],
    exit_: Endpoint | None,
) -> None:
    """Make the namespace at `path` with `lo` and an interface for each endpoint, or nothing.

    `exit_` is the endpoint with the default route. What a kill left at `path` is dropped first.
    """
    netns.drop(path)
    crash.point("network.netns.create.before")
    inner = netns.make(path, _no_ipv6_yet)
    crash.point("network.netns.create.after")
    try:
        inner.batch(message.link_up(_LOOPBACK))
        taken: set[str] = set()
        for endpoint in endpoints:
            network = networks[endpoint.network_id]
            taken.add(plug(netlink, inner, names, path, endpoint, network, taken, routed=endpoint is exit_))
    except BaseException:
        netns.drop(path)
        raise
    finally:
        inner.close()


def _no_ipv6_yet() -> None:
    """Let interfaces come without IPv6: it is switched on for those that get an address of it. Siblings are no routers."""
    write_sysctl("ipv6/conf/default/disable_ipv6", "1")
    write_sysctl("ipv6/conf/default/accept_ra", "0")


def plug(
    netlink: Netlink,
    inner: Netlink,
    names: Names,
    path: str,
    endpoint: Endpoint,
    network: Network,
    taken: Container[str] | None = None,
    *,
    routed: bool = False,
) -> str:
    """Add an interface to the namespace; return its name inside. `taken`: the names of the interfaces in there."""
    bridge = query.link(netlink, network.bridge)
    if bridge is None:
        raise Unavailable(f"bridge {network.bridge} of network {network.name} is gone; restart the daemon to remake it")
    options = bridge_options(network)
    if taken is None:
        taken = {link.name for link in query.links(inner)}
    name = endpoint_interface(endpoint.spec) or _free_name(options.interface_prefix, taken)
    crash.point("network.veth.create.before")
    _veth(netlink, names.veth(endpoint), bridge, name, path, endpoint, options)
    crash.point("network.veth.create.after")
    inside = query.link(inner, name)
    if inside is None:
        raise Unavailable(f"interface {name} of network {network.name} vanished while it was made")
    if endpoint.ipv6:
        netns.run_in(path, lambda: write_sysctl(f"ipv6/conf/{name}/disable_ipv6", "0"))
    addresses = [f"{ip}/{prefix}" for ip, prefix in _addresses(endpoint)]
    inner.batch(
        *(message.address_add(inside.index, ipaddress.ip_interface(text)) for text in addresses),
        message.link_up(inside.index),
        *(_default_routes(endpoint, inside.index) if routed else ()),
    )
    crash.point("network.veth.address.after")
    return name


def _veth(
    netlink: Netlink, veth: str, bridge: query.Link, name: str, path: str, endpoint: Endpoint, options: BridgeOptions
) -> None:
    target = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    mtu = options.mtu or bridge.mtu
    wanted = (
        message.veth_new(veth, master=bridge.index, peer=name, peer_ns_fd=target, peer_mac=endpoint.mac, mtu=mtu),
        message.bridge_port(veth, hairpin=True, isolated=not options.icc),
    )
    try:
        error = netlink.results(*wanted)[0]
        if error is not None and error.errno == errno.EEXIST and query.link(netlink, veth) is not None:
            # The same attachment made before: its old namespace is still on its way out.
            netlink.batch(message.link_delete(veth), ignore={errno.ENODEV})
            error = netlink.results(*wanted)[0]
    finally:
        os.close(target)
    if error is not None:
        if error.errno == errno.EEXIST:
            raise InvalidArgument(f"the container has an interface {name} already: choose another name") from error
        raise error
    port = query.link(netlink, veth)
    if port is not None:
        netlink.batch(message.fdb_add(port.index, endpoint.mac))


def _free_name(prefix: str, taken: Container[str]) -> str:
    return next(name for number in itertools.count() if (name := f"{prefix}{number}") not in taken)


def _addresses(endpoint: Endpoint) -> list[tuple[str, int]]:
    found = [(endpoint.ipv4, endpoint.ipv4_prefix), (endpoint.ipv6, endpoint.ipv6_prefix)]
    extra = endpoint.spec.link_local_ips if endpoint.spec is not None else ()
    return [row for row in found if row[0]] + [(ip, 128 if ":" in ip else 16) for ip in extra]


def route(inner: Netlink, endpoint: Endpoint | None) -> None:
    """Make the endpoint's gateways the default routes; None takes the default routes away."""
    inner.batch(
        *(message.default_route_delete(version) for version in (4, 6)),
        ignore={errno.ESRCH, errno.ENOENT, errno.EAFNOSUPPORT},
    )
    if endpoint is None:
        return
    inner.batch(*_default_routes(endpoint, _index_of(inner, endpoint)))


def _default_routes(endpoint: Endpoint, index: int) -> list[message.Message]:
    gateways = [ipaddress.ip_address(text) for text in (endpoint.gateway, endpoint.gateway6) if text]
    return [message.default_route(gateway, index) for gateway in gateways]


def _index_of(inner: Netlink, endpoint: Endpoint) -> int:
    address = endpoint.ipv4 or endpoint.ipv6
    for row in query.addresses(inner):
        if str(row.value.ip) == address:
            return row.index
    raise NotFound(f"no interface of the container has the address {address} of network {endpoint.network_name}")


def unplug(netlink: Netlink, names: Names, endpoint: Endpoint) -> None:
    """Take one interface out of a running container. Idempotent. The one place where a veth is deleted by name."""
    crash.point("network.veth.delete.before")
    netlink.batch(message.link_delete(names.veth(endpoint)), ignore={errno.ENODEV})
    crash.point("network.veth.delete.after")


def counters(path: str) -> list[query.Link]:
    """Return the namespace's interfaces but `lo`."""
    with netns.open_netlink(path) as inner:
        return [link for link in query.links(inner) if link.index != _LOOPBACK]


def unplug_strays(netlink: Netlink, names: Names, attachments: Iterable[Attachment]) -> None:
    """Take out of running containers the interfaces that a connect or disconnect, cut by a kill, left there."""
    attached = list(attachments)
    wanted = {names.veth(endpoint) for attachment in attached for endpoint in attachment.endpoints}
    strays = {
        link.index: link.name
        for link in query.links(netlink)
        if link.kind == "veth" and link.name.startswith(names.veth_prefix) and link.name not in wanted
    }
    for attachment in attached if strays else ():
        if netns.exists(attachment.sandbox_key):
            for inside in counters(attachment.sandbox_key):
                # only ends inside: what lies in a dropped namespace goes with it, at no cost
                if inside.kind == "veth" and (name := strays.pop(inside.peer, "")):
                    netlink.batch(message.link_delete(name), ignore={errno.ENODEV})


def mend(netlink: Netlink, names: Names, networks: dict[str, Network], attachments: Iterable[Attachment]) -> None:
    """Put running containers' interfaces back on bridges that had to be made anew."""
    present = {link.name: link for link in query.links(netlink)}
    for attachment in attachments:
        for endpoint in attachment.endpoints:
            veth = present.get(names.veth(endpoint))
            network = networks.get(endpoint.network_id)
            if veth is None or network is None:
                continue
            bridge = present.get(network.bridge)
            if bridge is not None and veth.master != bridge.index:
                netlink.batch(
                    message.link_set(veth.name, master=bridge.index, up=True),
                    message.bridge_port(veth.name, hairpin=True, isolated=not bridge_options(network).icc),
                    message.fdb_add(veth.index, endpoint.mac),
                )
