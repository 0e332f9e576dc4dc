"""Network: a named L2/L3 segment that containers join."""

from __future__ import annotations

from sampan.model.container import Struct


class Subnet(Struct, frozen=True, kw_only=True):
    """An address pool. `subnet` and `ip_range` are CIDR texts; `gateway` a plain address."""

    subnet: str
    gateway: str = ""
    ip_range: str = ""
    reserved: dict[str, str] = {}  # name -> address that must not be given out


class Network(Struct, frozen=True, kw_only=True):
    """`driver` is "bridge", "host" or "null". `subnets` holds IPv4 first, then IPv6."""

    id: str
    name: str
    driver: str = "bridge"
    created_at_ns: int = 0
    subnets: tuple[Subnet, ...] = ()
    ipv6: bool = False
    ipv4: bool = True
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    builtin: bool = False  # bridge, host, none: not removable
    options: dict[str, str] = {}
    ipam_driver: str = "default"
    ipam_options: dict[str, str] = {}
    labels: dict[str, str] = {}
    bridge: str = ""  # the Linux interface, "" for host and null
