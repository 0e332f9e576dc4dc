"""Pods and nodes that a manifest speaks of, as a server would have them as far as scheduling goes. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from sampan.base.errors import InvalidArgument
from sampan.control.scheduling import default_spread, nodes, pods
from sampan.control.scheduling.pods import Seen
from sampan.kube import object as objects
from sampan.kube import runtime_class
from sampan.kube.kinds import podspec
from sampan.kube.object import Object
from sampan.kube.reading import items, mapping, number, text
from sampan.kube.schema import builtin, check
from sampan.schedule.node import Node
from sampan.schedule.shape import Pairs, Selector

_TEMPLATED = {
    "Deployment": ("replicas",),
    "ReplicaSet": ("replicas",),
    "ReplicationController": ("replicas",),
    "StatefulSet": ("replicas",),
    "Job": ("parallelism",),
}
_OWNERS = {
    "Deployment": ("apps/v1", "ReplicaSet"),
    "ReplicaSet": ("apps/v1", "ReplicaSet"),
    "StatefulSet": ("apps/v1", "StatefulSet"),
    "ReplicationController": ("v1", "ReplicationController"),
}
"""What makes the pods of these kinds; the others select no pods by labels."""
_REVISION = {"pod-template-hash": "manifest"}
"""A Deployment's pods are told by it from those of its earlier templates."""
_DAEMON_SET = "DaemonSet: its pods are made for each node by its controller; give pods instead"


class Wanted(msgspec.Struct):
    """`services` and `controllers` (by `kind/name`): namespace, name, and which pods they select."""

    pods: list[Seen]
    nodes: list[Node]
    services: list[tuple[str, str, Pairs]]
    controllers: list[tuple[str, str, Selector]]


class Classes(NamedTuple):
    """What pods name in the cluster: `priorities` by priority class, "" is the default one's; runtime classes by name."""

    priorities: Mapping[str, int]
    runtimes: Mapping[str, Object]


def read(documents: Iterable[object], namespace: str, classes: Classes) -> Wanted:
    """Return what the documents of a manifest want; what else it holds is passed over.

    Raises:
        InvalidArgument: it holds neither pods nor nodes; a class that is not there or does not go with its pod.
    """
    wanted, others = Wanted([], [], [], []), set[str]()
    for place, obj in enumerate(_objects(documents)):
        kind = text(obj, "kind")
        if prefix := text(obj, "metadata", "generateName"):
            objects.metadata(obj).setdefault("name", f"{prefix}{place}")
        if kind == "CronJob":
            kind, obj = "Job", {**mapping(obj, "spec", "jobTemplate"), "metadata": objects.metadata(obj)}
        if kind == "Node":
            wanted.nodes.append(nodes.node(obj))
        elif kind == "Pod":
            wanted.pods.append(_pod(obj, namespace, classes))
        elif kind in _TEMPLATED:
            if kind in _OWNERS:
                obj = _owning(obj, *_OWNERS[kind], _REVISION if kind == "Deployment" else {})
                owner = f"{_OWNERS[kind][1]}/{objects.name(obj)}"
                wanted.controllers.append((objects.namespace(obj) or namespace, owner, default_spread.selected(obj)))
            wanted.pods += [_pod(pod, namespace, classes) for pod in _of_template(obj, *_TEMPLATED[kind])]
        elif kind == "DaemonSet":
            raise InvalidArgument(_DAEMON_SET)
        else:
            if kind == "Service":
                labels = default_spread.selected_by_service(obj)
                wanted.services.append((objects.namespace(obj) or namespace, objects.name(obj), labels))
            others.add(kind or "a document without a kind")
    if others and not wanted.pods and not wanted.nodes:
        known = ", ".join(["Pod", "Node", *_TEMPLATED, "CronJob"])
        raise InvalidArgument(f"{', '.join(sorted(others))}: there is nothing to place; known are {known}")
    return wanted


def _objects(documents: Iterable[object]) -> Iterator[Object]:
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict):
            raise InvalidArgument("the manifest holds something that is no object")
        if text(document, "kind").endswith("List") and "items" in document:
            yield from items(document, "items")
        else:
            yield document


def _of_template(obj: Object, count: str) -> Iterator[Object]:
    given = objects.at(obj, "spec", count)
    template = mapping(obj, "spec", "template")
    for place in range(given if isinstance(given, int) else 1):
        meta = {**mapping(template, "metadata"), "name": f"{objects.name(obj)}-{place}"}
        if objects.namespace(obj):
            meta["namespace"] = objects.namespace(obj)
        yield {**template, "kind": "Pod", "metadata": meta}


def _owning(obj: Object, version: str, kind: str, revision: Mapping[str, str]) -> Object:
    """Return a set of pods whose template makes them its own, and the set select them."""
    spec, template = mapping(obj, "spec"), mapping(obj, "spec", "template")
    meta = mapping(template, "metadata")
    labels = {**mapping(meta, "labels"), **revision}
    owner = {"apiVersion": version, "kind": kind, "name": objects.name(obj), "controller": True}
    chosen = mapping(spec, "selector")
    if kind == "ReplicationController":  # selects by plain labels, its template's where it says none
        chosen = {"matchLabels": chosen or labels}
    elif revision:
        chosen = {**chosen, "matchLabels": {**mapping(chosen, "matchLabels"), **revision}}
    made = {**template, "metadata": {**meta, "labels": labels, "ownerReferences": [owner]}}
    return {**obj, "spec": {**spec, "selector": chosen, "template": made}}


def _pod(obj: Object, namespace: str, classes: Classes) -> Seen:
    obj = copy.deepcopy(obj)
    try:
        check.check(builtin.definition("io.k8s.api.core.v1.Pod"), obj)
    except check.WrongType as error:
        raise InvalidArgument(f"pod {objects.name(obj)}: {error}") from error
    objects.metadata(obj).setdefault("namespace", namespace)
    spec = obj.setdefault("spec", {})
    if not number(spec, "priority"):
        name = text(spec, "priorityClassName")
        if name and name not in classes.priorities:
            raise InvalidArgument(f'no PriorityClass with name "{name}" was found')
        spec["priority"] = classes.priorities.get(name, 0)
    if runtime := text(spec, "runtimeClassName"):
        if runtime not in classes.runtimes:
            raise InvalidArgument(f'pod rejected: RuntimeClass "{runtime}" not found')
        if why := runtime_class.given(spec, classes.runtimes[runtime]):
            raise InvalidArgument(f"pod {objects.name(obj)}: {why}")
    podspec.default(spec)
    found = pods.seen({**obj, "status": {}})
    if found is None:
        raise InvalidArgument(f"pod {objects.name(obj)} has ended")
    return found
