"""What exists on the host for one daemon's tag, found without the daemon; and its removal."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from sampan.host import netlink_message as message
from sampan.host import netlink_query as query
from sampan.host import netns, nft
from sampan.host.netlink import Netlink
from sampan.network import firewall, ruleset
from sampan.network.naming import Names

_PORT_MAPS = ("ports4_any", "ports4_address", "ports6_any", "ports6_address")


def survey(exec_root: Path, tag: str) -> dict[str, list[str]]:
    """Return lists of names by kind: netns, slots, veths, bridges, bridge_ports, addresses, nft_elements, nft_tables.

    Blocking. A veth whose namespace was dropped a moment ago is listed until the kernel has removed it.
    """
    names = Names(tag=tag)
    with Netlink() as netlink:
        links = query.links(netlink)
        placed = query.addresses(netlink)
    by_index = {link.index: link for link in links}
    bridges = {link.index: link.name for link in links if link.alias == names.alias}
    veths = [link for link in links if names.is_veth(link.name) and link.kind == "veth"]
    files = sorted(path.name for path in (exec_root / "netns").glob("*"))
    tables, elements = _rules(names.table)
    return {
        "netns": [name for name in files if not name.startswith("slot-")],
        "slots": [name for name in files if name.startswith("slot-")],
        "veths": sorted(link.name for link in veths),
        "bridges": sorted(bridges.values()),
        "bridge_ports": sorted(
            f"{by_index[link.master].name} {link.name}" for link in veths if link.master in by_index
        ),
        "addresses": sorted(f"{bridges[row.index]} {row.interface}" for row in placed if row.index in bridges),
        "nft_tables": tables,
        "nft_elements": elements,
    }


def _rules(table: str) -> tuple[list[str], list[str]]:
    handle = nft.Nft()
    try:
        present = [row["table"]["name"] for row in handle.query("list tables") if "table" in row]
        if table not in present:
            return [], []
        found = []
        for name in _PORT_MAPS:
            for row in handle.query(f"list map inet {table} {name}"):
                found += [_element(name, *pair) for pair in row.get("map", {}).get("elem", [])]
        return [table], sorted(found)
    finally:
        handle.close()


def _element(name: str, key: Any, value: Any) -> str:
    return f"{name} {_joined(key)} : {_joined(value)}"


def _joined(part: Any) -> str:
    return " . ".join(str(piece) for piece in part["concat"]) if isinstance(part, dict) else str(part)


def remove_all(exec_root: Path, tag: str) -> None:
    """Remove everything of the tag: namespaces, bridges, rules. For `down --purge` and tests; no daemon may run."""
    names = Names(tag=tag)
    handle = nft.Nft()
    try:
        handle.run(ruleset.drop(names.table))
        firewall.let_through(handle, names.table, names.table, ())
    finally:
        handle.close()
    netns.remove_directory(exec_root / "netns")
    with Netlink() as netlink:
        for link in query.links(netlink):
            if link.alias == names.alias or (names.is_veth(link.name) and link.kind == "veth"):
                netlink.batch(message.link_delete(link.name), ignore={errno.ENODEV})
