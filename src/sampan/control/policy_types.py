"""A policy in CEL says in its status what its expressions get wrong about the kinds that it judges."""

from __future__ import annotations

from sampan.client.informer import Informer
from sampan.client.port import Client, Ref
from sampan.kube import object as objects
from sampan.kube.admission import type_checking
from sampan.kube.admission.type_checking import Find
from sampan.kube.object import Object
from sampan.reconcile.loop import Loop

_POLICIES = Ref("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", namespaced=False)


class PolicyTypes:
    name = "validating-admission-policy-status"

    def __init__(self, client: Client, find: Find) -> None:
        self._client = client
        self._find = find
        self._policies = Informer(client, _POLICIES)
        self._loop: Loop[str] = Loop(self.name, self._reconcile)

    async def start(self) -> None:
        def changed(old: Object | None, new: Object | None) -> None:
            if new is not None:
                self._loop.queue.add(objects.name(new))

        self._policies.on_change(changed)
        self._policies.start()
        self._loop.start()

    async def close(self) -> None:
        await self._loop.close()
        await self._policies.close()

    async def _reconcile(self, name: str) -> None:
        policy = self._policies.get("", name)
        if policy is None:
            return
        generation, status = objects.at(policy, "metadata", "generation"), policy.get("status") or {}
        if status.get("observedGeneration") == generation:
            return
        found = type_checking.warnings(policy, self._find)
        told = {"expressionWarnings": found} if found else {}
        status = {**status, "observedGeneration": generation, "typeChecking": told}
        await self._client.update(_POLICIES, {**policy, "status": status}, subresource="status")
