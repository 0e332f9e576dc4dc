"""Usage: what services use, replayed from curves: parts of what they ask for, at points of time, with noise in between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sampan.schedule.colocation.columns import Columns
from sampan.sim.packing import Floats, Ints

POINT_S = 900.0
"""Seconds between two points of a curve."""


@dataclass(frozen=True)
class Curves:
    """Parts of what is asked for: (curves, points). After the last point the first follows."""

    cpu: Floats
    memory: Floats
    point_s: float = POINT_S


class Usage:
    """`noise`: standard deviation of CPU around its curve, as a part of it, drawn anew for each pod at each `period_s`.

    Noise is by seed, pod and time alone: what one service uses is the same whatever others do.
    """

    def __init__(self, curves: Curves, pods: int, period_s: float, seed: int = 0, noise: float = 0.0) -> None:
        self._curves = curves
        self._pods = pods
        self._period_s = period_s
        self._seed = seed
        self._noise = noise

    def use(self, pods: Ints, curves: Ints, asked: Columns, now_s: float) -> Columns:
        """Return what pods use, [pods]: numbers of theirs, below `pods`, and of their curves, and what they ask for."""
        point = int(now_s // self._curves.point_s) % self._curves.cpu.shape[1]
        cpu = asked.cpu * self._curves.cpu[curves, point]
        if self._noise:
            drawn = np.random.default_rng([self._seed, int(now_s // self._period_s)]).standard_normal(self._pods)
            cpu *= np.maximum(1 + self._noise * drawn[pods], 0)
        memory = asked.memory * self._curves.memory[curves, point]
        return Columns(np.ceil(cpu).astype(np.int64), np.ceil(memory).astype(np.int64))
