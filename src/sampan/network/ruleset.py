"""Our nftables table as text. Pure. One text is one atomic transaction.

The whole: published ports are two maps for each IP version (a given host address, any address); a set each for bridges,
bridges whose containers may talk to each other, internal ones, masqueraded and own subnets. Rules never change.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from sampan.model.container import Struct
from sampan.model.network import Network
from sampan.network.options import bridge_options
from sampan.spec.nftables import PRIORITY_DSTNAT, PRIORITY_FILTER, PRIORITY_RAW, PRIORITY_SRCNAT


class Forward(Struct, frozen=True, kw_only=True):
    """A published port and where it leads."""

    host_ip: str
    protocol: str
    host_port: int
    target_ip: str
    target_port: int

    @property
    def map(self) -> str:
        version = ipaddress.ip_address(self.target_ip).version
        return f"ports{version}_any" if self._any else f"ports{version}_address"

    @property
    def key(self) -> str:
        tail = f"{self.protocol} . {self.host_port}"
        return tail if self._any else f"{self.host_ip} . {tail}"

    @property
    def element(self) -> str:
        return f"{self.key} : {self.target_ip} . {self.target_port}"

    @property
    def _any(self) -> bool:
        return ipaddress.ip_address(self.host_ip).is_unspecified


def add(table: str, forwards: Iterable[Forward]) -> str:
    """Open ports."""
    return "".join(f"add element inet {table} {row.map} {{ {row.element} }}\n" for row in forwards)


def delete(table: str, forwards: Iterable[Forward]) -> str:
    """Close ports; refused when one of them is not there."""
    return "".join(f"delete element inet {table} {row.map} {{ {row.key} }}\n" for row in forwards)


def drop(table: str) -> str:
    """Remove the table, there or not."""
    return f"add table inet {table}\ndelete table inet {table}\n"


def whole(table: str, networks: Iterable[Network], forwards: Iterable[Forward]) -> str:
    """Replace the table by the one that says exactly this."""
    bridges = [network for network in networks if network.driver == "bridge" and network.bridge]
    options = {network.id: bridge_options(network) for network in bridges}
    names = sorted({f'"{network.bridge}"' for network in bridges})
    talking = sorted({f'"{network.bridge}" . "{network.bridge}"' for network in bridges if options[network.id].icc})
    internal = sorted({f'"{network.bridge}"' for network in bridges if network.internal})
    ports: dict[str, list[str]] = {}
    for row in forwards:
        ports.setdefault(row.map, []).append(row.element)
    masked = [network for network in bridges if options[network.id].masquerade and not network.internal]
    return drop(table) + _TABLE.format(
        table=table,
        raw=PRIORITY_RAW,
        dstnat=PRIORITY_DSTNAT,
        filter=PRIORITY_FILTER,
        srcnat=PRIORITY_SRCNAT,
        bridges=_elements(names),
        talking=_elements(talking),
        internal=_elements(internal),
        masked4=_elements(_subnets(masked, 4)),
        masked6=_elements(_subnets(masked, 6)),
        own4=_elements([f"{net} . {net}" for net in _subnets(bridges, 4)]),
        own6=_elements([f"{net} . {net}" for net in _subnets(bridges, 6)]),
        ports4_any=_elements(ports.get("ports4_any", [])),
        ports4_address=_elements(ports.get("ports4_address", [])),
        ports6_any=_elements(ports.get("ports6_any", [])),
        ports6_address=_elements(ports.get("ports6_address", [])),
    )


def _elements(rows: Iterable[str]) -> str:
    text = ", ".join(rows)
    return f"elements = {{ {text} }}" if text else ""


def _subnets(networks: Iterable[Network], version: int) -> list[str]:
    found = {subnet.subnet for network in networks for subnet in network.subnets}
    return sorted(text for text in found if ipaddress.ip_network(text).version == version)


_TABLE = """
table inet {table} {{
  set bridges {{ type ifname; {bridges}
  }}
  set talking {{ type ifname . ifname; {talking}
  }}
  set internal {{ type ifname; {internal}
  }}
  set masked4 {{ type ipv4_addr; flags interval; {masked4}
  }}
  set masked6 {{ type ipv6_addr; flags interval; {masked6}
  }}
  set own4 {{ type ipv4_addr . ipv4_addr; flags interval; {own4}
  }}
  set own6 {{ type ipv6_addr . ipv6_addr; flags interval; {own6}
  }}
  map ports4_any {{ type inet_proto . inet_service : ipv4_addr . inet_service; {ports4_any}
  }}
  map ports4_address {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; {ports4_address}
  }}
  map ports6_any {{ type inet_proto . inet_service : ipv6_addr . inet_service; {ports6_any}
  }}
  map ports6_address {{ type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; {ports6_address}
  }}

  chain loopback {{
    type filter hook prerouting priority {raw}; policy accept;
    iifname "lo" accept
    ip daddr 127.0.0.0/8 drop comment "route_localnet opens 127/8 to the wire; this closes it"
    ip saddr 127.0.0.0/8 drop
  }}
  chain published {{
    dnat ip to ip daddr . meta l4proto . th dport map @ports4_address
    meta nfproto ipv4 dnat ip to meta l4proto . th dport map @ports4_any
    ip6 daddr ::1 return
    dnat ip6 to ip6 daddr . meta l4proto . th dport map @ports6_address
    meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @ports6_any
  }}
  chain arriving {{
    type nat hook prerouting priority {dstnat}; policy accept;
    fib daddr type local jump published
  }}
  chain leaving {{
    type nat hook output priority {dstnat}; policy accept;
    fib daddr type local jump published
  }}
  chain forward {{
    type filter hook forward priority {filter}; policy accept;
    oifname @bridges jump toward
    iifname @internal drop
  }}
  chain toward {{
    ct state established,related accept
    iifname . oifname @talking accept
    iifname @internal drop
    oifname @internal drop
    ct status dnat accept
    drop
  }}
  chain sourcing {{
    type nat hook postrouting priority {srcnat}; policy accept;
    ip saddr 127.0.0.0/8 oifname @bridges masquerade
    ip saddr . ip daddr @own4 ct status dnat masquerade
    ip6 saddr . ip6 daddr @own6 ct status dnat masquerade
    oifname @bridges return
    ip saddr @masked4 masquerade
    ip6 saddr @masked6 masquerade
  }}
}}
"""
