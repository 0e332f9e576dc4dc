"""Pods as the core knows them: what a Pod object asks for, read once. Pure.

Spec: core/v1 PodSpec; kube-scheduler's PodRequests; "Assigning Pods to Nodes", "Pod Topology Spread Constraints".
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from sampan.control.scheduling import interference
from sampan.kube import object as objects
from sampan.kube import quota, rfc3339
from sampan.kube.object import Object
from sampan.kube.quantity import NANO
from sampan.kube.reading import flag, items, mapping, number, text, words
from sampan.kube.selector import Requirement, SelectorError, of_object
from sampan.schedule.pod import Pod
from sampan.schedule.shape import (
    AtMost,
    HostPort,
    NodeTerm,
    PodTerm,
    Selector,
    Shape,
    Spread,
    Toleration,
    amounts,
    pairs,
)

SCHEDULER = "default-scheduler"
_SHAPES = 20_000
CLAIMS = "spec.resourceClaims: this scheduler allocates no devices to claims; ask for an extended resource"
NOTHING = Requirement("", "In", ())
"""Holds for nobody."""
_SELECTING = {"ReplicationController": "v1", "ReplicaSet": "apps/v1", "StatefulSet": "apps/v1"}
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")


class Seen(msgspec.Struct, frozen=True, gc=False):
    """A pod as the scheduler remembers it. `claims`: names of the volume claims it uses. `fault`: why it can run nowhere.

    `controller`: `kind/name` of what made it, where that selects its pods by labels.
    """

    pod: Pod
    uid: str
    node: str = ""
    nominated: str = ""
    ours: bool = True
    deleting: bool = False
    claims: tuple[str, ...] = ()
    fault: str = ""
    controller: str = ""


class Shapes:
    """One shape for all pods that ask for the same: it is most of what a pod weighs. Those not met for long may be doubled."""

    def __init__(self) -> None:
        self._known: dict[Shape, Shape] = {}

    def share(self, shape: Shape) -> Shape:
        if len(self._known) > _SHAPES:
            self._known.clear()
        return self._known.setdefault(shape, shape)


def seen(obj: Object, share: Callable[[Shape], Shape] = lambda shape: shape) -> Seen | None:
    """Return what is remembered of a pod; None when it has ended and takes nothing any more."""
    if text(obj, "status", "phase") in ("Succeeded", "Failed"):
        return None
    spec = mapping(obj, "spec")
    namespace, name = objects.namespace(obj), objects.name(obj)
    limits, fault = interference.read(objects.annotations(obj).get(interference.ANNOTATION, ""), namespace)
    if items(spec, "resourceClaims"):
        fault = CLAIMS
    started = text(obj, "status", "startTime") or text(obj, "metadata", "creationTimestamp")
    pod = Pod(
        key=f"{namespace}/{name}",
        shape=share(shape(obj, limits)),
        priority=number(spec, "priority"),
        started_s=_time(started),
        may_preempt=text(spec, "preemptionPolicy") != "Never",
    )
    return Seen(
        pod=pod,
        uid=objects.uid(obj),
        node=sys.intern(text(spec, "nodeName")),
        nominated=text(obj, "status", "nominatedNodeName"),
        ours=text(spec, "schedulerName", missing=SCHEDULER) == SCHEDULER,
        deleting=objects.deleting(obj),
        claims=tuple(sorted(claims(obj))),
        fault=fault,
        controller=_selecting(obj),
    )


def owner(obj: Object) -> Object:
    """Return the reference to a pod's controller; {} where it has none."""
    return next((one for one in objects.owner_references(obj) if flag(one, "controller")), {})


def _selecting(obj: Object) -> str:
    found = owner(obj)
    kind = text(found, "kind")
    selects = bool(kind) and _SELECTING.get(kind) == text(found, "apiVersion")
    return sys.intern(f"{kind}/{text(found, 'name')}") if selects else ""


def shape(obj: Object, at_most: tuple[AtMost, ...] = ()) -> Shape:
    """Return what a pod asks for, without its volumes."""
    spec = mapping(obj, "spec")
    labels = objects.labels(obj)
    namespace = objects.namespace(obj) or "default"
    affinity = mapping(spec, "affinity")
    node_terms, preferred_nodes = _node_affinity(mapping(affinity, "nodeAffinity"))
    together = _PodTerms(mapping(affinity, "podAffinity"), namespace, labels)
    apart = _PodTerms(mapping(affinity, "podAntiAffinity"), namespace, labels)
    return Shape(
        namespace=namespace,
        labels=pairs(labels),
        requests=amounts(requests(spec)),
        node_selector=pairs(mapping(spec, "nodeSelector")),
        node_terms=node_terms,
        preferred_nodes=preferred_nodes,
        tolerations=tuple(_toleration(item) for item in items(spec, "tolerations")),
        affinity=together.required(),
        anti_affinity=apart.required(),
        preferred_pods=(*together.preferred(1), *apart.preferred(-1)),
        at_most=at_most,
        spread=tuple(_spread(item, labels) for item in items(spec, "topologySpreadConstraints")),
        ports=tuple(
            HostPort(port["hostPort"], text(port, "protocol", missing="TCP"), text(port, "hostIP", missing="0.0.0.0"))
            for container in _lasting(spec)
            for port in items(container, "ports")
            if port.get("hostPort")
        ),
        images=tuple(sorted(map(image, _images(spec)))),
        gates=tuple(text(gate, "name") for gate in items(spec, "schedulingGates")),
        ending=objects.deleting(obj),
    )


