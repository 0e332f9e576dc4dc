"""Gangs: the pods of one PodGroup, which run together or not at all. A gang waits until as many pods are there as it needs.

Pods that are there are those that run and those that wait; not those with scheduling gates or on their way out.

Spec: core/v1 PodSchedulingGroup; scheduling.k8s.io/v1beta1 PodGroup, GangSchedulingPolicy; kube-scheduler GangScheduling (PreEnqueue).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from sampan.client.port import Ref
from sampan.control.scheduling import pods
from sampan.control.scheduling.pods import Seen
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.reading import number, text
from sampan.schedule.pod import Gang
from sampan.schedule.shape import Shape

GROUPS = Ref("scheduling.k8s.io", "v1beta1", "podgroups")
_UNTOLD = 0
"""How many pods a gang needs whose PodGroup is not known."""


def seen(obj: Object, share: Callable[[Shape], Shape]) -> Seen | None:
    """Return what is remembered of a pod, with the name of its gang, if it is in a group."""
    found, name = pods.seen(obj, share), text(obj, "spec", "schedulingGroup", "podGroupName")
    if found is None or not name:
        return found
    return replace(found, pod=replace(found.pod, gang=Gang(f"{objects.namespace(obj)}/{name}", _UNTOLD)))


def least(obj: Object) -> int:
    """Return how many pods of a group run together; 1 where each runs by itself."""
    return number(obj, "spec", "schedulingPolicy", "gang", "minCount") or 1


class Gangs:
    def __init__(self) -> None:
        self._least: dict[str, int] = {}
        self._members: dict[str, set[str]] = {}

    def group(self, name: str, needs: int | None) -> None:
        """Take in how many pods a group needs; None: it is gone."""
        if needs is None:
            self._least.pop(name, None)
        else:
            self._least[name] = needs

    def told(self, seen: Seen) -> Seen:
        """Return a pod with how many its gang needs now; it is counted."""
        gang = seen.pod.gang
        if gang is None:
            return seen
        if seen.deleting or seen.pod.shape.gates:
            self.discard(seen)
        else:
            self._members.setdefault(gang.name, set()).add(seen.pod.key)
        return replace(seen, pod=replace(seen.pod, gang=Gang(gang.name, self._least.get(gang.name, _UNTOLD))))

    def discard(self, seen: Seen) -> None:
        """Count a pod no longer."""
        if seen.pod.gang is not None:
            members = self._members.get(seen.pod.gang.name, set())
            members.discard(seen.pod.key)
            if not members:
                self._members.pop(seen.pod.gang.name, None)

    def members(self, name: str) -> Iterable[str]:
        """Return the keys of the pods of a gang that are there, in order."""
        return sorted(self._members.get(name, ()))

    def lacks(self, name: str) -> str:
        """Return what a gang waits for before it is tried; empty: nothing."""
        least = self._least.get(name)
        if least is None:
            return f"gang {name}: there is no such PodGroup"
        there = len(self._members.get(name, ()))
        return f"gang {name}: {there} of at least {least} pods are there" if there < least else ""
