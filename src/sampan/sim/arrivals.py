"""Arrivals: pods come one by one, each is placed once where the core says, or never; nothing leaves and nothing moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sampan.base.errors import InvalidArgument
from sampan.schedule.arrays import Floats, Ints
from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.profile import Profile
from sampan.schedule.shape import Shape
from sampan.schedule.snapshot import Snapshot
from sampan.sim.traces.machine import GPU


class Outcome(NamedTuple):
    arrived: Ints  # [pods]: milli of GPU that have arrived, summed up
    placed: Ints  # [pods]: milli placed by then
    nodes: list[str | None]  # [pods]: None for those that fitted nowhere
    snapshot: Snapshot  # at the end


def replay(nodes: Sequence[Node], shapes: Sequence[Shape], profile: Profile) -> Outcome:
    """Return what becomes of pods of these shapes, in this order."""
    scheduler = Scheduler(Snapshot(nodes), profile)
    found: list[str | None] = []
    for number, shape in enumerate(shapes):
        key = str(number)
        found.append(scheduler.place([Pod(key, shape)]).placements.get(key))
    milli = np.array([dict(shape.requests).get(GPU, 0) for shape in shapes], np.int64)
    placed = np.array([node is not None for node in found], np.bool_)
    return Outcome(np.cumsum(milli), np.cumsum(np.where(placed, milli, 0)), found, scheduler.snapshot)


def gpu_milli(nodes: Sequence[Node]) -> int:
    """Return the sum of all GPUs."""
    return sum(dict(node.allocatable).get(GPU, 0) for node in nodes)


def allocation(outcome: Outcome, milli: int, percent: int = 130) -> float:
    """Return the placed percentage of the cluster's GPUs, mean over the arrivals at which `percent` of them had arrived.

    Raises:
        InvalidArgument: there is no such arrival.
    """
    there = np.round(100 * outcome.arrived / milli) == percent
    if not there.any():
        last = round(100 * int(outcome.arrived[-1]) / milli) if len(outcome.arrived) else 0
        raise InvalidArgument(f"the arrivals never are at {percent} % of the cluster's GPUs: they end at {last} %")
    return float(100 * outcome.placed[there].mean() / milli)


def curve(outcome: Outcome, milli: int) -> Floats:
    """Return the placed percentage at each whole percentage arrived: nan where no arrival fell on it."""
    arrived = np.round(100 * outcome.arrived / milli).astype(np.int64)
    size = int(arrived[-1]) + 1
    sums = np.bincount(arrived, 100 * outcome.placed / milli, size)
    count = np.bincount(arrived, minlength=size)
    return np.where(count > 0, sums / np.maximum(count, 1), np.nan)
