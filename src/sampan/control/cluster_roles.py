"""ClusterRoles with an aggregationRule get the rules of those that they select. Spec: Kubernetes "Aggregated ClusterRoles"."""

from __future__ import annotations

from sampan.client.informer import Informer
from sampan.client.port import Client
from sampan.control.controller import CLUSTER_ROLES
from sampan.kube import object as objects
from sampan.kube import rbac
from sampan.kube.object import Object
from sampan.reconcile.loop import Loop


class ClusterRoleAggregation:
    name = "clusterrole-aggregation"

    def __init__(self, client: Client) -> None:
        self._client = client
        self._roles = Informer(client, CLUSTER_ROLES)
        self._loop: Loop[str] = Loop(self.name, self._reconcile)

    async def start(self) -> None:
        def changed(old: Object | None, new: Object | None) -> None:
            # any role may be selected by any of those that aggregate
            for role in self._roles:
                if role.get("aggregationRule"):
                    self._loop.queue.add(objects.name(role))
            if new is not None and new.get("aggregationRule"):
                self._loop.queue.add(objects.name(new))

        self._roles.on_change(changed)
        self._roles.start()
        self._loop.start()

    async def close(self) -> None:
        await self._loop.close()
        await self._roles.close()

    async def _reconcile(self, name: str) -> None:
        await self._roles.synced()
        role = self._roles.get("", name)
        if role is None or not role.get("aggregationRule"):
            return
        rules = rbac.aggregated(role, self._roles)
        if rules != (role.get("rules") or []):
            await self._client.update(CLUSTER_ROLES, {**role, "rules": rules})
