"""NodeLabels: the labels of all nodes as interned columns, made when somebody asks for a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sampan.kube.selector import Requirement
from sampan.schedule.arrays import Ints, Mask, Rows
from sampan.schedule.node import Node
from sampan.schedule.shape import NodeTerm, Selector


class Domains(NamedTuple):
    """The domains of one topology key. A node without the label is in `slot[row] == size`, which is no domain."""

    slot: Rows  # [nodes]
    values: tuple[str, ...]  # [size], in order
    single: bool  # no two nodes share a domain

    @property
    def size(self) -> int:
        return len(self.values)

    def sums(self, column: Ints) -> Ints:
        """Return the sum of a column over each domain, [size + 1]; the last one, of no domain, is 0."""
        found = np.zeros(self.size + 1, np.int64)
        np.add.at(found, self.slot, column)
        found[-1] = 0
        return found

    def present(self, rows: Mask) -> Mask:
        """Return which domains have a node among these, [size + 1]; the last one is False."""
        found = np.zeros(self.size + 1, np.bool_)
        found[self.slot[rows]] = True
        found[-1] = False
        return found


class NodeLabels:
    """Labels of nodes in rows. What it returns is shared: nobody may change it."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self._labels = [dict(node.labels) for node in nodes]
        self._rows = {node.name: row for row, node in enumerate(nodes)}
        self._domains: dict[str, Domains] = {}
        self._masks: dict[Requirement, Mask] = {}

    def domains(self, key: str) -> Domains:
        found = self._domains.get(key)
        if found is None:
            texts = [labels.get(key) for labels in self._labels]
            values = tuple(sorted({text for text in texts if text is not None}))
            number: dict[str | None, int] = {value: place for place, value in enumerate(values)}
            slot = np.array([number.get(text, len(values)) for text in texts], np.intp)
            single = len(values) == int((slot < len(values)).sum())
            found = self._domains[key] = Domains(slot, values, single)
        return found

    def requirement(self, requirement: Requirement) -> Mask:
        """Return which nodes a requirement on labels holds for, [nodes]."""
        found = self._masks.get(requirement)
        if found is None:
            domains = self.domains(requirement.key)
            holds = [requirement.matches({requirement.key: value}) for value in domains.values]
            holds.append(requirement.matches({}))
            found = self._masks[requirement] = np.array(holds, np.bool_)[domains.slot]
        return found

    def all_of(self, selector: Selector) -> Mask:
        """Return which nodes all requirements hold for, [nodes]."""
        found = np.ones(len(self._nodes), np.bool_)
        for requirement in selector:
            found &= self.requirement(requirement)
        return found

    def term(self, term: NodeTerm) -> Mask:
        """Return which nodes a term holds for, [nodes]. An empty term holds for none."""
        if not term.labels and not term.fields:
            return np.zeros(len(self._nodes), np.bool_)
        found = self.all_of(term.labels)
        named = self.named(term)
        if named is not None:
            here = np.zeros(len(self._nodes), np.bool_)
            here[named] = True
            found &= here
        return found

    def any_of(self, terms: Sequence[NodeTerm]) -> Mask:
        """Return which nodes one of the terms holds for, [nodes]."""
        found = np.zeros(len(self._nodes), np.bool_)
        for term in terms:
            found |= self.term(term)
        return found

    def named(self, term: NodeTerm) -> list[int] | None:
        """Return the rows that a term names by field, in order; None when it names none."""
        if not term.fields:
            return None
        first = term.fields[0]
        if first.operator == "In":
            rows = [self._rows[name] for name in first.values if name in self._rows]
        else:
            rows = list(range(len(self._nodes)))
        rest = term.fields if first.operator != "In" else term.fields[1:]
        names = ((row, {"metadata.name": self._nodes[row].name}) for row in sorted(set(rows)))
        return [row for row, fields in names if all(part.matches(fields) for part in rest)]

    def holds_at(self, row: int, term: NodeTerm) -> bool:
        """Return whether a term holds for one node; for shapes that ask for few nodes, cheaper than the columns."""
        labels, fields = self._labels[row], {"metadata.name": self._nodes[row].name}
        return bool(term.labels or term.fields) and (
            all(part.matches(labels) for part in term.labels) and all(part.matches(fields) for part in term.fields)
        )
