"""Ports, endpoints, network modes and IPAM."""

from __future__ import annotations

import ipaddress

from sampan.api.docker.parse.body import mapping, strings
from sampan.base.errors import InvalidArgument, Unsupported
from sampan.model.container import EndpointSpec, NetworkSpec, PortBinding
from sampan.model.network import Network, Subnet
from sampan.spec.docker import container as wire
from sampan.spec.docker import network as wire_network

_PROTOCOLS = ("tcp", "udp", "sctp")


def parse_network(config: wire.CreateRequest, host: wire.HostConfig) -> NetworkSpec:
    """Return what a create body says about the network, with contradictions refused."""
    endpoints = ((config.networking_config or wire.NetworkingConfig()).endpoints_config) or {}
    spec = NetworkSpec(
        mode=host.network_mode or "default",
        endpoints=tuple(parse_endpoint(name, settings) for name, settings in endpoints.items()),
        ports=parse_bindings(host.port_bindings or {}),
        exposed=tuple(dict.fromkeys(_port_text(*parse_port(key)) for key in config.exposed_ports or ())),
        publish_all=host.publish_all_ports or False,
        hostname=config.hostname or "",
        domainname=config.domainname or "",
        dns=tuple(_address(text, "DNS server address") for text in host.dns or ()),
        dns_options=strings(host.dns_options),
        dns_search=strings(host.dns_search),
        extra_hosts=tuple(_extra_host(text) for text in host.extra_hosts or ()),
        links=strings(host.links),
        mac=parse_mac(config.mac_address or ""),
    )
    _check_mode(spec, host)
    return spec


def _check_mode(spec: NetworkSpec, host: wire.HostConfig) -> None:
    if host.uts_mode == "host" and spec.hostname:
        raise InvalidArgument("conflicting options: hostname and the UTS mode")
    if spec.mode == "host" and spec.links:
        raise InvalidArgument(
            "conflicting options: host type networking can't be used with links. This would result in undefined behavior"
        )
    if spec.mode != "container" and not spec.mode.startswith("container:"):
        return
    if not spec.mode.removeprefix("container").removeprefix(":"):
        raise InvalidArgument("invalid network mode: invalid container format container:<name|id>")
    conflicts = (
        (spec.hostname, "hostname and the network mode"),
        (spec.links, "container type network can't be used with links. This would result in undefined behavior"),
        (spec.dns, "dns and the network mode"),
        (spec.extra_hosts, "custom host-to-IP mapping and the network mode"),
        (spec.ports or spec.publish_all, "port publishing and the container type network mode"),
        (spec.exposed, "port exposing and the container type network mode"),
        (spec.mac, "mac-address and the network mode"),
    )
    for given, what in conflicts:
        if given:
            raise InvalidArgument(f"conflicting options: {what}")


def parse_port(text: str) -> tuple[int, str]:
    """Return (port, protocol) of "80/tcp" or "80"."""
    number, _, protocol = text.partition("/")
    protocol = (protocol or "tcp").lower()
    port = _number(number)
    if not port or protocol not in _PROTOCOLS:
        raise InvalidArgument(f'invalid port specification: "{text}"')
    return port, protocol


def _port_text(port: int, protocol: str) -> str:
    return f"{port}/{protocol}"


def _number(text: str) -> int | None:
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else None
    return value if value is not None and value <= 65535 else None


def parse_bindings(bindings: dict[str, list[wire.PortBinding] | None]) -> tuple[PortBinding, ...]:
    """Return the published ports; a port with no binding gets a free host port."""
    ports: list[PortBinding] = []
    for key, rows in bindings.items():
        port, protocol = parse_port(key)
        ports += [_binding(port, protocol, row) for row in rows or (wire.PortBinding(),)]
    return tuple(ports)


def _binding(port: int, protocol: str, row: wire.PortBinding) -> PortBinding:
    text = row.host_port or ""
    low_text, dash, high_text = text.partition("-")
    low = _number(low_text or "0")
    high = _number(high_text) if dash else 0
    if low is None or high is None or (dash and (not low or high < low)):
        raise InvalidArgument(f'invalid port specification: "{text}"')
    host_ip = (row.host_ip or "").strip("[]")
    return PortBinding(
        container_port=port,
        protocol=protocol,
        host_ip=_address(host_ip, "host IP") if host_ip else "",
        host_port=low,
        host_port_end=high if high > low else 0,
    )


