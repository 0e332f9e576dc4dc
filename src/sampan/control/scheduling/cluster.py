"""Cluster: the snapshot and the queue, kept up with what is told of the cluster, and what was thought ahead of it.

A pod that was placed is on the snapshot at once (assumed) and confirmed when its binding is told. Victims of a preemption are
thought away from the snapshot at once (leaving), though they run until they have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from sampan.control.scheduling.default_spread import DefaultSpread
from sampan.control.scheduling.gangs import Gangs
from sampan.control.scheduling.pods import Seen
from sampan.control.scheduling.volumes import Claim, StorageClass, Volume, Volumes, Wanted
from sampan.schedule.node import Node
from sampan.schedule.pod import Budget, Gang, Pod
from sampan.schedule.queue import Queue
from sampan.schedule.shape import Amounts
from sampan.schedule.snapshot import Snapshot


class Placement(NamedTuple):
    pod: Pod
    node: str


class Cluster:
    """`moved`: something happened that may help pods that did not fit. `stir` is called when there may be work."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self.queue = Queue()
        self.volumes = Volumes(self.snapshot.volumes)
        self.default_spread = DefaultSpread()
        self.known: dict[str, Seen] = {}
        self.assumed: dict[str, str] = {}  # pod -> node
        self.leaving: set[str] = set()
        self.provisional: set[str] = set()
        """Assumed pods of gangs that give their places back if one of them loses its own; until they are about to be bound."""
        self.moved = False
        self.stir: Callable[[], None] = _nothing
        self.gone: Callable[[str], None] = _ignored
        """Called with the key of a pod that takes nothing any more."""
        self.came: Callable[[str], None] = _ignored
        """Called with the key of a pod that waits for a node."""
        self.held: Callable[[str, str], None] = lambda _, __: None
        """Called with the key of a pod that waits for others of its gang, and what the gang lacks."""
        self.gangs = Gangs()
        self.gated: set[str] = set()
        """Pods that wait for their gates, or for more of their gang to come."""
        self._nodes: dict[str, Node] = {}
        self._limits: dict[str, Amounts] = {}
        self._budgets: dict[tuple[str, str], Budget] = {}
        self._claimants: dict[tuple[str, str], set[str]] = {}  # claim -> pods
        self._claims_of: dict[str, set[tuple[str, str]]] = {}  # volume -> the claims that name it

    # --- pods

    def pod(self, old: Seen | None, new: Seen | None) -> None:
        """Take in a change of a pod."""
        if old is not None and (new is None or new.uid != old.uid):
            self._end(old)
        if new is None:
            return
        changed = old is None or old.uid != new.uid or old.pod != new.pod
        gang = "" if new.pod.gang is None else new.pod.gang.name
        lacked = gang and self.gangs.lacks(gang)
        new = self.gangs.told(new)
        lacks = gang and self.gangs.lacks(gang)
        key = new.pod.key
        self.known[key] = new
        for name in new.claims:
            self._claimants.setdefault((new.pod.shape.namespace, name), set()).add(key)
        if new.pod.shape.gates and not new.node:
            self.gated.add(key)
        elif new.node or not lacks:
            self.gated.discard(key)
        if new.node:
            self._placed(new)
        elif key in self.assumed:
            return  # its binding, or the end of its victims, is under way
        elif not new.ours or new.deleting or new.pod.shape.gates:
            self.queue.discard(key)
        elif changed:
            self.came(key)
            self.enqueue(new.pod)
        if lacked and not lacks:
            self._enqueue_all(gang)

    def enqueue(self, pod: Pod) -> None:
        """Give a pod a turn, unless its gang is not there yet."""
        lacks = "" if pod.gang is None else self.gangs.lacks(pod.gang.name)
        if lacks:
            self.queue.discard(pod.key)
            self.gated.add(pod.key)
            self.held(pod.key, lacks)
        else:
            self.gated.discard(pod.key)
            self.queue.add(pod)
            self.stir()

    def group(self, name: str, needs: int | None) -> None:
        """Take in how many pods of a group run together; None: it is gone."""
        self.gangs.group(name, needs)
        for key in self.gangs.members(name):
            self.known[key] = self.gangs.told(self.known[key])
        self._enqueue_all(name)

    def _enqueue_all(self, gang: str) -> None:
        """Give all of a gang that wait for a node a turn, or say what they wait for."""
        for key in self.gangs.members(gang):
            seen = self.known[key]
            if seen.ours and not seen.node and key not in self.assumed:
                self.enqueue(seen.pod)

    def in_turn(self, pods: Sequence[Pod]) -> list[Pod]:
        """Return pods whose turn it is, each with its gang where it has to be placed with others.

        All of the gang that wait come with the first of it, and `least` is how many have to be placed now.
        """
        if all(pod.gang is None for pod in pods):
            return list(pods)
        found: dict[str, Pod] = {}
        enough: set[str] = set()
        for pod in pods:
            if pod.gang is None:
                found[pod.key] = pod
            elif pod.gang.name in enough:
                found[pod.key] = msgspec.structs.replace(pod, gang=None)
            elif pod.key not in found:
                gang = Gang(pod.gang.name, self._needed(pod.gang))
                if gang.least > 1:
                    found.update((mate.key, mate) for mate in self._together(pod, gang))
                else:
                    enough.add(gang.name)
                    found[pod.key] = msgspec.structs.replace(pod, gang=None)
        return list(found.values())

    def _needed(self, gang: Gang) -> int:
        """Return how many of a gang have to be placed so that enough of them run."""
        there = (key for key in self.gangs.members(gang.name) if key in self.snapshot.pods)
        return gang.least - sum(key not in self.provisional for key in there)

    def _together(self, first: Pod, gang: Gang) -> list[Pod]:
        """Take all of a gang that wait for nodes out of the queue; returns them in the order of their turn."""
        waiting = {first.key: first}
        for key in self.gangs.members(gang.name):
            seen = self.known[key]
            if seen.ours and not seen.node and key not in self.snapshot.pods:
                self.queue.withdraw(key)
                waiting[key] = seen.pod
        in_order = sorted(waiting.values(), key=lambda pod: (-pod.priority, pod.started_s))
        return [msgspec.structs.replace(pod, gang=gang) for pod in in_order]

    def _placed(self, seen: Seen) -> None:
        key = seen.pod.key
        self.queue.discard(key)
        if key in self.leaving:
            return
        self.assumed.pop(key, None)
        pod, before = self.whole(seen), self.placed_as(key)
        if before == (pod, seen.node):
            return
        self.snapshot.add(pod, seen.node)
        if before is None or (before[0].shape, before[1]) != (pod.shape, seen.node):
            self._help()  # not by when it started

    def _end(self, seen: Seen) -> None:
        key = seen.pod.key
        self.known.pop(key, None)
        self.gangs.discard(seen)
        self.gated.discard(key)
        self.queue.discard(key)
        self.assumed.pop(key, None)
        self.provisional.discard(key)
        for name in seen.claims:
            claim = seen.pod.shape.namespace, name
            left = self._claimants.get(claim, set())
            left.discard(key)
            if not left:
                self._claimants.pop(claim, None)
        if key in self.leaving:
            self.leaving.discard(key)
        elif key in self.snapshot.pods:
            self.snapshot.remove(key)
            self._help()
        self.gone(key)

    def placed_as(self, key: str) -> tuple[Pod, str] | None:
        """Return a pod as the snapshot has it, and its node there."""
        slot = self.snapshot.pods.slots.get(key)
        pod = None if slot is None else self.snapshot.pods.pods[slot]
        node = self.snapshot.node_of(key)
        return None if pod is None or node is None else (pod, node)

    def wanted(self, seen: Seen) -> Wanted:
        """Return all that a pod asks for: with its volumes, and the constraints that it is spread by when it names none."""
        shape = self.default_spread.shape(seen)
        return self.volumes.wanted(shape, seen.claims) if seen.claims else Wanted(shape)

    def whole(self, seen: Seen) -> Pod:
        """Return a pod with all that it asks for, as far as its volumes are known. Who has a node has its volumes there."""
        shape = self.wanted(seen).shape
        if seen.node and shape.unbound:
            shape = msgspec.structs.replace(shape, unbound=())
        return seen.pod if shape is seen.pod.shape else msgspec.structs.replace(seen.pod, shape=shape)

    def forget(self, key: str) -> None:
        """Take back an assumption; the pod is where it is told to be."""
        self.assumed.pop(key, None)
        self.provisional.discard(key)
        if key in self.snapshot.pods:
            self.snapshot.remove(key)
        seen = self.known.get(key)
        if seen is not None and seen.node:
            self._placed(seen)
        self._help()

    def restore(self, key: str) -> None:
        """Count a victim again that was thought away."""
        self.leaving.discard(key)
        seen = self.known.get(key)
        if seen is not None and seen.node:
            self._placed(seen)

    def recount(self) -> None:
        """Count pods as they are told and assumed: whoever changed the snapshot broke off in the midst of it."""
        for key in list(self.snapshot.pods.slots):
            seen = self.known.get(key)
            if key not in self.assumed and (seen is None or not seen.node):
                self.snapshot.remove(key)
        for seen in self.known.values():
            if seen.node:
                self._placed(seen)
        self._help()

    # --- nodes and what else there is

    def node(self, name: str, node: Node | None) -> None:
        if node is None:
            self._nodes.pop(name, None)
            self.snapshot.remove_node(name)
            self._help()  # whom it was the emptiest domain of
            return
        node = msgspec.structs.replace(node, attachable=self._limits.get(name, ()))
        if self._nodes.get(name) != node:
            self._nodes[name] = node
            self.snapshot.set_node(node)
            self._help()

    def limits(self, name: str, limits: Amounts) -> None:
        self._limits[name] = limits
        if name in self._nodes:
            self.node(name, self._nodes[name])

    def namespace(self, name: str, labels: dict[str, str] | None) -> None:
        if self.snapshot.namespaces.get(name) != labels:
            self.snapshot.set_namespace(name, labels)
            self._help()

    def budget(self, namespace: str, name: str, budget: Budget | None) -> None:
        if budget is None:
            self._budgets.pop((namespace, name), None)
        else:
            self._budgets[namespace, name] = budget
        self.snapshot.budgets = tuple(self._budgets.values())

    def claim(self, namespace: str, name: str, claim: Claim | None) -> None:
        before = self.volumes.claims.pop((namespace, name), None)
        if before is not None:
            named = self._claims_of[before.volume]
            named.discard((namespace, name))
            if not named:
                del self._claims_of[before.volume]
        if claim is not None:
            self.volumes.claims[namespace, name] = claim
            self._claims_of.setdefault(claim.volume, set()).add((namespace, name))
        self._again(namespace, name)

    def volume(self, name: str, volume: Volume | None) -> None:
        free = None if volume is None else volume.free
        if self.snapshot.volumes.put(name, free) and self._claimants:
            self._help()
        if volume is None:
            self.volumes.volumes.pop(name, None)
            return
        self.volumes.volumes[name] = volume
        for claimed in self._claims_of.get(name, ()):
            if claimed in self._claimants:
                self._again(*claimed)

    def storage_class(self, name: str, storage_class: StorageClass | None) -> None:
        if storage_class is None:
            self.volumes.classes.pop(name, None)
        else:
            self.volumes.classes[name] = storage_class
            self._help()

    def _again(self, namespace: str, claim: str) -> None:
        """Count the volumes of a claim's pods anew."""
        for key in self._claimants.get((namespace, claim), ()):
            seen = self.known.get(key)
            if seen is not None and seen.node:
                self._placed(seen)
        self._help()

    def _help(self) -> None:
        self.moved = True
        self.stir()


def _nothing() -> None:
    pass


def _ignored(_: str) -> None:
    pass
