"""Prepared namespaces of the default bridge: interface, address and route inside, waiting to be taken.

A slot is recorded before it is made, taken at most once, and never comes back: sysctls, rules and sockets of a tenant
would stay in it. One thread fills the pool and deletes the records of spent slots, off the hot path.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable

import msgspec

from sampan.base import crash, log
from sampan.base.errors import SampanError
from sampan.host import netns
from sampan.host.netlink import Netlink
from sampan.model.container import Endpoint, EndpointSpec, Struct
from sampan.model.network import Network
from sampan.network import sandbox
from sampan.network.naming import SLOT_RECORD, Names
from sampan.network.reservation import Reservations
from sampan.store.port import RecordStore, Write

_logger = log.get("network.pool")
_RETRY_S = 5


class Slot(Struct, frozen=True, kw_only=True):
    """One prepared namespace, and its record."""

    name: str
    path: str
    endpoint: Endpoint


class SlotPool:
    """At most `size` slots. `take` and `retire` never wait for the kernel or the disk."""

    def __init__(
        self,
        names: Names,
        size: int,
        reservations: Reservations,
        records: RecordStore | None,
        path_of: Callable[[str], str],
    ) -> None:
        self._names, self._size, self._reservations, self._records = names, size, reservations, records
        self._path_of = path_of
        self._ready: deque[Slot] = deque()
        self._spent: list[str] = []
        self._unwanted: list[Slot] = []
        self._wake = threading.Condition()
        self._idle = threading.Event()
        self._network: Network | None = None
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self, network: Network) -> None:
        """Begin to fill with slots on `network`."""
        if self._size <= 0 or self._thread is not None:
            return
        self._network = network
        self._thread = threading.Thread(target=self._fill, name="netns-pool", daemon=True)
        self._thread.start()

    def take(self, network_id: str) -> Slot | None:
        """Return a slot, now the caller's, or None."""
        with self._wake:
            if self._network is None or self._network.id != network_id or not self._ready:
                return None
            slot = self._ready.popleft()
            if len(self._ready) <= self._size // 2:
                self._kick()
            return slot

    def put_back(self, slot: Slot) -> None:
        """Return a slot that no container has entered."""
        with self._wake:
            self._ready.appendleft(slot)

    def retire(self, name: str) -> None:
        """Delete the record of a slot whose namespace is dropped, together with the next ones that are written."""
        with self._wake:
            self._spent.append(name)

    def yield_address(self, address: str) -> bool:
        """Give an idle slot's address up to somebody who asks for it by name; False when none has it."""
        with self._wake:
            for slot in self._ready:
                if address in {slot.endpoint.ipv4, slot.endpoint.ipv6}:
                    self._ready.remove(slot)
                    self._unwanted.append(slot)
                    self._reservations.free((slot.endpoint,))
                    self._kick()
                    return True
        return False

    def ready(self) -> int:
        """Return how many slots wait."""
        return len(self._ready)

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until the thread has nothing to do; for tests and shutdown."""
        return self._thread is None or self._idle.wait(timeout_s)

    def close(self) -> None:
        """Stop, and drop the slots that nobody took."""
        with self._wake:
            self._closing = True
            self._kick()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _kick(self) -> None:
        self._idle.clear()
        self._wake.notify()

    def _fill(self) -> None:
        with Netlink() as netlink:
            while True:
                with self._wake:
                    while not (self._closing or self._work()):
                        self._idle.set()
                        self._wake.wait()
                    closing = self._closing
                    unwanted, self._unwanted = self._unwanted, []
                    if closing:
                        unwanted.extend(self._ready)
                        self._ready.clear()
                    spent, self._spent = self._spent, []
                    missing = 0 if closing else self._size - len(self._ready)
                failed = not self._round(netlink, unwanted, spent, missing)
                with self._wake:
                    if closing:
                        self._idle.set()
                        return
                    if failed and not self._closing:
                        self._idle.set()
                        self._wake.wait(_RETRY_S)

    def _work(self) -> bool:
        return bool(self._unwanted) or len(self._ready) <= self._size // 2

    def _round(self, netlink: Netlink, unwanted: list[Slot], spent: list[str], missing: int) -> bool:
        """Drop, record and make; return whether all of it worked. What failed is tried again in a later round."""
        fresh: list[Slot] = []
        try:
            for slot in unwanted:
                netns.drop(slot.path)
                self._reservations.free((slot.endpoint,))
                spent.append(slot.name)
            self._plan(missing, fresh)
            self._record(spent, fresh)
            spent.clear()
            while fresh:
                self._make(netlink, fresh[0])
                del fresh[0]
        except (SampanError, OSError) as error:
            _logger.warning("the pool of prepared namespaces is not filled: %s", error)
            with self._wake:
                self._spent.extend(spent)
                self._unwanted.extend(fresh)
            return False
        return True

    def _plan(self, missing: int, fresh: list[Slot]) -> None:
        network = self._network
        if network is None:
            return
        for _ in range(missing):
            name = secrets.token_hex(4)
            endpoint = self._reservations.endpoint(network, EndpointSpec(network=network.name))
            endpoint = msgspec.structs.replace(endpoint, slot=name)
            fresh.append(Slot(name=name, path=self._path_of(self._names.slot_sandbox(name)), endpoint=endpoint))

    def _record(self, spent: list[str], fresh: list[Slot]) -> None:
        if self._records is None or not (spent or fresh):
            return
        crash.point("network.slot.record.before")
        writes = [Write(SLOT_RECORD, name, None) for name in spent]
        writes += [Write(SLOT_RECORD, slot.name, msgspec.json.encode(slot)) for slot in fresh]
        self._records.commit_blocking(*writes)
        crash.point("network.slot.record.after")

    def _make(self, netlink: Netlink, slot: Slot) -> None:
        network = self._network
        if network is not None:
            networks = {network.id: network}
            sandbox.make(netlink, self._names, slot.path, (slot.endpoint,), networks, slot.endpoint)
        with self._wake:
            self._ready.append(slot)