def _lasting(spec: Object) -> Iterator[Object]:
    """Yield the containers that run as long as the pod does: sidecars are init containers that are restarted always."""
    yield from items(spec, "containers")
    yield from (one for one in items(spec, "initContainers") if text(one, "restartPolicy") == "Always")


def _images(spec: Object) -> Iterator[str]:
    """Return what has to be pulled: the image of each container and volume, as often as it is named."""
    named = [text(one, "image") for one in (*items(spec, "initContainers"), *items(spec, "containers"))]
    mounted = [text(one, "image", "reference") for one in items(spec, "volumes")]
    return filter(None, (*named, *mounted))


def image(name: str) -> str:
    """Return an image's name as nodes list it: with its tag."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


# --- resources --------------------------------------------------------------------------------------------------------


def requests(spec: Object) -> dict[str, int]:
    """Return what a pod takes while it runs, or while it begins where that is more, overhead counted."""
    return {name: amount(name, billionths) for name, billionths in quota.effective(spec, "requests").items()}


def amount(resource: str, billionths: int) -> int:
    """Return an amount in the core's unit: CPU in millicores, all else whole, rounded up."""
    return -(-billionths // (NANO // 1000 if resource == "cpu" else NANO))


# --- where it may and would rather run --------------------------------------------------------------------------------


def _node_affinity(affinity: Object) -> tuple[tuple[NodeTerm, ...] | None, tuple[tuple[int, NodeTerm], ...]]:
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    terms = tuple(map(node_term, items(required, "nodeSelectorTerms"))) if isinstance(required, dict) else None
    preferred = items(affinity, "preferredDuringSchedulingIgnoredDuringExecution")
    return terms, tuple((number(item, "weight"), node_term(mapping(item, "preference"))) for item in preferred)


def node_term(term: Object) -> NodeTerm:
    return NodeTerm(
        tuple(_requirement(item) for item in items(term, "matchExpressions")),
        tuple(_requirement(item) for item in items(term, "matchFields")),
    )


def _requirement(item: Object) -> Requirement:
    operator = text(item, "operator")
    if operator not in _OPERATORS:
        return NOTHING
    return Requirement(text(item, "key"), operator, tuple(words(item, "values")))


def _toleration(item: Object) -> Toleration:
    return Toleration(
        key=text(item, "key"),
        value=text(item, "value"),
        operator=text(item, "operator", missing="Equal"),
        effect=text(item, "effect"),
    )


class _PodTerms:
    """The terms of podAffinity or podAntiAffinity."""

    def __init__(self, affinity: Object, namespace: str, labels: Mapping[str, str]) -> None:
        self._affinity = affinity
        self._namespace = namespace
        self._labels = labels

    def required(self) -> tuple[PodTerm, ...]:
        return tuple(map(self._term, items(self._affinity, "requiredDuringSchedulingIgnoredDuringExecution")))

    def preferred(self, sign: int) -> tuple[tuple[int, PodTerm], ...]:
        given = items(self._affinity, "preferredDuringSchedulingIgnoredDuringExecution")
        return tuple((sign * number(item, "weight"), self._term(mapping(item, "podAffinityTerm"))) for item in given)

    def _term(self, term: Object) -> PodTerm:
        namespaces = tuple(sorted(words(term, "namespaces")))
        of_labels = term.get("namespaceSelector")
        if not namespaces and of_labels is None:
            namespaces = (self._namespace,)
        found = selector(term.get("labelSelector"))
        if found is not None:
            found = _with_keys(found, words(term, "matchLabelKeys"), self._labels, "In")
            found = _with_keys(found, words(term, "mismatchLabelKeys"), self._labels, "NotIn")
        return PodTerm(
            topology=text(term, "topologyKey"),
            selector=found,
            namespaces=namespaces,
            namespace_selector=None if of_labels is None else selector(of_labels),
        )


def _spread(item: Object, labels: Mapping[str, str]) -> Spread:
    found = selector(item.get("labelSelector"))
    if found is not None:
        found = _with_keys(found, words(item, "matchLabelKeys"), labels, "In")
    return Spread(
        topology=text(item, "topologyKey"),
        max_skew=number(item, "maxSkew"),
        selector=found,
        hard=text(item, "whenUnsatisfiable") != "ScheduleAnyway",
        min_domains=number(item, "minDomains") or 1,
        honor_affinity=text(item, "nodeAffinityPolicy") != "Ignore",
        honor_taints=text(item, "nodeTaintsPolicy") == "Honor",
    )


def _with_keys(found: Selector, keys: Iterable[str], labels: Mapping[str, str], operator: str) -> Selector:
    """Return a selector narrowed to the pod's own values of some labels, or to others. The server may have done so already."""
    narrowed = {one.key for one in found if one.operator == operator == "In"}
    own = (Requirement(key, operator, (labels[key],)) for key in keys if key in labels and key not in narrowed)
    return (*found, *(one for one in own if one not in found))


def selector(obj: object) -> Selector | None:
    """Return a meta/v1 LabelSelector's meaning; None: nothing."""
    try:
        found = of_object(obj if isinstance(obj, dict) else None)
    except SelectorError:
        return None
    return None if found.never else found.requirements


# --- the rest ---------------------------------------------------------------------------------------------------------


def claims(obj: Object) -> Iterable[str]:
    """Yield the names of the volume claims a pod uses, those made for it among them."""
    for volume in items(obj, "spec", "volumes"):
        if name := text(volume, "persistentVolumeClaim", "claimName"):
            yield name
        elif isinstance(volume.get("ephemeral"), dict):
            yield f"{objects.name(obj)}-{text(volume, 'name')}"


def _time(stamp: str) -> float:
    try:
        return rfc3339.parse(stamp)
    except ValueError:
        return 0.0
