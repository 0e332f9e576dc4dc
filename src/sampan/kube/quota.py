"""Quota: what an object uses of its namespace's quotas, and which quotas count it. Pure. Amounts are in billionths.

Spec: core/v1 ResourceQuota; Kubernetes "Resource Quotas".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import NamedTuple

from sampan.base.remember import of_short_texts
from sampan.kube import quantity
from sampan.kube.object import Object
from sampan.kube.quantity import NANO, Quantity
from sampan.kube.reading import flag, items, mapping, number, text, words
from sampan.kube.resource import Resource

_BARE = ("configmaps", "secrets", "services", "replicationcontrollers", "resourcequotas", "persistentvolumeclaims")
"""Core kinds that are counted by their bare name too."""
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_STORAGE_CLASS = ".storageclass.storage.k8s.io/"


class Use(NamedTuple):
    """What one object uses: amounts by the names that quotas have for them, and what scopes ask of it."""

    amounts: Mapping[str, int]
    scopes: frozenset[str] = frozenset()
    priority_class: str = ""
    pod: bool = False


NOTHING = Use({})


def kinds_of(name: str) -> tuple[str, str]:
    """Return (plural, group) of the objects that a quota's name counts."""
    if name.startswith("count/"):
        plural, _, group = name.removeprefix("count/").partition(".")
        return plural, group
    bare = name.partition(".")[0] if name.startswith("services.") else name
    if bare in _BARE:
        return bare, ""
    if name == "requests.storage" or _STORAGE_CLASS in name:
        return "persistentvolumeclaims", ""
    return "pods", ""


def by_count(resource: Resource, names: Collection[str], *, scoped: bool) -> bool:
    """Return whether all objects of a kind use the same, as far as these names tell: none need be looked at."""
    kind = (resource.plural, resource.group)
    return not scoped and all(
        name.startswith("count/") or (name in _BARE and resource.plural != "pods")
        for name in names
        if kinds_of(name) == kind
    )


def use(resource: Resource, obj: Object, names: Collection[str], *, scoped: bool) -> Use:
    """Return what an object uses; of computing resources only where one of them is in `names`, scopes only where asked."""
    counted = {_count(resource): NANO}
    if resource.group:
        return Use(counted)
    if resource.plural == "pods":
        return _pod(obj, counted, any(map(_is_compute, names)), scoped)
    if resource.plural in _BARE:
        counted[resource.plural] = NANO
    if resource.plural == "services":
        return Use(counted | _service(obj))
    if resource.plural == "persistentvolumeclaims":
        return Use(counted | _claim(obj))
    return Use(counted)


def _count(resource: Resource) -> str:
    return f"count/{resource.plural}.{resource.group}" if resource.group else f"count/{resource.plural}"


def _service(obj: Object) -> dict[str, int]:
    kind = text(obj, "spec", "type")
    ports = items(obj, "spec", "ports")
    balanced = kind == "LoadBalancer"
    nodes = 0
    if kind == "NodePort" or (balanced and flag(obj, "spec", "allocateLoadBalancerNodePorts", missing=True)):
        nodes = len(ports)
    elif balanced:
        nodes = sum(1 for port in ports if number(port, "nodePort"))
    return {"services.nodeports": NANO * nodes, "services.loadbalancers": NANO * balanced}


def _claim(obj: Object) -> dict[str, int]:
    asked = billionths(mapping(obj, "spec", "resources", "requests").get("storage", "0"))
    held = billionths(mapping(obj, "status", "allocatedResources").get("storage", "0"))
    size = max(asked, held)
    found = {"requests.storage": size}
    if name := text(obj, "spec", "storageClassName"):
        found[f"{name}{_STORAGE_CLASS}requests.storage"] = size
        found[f"{name}{_STORAGE_CLASS}persistentvolumeclaims"] = NANO
    return found


# --- pods -------------------------------------------------------------------------------------------------------------


def _is_compute(name: str) -> bool:
    return name in _COMPUTE or name.startswith(("requests.", "limits.", "hugepages-"))


def _pod(obj: Object, counted: dict[str, int], compute: bool, scoped: bool) -> Use:
    spec = mapping(obj, "spec")
    amounts = dict(counted)  # of a pod that has ended too, until it is deleted
    if text(obj, "status", "phase") not in ("Succeeded", "Failed"):
        amounts["pods"] = NANO
    if compute and "pods" in amounts:
        for name, amount in effective(spec, "requests").items():
            amounts[f"requests.{name}"] = amount
            if name in _COMPUTE or name.startswith("hugepages-"):
                amounts[name] = amount
        for name, amount in effective(spec, "limits").items():
            if name in _COMPUTE:
                amounts[f"limits.{name}"] = amount
    scopes = _scopes(spec) if scoped else frozenset()
    return Use(amounts, scopes, text(spec, "priorityClassName"), pod=True)


def _scopes(spec: Object) -> frozenset[str]:
    return _SCOPES[number(spec, "activeDeadlineSeconds") > 0, _asks(spec), _crosses(spec)]


_SCOPES = {
    (ends, asks, crosses): frozenset(
        (
            "Terminating" if ends else "NotTerminating",
            "NotBestEffort" if asks else "BestEffort",
            *(["CrossNamespacePodAffinity"] if crosses else []),
        )
    )
    for ends in (False, True)
    for asks in (False, True)
    for crosses in (False, True)
}


