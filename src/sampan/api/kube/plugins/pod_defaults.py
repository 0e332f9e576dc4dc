"""What pods and nodes get from the cluster: tolerations of short failures, the overhead of their runtime, a first taint.

Spec: Kubernetes admission plugins DefaultTolerationSeconds, RuntimeClass, TaintNodesByCondition.
"""

from __future__ import annotations

from sampan.api.kube.admission import Attributes
from sampan.api.kube.lookup import Lookup
from sampan.kube import runtime_class, status
from sampan.kube.object import Object
from sampan.kube.reading import items, mapping, text

TOLERATED_S = 300
_TROUBLES = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class DefaultTolerations:
    """A node may be away for five minutes before its pods are moved, where they do not say otherwise."""

    name = "DefaultTolerationSeconds"

    async def mutate(self, attributes: Attributes) -> None:
        pod = attributes.object
        if not attributes.concerns("pods") or pod is None:
            return
        spec = mapping(pod, "spec")
        given = items(spec, "tolerations")
        missing = [key for key in _TROUBLES if not any(_covers(item, key) for item in given)]
        if missing:
            spec["tolerations"] = [
                *given,
                *(
                    {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATED_S}
                    for key in missing
                ),
            ]

    async def validate(self, attributes: Attributes) -> None:
        pass


def _covers(toleration: Object, key: str) -> bool:
    return text(toleration, "key") in ("", key) and text(toleration, "effect") in ("", "NoExecute")


class RuntimeClassAdmission:
    """A pod's overhead and placement are what its runtime class says."""

    name = "RuntimeClass"

    def __init__(self, classes: Lookup) -> None:
        """Of runtime classes."""
        self._classes = classes

    async def mutate(self, attributes: Attributes) -> None:
        pod = attributes.object
        if attributes.operation != "CREATE" or not attributes.concerns("pods") or pod is None:
            return
        spec = mapping(pod, "spec")
        name = text(spec, "runtimeClassName")
        if not name:
            if spec.get("overhead"):
                why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
                raise status.forbidden("pods", "", attributes.name, why)
            return
        found = await self._classes.find("", name)
        if found is None:
            why = f'pod rejected: RuntimeClass "{name}" not found'
            raise status.forbidden("pods", "", attributes.name, why)
        if why := runtime_class.given(spec, found):
            raise status.forbidden("pods", "", attributes.name, why)

    async def validate(self, attributes: Attributes) -> None:
        pass


class TaintNewNodes:
    """A node that has just been made is not ready: nothing is placed on it before it says that it is."""

    name = "TaintNodesByCondition"
    _TAINT = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}

    async def mutate(self, attributes: Attributes) -> None:
        node = attributes.object
        if attributes.operation != "CREATE" or not attributes.concerns("nodes") or node is None:
            return
        spec = node.setdefault("spec", {})
        if isinstance(spec, dict) and not any(
            (text(item, "key"), text(item, "effect")) == (self._TAINT["key"], self._TAINT["effect"])
            for item in items(spec, "taints")
        ):
            spec["taints"] = [*items(spec, "taints"), dict(self._TAINT)]

    async def validate(self, attributes: Attributes) -> None:
        pass
