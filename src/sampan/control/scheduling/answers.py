"""Answers: what the scheduler writes of a pod: its binding, that it does not fit, that others make room for it, and of its volumes.

By the API. Spec: core/v1 Binding; PersistentVolume's claimRef (component-helpers GetBindVolumeToClaim); pod conditions PodScheduled,
DisruptionTarget; kube-scheduler's PrepareCandidate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sampan.base.clock import Clock
from sampan.client.port import Client
from sampan.control.controller import PODS
from sampan.control.scheduling.following import CLAIMS, VOLUMES
from sampan.control.scheduling.pods import SCHEDULER
from sampan.control.scheduling.volumes import SELECTED_NODE
from sampan.kube import object as objects
from sampan.kube import rfc3339
from sampan.kube.object import Object
from sampan.kube.reading import mapping, text
from sampan.kube.status import ApiError
from sampan.schedule.shape import UnboundClaim

_MERGE = "application/merge-patch+json"
_BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
"""An annotation of volumes: their claim was chosen, not preset; so whoever binds them may take it back."""
_STRATEGIC = "application/strategic-merge-patch+json"


class Answers:
    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def bind(self, key: str, uid: str, node: str) -> None:
        """Give a pod its node.

        Raises:
            ApiError: 404, it is gone; 409, it has another one, or is another pod.
        """
        namespace, _, name = key.partition("/")
        meta: Object = {"name": name, "namespace": namespace}
        if uid:
            meta["uid"] = uid
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": meta, "target": {"kind": "Node", "name": node}}
        await self._client.create(PODS, binding, subresource="binding", name=name)

    async def select_node(self, namespace: str, claims: tuple[str, ...], node: str) -> None:
        """Tell whoever provisions volumes for which node claims wait."""
        noted = {"metadata": {"annotations": {SELECTED_NODE: node}}}
        for name in claims:
            await self._client.patch(CLAIMS, namespace, name, noted, media=_MERGE)

    async def claim_volumes(self, claims: Iterable[UnboundClaim], given: Mapping[str, str]) -> None:
        """Say of volumes which claims they are for; whoever binds volumes goes on from there. `given`: volumes by claim."""
        for claim in claims:
            if claim.key in given:
                await self._claim_volume(given[claim.key], claim.key, claim.uid)

    async def _claim_volume(self, name: str, claim: str, uid: str) -> None:
        """Say of a volume which claim, `namespace/name`, it is for.

        Raises:
            ApiError: 404, it is gone; 409, it is another claim's.
        """
        volume = await self._client.get(VOLUMES, "", name)
        namespace, _, claimant = claim.partition("/")
        theirs = mapping(volume, "spec", "claimRef")
        named = (text(theirs, "namespace"), text(theirs, "name"), text(theirs, "uid"))
        if named == (namespace, claimant, uid):
            return
        if theirs and named != (namespace, claimant, ""):
            raise ApiError(409, "Conflict", f'persistentvolume "{name}" was claimed by {named[0]}/{named[1]}')
        meta: Object = {"resourceVersion": objects.resource_version(volume)}
        if not theirs:
            meta["annotations"] = {_BOUND_BY_CONTROLLER: "yes"}
        reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": claimant}
        patch = {"metadata": meta, "spec": {"claimRef": {**reference, "uid": uid}}}
        await self._client.patch(VOLUMES, "", name, patch, media=_MERGE)

    async def unschedulable(self, key: str, uid: str, message: str, *, withdraw: bool) -> None:
        """Say in a pod's status that it does not fit; `withdraw`: and that no room is made for it any more.

        Raises:
            ApiError: 404, it is gone; 409, another one is there now.
        """
        now = rfc3339.render(self._clock.now_ns() // 10**9)
        told = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        status: Object = {"conditions": [{**told, "lastProbeTime": None, "lastTransitionTime": now}]}
        await self._status(key, uid, {**status, "nominatedNodeName": None} if withdraw else status)

    async def nominate(self, key: str, uid: str, node: str) -> None:
        """Say in a pod's status for which node others make room.

        Raises:
            ApiError: 404, it is gone; 409, another one is there now.
        """
        await self._status(key, uid, {"nominatedNodeName": node})

    async def evict(self, key: str, uid: str) -> None:
        """Delete a pod for one of higher priority, its status saying so. One that is gone is no error.

        Raises:
            ApiError
        """
        namespace, _, name = key.partition("/")
        now = rfc3339.render(self._clock.now_ns() // 10**9)
        target = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "PreemptionByScheduler",
            "message": f"{SCHEDULER}: preempting to accommodate a higher priority pod",
            "lastTransitionTime": now,
        }
        try:
            await self._status(key, uid, {"conditions": [target]})
            await self._client.delete(PODS, namespace, name, {"preconditions": {"uid": uid}} if uid else None)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def _status(self, key: str, uid: str, status: Object) -> None:
        namespace, _, name = key.partition("/")
        patch = {"metadata": {"uid": uid}, "status": status} if uid else {"status": status}
        await self._client.patch(PODS, namespace, name, patch, media=_STRATEGIC, subresource="status")
