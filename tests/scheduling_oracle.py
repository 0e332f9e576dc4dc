"""The scheduler's oracle: nodes and pods in plain lists, every rule by the book, one node and one pod at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations

from sampan.schedule.node import Node
from sampan.schedule.pod import Pod
from sampan.schedule.shape import NodeTerm, PodTerm, Selector, Shape, Spread, Toleration, matches

GRAIN = 1 << 20
Placed = list[tuple[Pod, str]]


class Cluster:
    def __init__(self, nodes: Sequence[Node], namespaces: dict[str, dict[str, str]]) -> None:
        self.nodes = sorted(nodes, key=lambda node: node.name)
        self.namespaces = namespaces
        self.placed: Placed = []

    # --- helpers

    def on(self, node: Node) -> list[Shape]:
        return [pod.shape for pod, name in self.placed if name == node.name]

    def term_matches(self, term: PodTerm, shape: Shape) -> bool:
        labels = self.namespaces.get(shape.namespace, {})
        here = shape.namespace in term.namespaces or (
            term.namespace_selector is not None and matches(term.namespace_selector, labels)
        )
        return here and matches(term.selector, dict(shape.labels))

    def same(self, topology: str, value: str) -> list[Shape]:
        """Return the pods on nodes of a domain."""
        names = {node.name for node in self.nodes if dict(node.labels).get(topology) == value}
        return [pod.shape for pod, name in self.placed if name in names]

    def without(self, gone: Sequence[Pod]) -> Cluster:
        """Return the cluster when these have ended."""
        found, keys = Cluster(self.nodes, self.namespaces), {pod.key for pod in gone}
        found.placed = [(pod, name) for pod, name in self.placed if pod.key not in keys]
        return found

    # --- filters

    def fits(self, shape: Shape, node: Node) -> bool:
        return (
            self._named(shape, node)
            and self._tolerated(shape, node)
            and eligible(shape, node)
            and self._ports(shape, node)
            and self._resources(shape, node)
            and self._volumes(shape, node)
            and all(self._even(shape, spread, node) for spread in shape.spread if spread.hard)
            and self._affinity(shape, node)
            and self._anti_affinity(shape, node)
            and self._at_most(shape, node)
        )

    def _named(self, shape: Shape, node: Node) -> bool:
        return not shape.node_name or shape.node_name == node.name

    def _tolerated(self, shape: Shape, node: Node) -> bool:
        closed = node.unschedulable and not tolerates(shape, "node.kubernetes.io/unschedulable", "", "NoSchedule")
        return not closed and untainted(shape, node)

    def _ports(self, shape: Shape, node: Node) -> bool:
        used = [port for other in self.on(node) for port in other.ports]
        return not any(
            mine.port == theirs.port
            and mine.protocol == theirs.protocol
            and (mine.address == theirs.address or "0.0.0.0" in (mine.address, theirs.address))
            for mine in shape.ports
            for theirs in used
        )

    def _resources(self, shape: Shape, node: Node) -> bool:
        have = dict(node.allocatable)
        here = self.on(node)
        if len(here) + 1 > have.get("pods", 0):
            return False
        return all(
            amount + sum(dict(other.requests).get(name, 0) for other in here) <= have.get(name, 0)
            for name, amount in shape.requests
            if amount
        )

    def _volumes(self, shape: Shape, node: Node) -> bool:
        if not all(any(term_holds(term, node) for term in terms) for terms in shape.volume_terms):
            return False
        there = [
            other for one in self.nodes for other in self.on(one)
        ]  # as kube-scheduler: whose node is gone do not count
        if any(claim in other.exclusive for claim in shape.exclusive for other in there):
            return False
        attached = {volume for other in self.on(node) for volume in other.attachments}
        for driver, limit in node.attachable:
            new = {volume for volume in shape.attachments if volume.driver == driver} - attached
            if new and len(new) + sum(volume.driver == driver for volume in attached) > limit:
                return False
        return True

    def _counted(self, shape: Shape, spreads: Sequence[Spread], spread: Spread, every_label: bool) -> list[Node]:
        return [
            node
            for node in self.nodes
            if (not every_label or all(other.topology in dict(node.labels) for other in spreads))
            and (not spread.honor_affinity or eligible(shape, node))
            and (not spread.honor_taints or self._tolerated(shape, node))
        ]

    def _members(self, shape: Shape, spread: Spread, nodes: Sequence[Node]) -> dict[str, int]:
        """Return how many pods of the set each domain of the nodes has."""
        counts: dict[str, int] = {}
        for node in nodes:
            value = dict(node.labels).get(spread.topology)
            if value is not None:
                here = sum(
                    other.namespace == shape.namespace
                    and not other.ending
                    and matches(spread.selector, dict(other.labels))
                    for other in self.on(node)
                )
                counts[value] = counts.get(value, 0) + here
        return counts

    def _even(self, shape: Shape, spread: Spread, node: Node) -> bool:
        hard = [one for one in shape.spread if one.hard]
        labels = dict(node.labels)
        if spread.topology not in labels:
            return False
        counts = self._members(shape, spread, self._counted(shape, hard, spread, True))
        least = min(counts.values(), default=0) if len(counts) >= spread.min_domains else 0
        own = int(matches(spread.selector, dict(shape.labels)))
        return counts.get(labels[spread.topology], 0) + own - least <= spread.max_skew

    def _affinity(self, shape: Shape, node: Node) -> bool:
        terms = shape.affinity
        if not terms:
            return True
        labels = dict(node.labels)
        if any(term.topology not in labels for term in terms):
            return False

        def all_match(other: Shape) -> bool:
            return all(self.term_matches(term, other) for term in terms)

        if all(any(all_match(other) for other in self.same(term.topology, labels[term.topology])) for term in terms):
            return True
        by_name = {one.name: dict(one.labels) for one in self.nodes}
        anywhere = any(
            all_match(pod.shape) and any(term.topology in by_name.get(name, {}) for term in terms)
            for pod, name in self.placed
        )
        return not anywhere and all_match(shape)

    def _anti_affinity(self, shape: Shape, node: Node) -> bool:
        labels = dict(node.labels)
        for term in shape.anti_affinity:
            value = labels.get(term.topology)
            if value is not None and any(self.term_matches(term, other) for other in self.same(term.topology, value)):
                return False
        for topology, value in labels.items():
            for other in self.same(topology, value):
                for term in other.anti_affinity:
                    if term.topology == topology and self.term_matches(term, shape):
                        return False
        return True

    def _at_most(self, shape: Shape, node: Node) -> bool:
        """Would the new pod, and each that means it by a rule, have no more of the others on the node beside it than it allows?"""
        together = [*self.on(node), shape]
        new = len(together) - 1
        for number, one in enumerate(together):
            others = together[:number] + together[number + 1 :]
            for rule in one.at_most:
                told = number == new or self.term_matches(rule.pods, shape)
                if told and sum(self.term_matches(rule.pods, other) for other in others) > rule.most:
                    return False
        return True

    # --- scores

    def scores(self, shape: Shape) -> dict[str, int]:
        """Return the score in grains of each node that passes."""
        passed = [node for node in self.nodes if self.fits(shape, node)]
        total = dict.fromkeys((node.name for node in passed), 0)

        def add(points: dict[str, float], weight: int) -> None:
            for name, value in points.items():
                total[name] += round(value * (weight * float(GRAIN)))

        mild = {node.name: float(mild_taints(shape, node)) for node in passed}
        most = max(mild.values(), default=0.0)
        add({name: 100.0 - value * (100.0 / most) if most else 100.0 for name, value in mild.items()}, 3)
        if shape.preferred_nodes:
            wishes = {
                node.name: float(sum(weight for weight, term in shape.preferred_nodes if term_holds(term, node)))
                for node in passed
            }
            most = max(wishes.values(), default=0.0)
            add({name: value * (100.0 / most) if most else 0.0 for name, value in wishes.items()}, 2)
        add(self._spread_points(shape, passed), 2)
        add(self._pod_points(shape, passed), 2)
        add({node.name: self._left(shape, node, (50.0, 50.0)) for node in passed}, 1)
        if {"cpu", "memory"} & dict(shape.requests).keys():
            add({node.name: 100.0 - abs(self._left(shape, node, (50.0, -50.0))) for node in passed}, 1)
        add({node.name: self._image_points(shape, node) for node in passed}, 1)
        return total

    def _left(self, shape: Shape, node: Node, weights: tuple[float, float]) -> float:
        have = dict(node.allocatable)
        now = own = 0.0
        for weight, name, least in zip(weights, ("cpu", "memory"), (100, 200 << 20), strict=True):
            size = have.get(name, 0)
            scale = (1.0 / size if size else 0.0) * weight
            free = size - sum(dict(other.requests).get(name, 0) or least for other in self.on(node))
            now += free * scale
            own += (dict(shape.requests).get(name, 0) or least) * scale
        return now - own

    def _image_points(self, shape: Shape, node: Node) -> float:
        if not shape.images or not any(one.images for one in self.nodes):
            return 0.0
        whole = 0.0
        for image in shape.images:
            have = sum(image in dict(one.images) for one in self.nodes)
            whole += math.floor(dict(node.images).get(image, 0) * (have / len(self.nodes)))
        least, most = float(23 << 20), float((1000 << 20) * len(shape.images))
        return (min(max(whole, least), most) - least) * (100.0 / (most - least))

    def _spread_points(self, shape: Shape, passed: Sequence[Node]) -> dict[str, float]:
        soft = [spread for spread in shape.spread if not spread.hard]
        if not soft:
            return {}
        every = not shape.spread_is_default
        seen = [node for node in passed if not every or all(one.topology in dict(node.labels) for one in soft)]
        raw = {node.name: 0.0 for node in seen}
        for spread in soft:
            values = [dict(node.labels)[spread.topology] for node in seen if spread.topology in dict(node.labels)]
            labelled = [dict(node.labels).get(spread.topology) for node in self.nodes]
            known = [value for value in labelled if value is not None]
            single = len(set(known)) == len(known)
            size = len(seen) if single else len(set(values))
            counts = self._members(shape, spread, self._counted(shape, soft, spread, every))
            for node in seen:
                value = dict(node.labels).get(spread.topology)
                if value is not None:
                    raw[node.name] += counts.get(value, 0) * math.log(size + 2) + float(spread.max_skew - 1)
        if not raw:
            return {}
        least, most = min(raw.values()), max(raw.values())
        return {name: (most + least - value) * (100.0 / most) if most > 0 else 100.0 for name, value in raw.items()}

    def _pod_points(self, shape: Shape, passed: Sequence[Node]) -> dict[str, float]:
        raw = {}
        for node in passed:
            value = 0
            for topology, domain in node.labels:
                for other in self.same(topology, domain):
                    value += sum(
                        weight
                        for weight, term in shape.preferred_pods
                        if term.topology == topology and self.term_matches(term, other)
                    )
                    value += sum(
                        weight
                        for weight, term in (*other.preferred_pods, *((1, term) for term in other.affinity))
                        if term.topology == topology and self.term_matches(term, shape)
                    )
            raw[node.name] = value
        least, most = min(raw.values(), default=0), max(raw.values(), default=0)
        if least == most:
            return {}
        return {name: (value - least) * (100.0 / (most - least)) for name, value in raw.items()}

    def best(self, shape: Shape) -> str | None:
        """Return the best node, the smallest name of equals."""
        scores = self.scores(shape)
        return min(scores, key=lambda name: (-scores[name], name)) if scores else None


def holds(selector: Selector, labels: dict[str, str]) -> bool:
    return all(requirement.matches(labels) for requirement in selector)


def term_holds(term: NodeTerm, node: Node) -> bool:
    if not term.labels and not term.fields:
        return False
    return holds(term.labels, dict(node.labels)) and holds(term.fields, {"metadata.name": node.name})


def eligible(shape: Shape, node: Node) -> bool:
    labels = dict(node.labels)
    selected = all(labels.get(key) == value for key, value in shape.node_selector)
    return selected and (shape.node_terms is None or any(term_holds(term, node) for term in shape.node_terms))


def tolerates(shape: Shape, key: str, value: str, effect: str, among: Sequence[Toleration] | None = None) -> bool:
    for one in shape.tolerations if among is None else among:
        if one.effect and one.effect != effect:
            continue
        if one.operator == "Exists" and one.key in ("", key):
            return True
        if one.key == key and one.operator == "Equal" and one.value == value:
            return True
        if one.key == key and value.isdecimal() and one.value.isdecimal():
            if one.operator == "Gt" and int(value) > int(one.value):
                return True
            if one.operator == "Lt" and int(value) < int(one.value):
                return True
    return False


def untainted(shape: Shape, node: Node) -> bool:
    return all(
        taint.effect == "PreferNoSchedule" or tolerates(shape, taint.key, taint.value, taint.effect)
        for taint in node.taints
    )


def mild_taints(shape: Shape, node: Node) -> int:
    mild = [one for one in shape.tolerations if one.effect in ("", "PreferNoSchedule")]
    return sum(
        taint.effect == "PreferNoSchedule" and not tolerates(shape, taint.key, taint.value, taint.effect, mild)
        for taint in set(node.taints)
    )


def importance(pod: Pod) -> tuple[int, float, str]:
    """Return what pods are sorted by, the more important first."""
    return -pod.priority, pod.started_s, pod.key


def cost(gone: Sequence[Pod]) -> tuple[int, int, int, float]:
    """Return what evictions are compared by where no budget is violated: less is better."""
    highest = max(pod.priority for pod in gone)
    start = min(pod.started_s for pod in gone if pod.priority == highest)
    return highest, sum(pod.priority + 2**31 for pod in gone), len(gone), -start


def least(cluster: Cluster, node: Node, pod: Pod) -> list[Pod] | None:
    """Return who of lower priority on a node must go so that a pod fits: of all sets that help the first that costs least."""
    lower = [other for other, name in cluster.placed if name == node.name and other.priority < pod.priority]
    lower.sort(key=importance)
    sets = (list(gone) for size in range(1, len(lower) + 1) for gone in combinations(lower, size))
    ways = (gone for gone in sets if cluster.without(gone).fits(pod.shape, node))
    return min(ways, key=lambda gone: (cost(gone), [other.key for other in gone]), default=None)


def cascades(
    cluster: Cluster, name: str, pod: Pod, gone: Sequence[Pod], evicts: Callable[[Cluster, Pod], bool]
) -> bool:
    """Return whether one of those who come in the victims' stead, one after another, could only run by evicting others."""
    now = cluster.without(gone)
    now.placed.append((pod, name))
    for one in sorted(gone, key=importance):
        best = now.best(one.shape)
        if best is not None:
            now.placed.append((one, best))
        elif evicts(now, one):
            return True
    return False
