"""Meter: what co-location gains and whom it harms, integrated over time.

Where services and best-effort pods want more of a node's CPU than there is, all of the lack counts as the services' own: as if
the kernel gave best-effort pods their ceiling first. A kernel that runs them as idle does better.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

import numpy as np

from sampan.sim.colocation_world import asked
from sampan.sim.packing import Floats, Ints
from sampan.sim.task import Instance

_MILLI_HOUR = 1000 * 3600


class Figures(NamedTuple):
    """Of one run. Core-hours of best-effort work are those that count: what was lost by evictions is not in them."""

    cpu_percent: float  # CPU in use, of the cluster's
    done_core_hours: float
    lost_core_hours: float  # done, and to be done again
    withheld_core_hours: float  # wanted by pods that ran, and not given
    ended: int  # best-effort pods that came to their end
    waiting: int  # and those that wait at the end
    wait_minutes: float  # mean over all of them; who still waits counts with the wait so far
    evictions: int
    suppressions: int  # times that best-effort pods of a node began to get less CPU than they ask for
    lack_time_percent: float  # of node-time in which services had less CPU than they would use
    lack_percent: float  # of what services would use, what they had not
    lack_worst_percent: float  # of what one node's services would use, at the worst
    services: int  # pods that came
    services_waiting: int  # and that found no node


class Meter:
    """Columns are in millicores, [nodes]; whoever carries plans out writes them."""

    def __init__(self, has: Ints) -> None:
        self.has: Floats = has.astype(np.float64)
        self._whole = max(float(self.has.sum()), 1.0)
        self.services_use: Floats = np.zeros(len(has))
        self.wanted: Floats = np.zeros(len(has))  # by best-effort pods that run
        self.ceilings: Floats = np.full(len(has), math.inf)
        self.seen: list[Instance] = []  # best-effort pods
        self.services = 0
        self.suppressions = 0
        self._suppressed = [False] * len(has)
        self.evictions: Counter[str] = Counter()  # of best-effort pods, by reason
        self.course: list[
            tuple[float, float, float]
        ] = []  # when; CPU of services and of all, in per cent, until the next
        self._at_s = 0.0
        self._sums = dict.fromkeys(("used", "lack", "wished", "withheld", "lacking"), 0.0)
        self._worst = 0.0

    def pass_to(self, until_s: float) -> None:
        """Let the columns have been as they are until now."""
        passed_s = until_s - self._at_s
        if passed_s <= 0:
            return
        batch = np.minimum(self.wanted, self.ceilings)
        total = self.services_use + batch
        lack = np.minimum(np.maximum(total - self.has, 0), self.services_use)
        used = float(np.minimum(total, self.has).sum())
        for name, value in (
            ("used", used),
            ("lack", lack.sum()),
            ("wished", self.services_use.sum()),
            ("withheld", (self.wanted - batch).sum()),
            ("lacking", np.count_nonzero(lack)),
        ):
            self._sums[name] += float(value) * passed_s
        self._worst = max(self._worst, float((lack / np.maximum(self.services_use, 1)).max(initial=0)))
        whole = self._whole / 100
        self.course.append((self._at_s, float(self.services_use.sum()) / whole, used / whole))
        self._at_s = until_s

    def pace(self, row: int) -> float:
        """Return which part of its CPU each best-effort pod on a node gets: weights are as requests, so all get the same."""
        wanted, ceiling = float(self.wanted[row]), float(self.ceilings[row])
        pace = min(1.0, ceiling / wanted) if wanted else 1.0
        self.suppressions += pace < 1 and not self._suppressed[row]
        self._suppressed[row] = pace < 1
        return pace

    def figures(self, now_s: float, services_waiting: int) -> Figures:
        """Return what it came to by now."""
        done, lost, wait_s = 0.0, 0.0, 0.0
        ended, waiting = 0, 0
        for one in self.seen:
            cpu, _ = asked(one.task.shape)
            lost += one.lost_s * cpu
            wait_s += one.waited_s
            if not one.node:
                waiting += 1
                wait_s += now_s - one.since_s
            elif math.isnan(one.ends_s):
                ended += 1
                done += one.task.duration_s * cpu
            else:
                done += one.done_by(now_s) * cpu
        sums, time = self._sums, max(self._at_s, 1e-9)
        return Figures(
            cpu_percent=100 * sums["used"] / (self._whole * time),
            done_core_hours=done / _MILLI_HOUR,
            lost_core_hours=lost / _MILLI_HOUR,
            withheld_core_hours=sums["withheld"] / _MILLI_HOUR,
            ended=ended,
            waiting=waiting,
            wait_minutes=wait_s / 60 / max(len(self.seen), 1),
            evictions=self.evictions.total(),
            suppressions=self.suppressions,
            lack_time_percent=100 * sums["lacking"] / (len(self.has) * time),
            lack_percent=100 * sums["lack"] / max(sums["wished"], 1e-9),
            lack_worst_percent=100 * self._worst,
            services=self.services,
            services_waiting=services_waiting,
        )
