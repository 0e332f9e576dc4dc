"""Other people's firewalls. Where one drops what is forwarded, our bridges are let through in the chain that it documents
for users (Docker's DOCKER-USER, ufw's ufw-user-forward), by rules with our comment; where there is none, we say so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sampan.base import crash, log
from sampan.host import nft
from sampan.model.container import Struct

_logger = log.get("network.firewall")
USER_CHAINS = (
    ("ip", "filter", "DOCKER-USER"),
    ("ip", "filter", "ufw-user-forward"),
    ("ip", "filter", "ufw-before-forward"),
)
"""Chains that their owners leave to users, the better place first."""


class Dropper(Struct, frozen=True, kw_only=True):
    """A base chain that drops what it does not know."""

    family: str
    table: str
    chain: str

    def __str__(self) -> str:
        return f"{self.family} {self.table} {self.chain}"


def droppers(handle: nft.Nft, own_table: str) -> list[Dropper]:
    """Return the forward chains of other tables whose policy is drop."""
    return [
        Dropper(family=chain["family"], table=chain["table"], chain=chain["name"])
        for chain in _chains(handle)
        if chain.get("hook") == "forward" and chain.get("policy") == "drop" and chain["table"] != own_table
    ]


def _chains(handle: nft.Nft) -> list[dict[str, Any]]:
    return [row["chain"] for row in handle.query("list chains") if "chain" in row]


def let_through(handle: nft.Nft, own_table: str, comment: str, bridges: Iterable[str]) -> tuple[str, ...]:
    """Make the user chains accept what goes to and from `bridges`, and nothing of ours besides; return what stays closed.

    Our own table goes on to decide: a packet passes only when every table lets it.
    """
    wanted = sorted(bridges)
    chains = {(chain["family"], chain["table"], chain["name"]) for chain in _chains(handle)}
    closed = droppers(handle, own_table)
    present = [chain for chain in USER_CHAINS if chain in chains]
    helped = {chain[:2] for chain in present[:1]}
    for number, chain in enumerate(present):
        rules = wanted if closed and number == 0 else []
        _replace(handle, chain, comment, rules)
    return tuple(
        f"published ports and containers' way out may be closed: the nftables chain {dropper} drops what is forwarded; "
        f"let it accept iifname and oifname of {', '.join(wanted)}"
        for dropper in closed
        if (dropper.family, dropper.table) not in helped and wanted
    )


def _replace(handle: nft.Nft, chain: tuple[str, str, str], comment: str, bridges: list[str]) -> None:
    name = " ".join(chain)
    rules = [row["rule"] for row in handle.query(f"list chain {name}") if "rule" in row]
    stale = [rule["handle"] for rule in rules if rule.get("comment") == comment]
    if len(stale) == 2 * len(bridges) and all(_mentions(rules, comment, bridge) for bridge in bridges):
        return
    commands = [f"delete rule {name} handle {number}" for number in stale]
    commands += [
        f'insert rule {name} {side} "{bridge}" counter accept comment "{comment}"'
        for bridge in bridges
        for side in ("iifname", "oifname")
    ]
    crash.point("network.firewall.before")
    handle.run("\n".join(commands))
    crash.point("network.firewall.after")


def _mentions(rules: list[dict[str, Any]], comment: str, bridge: str) -> bool:
    return any(rule.get("comment") == comment and f"'{bridge}'" in str(rule.get("expr")) for rule in rules)
