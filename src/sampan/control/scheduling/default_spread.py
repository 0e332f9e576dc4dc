"""Default constraints: how the pods of a set are spread when they name no constraints themselves. Pure.

A set is what all Services that select the pod and the controller that owns it select together. The constraints never keep a
pod from a node, so nothing that waits is helped when Services come or go: a pod's next turn is by those that are there then.

Spec: kube-scheduler PodTopologySpread, its system defaults and helper.DefaultSelector; "Cluster-level default constraints".
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from sampan.control.scheduling import pods
from sampan.control.scheduling.pods import Seen
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.reading import mapping
from sampan.kube.selector import Requirement
from sampan.schedule.shape import Pairs, Selector, Shape, Spread, pairs

_CONSTRAINTS = (("kubernetes.io/hostname", 3), ("topology.kubernetes.io/zone", 5))
_KEPT = 20_000

Labelled = tuple[str, str, str]
"""Namespace, and a label's key and value."""


class DefaultSpread:
    def __init__(self) -> None:
        self._services: dict[tuple[str, str], Pairs] = {}
        self._by_label: dict[Labelled, dict[str, Pairs]] = {}  # Services by the first label that each asks for
        self._controllers: dict[tuple[str, str], Selector] = {}  # by namespace and `kind/name`
        self._known: dict[tuple[Shape, Selector], Shape] = {}

    def service(self, namespace: str, name: str, labels: Pairs | None) -> None:
        """Take in which labels a Service selects by; None or none: it selects nothing, or is gone."""
        if before := self._services.pop((namespace, name), ()):
            first = (namespace, *before[0])
            del self._by_label[first][name]
            if not self._by_label[first]:
                del self._by_label[first]
        if labels:
            self._services[namespace, name] = labels
            self._by_label.setdefault((namespace, *labels[0]), {})[name] = labels

    def controller(self, namespace: str, name: str, selector: Selector | None) -> None:
        """Take in what a controller, `kind/name`, selects; None: it is gone."""
        if selector is None:
            self._controllers.pop((namespace, name), None)
        else:
            self._controllers[namespace, name] = selector

    def shape(self, seen: Seen) -> Shape:
        """Return what a pod asks for, with the default constraints where they are its."""
        shape = seen.pod.shape
        if shape.spread or not (self._services or self._controllers):
            return shape
        selector = self._selector(seen)
        if not selector:
            return shape
        found = self._known.get((shape, selector))
        if found is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            spread = tuple(
                Spread(topology=topology, max_skew=skew, selector=selector, hard=False)
                for topology, skew in _CONSTRAINTS
            )
            found = self._known[shape, selector] = replace(shape, spread=spread, spread_is_default=True)
        return found

    def _selector(self, seen: Seen) -> Selector:
        """Return what selects a pod's set; empty: nothing does."""
        shape = seen.pod.shape
        by_labels = sorted({label for service in self._selecting(shape) for label in service})
        found = tuple(Requirement(key, "In", (value,)) for key, value in by_labels)
        owner = self._controllers.get((shape.namespace, seen.controller), ()) if seen.controller else ()
        return (*found, *(one for one in owner if one not in found))

    def _selecting(self, shape: Shape) -> Iterator[Pairs]:
        """Yield the labels that each Service asks for which selects a pod."""
        labels = set(shape.labels)
        for key, value in shape.labels:
            for wanted in self._by_label.get((shape.namespace, key, value), {}).values():
                if labels.issuperset(wanted):
                    yield wanted


def selected_by_service(service: Object) -> Pairs:
    """Return the labels that a Service selects by; one without a selector selects nothing."""
    return pairs(mapping(service, "spec", "selector"))


def selected_by_labels(controller: Object) -> Selector:
    """Return what a ReplicationController selects."""
    wanted = pairs(mapping(controller, "spec", "selector"))
    return tuple(Requirement(key, "In", (value,)) for key, value in wanted)


def selected(controller: Object) -> Selector:
    """Return what a ReplicaSet or a StatefulSet selects; empty where that says nothing."""
    return pods.selector(objects.at(controller, "spec", "selector")) or ()
