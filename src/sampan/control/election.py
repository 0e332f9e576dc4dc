"""Leader election: of several processes with one lease, one acts. Its writes may carry the lease's version as a fence.

Expiry is judged by the local monotonic clock since the lease was last seen to change, never by its timestamps: clocks differ.

Spec: coordination.k8s.io/v1 Lease; client-go leaderelection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sampan.base import log
from sampan.base.clock import Clock
from sampan.client.port import Client
from sampan.control.controller import LEASES
from sampan.kube import object as objects
from sampan.kube import rfc3339
from sampan.kube.object import Object
from sampan.kube.status import ApiError

_log = log.get("election")


class Election:
    """`await lead()` returns when this process leads; `lost` is set when it does no more."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        *,
        name: str,
        namespace: str,
        identity: str,
        lease_s: float = 15.0,
        renew_s: float = 10.0,
        retry_s: float = 2.0,
    ) -> None:
        """`lease_s`: how long a lease holds; `renew_s`: after how long without renewal a leader gives up, the shorter one."""
        self._client = client
        self._clock = clock
        self._name, self._namespace, self._identity = name, namespace, identity
        self._lease_s, self._renew_s, self._retry_s = lease_s, renew_s, retry_s
        self._seen = ("", 0.0)  # the lease's version, and when it was first seen
        self._lease: Object | None = None
        self._renewer: asyncio.Task[None] | None = None
        self._taken = False  # somebody else's name is on the lease
        self.lost = asyncio.Event()
        self.lost.set()

    @property
    def fence(self) -> str:
        """Return the lease's version; "" while this process does not lead."""
        return objects.resource_version(self._lease) if self._lease and not self.lost.is_set() else ""

    async def lead(self) -> None:
        """Return as soon as this process leads."""
        while True:
            if await self._attempt():
                break
            await asyncio.sleep(self._retry_s)
        self.lost.clear()
        self._renewer = asyncio.create_task(self._keep(), name=f"lease {self._name}")

    async def close(self) -> None:
        """Stop; a lease that is held is given back."""
        if self._renewer is not None:
            self._renewer.cancel()
            await asyncio.gather(self._renewer, return_exceptions=True)
        if not self.lost.is_set():
            self.lost.set()
            await self._give_back()

    async def _give_back(self) -> None:
        try:
            # read anew: the renewal that was cut short may have taken place
            lease = await self._client.get(LEASES, self._namespace, self._name)
            if objects.at(lease, "spec", "holderIdentity") == self._identity:
                lease["spec"].update(holderIdentity="", leaseDurationSeconds=1)
                await self._client.update(LEASES, lease)
        except ApiError as error:
            _log.info("lease %s could not be given back: %s", self._name, error)

    async def _keep(self) -> None:
        renewed = self._clock.monotonic_s()
        while (left_s := self._renew_s - (self._clock.monotonic_s() - renewed)) > 0:
            await asyncio.sleep(min(self._retry_s, left_s))
            asked = self._clock.monotonic_s()
            try:
                # a store that does not answer must not keep a leader from seeing that its time is over
                async with asyncio.timeout(max(0.0, self._renew_s - (asked - renewed))):
                    if await self._attempt():
                        renewed = asked
            except TimeoutError:
                break
            if self._taken:
                break
        _log.warning("%s leads %s no more: its lease could not be renewed", self._identity, self._name)
        self.lost.set()

    async def _attempt(self) -> bool:
        """Take or renew the lease; returns whether it is ours now."""
        try:
            lease = await self._client.get(LEASES, self._namespace, self._name)
        except ApiError as error:
            if error.code != 404:
                return False
            fresh: Object = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._name, "namespace": self._namespace},
                "spec": self._spec({}),
            }
            return await self._write(lambda: self._client.create(LEASES, fresh))
        holder = str(objects.at(lease, "spec", "holderIdentity") or "")
        self._taken = holder not in ("", self._identity)
        if holder and holder != self._identity and not self._expired(lease):
            return False
        lease["spec"] = self._spec(lease.get("spec") or {})
        return await self._write(lambda: self._client.update(LEASES, lease))

    def _expired(self, lease: Object) -> bool:
        version = objects.resource_version(lease)
        if self._seen[0] != version:
            self._seen = (version, self._clock.monotonic_s())
        held_s = float(objects.at(lease, "spec", "leaseDurationSeconds") or self._lease_s)
        return self._clock.monotonic_s() - self._seen[1] > held_s

    def _spec(self, before: Object) -> Object:
        now = rfc3339.render_micro(self._clock.now_ns() // 1000)
        ours = before.get("holderIdentity") == self._identity
        return {
            **before,
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(self._lease_s),
            "acquireTime": before.get("acquireTime") if ours else now,
            "renewTime": now,
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + (not ours and bool(before)),
        }

    async def _write(self, write: Callable[[], Awaitable[Object]]) -> bool:
        try:
            self._lease = await write()
        except ApiError as error:
            _log.info("lease %s: %s", self._name, error)
            return False
        return True
