"""NodePorts: no pod on the node has one of the host ports. Spec: kube-scheduler NodePorts."""

from __future__ import annotations

from sampan.schedule.ask import Ask
from sampan.schedule.plugin import Reach
from sampan.schedule.rules import AllOf, NobodyHere
from sampan.schedule.shape import HostPort, Shape
from sampan.schedule.snapshot import Snapshot

REASON = "node(s) didn't have free ports for the requested pod ports"
_EVERY = "0.0.0.0"


class NodePorts:
    name = "NodePorts"
    reach = Reach.NODE

    def prefilter(self, ask: Ask, snapshot: Snapshot) -> AllOf | None:
        if not ask.shape.ports:
            return None

        def users(port: HostPort) -> NobodyHere:
            tally = snapshot.tally(("port", port), lambda shape: int(_uses(shape, port)))
            return NobodyHere(tally, 1, REASON)

        return AllOf([users(port) for port in ask.shape.ports])


def _uses(shape: Shape, wanted: HostPort) -> bool:
    """Return whether a port of the shape is the wanted one: same number and protocol, and addresses that meet."""
    return any(
        port.port == wanted.port
        and port.protocol == wanted.protocol
        and (port.address == wanted.address or _EVERY in (port.address, wanted.address))
        for port in shape.ports
    )
