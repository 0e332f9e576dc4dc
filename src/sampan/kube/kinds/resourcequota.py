"""core/v1 ResourceQuota: which names it may bound, and for which scopes."""

from __future__ import annotations

from collections.abc import Iterator

from sampan.kube import quantity
from sampan.kube.fielderror import FieldError, forbidden, invalid, required
from sampan.kube.kinds import check, names
from sampan.kube.object import Object
from sampan.kube.reading import items, mapping, text, words

_COMPUTE = {
    "cpu", "memory", "ephemeral-storage",
    *(f"{kind}.{name}" for kind in ("requests", "limits") for name in ("cpu", "memory", "ephemeral-storage")),
}  # fmt: skip
_COUNTED = {
    "configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets", "services",
    "services.loadbalancers", "services.nodeports",
}  # fmt: skip
_PODS = {"pods"} | _COMPUTE
_CLAIMS = {"persistentvolumeclaims", "requests.storage"}
_KNOWN = _COMPUTE | _COUNTED | _CLAIMS
_SCOPES = {
    "BestEffort": {"pods"},
    "CrossNamespacePodAffinity": _PODS,
    "NotBestEffort": _PODS,
    "NotTerminating": _PODS,
    "PriorityClass": _PODS,
    "Terminating": _PODS,
    "VolumeAttributesClass": _CLAIMS,
}
"""Scope -> what may be bounded in it, of the names that are Kubernetes' own."""
_OPPOSITES = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
_BY_VALUE = ("PriorityClass", "VolumeAttributesClass")


def validate(obj: Object) -> list[FieldError]:
    """Return what is wrong with a quota."""
    hard = mapping(obj, "spec", "hard")
    faults = [fault for name, amount in hard.items() for fault in _bound(name, amount)]
    said = words(obj, "spec", "scopes")
    faults += _scopes("spec.scopes", said, said, hard)
    if mapping(obj, "spec", "scopeSelector"):
        faults += _selector("spec.scopeSelector.matchExpressions", obj, hard)
    return faults


def _bound(name: str, amount: object) -> Iterator[FieldError]:
    path = f"spec.hard[{name}]"
    if why := names.qualified_name(name):
        yield invalid(path, name, why)
        return
    if "/" not in name and not _standard(name):
        yield invalid(path, name, "must be a standard resource for quota")
    found = quantity.of(amount).amount
    if found < 0:
        yield invalid(path, amount, "must be greater than or equal to 0")
    elif found % 1 and (name in _COUNTED or name.startswith("count/")):
        yield invalid(path, amount, "must be an integer")


def _standard(name: str) -> bool:
    return name in _KNOWN or name.startswith(("hugepages-", "requests.hugepages-"))


def _scopes(path: str, scopes: list[str], shown: object, hard: Object) -> Iterator[FieldError]:
    for scope in scopes:
        if scope not in _SCOPES:
            yield invalid(path, shown, "unsupported scope")
        elif (_KNOWN & set(hard)) - _SCOPES[scope]:
            yield invalid(path, shown, "unsupported scope applied to resource")
    if any(pair <= set(scopes) for pair in _OPPOSITES):
        yield invalid(path, shown, "conflicting scopes")


def _selector(path: str, obj: Object, hard: Object) -> Iterator[FieldError]:
    expressions = items(obj, "spec", "scopeSelector", "matchExpressions")
    yield from _scopes(path, [text(each, "scopeName") for each in expressions], expressions, hard)
    for index, each in enumerate(expressions):
        where, operator, scope = f"{path}[{index}]", text(each, "operator"), text(each, "scopeName")
        if operator in ("In", "NotIn"):
            if not words(each, "values"):
                why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                yield required(f"{where}.values", why)
            if scope not in _BY_VALUE:
                why = f"must be 'Exist' when scope is any of {', '.join(sorted(set(_SCOPES) - set(_BY_VALUE)))}"
                yield invalid(f"{where}.operator", operator, why)
        elif operator in ("Exists", "DoesNotExist"):
            if words(each, "values"):
                why = "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector"
                yield forbidden(f"{where}.values", why)
        else:
            yield from check.one_of(f"{where}.operator", operator, ("In", "NotIn", "Exists", "DoesNotExist"))
