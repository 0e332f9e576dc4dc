"""Changes of nodes: a CSV file with columns time (seconds), node, change: fail, drain or return."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sampan.base.errors import InvalidArgument
from sampan.schedule.node import Node
from sampan.sim.simulation import Simulation
from sampan.sim.traces import table

COLUMNS = ("time", "node", "change")
FAIL, DRAIN, RETURN = "fail", "drain", "return"


class Change(NamedTuple):
    """A node fails (what runs there is lost), is drained (evicted, and nothing more comes), or returns as it was."""

    time_s: float
    verb: str
    node: Node

    def plan(self, simulation: Simulation) -> None:
        """Let it happen when it is time; to a node that is not there only its return can."""
        simulation.at(self.time_s, lambda: self._happen(simulation))

    def _happen(self, simulation: Simulation) -> None:
        if self.verb == RETURN:
            simulation.set_node(self.node)
        elif simulation.has_node(self.node.name):
            (simulation.fail if self.verb == FAIL else simulation.drain)(self.node.name)


def read(path: Path, nodes: Sequence[Node]) -> list[Change]:
    """Return a file's changes.

    Raises:
        NotFound, InvalidArgument
    """
    if table.head(path) != list(COLUMNS):
        raise InvalidArgument(f"{path} has no changes of nodes: its first line is {','.join(COLUMNS)}")
    known = {node.name: node for node in nodes}
    found = []
    for row in table.rows(path):
        verb, name = row.text("change"), row.text("node")
        if verb not in (FAIL, DRAIN, RETURN):
            raise InvalidArgument(f"{row.where}: change is {verb!r}: {FAIL}, {DRAIN} or {RETURN} is wanted")
        if name not in known:
            raise InvalidArgument(
                f"{row.where}: there is no node {name!r}: the first is {next(iter(known), 'missing')}"
            )
        found.append(Change(row.number("time"), verb, known[name]))
    return found