def _address(text: str, what: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise InvalidArgument(f"invalid {what}: {text[:60]!r} is not an IP address") from None
    return text


def _extra_host(text: str) -> str:
    name, separator, address = text.partition(":" if "=" not in text else "=")
    if not name or not separator or not address:
        raise InvalidArgument(f'bad format for add-host: "{text}"')
    if address != "host-gateway":
        try:
            ipaddress.ip_address(address.strip("[]"))
        except ValueError:
            raise InvalidArgument(f'invalid IP address in add-host: "{address}"') from None
    return text


def parse_mac(text: str) -> str:
    """Return the MAC address in lower case with colons, "" for none."""
    if not text:
        return ""
    parts = text.lower().replace("-", ":").split(":")
    if len(parts) != 6 or any(len(part) != 2 or set(part) - set("0123456789abcdef") for part in parts):
        raise InvalidArgument(f"invalid MAC address: {text[:60]!r}")
    return ":".join(parts)


def parse_endpoint(network: str, settings: wire.EndpointSettings | None) -> EndpointSpec:
    """Return a wish to be on `network`."""
    settings = settings or wire.EndpointSettings()
    addresses = settings.ipam_config or wire.IPAMConfig()
    return EndpointSpec(
        network=network,
        aliases=strings(settings.aliases),
        ipv4=_family(addresses.ipv4_address, 4),
        ipv6=_family(addresses.ipv6_address, 6),
        link_local_ips=tuple(_address(text, "link-local IP") for text in addresses.link_local_ips or ()),
        mac=parse_mac(settings.mac_address or ""),
        links=strings(settings.links),
        driver_options=mapping(settings.driver_opts),
        gateway_priority=settings.gw_priority or 0,
    )


def _family(text: str | None, version: int) -> str:
    if not text:
        return ""
    try:
        if ipaddress.ip_address(text).version == version:
            return text
    except ValueError:
        pass
    raise InvalidArgument(f"invalid IPv{version} address: {text}")


def parse_network_create(request: wire_network.NetworkCreateRequest) -> Network:
    """Return the network that is asked for; its id is empty."""
    name = (request.name or "").strip()
    if not name:
        raise InvalidArgument("invalid network name: name is empty")
    if request.config_only:
        raise Unsupported("config-only networks are not supported by Sampan")
    if request.scope and request.scope != "local":
        raise InvalidArgument(f"invalid network scope '{request.scope}': this node is not a swarm manager")
    ipam = request.ipam or wire_network.IPAM()
    return Network(
        id="",
        name=name,
        driver=request.driver or "bridge",
        subnets=_subnets(ipam.config or []),
        ipv6=request.enable_ipv6 or False,
        ipv4=request.enable_ipv4 is not False,
        internal=request.internal or False,
        attachable=request.attachable or False,
        ingress=request.ingress or False,
        options=mapping(request.options),
        ipam_driver=ipam.driver or "default",
        ipam_options=mapping(ipam.options),
        labels=mapping(request.labels),
    )


def _subnets(pools: list[wire_network.IPAMPool]) -> tuple[Subnet, ...]:
    subnets = [_subnet(pool) for pool in pools if pool.subnet or pool.gateway or pool.ip_range]
    return tuple(sorted(subnets, key=lambda subnet: ":" in subnet.subnet))


def _subnet(pool: wire_network.IPAMPool) -> Subnet:
    if not pool.subnet:
        raise InvalidArgument("invalid network config: a gateway or IP range needs a subnet")
    subnet = _cidr(pool.subnet, "subnet")
    if pool.gateway and ipaddress.ip_address(_address(pool.gateway, "gateway address")) not in subnet:
        raise InvalidArgument(f"invalid network config: no matching subnet for gateway {pool.gateway}")
    if pool.ip_range:
        inner = _cidr(pool.ip_range, "ip-range")
        if inner.version != subnet.version or inner.prefixlen < subnet.prefixlen or inner.network_address not in subnet:
            raise InvalidArgument(f"invalid network config: no matching subnet for range {pool.ip_range}")
    reserved = mapping(pool.auxiliary_addresses or pool.aux_address)
    for address in reserved.values():
        if ipaddress.ip_address(_address(address, "aux address")) not in subnet:
            raise InvalidArgument(f"invalid network config: no matching subnet for aux-address {address}")
    return Subnet(subnet=str(subnet), gateway=pool.gateway or "", ip_range=pool.ip_range or "", reserved=reserved)


def _cidr(text: str, what: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        strict = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InvalidArgument(f"invalid network config: invalid {what} {text}: invalid CIDR address") from None
    raise InvalidArgument(f"invalid network config: invalid {what} {text}: it should be {strict}")
