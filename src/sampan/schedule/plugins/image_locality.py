"""ImageLocality: points for images that are on the node, less for those that few nodes have.

Spec: kube-scheduler ImageLocality: sizes scaled by the part of nodes that have the image, between 23 MB and 1,000 MB a container.
"""

from __future__ import annotations

import numpy as np

from sampan.schedule.arrays import Floats
from sampan.schedule.ask import Ask
from sampan.schedule.plugin import Reach
from sampan.schedule.rules import FixedScore
from sampan.schedule.snapshot import Snapshot

_LEAST_BYTES, _MOST_BYTES = 23 << 20, 1000 << 20


class ImageLocality:
    name = "ImageLocality"
    reach = Reach.FIXED

    def prescore(self, ask: Ask, snapshot: Snapshot) -> FixedScore | None:
        wanted = ask.shape.images
        if not wanted or not snapshot.kept("images", lambda: any(node.images for node in snapshot.nodes)):
            return None
        return FixedScore(snapshot.kept(("image points", wanted), lambda: _points(snapshot, wanted)), None)


def _points(snapshot: Snapshot, wanted: tuple[str, ...]) -> Floats:
    size = len(snapshot.nodes)
    whole = np.zeros(size)
    for image in wanted:
        bytes_ = np.array([dict(node.images).get(image, 0) for node in snapshot.nodes], np.float64)
        whole += np.floor(bytes_ * (np.count_nonzero(bytes_) / size))
    most = float(_MOST_BYTES * len(wanted))
    return (np.clip(whole, _LEAST_BYTES, most) - _LEAST_BYTES) * (100.0 / (most - _LEAST_BYTES))
