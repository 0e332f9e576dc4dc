"""Expiry: which objects end by themselves, and the store leases that end them."""

from __future__ import annotations

from collections.abc import Mapping

from sampan.base.clock import Clock
from sampan.kube.resource import Resource
from sampan.store.kv.port import Store

_SHARED_S = 60


class Expiry:
    """Objects made within a minute share one lease: a lease each would cost as much as the object."""

    def __init__(self, clock: Clock, ttl_s: Mapping[str, int]) -> None:
        """`ttl_s`: prefix of keys -> how long its objects are kept after they were last written."""
        self._clock = clock
        self._ttl_s = dict(ttl_s)
        self._current: dict[str, tuple[int, float]] = {}

    async def lease(self, resource: Resource, store: Store) -> int:
        """Return the lease for an object that is written now; 0 where objects of this resource stay."""
        ttl_s = self._ttl_s.get(resource.prefix)
        if ttl_s is None:
            return 0
        now = self._clock.monotonic_s()
        lease, made = self._current.get(resource.prefix, (0, 0.0))
        if not lease or now - made > _SHARED_S:
            lease = await store.grant(ttl_s + _SHARED_S)
            self._current[resource.prefix] = (lease, now)
        return lease
