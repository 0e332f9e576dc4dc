"""The daemon's nftables table, kept by one thread: ports one by one, everything else by replacing the whole."""

from __future__ import annotations

import threading

from sampan.base import crash, log
from sampan.base.errors import Unavailable
from sampan.host import netlink_conntrack, nft
from sampan.model.network import Network
from sampan.network import firewall, ruleset
from sampan.network.ruleset import Forward

_logger = log.get("network.rules")


class Rules:
    """What the table should say, and the means to make it say so. One thread at a time gets in."""

    def __init__(self, table: str) -> None:
        self._lock = threading.Lock()
        self._table = table
        self._networks: dict[str, Network] = {}
        self._forwards: dict[str, tuple[Forward, ...]] = {}

    def reset(self, networks: dict[str, Network], forwards: dict[str, tuple[Forward, ...]]) -> None:
        """Forget what was said before, and replace the table."""
        with self._lock:
            self._networks, self._forwards = dict(networks), {owner: rows for owner, rows in forwards.items() if rows}
            self._replace()

    def add_network(self, network: Network) -> None:
        """Take a network in."""
        with self._lock:
            self._networks[network.id] = network
            self._replace()

    def remove_network(self, network_id: str) -> None:
        """Leave a network out. Idempotent."""
        with self._lock:
            if self._networks.pop(network_id, None) is not None:
                self._replace()

    def publish(self, owner: str, forwards: tuple[Forward, ...]) -> None:
        """Make these, and only these, the owner's ports."""
        with self._lock:
            old = self._forwards.pop(owner, ())
            if forwards:
                self._forwards[owner] = forwards
            if old == forwards:
                return
            self._change(old, forwards)
        netlink_conntrack.forget_udp(sorted({row.host_port for row in (*old, *forwards) if row.protocol == "udp"}))

    def _change(self, old: tuple[Forward, ...], new: tuple[Forward, ...]) -> None:
        crash.point("network.port.before")
        try:
            nft.mine().run(ruleset.delete(self._table, old) + ruleset.add(self._table, new))
        except nft.NftError as error:
            _logger.warning("the nftables table %s is not as it was left (%s): replacing it", self._table, error)
            self._replace()
        crash.point("network.port.after")

    def let_through(self) -> tuple[str, ...]:
        """Ask other people's firewalls for a way through; return in words what stays closed."""
        with self._lock:
            bridges = [network.bridge for network in self._networks.values() if network.bridge]
        try:
            return firewall.let_through(nft.mine(), self._table, self._table, bridges)
        except nft.NftError as error:
            return (f"another table's user chain cannot be changed, published ports may be closed: {error}",)

    def _replace(self) -> None:
        crash.point("network.table.before")
        rows = [row for forwards in self._forwards.values() for row in forwards]
        try:
            nft.mine().run(ruleset.whole(self._table, self._networks.values(), rows))
        except nft.NftError as error:
            raise Unavailable(f"nftables refuses the rules of table {self._table}: {error}") from error
        crash.point("network.table.after")
