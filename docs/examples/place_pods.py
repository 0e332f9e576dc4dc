"""Places pods on nodes, in memory: the scheduler's core alone, with a policy of one's own beside the usual rules."""

from __future__ import annotations

import numpy as np

from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler
from sampan.schedule.plugin import Reach
from sampan.schedule.pod import Pod
from sampan.schedule.profile import DEFAULT, Profile
from sampan.schedule.rules import FixedScore
from sampan.schedule.shape import Shape, amounts, pairs
from sampan.schedule.snapshot import Snapshot


class Quiet:
    """A score plugin: machines whose label `noise` is low are better."""

    name, reach = "Quiet", Reach.FIXED

    def prescore(self, ask, snapshot):
        noise = [float(dict(node.labels).get("noise", 0)) for node in snapshot.nodes]
        return FixedScore(100.0 - np.array(noise), None)  # 0 to 100 for each node


def main() -> None:
    nodes = [
        Node(
            name=f"node-{number}",
            allocatable=amounts({"cpu": 4000, "memory": 8 << 30, "pods": 110}),
            labels=pairs({"noise": str(20 * number)}),
        )
        for number in range(3)
    ]
    scheduler = Scheduler(Snapshot(nodes), Profile(DEFAULT.filters, (*DEFAULT.scores, (Quiet(), 5))))
    small, huge = Shape(requests=amounts({"cpu": 500})), Shape(requests=amounts({"cpu": 9000}))
    found = scheduler.place(
        [*(Pod(f"default/small-{number}", small) for number in range(9)), Pod("default/huge", huge)]
    )
    for pod, node in found.placements.items():
        print(pod, "->", node)
    for pod, reason in found.reasons.items():
        print(pod, reason.message())


if __name__ == "__main__":
    main()
