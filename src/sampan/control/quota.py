"""The status of quotas says what is used. Spec: core/v1 ResourceQuotaStatus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sampan.client.informer import Key
from sampan.client.port import Client
from sampan.control.controller import QUOTAS
from sampan.kube.reading import mapping
from sampan.kube.status import ApiError
from sampan.reconcile.loop import Loop

_SETTLE_S = 0.05
"""What changes quickly is written once."""


class Counts(Protocol):
    """Who knows what is used."""

    def on_change(self, listener: Callable[[str, str], None]) -> None: ...

    async def used(self, namespace: str, name: str) -> dict[str, str] | None: ...


class QuotaStatus:
    name = "resourcequota"

    def __init__(self, client: Client, counts: Counts) -> None:
        self._client = client
        self._counts = counts
        self._loop: Loop[Key] = Loop(self.name, self._reconcile)

    async def start(self) -> None:
        self._counts.on_change(lambda namespace, name: self._loop.queue.add_after(Key(namespace, name), _SETTLE_S))
        self._loop.start()

    async def close(self) -> None:
        await self._loop.close()

    async def _reconcile(self, key: Key) -> None:
        used = await self._counts.used(*key)
        if used is None:
            return
        try:
            # by a list, as the controller's own user may
            found = await self._client.list(QUOTAS, key.namespace, fieldSelector=f"metadata.name={key.name}")
            if not found.items:
                return
            quota = found.items[0]
            wanted = {"hard": dict(mapping(quota, "spec", "hard")), "used": used}
            wanted["used"] = {name: used[name] for name in wanted["hard"] if name in used}
            if quota.get("status") != wanted:
                await self._client.update(QUOTAS, {**quota, "status": wanted}, subresource="status")
        except ApiError as error:
            if error.code != 404:
                raise
