"""core/v1 Pod and PodTemplate."""

from __future__ import annotations

import msgspec

from sampan.kube import quantity
from sampan.kube.fielderror import FieldError, forbidden, invalid
from sampan.kube.kinds import podspec
from sampan.kube.object import Object, at
from sampan.kube.reading import items, text
from sampan.kube.strategy import Strategy

_COUNTED = ("cpu", "memory")
_ALLOWED = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def _default(obj: Object) -> None:
    spec = obj.get("spec")
    if isinstance(spec, dict):
        podspec.default(spec)
        podspec.default_of_pod(spec)


def _prepare_create(obj: Object) -> None:
    obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj.get("spec") or {})}
    if (obj.get("spec") or {}).get("schedulingGates"):
        obj["status"]["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
                "lastProbeTime": None,
                "lastTransitionTime": None,
            }
        ]


def qos_class(spec: Object) -> str:
    """Return Guaranteed, Burstable or BestEffort. Spec: Kubernetes "Pod Quality of Service Classes"."""
    guaranteed, asked = True, False
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        asked = asked or any(name in limits or name in requests for name in _COUNTED)
        for name in _COUNTED:
            limit = limits.get(name)
            if limit is None or quantity.of(requests.get(name, limit)).amount != quantity.of(limit).amount:
                guaranteed = False
    if not asked:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _validate(obj: Object) -> list[FieldError]:
    return list(podspec.validate(obj.get("spec") or {}, "spec"))


def _validate_create(obj: Object) -> list[FieldError]:
    spec, faults = obj.get("spec") or {}, []
    if spec.get("ephemeralContainers"):
        faults.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("schedulingGates") and spec.get("nodeName"):
        faults.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    return faults


def _deadline(new: Object, old: Object) -> list[FieldError]:
    path, after, before = (
        "spec.activeDeadlineSeconds",
        *(at(obj, "spec", "activeDeadlineSeconds") for obj in (new, old)),
    )
    if isinstance(before, int) and after is None:
        return [invalid(path, after, "must not update from a positive integer to nil value")]
    if isinstance(before, int) and isinstance(after, int) and after > before:
        return [invalid(path, after, "must be less than or equal to previous value")]
    return []


def _validate_update(new: Object, old: Object) -> list[FieldError]:
    if new.get("spec") == old.get("spec"):
        return []
    if faults := _deadline(new, old):
        return faults
    after, before = _copy(new.get("spec") or {}), _copy(old["spec"])
    for kind in ("containers", "initContainers"):
        ours, theirs = after.get(kind) or [], before.get(kind) or []
        if len(ours) == len(theirs):
            for mine, its in zip(ours, theirs, strict=True):
                mine["image"], mine["imagePullPolicy"] = its.get("image"), its.get("imagePullPolicy")
                if its.get("imagePullPolicy") is None:
                    del mine["imagePullPolicy"]
    faults = _gates(after, before)
    for key in ("activeDeadlineSeconds", "schedulingGates"):
        _adopt(after, before, key)
    if before.get("tolerations") != after.get("tolerations"):
        kept = [item for item in before.get("tolerations") or [] if item not in (after.get("tolerations") or [])]
        if not kept:
            _adopt(after, before, "tolerations")
    if (old["spec"].get("schedulingGates")) and "nodeName" not in old["spec"]:
        for key in ("nodeSelector", "affinity"):
            _adopt(after, before, key)
    return faults if after == before else [*faults, forbidden("spec", _ALLOWED)]


def _gates(after: Object, before: Object) -> list[FieldError]:
    kept = [gate.get("name") for gate in before.get("schedulingGates") or []]
    return [
        forbidden(
            "spec.schedulingGates", f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'"
        )
        for gate in after.get("schedulingGates") or []
        if gate.get("name") not in kept
    ]


def _adopt(after: Object, before: Object, key: str) -> None:
    if key in before:
        after[key] = before[key]
    else:
        after.pop(key, None)


def _copy(spec: Object) -> Object:
    return msgspec.json.decode(msgspec.json.encode(spec), type=Object)


def _validate_ephemeral(new: Object, old: Object) -> list[FieldError]:
    """What was added to look into a pod stays in it as it is."""
    path, kept = (
        "spec.ephemeralContainers",
        {text(item, "name"): item for item in items(new, "spec", "ephemeralContainers")},
    )
    faults = []
    for before in items(old, "spec", "ephemeralContainers"):
        name = text(before, "name")
        if name not in kept:
            faults.append(forbidden(path, f'existing ephemeral containers "{name}" may not be removed'))
        elif kept[name] != before:
            faults.append(forbidden(path, f'existing ephemeral containers "{name}" may not be changed'))
    return faults


def _grace_s(obj: Object) -> int:
    """Return how long a node may take: none where no node has the pod, or it has ended."""
    if not at(obj, "spec", "nodeName") or at(obj, "status", "phase") in ("Succeeded", "Failed"):
        return 0
    seconds = at(obj, "spec", "terminationGracePeriodSeconds")
    return seconds if isinstance(seconds, int) else 30


def _prepare_update(new: Object, old: Object) -> None:
    new["status"] = old.get("status") or {}


def _ips(obj: Object) -> str:
    return ",".join(str(item.get("ip")) for item in at(obj, "status", "podIPs") or [])


_FIELDS = {
    "spec.nodeName": lambda obj: text(obj, "spec", "nodeName"),
    "spec.restartPolicy": lambda obj: text(obj, "spec", "restartPolicy"),
    "spec.schedulerName": lambda obj: text(obj, "spec", "schedulerName"),
    "spec.serviceAccountName": lambda obj: text(obj, "spec", "serviceAccountName"),
    "spec.hostNetwork": lambda obj: "true" if at(obj, "spec", "hostNetwork") else "false",
    "status.phase": lambda obj: text(obj, "status", "phase"),
    "status.podIP": lambda obj: text(obj, "status", "podIP"),
    "status.podIPs": _ips,
    "status.nominatedNodeName": lambda obj: text(obj, "status", "nominatedNodeName"),
}


def _default_template(obj: Object) -> None:
    podspec.default_template(obj.setdefault("template", {}))


def _validate_template(obj: Object) -> list[FieldError]:
    return list(podspec.validate_template(obj.get("template") or {}, "template", restart=podspec.RESTART_POLICIES))


STRATEGIES: dict[str, Strategy] = {
    "Pod": Strategy(
        default=_default,
        prepare_create=_prepare_create,
        prepare_update=_prepare_update,
        validate=_validate,
        validate_create=_validate_create,
        validate_update=_validate_update,
        validate_parts={"ephemeralcontainers": _validate_ephemeral},
        fields=_FIELDS,
        has_status=True,
        has_generation=True,
        answers_with_object=True,
        grace_s=_grace_s,
    ),
    "PodTemplate": Strategy(
        default=_default_template, validate=_validate_template, has_generation=True, answers_with_object=True
    ),
}
