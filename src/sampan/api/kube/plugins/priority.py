"""Pods get the number of their priority class; there is one default class. Spec: Kubernetes "Pod Priority and Preemption"."""

from __future__ import annotations

from sampan.api.kube.admission import Attributes
from sampan.api.kube.lookup import Lookup
from sampan.api.kube.view import View
from sampan.kube import object as objects
from sampan.kube import status
from sampan.kube.object import Object
from sampan.kube.reading import flag, mapping, number, text

GROUP = "scheduling.k8s.io"
_POLICY = "PreemptLowerPriority"


class PriorityAdmission:
    name = "Priority"

    def __init__(self, classes: View, lookup: Lookup) -> None:
        """Of priority classes: all of them, and one by its name."""
        self._classes = classes
        self._lookup = lookup

    async def mutate(self, attributes: Attributes) -> None:
        pod = attributes.object
        if not attributes.concerns("pods") or pod is None:
            return
        spec = mapping(pod, "spec")
        if attributes.operation == "UPDATE":
            before = mapping(attributes.old, "spec")
            if spec.get("priority") is None and before.get("priority") is not None:
                spec["priority"] = before["priority"]
            return
        name = text(spec, "priorityClassName")
        found = await self._class(attributes, name) if name else self._default()
        if found is not None:
            spec["priorityClassName"] = objects.name(found)
        value = number(found, "value")
        policy = text(found, "preemptionPolicy", missing=_POLICY)
        if spec.get("priority") not in (None, value):
            why = f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; priority admission controller computed {value} from the given PriorityClass name"
            raise status.forbidden("pods", "", attributes.name, why)
        if spec.get("preemptionPolicy") not in (None, policy):
            why = f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
            raise status.forbidden("pods", "", attributes.name, why)
        spec["priority"], spec["preemptionPolicy"] = value, policy

    async def validate(self, attributes: Attributes) -> None:
        """There may be one default class only."""
        new = attributes.object
        if not attributes.concerns("priorityclasses", GROUP) or not flag(new, "globalDefault"):
            return
        for other in self._classes:
            if flag(other, "globalDefault") and objects.name(other) != attributes.name:
                why = f"PriorityClass {objects.name(other)} is already marked as default. Only one default can exist"
                raise status.forbidden("priorityclasses", GROUP, attributes.name, why)

    async def _class(self, attributes: Attributes, name: str) -> Object:
        found = await self._lookup.find("", name)
        if found is None:
            raise status.forbidden("pods", "", attributes.name, f"no PriorityClass with name {name} was found")
        return found

    def _default(self) -> Object | None:
        """Return the default class; of several, which older servers let in, the lowest."""
        found = [item for item in self._classes if flag(item, "globalDefault")]
        return min(found, key=lambda item: (number(item, "value"), objects.name(item)), default=None)
