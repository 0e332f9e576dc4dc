"""Evictions: a pod is deleted where its disruption budget allows it. Spec: policy/v1 Eviction, PodDisruptionBudget."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sampan.api.kube import admission
from sampan.api.kube.admission import Chain
from sampan.api.kube.answers import json
from sampan.api.kube.call import Call
from sampan.api.kube.deletes import ATTEMPTS, Deletes, Options, options
from sampan.api.kube.records import Records
from sampan.api.kube.request import Response
from sampan.kube import catalog, status
from sampan.kube import object as objects
from sampan.kube.kinds import scale
from sampan.kube.object import Object
from sampan.kube.reading import items
from sampan.store.kv.port import CompareFailed

_BUDGETS = next(item for item in catalog.RESOURCES if (item.group, item.plural) == ("policy", "poddisruptionbudgets"))
_MOST_DISRUPTED = 2000
_ALLOWED = "DisruptionAllowed"


class Evictions:
    """Answers a create of `pods/eviction`."""

    def __init__(self, records: Records, chain: Chain, deletes: Deletes, now: Callable[[], str]) -> None:
        self._records = records
        self._chain = chain
        self._deletes = deletes
        self._now = now

    async def evict(self, call: Call, body: Object) -> Response:
        """Delete a pod, tried again while others write it or its budget.

        Raises:
            ApiError: 404; 409, a precondition does not hold; 429, a budget does not allow it.
        """
        if objects.name(body) not in ("", call.target.name):
            raise status.bad_request("name in URL does not match name in Eviction object")
        call = _as_deletion(call, body)
        wanted = options(call)
        await self._admit(call, body)
        for _ in range(ATTEMPTS):
            pod = await self._records.get(call.served.resource, call.target.namespace, call.target.name)
            if pod is None:
                raise call.not_found()
            pinned = await self._unguarded(call, pod) and not wanted.preconditions.resource_version
            try:
                await self._deletes.remove(call, _at(wanted, pod) if pinned else wanted)
            except status.ApiError as error:
                if pinned and error.code == 409:
                    continue  # it has changed: its budget may guard it now
                raise
            return json(status.success(code=201), 201)
        raise call.conflict()

    async def _admit(self, call: Call, body: Object) -> None:
        """Ask those who watch over evictions. The deletion is judged besides."""
        await self._chain.validate(admission.of_call(call, "CREATE", body, None, "eviction"))

    async def _unguarded(self, call: Call, pod: Object) -> bool:
        """Spend a disruption of the budget that guards a pod; True where none was spent because of the state it is in."""
        phase = objects.at(pod, "status", "phase")
        if phase in ("Succeeded", "Failed") or objects.deleting(pod):
            return False
        if phase == "Pending":
            return True
        for _ in range(ATTEMPTS):
            budget = await self._budget(call, pod)
            if budget is None:
                return False
            if not _ready(pod) and _lets_unhealthy_go(budget):
                return True
            try:
                await self._spend(call, budget, pod)
            except CompareFailed:
                continue
            return False
        raise status.too_many_requests("the pod's disruption budget is written by too many at once", 10)

    async def _budget(self, call: Call, pod: Object) -> Object | None:
        found, _ = await self._records.list(_BUDGETS, call.target.namespace)
        covering = [budget for budget in found if scale.selects(objects.at(budget, "spec", "selector"), pod)]
        if len(covering) > 1:
            raise status.internal(
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            )
        return covering[0] if covering else None

    async def _spend(self, call: Call, budget: Object, pod: Object) -> None:
        state = budget.get("status") or {}
        if int(state.get("observedGeneration") or 0) < int(objects.metadata(budget).get("generation") or 0):
            raise _disrupted(budget, f"{objects.name(budget)} is still being processed by the server.", 10)
        allowed = int(state.get("disruptionsAllowed") or 0)
        if allowed <= 0:
            raise _disrupted(budget)
        disrupted = state.setdefault("disruptedPods", {})
        if len(disrupted) > _MOST_DISRUPTED:
            why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
            raise status.forbidden(_BUDGETS.plural, _BUDGETS.group, objects.name(budget), why)
        if call.dry_run:
            return
        state["disruptionsAllowed"] = allowed - 1
        disrupted[objects.name(pod)] = self._now()
        if allowed == 1:
            _say_spent(state, self._now())
        await self._records.update(_BUDGETS, budget, int(objects.resource_version(budget)))


def _as_deletion(call: Call, body: Object) -> Call:
    """Return the call with the options of its deletion as its body."""
    wanted = body.get("deleteOptions") or {}
    request = msgspec.structs.replace(
        call.request,
        body=msgspec.json.encode(wanted) if wanted else b"",
        headers={"content-type": "application/json"},
    )
    return msgspec.structs.replace(call, request=request)


def _at(wanted: Options, pod: Object) -> Options:
    """Return options that hold for this state of the pod only."""
    pinned = msgspec.structs.replace(wanted.preconditions, resource_version=objects.resource_version(pod))
    return msgspec.structs.replace(wanted, preconditions=pinned)


def _ready(pod: Object) -> bool:
    return any(
        (item.get("type"), item.get("status")) == ("Ready", "True") for item in items(pod, "status", "conditions")
    )


def _lets_unhealthy_go(budget: Object) -> bool:
    """Return whether a pod that is not ready may go: always, or while enough others are."""
    if objects.at(budget, "spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    desired = int(objects.at(budget, "status", "desiredHealthy") or 0)
    return 0 < desired <= int(objects.at(budget, "status", "currentHealthy") or 0)


def _say_spent(state: Object, now: str) -> None:
    none: Object = {}
    before = next((item for item in state.get("conditions") or () if item.get("type") == _ALLOWED), none)
    since = before.get("lastTransitionTime") if before.get("status") == "False" else None
    said = {
        "type": _ALLOWED,
        "status": "False",
        "reason": "InsufficientPods",
        "message": "",
        "lastTransitionTime": since or now,
        "observedGeneration": state.get("observedGeneration") or 0,
    }
    state["conditions"] = [*(item for item in state.get("conditions") or () if item is not before), said]


def _disrupted(budget: Object, why: str = "", retry_after_s: int = 0) -> status.ApiError:
    name, state = objects.name(budget), budget.get("status") or {}
    why = why or (
        f"{name} needs {state.get('desiredHealthy', 0)} healthy pods and has {state.get('currentHealthy', 0)} currently"
    )
    error = status.too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", retry_after_s)
    cause = {"reason": "DisruptionBudget", "message": f"The disruption budget {why}"}
    error.details = {**(error.details or {}), "causes": [cause]}
    return error
