"""Devices: whole devices that are free, or a share of one that has room."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sampan.schedule.arrays import Mask
from sampan.schedule.ask import Ask
from sampan.schedule.plugin import Reach
from sampan.schedule.shape import DeviceAsk
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.view import Nodes


class Devices:
    """A shape asks once for each kind of device: wishes for one kind do not see each other."""

    name = "Devices"
    reach = Reach.NODE

    def prefilter(self, ask: Ask, snapshot: Snapshot) -> DevicesFree | None:
        return DevicesFree(ask.shape.devices) if ask.shape.devices else None


class DevicesFree:
    reach = Reach.NODE
    foresees = False  # which device the next pod of the ask would get depends on those before

    def __init__(self, wishes: Sequence[DeviceAsk]) -> None:
        self._wishes = wishes

    def passes(self, nodes: Nodes) -> Mask | None:
        found = np.ones(len(nodes), np.bool_)
        for wish in self._wishes:
            found &= nodes.snapshot.devices.fits(wish, nodes.rows)
        return found

    def reasons(self, nodes: Nodes) -> Sequence[tuple[str, Mask]]:
        return [(f"Insufficient {wish.kind}", ~nodes.snapshot.devices.fits(wish, nodes.rows)) for wish in self._wishes]