def effective(spec: Object, field: str) -> dict[str, int]:
    """Return what a pod asks for as a whole; `field`: "requests" or "limits".

    Init containers run one after another, before the others; those that are restarted always (sidecars) stay.
    """
    running = _sum(mapping(item, "resources", field) for item in items(spec, "containers"))
    sidecars: dict[str, int] = {}
    starting: dict[str, int] = {}
    for item in items(spec, "initContainers"):
        own = _sum([mapping(item, "resources", field)])
        if text(item, "restartPolicy") == "Always":
            sidecars = _plus(sidecars, own)
            own = sidecars
        else:
            own = _plus(own, sidecars)
        starting = {name: max(starting.get(name, 0), own.get(name, 0)) for name in {*starting, *own}}
    running = _plus(running, sidecars)
    total = {name: max(running.get(name, 0), starting.get(name, 0)) for name in {*running, *starting}}
    total |= _sum([mapping(spec, "resources", field)])  # of the pod as a whole: it decides
    overhead = _sum([mapping(spec, "overhead")])
    return {
        name: amount + (overhead.get(name, 0) if field == "requests" or amount else 0)
        for name, amount in (total | {name: total.get(name, 0) for name in overhead}).items()
    }


def _sum(parts: Iterable[Object]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + billionths(value)
    return total


def _plus(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return {name: first.get(name, 0) + second.get(name, 0) for name in {*first, *second}}


def _asks(spec: Object) -> bool:
    """Return whether a pod asks for cpu or memory at all: it is of a better class than best effort."""
    parts = [spec, *items(spec, "containers"), *items(spec, "initContainers")]
    return any(
        billionths(value) > 0
        for part in parts
        for field in ("requests", "limits")
        for name, value in mapping(part, "resources", field).items()
        if name in ("cpu", "memory")
    )


def _crosses(spec: Object) -> bool:
    """Return whether a pod's affinity looks into other namespaces."""
    affinity = spec.get("affinity")
    for kind in ("podAffinity", "podAntiAffinity") if affinity else ():
        rules = mapping(affinity, kind)
        terms = [
            *items(rules, "requiredDuringSchedulingIgnoredDuringExecution"),
            *(
                mapping(item, "podAffinityTerm")
                for item in items(rules, "preferredDuringSchedulingIgnoredDuringExecution")
            ),
        ]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False


# --- quotas -----------------------------------------------------------------------------------------------------------


class Bound(NamedTuple):
    """What a quota allows of a name, and how it is written."""

    amount: int
    form: str

    def __str__(self) -> str:
        return shown(*self)


def hard(quota: Object) -> dict[str, Bound]:
    """Return what a quota bounds, by name."""
    found: dict[str, Bound] = {}
    for name, value in mapping(quota, "spec", "hard").items():
        try:
            said = quantity.of(value)
        except quantity.QuantityError:
            continue
        found[name] = Bound(int(said.amount * NANO), said.form)
    return found


def counts(quota: Object, of: Use) -> bool:
    """Return whether a quota's scopes take in what uses this."""
    scopes = words(quota, "spec", "scopes")
    selectors = items(quota, "spec", "scopeSelector", "matchExpressions")
    if not scopes and not selectors:
        return True
    return of.pod and all(_in(scope, of) for scope in scopes) and all(_selects(item, of) for item in selectors)


def _in(scope: str, of: Use) -> bool:
    return bool(of.priority_class) if scope == "PriorityClass" else scope in of.scopes


def _selects(selector: Object, of: Use) -> bool:
    scope, operator = text(selector, "scopeName"), text(selector, "operator")
    if scope != "PriorityClass":
        return _in(scope, of)
    if operator == "Exists":
        return bool(of.priority_class)
    if operator == "DoesNotExist":
        return not of.priority_class
    return (of.priority_class in words(selector, "values")) is (operator == "In")


def unsaid(quota: Object, spec: Object) -> list[str]:
    """Return `cpu for: a,b` of each compute resource that a quota bounds and containers of a pod do not name."""
    found = []
    for name in sorted(mapping(quota, "spec", "hard")):
        field, _, bare = name.partition(".") if name.startswith(("requests.", "limits.")) else ("requests", "", name)
        if bare not in ("cpu", "memory"):
            continue
        if bare in mapping(spec, "resources", field):
            continue
        missing = sorted(_without(spec, field, bare))
        if missing:
            found.append(f"{name} for: {','.join(missing)}")
    return found


def _without(spec: Object, field: str, name: str) -> Iterator[str]:
    for kind in ("containers", "initContainers"):
        for container in items(spec, kind):
            if name not in mapping(container, "resources", field):
                yield text(container, "name")


def shown(amount: int, form: str) -> str:
    """Return an amount as text, in the form in which the quota is written."""
    return str(Quantity(Fraction(amount, NANO), form))


def billionths(value: object) -> int:
    """Return what a quantity comes to, in billionths; 0 for none."""
    return _nanos(value) if isinstance(value, str) else _parsed(value)


@of_short_texts(4096)
def _nanos(text: str) -> int:
    return _parsed(text)


def _parsed(value: object) -> int:
    try:
        return int(quantity.of(value).amount * NANO)
    except quantity.QuantityError:
        return 0
