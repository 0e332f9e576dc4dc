"""The verbs on networks."""

from __future__ import annotations

import sys

from sampan.cli.container_body import pairs
from sampan.cli.containers import FILTER, FORMAT, NO_TRUNC, QUIET, filters
from sampan.cli.flags import BOOL, LIST, TEXT, Flag, Given
from sampan.cli.http import Client, query, quote
from sampan.cli.inspect import FORMAT as INSPECT_FORMAT
from sampan.cli.inspect import documents
from sampan.cli.run import each
from sampan.cli.verb import Verb

Body = dict[str, object]


def ls(client: Client, given: Given) -> int:
    from sampan.cli.table import show

    found = client.get("/networks" + query(filters=filters(given.list("filter"))))
    assert isinstance(found, list)  # noqa: S101  the API's shape
    rows: list[Body] = [
        {
            "ID": one["Id"] if given.on("no-trunc") else one["Id"][:12],
            "Name": one["Name"],
            "Driver": one["Driver"],
            "Scope": one["Scope"],
        }
        for one in sorted(found, key=lambda one: str(one["Name"]))
    ]
    columns = (("NETWORK ID", "ID"), ("NAME", "Name"), ("DRIVER", "Driver"), ("SCOPE", "Scope"))
    show(rows, columns, given.text("format"), quiet="ID" if given.on("quiet") else "")
    return 0


def create(client: Client, given: Given) -> int:
    ranges, gateways = given.list("ip-range"), given.list("gateway")
    pools = [_pool(subnet, ranges, gateways) for subnet in given.list("subnet")]
    wanted: Body = {
        "Name": given.words[0],
        "Driver": given.text("driver"),
        "Internal": given.on("internal"),
        "Attachable": given.on("attachable"),
        "EnableIPv6": given.on("ipv6"),
        "Options": pairs(given.list("opt")),
        "Labels": pairs(given.list("label")),
        "IPAM": {"Driver": "default", "Config": pools, "Options": {}},
    }
    made = client.request("POST", "/networks/create", wanted).json()
    assert isinstance(made, dict)  # noqa: S101  the API's shape
    if made.get("Warning"):
        print(f"WARNING: {made['Warning']}", file=sys.stderr)
    print(made["Id"])
    return 0


def _pool(subnet: str, ranges: list[str], gateways: list[str]) -> Body:
    """The pool of a subnet, with the range and gateway that lie in it."""
    import ipaddress

    network = ipaddress.ip_network(subnet, strict=False)
    pool: Body = {"Subnet": subnet}
    for text in ranges:
        inner = ipaddress.ip_network(text, strict=False)
        if inner.version == network.version and inner.network_address in network:
            pool["IPRange"] = text
    for text in gateways:
        if ipaddress.ip_address(text) in network:
            pool["Gateway"] = text
    return pool


def rm(client: Client, given: Given) -> int:
    ok = (404,) if given.on("force") else ()
    return each(given.words, lambda name: client.request("DELETE", f"/networks/{quote(name)}", ok=ok).read())


def inspect(client: Client, given: Given) -> int:
    return documents(client, given, ["network"])


def connect(client: Client, given: Given) -> int:
    network, container = given.words
    ipam = {
        "IPv4Address": given.text("ip"),
        "IPv6Address": given.text("ip6"),
        "LinkLocalIPs": given.list("link-local-ip"),
    }
    endpoint: Body = {
        "IPAMConfig": {name: value for name, value in ipam.items() if value},
        "Aliases": given.list("alias"),
        "Links": given.list("link"),
        "DriverOpts": pairs(given.list("driver-opt")),
    }
    wanted = {"Container": container, "EndpointConfig": {name: value for name, value in endpoint.items() if value}}
    client.request("POST", f"/networks/{quote(network)}/connect", wanted).read()
    return 0


def disconnect(client: Client, given: Given) -> int:
    network, container = given.words
    wanted = {"Container": container, "Force": given.on("force")}
    client.request("POST", f"/networks/{quote(network)}/disconnect", wanted).read()
    return 0


LS = Verb(ls, "[OPTIONS]", "List networks.", (FILTER, FORMAT, QUIET, NO_TRUNC))
CREATE = Verb(
    create, "[OPTIONS] NETWORK", "Create a network.",
    (
        Flag("driver", TEXT, "Driver", "d", default="bridge"),
        Flag("subnet", LIST, "Subnet in CIDR form"),
        Flag("ip-range", LIST, "Give addresses only from this part"),
        Flag("gateway", LIST, "Address of the gateway"),
        Flag("internal", BOOL, "No way out"),
        Flag("attachable", BOOL, "Kept for compatibility"),
        Flag("ipv6", BOOL, "Give IPv6 addresses, too"),
        Flag("opt", LIST, "Option of the driver", "o"),
        Flag("label", LIST, "Label: key=value"),
    ),
    (1, 1),
)  # fmt: skip
_FORCE = Flag("force", BOOL, "No error when it is not there", "f")
RM = Verb(rm, "NETWORK [NETWORK...]", "Remove networks.", (_FORCE,), (1, None))
INSPECT = Verb(
    inspect, "[OPTIONS] NETWORK [NETWORK...]", "Show all that is known of networks.", (INSPECT_FORMAT,), (1, None)
)
CONNECT = Verb(
    connect, "[OPTIONS] NETWORK CONTAINER", "Connect a container to a network.",
    (
        Flag("ip", TEXT, "IPv4 address"), Flag("ip6", TEXT, "IPv6 address"), Flag("alias", LIST, "Further name"),
        Flag("link", LIST, "Link to another container"), Flag("link-local-ip", LIST, "Link-local address"),
        Flag("driver-opt", LIST, "Option of the driver"),
    ),
    (2, 2),
)  # fmt: skip
DISCONNECT = Verb(
    disconnect, "[OPTIONS] NETWORK CONTAINER", "Disconnect a container from a network.",
    (Flag("force", BOOL, "Also when the container is gone", "f"),), (2, 2),
)  # fmt: skip
