"""Snapshot: the cluster as columns: nodes in rows, what is left on them, and where the pods are.

Rows are in order of the nodes' names, so the first of equal scores is the smallest name. Nodes that come or go are taken in
by `settle`, all at once; pods change the columns at once. Whatever way a snapshot came to be, it equals the one rebuilt
of its nodes and pods.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from sampan.schedule.arrays import Rows
from sampan.schedule.ask import Ask
from sampan.schedule.attachments import Attachments
from sampan.schedule.claimable import Choice, ClaimableVolumes, FreeVolume, Given, Reached, reached
from sampan.schedule.devices import DeviceColumns, Taken
from sampan.schedule.labels import Domains, NodeLabels
from sampan.schedule.node import Node
from sampan.schedule.pod import Budget, Pod, covers
from sampan.schedule.pods import ABSENT, PodTable
from sampan.schedule.resources import ResourceColumns
from sampan.schedule.shape import PodTerm, Shape, UnboundClaim, matches
from sampan.schedule.tally import Tallies, Tally, Weigh
from sampan.schedule.terms import Terms
from sampan.schedule.touches import Touches

T = TypeVar("T")

_SWEEP_AT = 4096  # shapes


class Lifted(NamedTuple):
    """A pod that was taken away, with where it was and what it held there."""

    pod: Pod
    row: int
    held: Taken
    home: str  # its node, where that is not known
    given: Given


class Snapshot:
    def __init__(self, nodes: Iterable[Node] = (), namespaces: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.nodes: list[Node] = []  # by row
        self.rows: dict[str, int] = {}
        self.namespaces: dict[str, Mapping[str, str]] = dict(namespaces or {})
        self.budgets: tuple[Budget, ...] = ()
        self.resources = ResourceColumns()
        self.devices = DeviceColumns()
        self.attachments = Attachments()
        self.volumes = ClaimableVolumes()
        self.labels = NodeLabels(())
        self.pods = PodTable()
        self.asks: list[Ask] = []
        self.terms = Terms()
        self.touches = Touches(0)
        self.epoch = 0  # moves when nodes or namespaces themselves change: whoever keeps something of them starts anew
        self._asks: dict[Shape, Ask] = {}
        self._sweep_at = _SWEEP_AT
        self._tallies = Tallies()
        self._pending: dict[str, Node | None] = {}
        self._homes: dict[str, str] = {}  # pods on nodes that are not known
        self._kept: dict[Hashable, object] = {}
        for node in nodes:
            self.set_node(node)

    # --- nodes

    def set_node(self, node: Node) -> None:
        """Add or replace a node; seen after `settle`."""
        self._pending[node.name] = node

    def remove_node(self, name: str) -> None:
        """Take a node away; seen after `settle`. Its pods stay known, and come back with it."""
        self._pending[name] = None

    def set_namespace(self, name: str, labels: Mapping[str, str] | None) -> None:
        """Give a namespace its labels; None takes it away."""
        if labels is None:
            self.namespaces.pop(name, None)
        else:
            self.namespaces[name] = labels
        self._recount(None)
        for ask in self.asks:
            self._tallies.weigh(ask)
        self._changed()

    @property
    def as_of(self) -> tuple[int, int, int]:
        """What differs after anything has changed that says where a pod fits: nodes and namespaces, pods, volumes."""
        return self.epoch, self.touches.position, self.volumes.version

    def settle(self) -> None:
        """Take in the nodes that came, went or changed. Cheap when there are none."""
        if not self._pending:
            return
        pending, self._pending = self._pending, {}
        nodes: dict[str, Node] = {node.name: node for node in self.nodes}
        changed = {name: node for name, node in pending.items() if nodes.get(name) != node}
        if not changed:
            return
        replaced = [node for name, node in changed.items() if node is not None and name in nodes]
        if len(replaced) == len(changed):
            for node in replaced:
                self._replace(self.rows[node.name], node)
            self.labels = NodeLabels(self.nodes)
            self._tallies.forget_domains()
        else:
            for name, change in changed.items():
                if change is None:
                    nodes.pop(name, None)
                else:
                    nodes[name] = change
            self._lay_out([nodes[name] for name in sorted(nodes)])
        self._changed()

    def _replace(self, row: int, node: Node) -> None:
        self.nodes[row] = node
        self.resources.set_row(row, node)
        self.devices.set_row(row, node, [(pod.key, pod.shape) for pod, _ in self.pods.on(row)])
        self.attachments.set_row(row, node)

    def _lay_out(self, nodes: list[Node]) -> None:
        """Give the nodes their rows, and everything that goes by rows with them."""
        homes = self._homes
        for key, slot in self.pods.slots.items():
            row = int(self.pods.rows[slot])
            if row != ABSENT:
                homes[key] = self.nodes[row].name
        self.nodes = nodes
        self.rows = {node.name: row for row, node in enumerate(nodes)}
        self.pods.place_all([(key, self.rows.get(name, ABSENT)) for key, name in homes.items()], len(nodes))
        self._homes = {key: name for key, name in homes.items() if name not in self.rows}
        self.labels = NodeLabels(nodes)
        self.resources.reset(nodes)
        self.devices.reset(nodes)
        self.attachments.reset(nodes)
        self.touches = Touches(len(nodes))
        rows, asks = self.pods.columns()
        for number in np.unique(asks).tolist():
            self.resources.take_all(rows[asks == number], self.asks[number].demand)
        for row in range(len(nodes)):
            for pod, _ in self.pods.on(row):
                self.devices.take(row, pod.key, pod.shape)
                self.attachments.add(row, pod.shape)
        self._recount(None)

    def _changed(self) -> None:
        self.epoch += 1
        self._kept.clear()

    # --- pods

    def ask(self, shape: Shape) -> Ask:
        """Return a shape as this snapshot knows it; good until the next shape that is new."""
        found = self._asks.get(shape)
        if found is None:
            if len(self.asks) >= self._sweep_at:
                self._sweep()
            found = Ask(shape, len(self.asks), self.resources.demand(shape))
            self._asks[shape] = found
            self.asks.append(found)
            self._tallies.weigh(found)
            self.terms.register(shape)
        return found

    def _sweep(self) -> None:
        """Forget the shapes that no pod here has, and whatever was kept for them: some pods' labels are like no other's."""
        kept = [self.asks[number] for number in self.pods.renumber_asks()]
        self.asks, self._asks, self._tallies, self.terms = [], {}, Tallies(), Terms()
        for ask in kept:
            ask.number = len(self.asks)
            ask.tallies = []
            self.asks.append(ask)
            self._asks[ask.shape] = ask
            self.terms.register(ask.shape)
        self._sweep_at = max(_SWEEP_AT, 2 * len(kept))
        self._changed()

    def add(self, pod: Pod, node: str) -> None:
        """Put a pod on a node, known or not yet known. A pod that is there already is moved."""
        if pod.key in self.pods:
            self.remove(pod.key)
        row = self.rows.get(node)
        if row is None:
            self._homes[pod.key] = node
            self.pods.add(pod, ABSENT, self.ask(pod.shape).number)
        else:
            self.assume(pod, row, self.ask(pod.shape))

    def assume(self, pod: Pod, row: int, ask: Ask, held: Taken | None = None, given: Given | None = None) -> None:
        """Put a new pod on a row. `held`: the devices it has, `given`: the volumes; chosen where None."""
        self.pods.add(pod, row, ask.number)
        self.resources.take(row, ask.demand)
        for tally, weight in ask.tallies:
            tally.add(row, weight)
        if ask.special:
            self.devices.take(row, pod.key, ask.shape, held)
            self.attachments.add(row, ask.shape)
            self.volumes.take(pod.key, self.volumes_on(row, ask.shape.unbound).given if given is None else given)
        self.touches.add(row)

    def assume_all(self, pods: Sequence[Pod], rows: Rows, ask: Ask) -> None:
        """Put new pods of one ask on rows, [pods]."""
        if ask.special:
            for pod, row in zip(pods, rows.tolist(), strict=True):
                self.assume(pod, row, ask)
            return
        self.pods.add_all(pods, rows, ask.number)
        self.resources.take_all(rows, ask.demand)
        for tally, weight in ask.tallies:
            tally.add_all(rows, weight)
        self.touches.add_all(rows)

    def remove(self, key: str) -> Pod:
        """Take a pod away and return it. Raises KeyError where there is none."""
        return self.lift(key).pod

    def lift(self, key: str) -> Lifted:
        """Take a pod away; returns what `put_back` puts back exactly as it was. Raises KeyError where there is none."""
        pod, row, number = self.pods.remove(key)
        given = self.volumes.give_back(key)
        if row == ABSENT:
            return Lifted(pod, row, (), self._homes.pop(key), given)
        ask = self.asks[number]
        self.resources.give(row, ask.demand)
        for tally, weight in ask.tallies:
            tally.add(row, -weight)
        held: Taken = ()
        if ask.special:
            held = self.devices.give(row, key)
            self.attachments.remove(row, ask.shape)
        self.touches.add(row)
        return Lifted(pod, row, held, "", given)

    def put_back(self, lifted: Lifted) -> None:
        """Undo a `lift`, before nodes were settled anew."""
        ask = self.ask(lifted.pod.shape)
        if lifted.row == ABSENT:
            self._homes[lifted.pod.key] = lifted.home
            self.pods.add(lifted.pod, ABSENT, ask.number)
            self.volumes.take(lifted.pod.key, lifted.given)
        else:
            self.assume(lifted.pod, lifted.row, ask, lifted.held, lifted.given)

    def evict(self, key: str) -> Lifted:
        """Take a pod away against its will: the budgets it belongs to allow one less."""
        lifted = self.lift(key)
        if any(covers(budget, lifted.pod) for budget in self.budgets):
            self.budgets = tuple(
                Budget(one.namespace, one.selector, one.allowed - 1) if covers(one, lifted.pod) else one
                for one in self.budgets
            )
        return lifted

    def node_of(self, key: str) -> str | None:
        """Return the name of the node that a pod is on, None when it is on none."""
        slot = self.pods.slots.get(key)
        if slot is None:
            return None
        row = int(self.pods.rows[slot])
        return self._homes[key] if row == ABSENT else self.nodes[row].name

    # --- what is derived

    def domains(self, topology: str) -> Domains:
        return self.labels.domains(topology)

    def matching(self, term: PodTerm) -> Tally:
        """Return the tally of the pods that a term's selector and namespaces match."""
        key = ("matching", term.selector, term.namespaces, term.namespace_selector)
        return self.tally(key, lambda shape: int(self.matches(term, shape)))

    def matches(self, term: PodTerm, shape: Shape) -> bool:
        """Return whether pods of a shape are among those a term means."""
        if shape.namespace not in term.namespaces:
            labels = self.namespaces.get(shape.namespace, {})
            if not matches(term.namespace_selector, labels):
                return False
        return matches(term.selector, dict(shape.labels))

    def reached(self, volume: FreeVolume) -> Reached:
        """Return the rows that can reach a volume."""
        return self.kept(("reached", volume.reach), lambda: reached(self.labels, volume.reach, len(self.nodes)))

    def volumes_on(self, row: int, claims: Sequence[UnboundClaim]) -> Choice:
        """Return which volumes claims of one pod would be given on a row."""

        def made(claim: UnboundClaim) -> bool:
            on = claim.made_on
            return on is not None and (not on or any(self.labels.holds_at(row, term) for term in on))

        return self.volumes.choose(claims, lambda volume: row in self.reached(volume).members, made)

    def tally(self, key: Hashable, weigh: Weigh) -> Tally:
        """Return the tally of a key, counted now when it is new."""
        found = self._tallies.get(key)
        if found is None:
            found = Tally(weigh)
            self._tallies.add(key, found)
            self._recount([found])
            for ask in self.asks:
                weight = weigh(ask.shape)
                if weight:
                    ask.tallies.append((found, weight))
        return found

    def kept(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` made for a key, until nodes change."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]  # type: ignore[return-value]

    def _recount(self, tallies: list[Tally] | None) -> None:
        rows, asks = self.pods.columns()
        self._tallies.recount(tallies, self.asks, rows, asks, len(self.nodes))
