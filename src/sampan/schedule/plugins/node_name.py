"""NodeName: a pod that names its node runs there. Spec: kube-scheduler NodeName; PodSpec nodeName."""

from __future__ import annotations

import numpy as np

from sampan.schedule.arrays import Rows
from sampan.schedule.ask import Ask
from sampan.schedule.plugin import Reach
from sampan.schedule.rules import FixedFilter
from sampan.schedule.snapshot import Snapshot

REASON = "node(s) didn't match the requested node name"


class NodeName:
    name = "NodeName"
    reach = Reach.FIXED

    def prefilter(self, ask: Ask, snapshot: Snapshot) -> FixedFilter | None:
        if not ask.shape.node_name:
            return None
        mask = np.zeros(len(snapshot.nodes), np.bool_)
        row = snapshot.rows.get(ask.shape.node_name)
        if row is not None:
            mask[row] = True
        return FixedFilter(mask, REASON)

    def candidates(self, ask: Ask, snapshot: Snapshot) -> Rows | None:
        if not ask.shape.node_name:
            return None
        row = snapshot.rows.get(ask.shape.node_name)
        return np.array([] if row is None else [row], np.intp)
