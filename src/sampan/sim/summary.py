"""Summary: what a simulation came to, for people and for programs (JSON)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from sampan.schedule.arrays import Floats
from sampan.schedule.shape import Shape
from sampan.sim.fairness import jain
from sampan.sim.meter import CAPACITY, FRAGMENTED, RUNNING, STEP, USED, WAITING, Meter
from sampan.sim.simulation import Simulation
from sampan.sim.span import Portions, Span


class Spread(msgspec.Struct, frozen=True):
    """Percentiles are the least value that so many per cent do not exceed."""

    mean: float
    p50: float
    p90: float
    p99: float
    max: float


class Class(msgspec.Struct, frozen=True):
    """Of the pods of one class of service. `wait_s`: of those that run or ended; `slowdown`: of those that ended."""

    wait_s: Spread | None
    slowdown: Spread | None
    evictions: int
    lost_s: float


class Owner(msgspec.Struct, frozen=True):
    """`share`: of all that was got, a percentage; `served`: of what it wanted itself, a percentage."""

    share: float
    served: float


class Fairness(msgspec.Struct, frozen=True):
    """`jain`: Jain's index of got/wanted over the owners."""

    jain: float
    owners: dict[str, Owner]


class Series(msgspec.Struct, frozen=True):
    """Means over spans of time; `begin_s` of each. Shares are percentages; `jain` is None where nobody wants anything."""

    begin_s: list[float]
    running: list[float]
    waiting: list[float]
    used: dict[str, list[float]]
    fragmented: dict[str, list[float]]
    jain: list[float | None]
    owners: dict[str, list[float]]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Pods that `ended`, are `running`, `waiting` or `refused` are all that `arrived`; `placed` ran at least once.

    `refused`: those that no node could take if it were empty. `used`, `fragmented`, `lost`: percentages by resource, of capacity, of
    capacity, and of what was used.
    """

    policy: str
    arrived: int
    placed: int
    ended: int
    running: int
    waiting: int
    refused: int
    evictions: dict[str, int]
    lost: dict[str, float]
    used: dict[str, float]
    fragmented: dict[str, float]
    lasted_s: float
    wait_s: Spread | None
    wait_percentiles_s: list[float]
    slowdown: Spread | None
    classes: dict[str, Class]
    fairness: Fairness | None
    series: Series


OWNERS_SHOWN = 8


def summary(policy: str, simulation: Simulation, meter: Meter) -> Summary:
    """Return what a simulation came to whose meter is closed."""
    refused, waiting = _refused(simulation)
    whole = Span([0.0] * len(meter.spans.all[0].sums))
    for span in meter.spans.all:
        whole.join(span)
    used, capacity, fragmented = (whole.sums[first::STEP] for first in (USED, CAPACITY, FRAGMENTED))

    def percentages(parts: Iterable[float], wholes: Iterable[float]) -> dict[str, float]:
        return {name: _percent(*each) for name, *each in zip(meter.resources, parts, wholes, strict=True)}

    waits = [one.waits_s for _, one in sorted(meter.times.items())]
    slowdowns = [one.slowdowns for _, one in sorted(meter.times.items())]
    return Summary(
        policy=policy,
        arrived=meter.arrived_count,
        placed=meter.placed,
        ended=sum(map(len, slowdowns)),
        running=len(simulation.running),
        waiting=waiting,
        refused=refused,
        evictions=dict(sorted(meter.reasons.items())),
        lost=percentages(meter.lost_s.values(), used),
        used=percentages(used, capacity),
        fragmented=percentages(fragmented, capacity),
        lasted_s=whole.length_s,
        wait_s=spread(waits),
        wait_percentiles_s=_percentiles(_flat(waits), list(range(101))),
        slowdown=spread(slowdowns),
        classes={
            kind: Class(spread([one.waits_s]), spread([one.slowdowns]), one.evictions, one.lost_s)
            for kind, one in sorted(meter.times.items())
        },
        fairness=_fairness(whole.portions),
        series=_series(meter, _largest(whole.portions)),
    )


def spread(values: Sequence[Sequence[float]]) -> Spread | None:
    """Return mean and percentiles of all values, None where there are none."""
    flat = _flat(values)
    return Spread(float(flat.mean()), *_percentiles(flat, [50, 90, 99, 100])) if len(flat) else None


def _flat(values: Sequence[Sequence[float]]) -> Floats:
    return np.concatenate([np.zeros(0), *(np.asarray(one, np.float64) for one in values)])


def _percentiles(flat: Floats, wanted: Sequence[int]) -> list[float]:
    found: list[float] = np.percentile(flat, wanted, method="inverted_cdf").tolist() if len(flat) else []
    return found


def _refused(simulation: Simulation) -> tuple[int, int]:
    """Return (refused, waiting) of the pods that wait."""
    known: dict[Shape, bool] = {}
    refused = total = 0
    for instance in simulation.waiting():
        shape = instance.task.shape
        if shape not in known:
            known[shape] = not simulation.scheduler.standing(shape).possible().any()
        refused += known[shape]
        total += 1
    return refused, total - refused


def _fairness(portions: Portions) -> Fairness | None:
    """Return None where there are no owners to compare."""
    if len(portions) < 2:
        return None
    total = sum(got for got, _ in portions.values())
    owners = {
        name: Owner(_percent(got, total), _percent(got, wanted)) for name, (got, wanted) in sorted(portions.items())
    }
    return Fairness(jain(portions), owners)


def _largest(portions: Portions) -> list[str]:
    """Return the owners that got most."""
    if len(portions) < 2:
        return []
    return sorted(portions, key=lambda name: (-portions[name][0], name))[:OWNERS_SHOWN]


def _series(meter: Meter, owners: Sequence[str]) -> Series:
    spans = [span for span in meter.spans.all if span.length_s]
    fair = len(owners) > 1

    def shares(first: int) -> dict[str, list[float]]:
        """Return how much of the capacity it was of each resource."""
        return {
            name: [_percent(span.sums[first + STEP * at], span.sums[CAPACITY + STEP * at]) for span in spans]
            for at, name in enumerate(meter.resources)
        }

    return Series(
        begin_s=[meter.spans.begin_s + number * meter.spans.span_s for number in range(len(spans))],
        running=[span.sums[RUNNING] / span.length_s for span in spans],
        waiting=[span.sums[WAITING] / span.length_s for span in spans],
        used=shares(USED),
        fragmented=shares(FRAGMENTED),
        jain=[jain(span.portions) if fair and span.portions else None for span in spans],
        owners={name: [_of_owner(span, name) for span in spans] for name in owners},
    )


def _of_owner(span: Span, name: str) -> float:
    """Return the share of the cluster that an owner has, as a percentage."""
    return 100 * span.portions.get(name, (0.0, 0.0))[0] / span.length_s


def _percent(part: float, whole: float) -> float:
    return 100 * part / whole if whole else 0.0
