"""NetworkDriver of a Linux host: bridges, veths and namespaces by netlink, ports by nftables.

Two threads do the kernel's work: one what takes the kernel's rtnl lock (links and addresses; it can wait for tens of
milliseconds while dropped namespaces die), one what does not (rules, sockets, dropping). What only needs memory is done
at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from sampan.base import ids, log
from sampan.base.errors import Internal, NotFound, SampanError, Unavailable
from sampan.base.ids import IdSource
from sampan.host import netlink_query as query
from sampan.host import netns, nft
from sampan.host.netlink import Netlink
from sampan.model.container import Endpoint, EndpointSpec, PortBinding, PublishedPort
from sampan.model.network import Network
from sampan.network import bridge, plan, sandbox, survey
from sampan.network.addresses import AddressBook
from sampan.network.claims import PortClaims
from sampan.network.listening import SocketHeld, has_ipv6, hold
from sampan.network.nameserver import NameServers, open_sockets
from sampan.network.naming import SLOT_RECORD, Names
from sampan.network.options import endpoint_interface
from sampan.network.plan import Defaults, Surroundings
from sampan.network.pool import Slot, SlotPool
from sampan.network.port import Attachment, NetworkUsage
from sampan.network.reservation import Reservations, exit_endpoint
from sampan.network.resolving import EMBEDDED_NAMESERVER, resolves_names
from sampan.network.rules import Rules
from sampan.network.ruleset import Forward
from sampan.network.upstream import RESOLV_CONF, Upstream
from sampan.store.port import RecordStore, Write

T = TypeVar("T")
_logger = log.get("network")


class LinuxNetworkDriver:
    """See `port.NetworkDriver`. One for each pair of exec root and tag."""

    def __init__(
        self,
        exec_root: Path,
        tag: str,
        bridge: str,
        bip: str | None = None,
        records: RecordStore | None = None,
        *,
        pool_size: int = 12,
        new_id: IdSource = ids.random_id,
        resolv_conf: Path = RESOLV_CONF,
    ) -> None:
        self._names = Names(tag=tag)
        self._directory = exec_root / "netns"
        self._bridge = bridge
        self._defaults = Defaults(bridge=bridge, bip=bip, seed=tag)
        self._records = records
        self._reservations = Reservations(AddressBook(), PortClaims(hold, ipv6=has_ipv6()), new_id)
        self._pool = SlotPool(self._names, pool_size, self._reservations, records, self._path)
        self._rules = Rules(self._names.table)
        self._networks: dict[str, Network] = {}
        self._attached: dict[str, Attachment] = {}
        self._slots: dict[str, Slot] = {}
        self._dns = NameServers(Upstream(resolv_conf))
        self._warnings: tuple[str, ...] = ()
        self._links = ThreadPoolExecutor(1, thread_name_prefix="network-links")
        self._quick = ThreadPoolExecutor(1, thread_name_prefix="network-quick")
        self._making: dict[str, asyncio.Future[None]] = {}
        self._local = threading.local()

    # networks

    def allocate_network(self, wanted: Network, existing: tuple[Network, ...]) -> Network:
        """Return `wanted` filled in and checked against the other networks and the host's routes."""
        with Netlink() as netlink:
            around, own_address = _surroundings(netlink, self._names.alias, self._bridge)
        defaults = self._defaults
        if wanted.builtin and defaults.bip is None:
            defaults = msgspec.structs.replace(defaults, bip=own_address)
        return plan.allocate(wanted, existing, around, defaults)

    async def create_network(self, network: Network) -> None:
        """Make the bridge, its addresses and rules; undone when it fails."""
        if network.driver != "bridge":
            return
        try:
            await self._run(self._links, self._make_network, network)
        except BaseException:
            with contextlib.suppress(SampanError, OSError):  # the first error is the one to tell
                await self._run(self._links, self._remove_network, network)
            raise
        self._networks[network.id] = network
        if network.bridge == self._bridge:
            self._pool.start(network)

    async def delete_network(self, network: Network) -> None:
        """Remove rules and bridge. Idempotent."""
        if network.driver != "bridge":
            return
        self._networks.pop(network.id, None)
        await self._run(self._links, self._remove_network, network)
        self._reservations.addresses.forget(network.id)
        self._dns.forget(network.id)

    def _make_network(self, network: Network) -> None:
        netns.prepare_directory(self._directory)
        bridge.enable_forwarding(ipv6=network.ipv6)
        bridge.ensure(self._netlink(), network, self._names.alias)
        self._rules.add_network(network)
        self._let_through()

    def _remove_network(self, network: Network) -> None:
        _all_of(
            lambda: self._rules.remove_network(network.id),
            self._let_through,
            lambda: bridge.remove(self._netlink(), network.bridge, self._names.alias),
        )

    def _let_through(self) -> None:
        self._warnings = self._rules.let_through()
        for warning in self._warnings:
            _logger.warning("%s", warning)

    # reservations

    def reserve(
        self, container_id: str, wishes: tuple[tuple[Network, EndpointSpec], ...], ports: tuple[PortBinding, ...]
    ) -> Attachment:
        """Choose everything, in memory; only the host ports are bound already."""
        for network, _ in wishes:
            self._networks.setdefault(network.id, network)
        slot = self._slot_for(wishes)
        endpoints = (slot.endpoint,) if slot is not None else self._endpoints(wishes)
        if slot is not None:
            self._slots[slot.name] = slot
            endpoints = (msgspec.structs.replace(slot.endpoint, spec=wishes[0][1], **_aliases(wishes[0][1])),)
        attachment = Attachment(
            sandbox_key=slot.path if slot is not None else self._path(self._names.sandbox(container_id)),
            slot=slot.name if slot is not None else "",
            endpoints=tuple(
                msgspec.structs.replace(endpoint, slot=slot.name if slot else "") for endpoint in endpoints
            ),
        )
        try:
            published = self._reservations.publish(container_id, self._networks.values(), endpoints, ports)
        except BaseException:
            self.release(container_id, attachment)
            raise
        return msgspec.structs.replace(attachment, ports=published)

    def _slot_for(self, wishes: tuple[tuple[Network, EndpointSpec], ...]) -> Slot | None:
        """Return a prepared slot when the one wish is a plain one."""
        if len(wishes) != 1:
            return None
        network, spec = wishes[0]
        if spec.ipv4 or spec.ipv6 or spec.mac or spec.link_local_ips or endpoint_interface(spec):
            return None
        return self._pool.take(network.id)

    def _endpoints(self, wishes: tuple[tuple[Network, EndpointSpec], ...]) -> tuple[Endpoint, ...]:
        for _, spec in wishes:
            for address in (spec.ipv4, spec.ipv6):
                if address:
                    self._pool.yield_address(address)
        return self._reservations.endpoints(wishes)

    def release(self, container_id: str, attachment: Attachment) -> None:
        """Give a reservation back. Idempotent."""
        self._reservations.ports.release(container_id)
        slot = self._slots.pop(attachment.slot, None)
        if slot is not None:
            self._pool.put_back(slot)
        elif not attachment.slot:
            self._reservations.free(attachment.endpoints)

    # containers

    async def join(self, container_id: str, attachment: Attachment, networks: tuple[Network, ...]) -> Attachment:
        """Make what was reserved. For a slot without ports there is nothing left to do."""
        by_id = {network.id: network for network in networks}
        self._networks.update(by_id)
        if self._attached.get(container_id) == attachment and netns.exists(attachment.sandbox_key):
            return attachment  # done before
        forwards = self._forwards(attachment)
        taken = attachment.slot in self._slots and netns.exists(attachment.sandbox_key)
        if not taken:
            await self._make(container_id, attachment, by_id)
        if forwards:
            await self._run(self._quick, self._rules.publish, container_id, forwards)
        self._slots.pop(attachment.slot, None)
        await self._serve(container_id, attachment)
        await self._resolve(container_id, attachment)
        self._attached[container_id] = attachment
        return attachment

    async def _make(self, container_id: str, attachment: Attachment, networks: dict[str, Network]) -> None:
        """Make the namespace. A caller that is cancelled does not stop it: `leave` waits for its end."""
        exit_ = exit_endpoint(attachment.endpoints, networks)
        arguments = (self._names, attachment.sandbox_key, attachment.endpoints, networks, exit_)
        made = asyncio.ensure_future(self._run(self._links, lambda: sandbox.make(self._netlink(), *arguments)))
        self._making[container_id] = made
        made.add_done_callback(lambda _: self._making.pop(container_id, None))
        await asyncio.shield(made)

    def _forwards(self, attachment: Attachment) -> tuple[Forward, ...]:
        target = exit_endpoint(attachment.endpoints, self._networks)
        if target is None:
            return ()
        found = []
        for port in attachment.ports:
            address = target.ipv6 if ":" in port.host_ip else target.ipv4
            if address:
                found.append(
                    Forward(
                        host_ip=port.host_ip,
                        protocol=port.protocol,
                        host_port=port.host_port,
                        target_ip=address,
                        target_port=port.container_port,
                    )
                )
        return tuple(found)

    async def _serve(self, container_id: str, attachment: Attachment) -> None:
        """Stand behind the TCP ports that no rule leads away: [::1], and an IP version that the container lacks."""
        target = exit_endpoint(attachment.endpoints, self._networks)
        if target is None:
            return
        held = self._reservations.ports.held(container_id)
        targets = tuple(address for address in (target.ipv6, target.ipv4) if address)
        for port in attachment.ports:
            behind = held.get((port.host_ip, port.protocol, port.host_port))
            relayed = port.protocol == "tcp" and (":" in port.host_ip or not target.ipv4)
            if relayed and isinstance(behind, SocketHeld):
                await behind.serve(targets, port.container_port)

    async def _resolve(self, container_id: str, attachment: Attachment) -> None:
        """Answer names inside of a container that is on a user-defined network."""
        if not resolves_names(attachment.endpoints, self._networks):
            return
        if not self._dns.has(container_id):
            sockets = await self._run(self._quick, open_sockets, attachment.sandbox_key)
            await self._dns.start(container_id, sockets)
        outside = exit_endpoint(attachment.endpoints, self._networks) is not None
        self._dns.set_networks(container_id, (row.network_id for row in attachment.endpoints), outside=outside)

    async def make_sandbox(self, container_id: str) -> str:
        """Make a namespace with only `lo` up."""
        path = self._path(self._names.sandbox(container_id))
        netns.prepare_directory(self._directory)
        await self._make(container_id, Attachment(sandbox_key=path), {})
        self._attached[container_id] = Attachment(sandbox_key=path)
        return path

    async def leave(self, container_id: str, attachment: Attachment) -> None:
        """Close the ports, drop the namespace, free the addresses; goes on past errors and tells them all."""
        known = self._attached.pop(container_id, attachment)
        path = attachment.sandbox_key or self._path(self._names.sandbox(container_id))
        self._dns.stop(container_id)
        making = self._making.get(container_id)
        if making is not None:
            await asyncio.wait([making])
        try:
            await self._run(self._quick, self._leave, container_id, path)
        finally:
            self._reservations.ports.release(container_id)
            self._reservations.free((*known.endpoints, *attachment.endpoints))
            self._slots.pop(attachment.slot, None)
            slot = self._names.slot_of(path)
            if slot:
                self._pool.retire(slot)

    def _leave(self, container_id: str, path: str) -> None:
        _all_of(lambda: self._rules.publish(container_id, ()), lambda: netns.drop(path))

    async def connect(self, container_id: str, sandbox_key: str, network: Network, spec: EndpointSpec) -> Endpoint:
        """Add an interface to a running container."""
        self._networks[network.id] = network
        endpoint = self._endpoints(((network, spec),))[0]
        known = self._attached.get(container_id, Attachment(sandbox_key=sandbox_key))
        now = msgspec.structs.replace(known, endpoints=(*known.endpoints, endpoint))
        try:
            await self._run(self._links, self._plug, sandbox_key, endpoint, network, now)
        except BaseException:
            self._reservations.free((endpoint,))
            raise
        await self._changed(container_id, now)
        return endpoint

    def _plug(self, path: str, endpoint: Endpoint, network: Network, now: Attachment) -> None:
        with netns.open_netlink(path) as inner:
            sandbox.plug(self._netlink(), inner, self._names, path, endpoint, network)
            if exit_endpoint(now.endpoints, self._networks) == endpoint:
                sandbox.route(inner, endpoint)

    async def disconnect(self, container_id: str, sandbox_key: str, endpoint: Endpoint) -> None:
        """Take an interface out of a running container. Idempotent."""
        known = self._attached.get(container_id, Attachment(sandbox_key=sandbox_key))
        left = tuple(row for row in known.endpoints if row.endpoint_id != endpoint.endpoint_id)
        now = msgspec.structs.replace(known, endpoints=left)
        await self._run(self._links, self._unplug, sandbox_key, endpoint, now)
        self._reservations.free((endpoint,))
        await self._changed(container_id, now)

    def _unplug(self, path: str, endpoint: Endpoint, now: Attachment) -> None:
        sandbox.unplug(self._netlink(), self._names, endpoint)
        if netns.exists(path):
            with netns.open_netlink(path) as inner:
                sandbox.route(inner, exit_endpoint(now.endpoints, self._networks))

    async def _changed(self, container_id: str, now: Attachment) -> None:
        """Lead the container's ports to the endpoint that has the default route now."""
        self._attached[container_id] = now
        await self._run(self._quick, self._rules.publish, container_id, self._forwards(now))
        await self._serve(container_id, now)
        await self._resolve(container_id, now)

    async def usage(self, sandbox_key: str) -> tuple[NetworkUsage, ...]:
        """Return the counters of the namespace's interfaces."""
        links = await self._run(self._quick, sandbox.counters, sandbox_key)
        return tuple(NetworkUsage(interface=link.name, **msgspec.structs.asdict(link.counters)) for link in links)

    # names

    def set_names(self, network_id: str, names: dict[str, tuple[str, ...]]) -> None:
        """Replace the DNS answers of a network."""
        network = self._networks.get(network_id)
        self._dns.set_names(network_id, network.name if network is not None else network_id[:12], names)

    def set_resolvers(self, container_id: str, servers: tuple[str, ...]) -> None:
        """Pass a container's questions about other names on to `servers` (its --dns) instead of the host's."""
        self._dns.set_resolvers(container_id, servers)

    def nameserver(self, attachment: Attachment) -> str | None:
        """Return the embedded server's address; None when only the default bridge is there."""
        return EMBEDDED_NAMESERVER if resolves_names(attachment.endpoints, self._networks) else None

    # the whole

    async def reconcile(self, networks: tuple[Network, ...], attachments: dict[str, Attachment]) -> None:
        """Make the host as this says: adopt, repair, remove the rest, fill the pool."""
        self._networks = {network.id: network for network in networks if network.driver == "bridge"}
        self._attached = dict(attachments)
        self._adopt(attachments)
        forwards = {owner: self._forwards(attachment) for owner, attachment in attachments.items()}
        await self._run(self._links, self._reconcile, dict(self._networks), attachments, forwards)
        for owner, attachment in attachments.items():
            try:
                await self._serve(owner, attachment)
                await self._resolve(owner, attachment)
            except (SampanError, OSError) as error:
                _logger.warning("container %s has no names or no [::] port: %s", owner[:12], error)
        for network in networks:
            if network.bridge == self._bridge:
                self._pool.start(network)

    def _adopt(self, attachments: dict[str, Attachment]) -> None:
        """Take addresses and ports of running containers again."""
        for owner, attachment in attachments.items():
            for why in self._reservations.adopt(attachment.endpoints, self._networks):
                _logger.warning("container %s: %s", owner[:12], why)
            for port in self._reservations.ports.reclaim(owner, attachment.ports):
                _logger.warning("container %s: port %s is held by another process now", owner[:12], _shown(port))

    def _reconcile(
        self,
        networks: dict[str, Network],
        attachments: dict[str, Attachment],
        forwards: dict[str, tuple[Forward, ...]],
    ) -> None:
        """Take every step; one that fails is told, and does not keep the daemon from starting. The rules must stand."""
        netns.prepare_directory(self._directory)
        kept = {attachment.sandbox_key for attachment in attachments.values()}
        slots = {self._names.slot_of(path) for path in kept}
        bridge.enable_forwarding(ipv6=any(network.ipv6 for network in networks.values()))
        steps = [_ensure(self._netlink(), network, self._names.alias) for network in networks.values()]
        steps += [_drop(str(path)) for path in self._directory.iterdir() if str(path) not in kept]
        steps += [
            lambda: self._remove_bridges({network.bridge for network in networks.values()}),
            lambda: sandbox.mend(self._netlink(), self._names, networks, attachments.values()),
            lambda: sandbox.unplug_strays(self._netlink(), self._names, attachments.values()),
            lambda: self._forget_slots(slots),
        ]
        for error in _errors_of(*steps):
            _logger.error("putting the network in order: %s", error)
        self._rules.reset(networks, forwards)
        self._let_through()

    def _remove_bridges(self, kept: set[str]) -> None:
        for link in query.links(self._netlink()):
            if link.kind == "bridge" and link.alias == self._names.alias and link.name not in kept:
                bridge.remove(self._netlink(), link.name, self._names.alias)

    def _forget_slots(self, kept: set[str]) -> None:
        if self._records is None:
            return
        stale = self._records.load(SLOT_RECORD).keys() - kept
        if stale:
            self._records.commit_blocking(*(Write(SLOT_RECORD, name, None) for name in sorted(stale)))

    def warnings(self) -> tuple[str, ...]:
        """Return what keeps published ports or containers' traffic from working, and the fix for each."""
        return self._warnings

    def survey(self) -> dict[str, list[str]]:
        """Return what is on the host for this daemon."""
        return survey.survey(self._directory.parent, self._names.tag)

    async def close(self) -> None:
        """Let go; running containers keep their network. Slots that nobody took are dropped."""
        await asyncio.to_thread(self._pool.close)
        self._reservations.ports.close()
        self._dns.close()
        for worker in (self._links, self._quick):
            await asyncio.to_thread(worker.shutdown)

    # threads

    async def _run(self, worker: ThreadPoolExecutor, function: Callable[..., T], *arguments: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(worker, lambda: function(*arguments))
        except FileNotFoundError as error:
            raise NotFound(f"no network namespace {error.filename}: the container does not run") from error
        except (OSError, nft.NftError) as error:
            raise Unavailable(f"network: {error}") from error

    def _netlink(self) -> Netlink:
        netlink: Netlink | None = getattr(self._local, "netlink", None)
        if netlink is None:
            netlink = self._local.netlink = Netlink()
        return netlink

    def _path(self, name: str) -> str:
        return str(self._directory / name)


def _surroundings(netlink: Netlink, alias: str, default_bridge: str) -> tuple[Surroundings, str | None]:
    links = {link.index: link for link in query.links(netlink)}
    routed = {}
    for version in (4, 6):
        for route in query.routes(netlink, version):
            if route.network is not None and route.index in links and not route.network.startswith("fe80:"):
                routed[route.network] = links[route.index].name
    own_address = None
    for row in query.addresses(netlink):
        link = links.get(row.index)
        if link is not None and link.name == default_bridge and row.value.version == 4:
            own_address = row.interface
    own = tuple(link.name for link in links.values() if link.alias == alias)
    return Surroundings(routed=routed, interfaces=tuple(link.name for link in links.values()), own=own), own_address


def _aliases(spec: EndpointSpec) -> dict[str, tuple[str, ...]]:
    return {"aliases": spec.aliases, "dns_names": spec.aliases}


def _ensure(netlink: Netlink, network: Network, alias: str) -> Callable[[], object]:
    return lambda: bridge.ensure(netlink, network, alias)


def _drop(path: str) -> Callable[[], object]:
    return lambda: netns.drop(path)


def _shown(port: PublishedPort) -> str:
    return f"{port.host_ip}:{port.host_port}/{port.protocol}"


def _errors_of(*steps: Callable[[], object]) -> list[Exception]:
    """Take every step, whatever the ones before it did; return what went wrong."""
    errors: list[Exception] = []
    for step in steps:
        try:
            step()
        except (SampanError, OSError) as error:
            errors.append(error)
    return errors


def _all_of(*steps: Callable[[], object]) -> None:
    """Take every step, then raise what went wrong."""
    errors = _errors_of(*steps)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise Internal("; ".join(str(error) for error in errors)) from errors[0]
