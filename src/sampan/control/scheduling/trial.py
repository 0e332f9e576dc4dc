"""A trial: what would become of pods on a cluster as it was read, nothing changed but the copy in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from sampan.control.scheduling import texts
from sampan.control.scheduling.cluster import Cluster
from sampan.control.scheduling.pods import Seen
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.profile import DEFAULT, Profile
from sampan.schedule.refusal import Refusal


class Verdict(NamedTuple):
    """`node`: where a pod would run, "" for nowhere; `evicts`: whom it would send away; `why`: what keeps it from running."""

    key: str
    node: str = ""
    evicts: tuple[str, ...] = ()
    why: str = ""


def tried(cluster: Cluster, pods: Sequence[Seen], profile: Profile = DEFAULT) -> list[Verdict]:
    """Return what would become of pods, each in its turn: those that name their node, then by priority, then in this order."""
    core = Scheduler(cluster.snapshot, profile)
    found: dict[str, Verdict] = {}
    for seen in sorted(pods, key=lambda seen: (not seen.node, -seen.pod.priority)):
        if seen.pod.key not in found:
            found |= _tried(cluster, core, seen)
    return [found[seen.pod.key] for seen in pods]


def _tried(cluster: Cluster, core: Scheduler, seen: Seen) -> dict[str, Verdict]:
    """Return what would become of a pod, and with it of its gang."""
    cluster.snapshot.settle()
    if seen.node:  # nobody is asked
        cluster.snapshot.add(seen.pod, seen.node)
        return {seen.pod.key: Verdict(seen.pod.key, seen.node)}
    if seen.pod.gang is not None and (lacks := cluster.gangs.lacks(seen.pod.gang.name)):
        return {seen.pod.key: Verdict(seen.pod.key, why=lacks)}
    found: dict[str, Verdict] = {}
    ready: list[Pod] = []
    for pod in [seen.pod] if seen.pod.gang is None else cluster.in_turn([seen.pod]):
        known = seen if pod.key == seen.pod.key else cluster.known[pod.key]
        wanted = cluster.wanted(known)
        fault = known.fault or wanted.fault
        if fault:
            found[pod.key] = Verdict(pod.key, why=texts.fault(len(cluster.snapshot.nodes), fault))
        else:
            ready.append(msgspec.structs.replace(pod, shape=wanted.shape))
    outcome = core.place(ready)
    for pod in ready:
        if pod.key in outcome.placements:
            evicts = tuple(one.pod.key for one in outcome.evictions if one.by == pod.key)
            found[pod.key] = Verdict(pod.key, outcome.placements[pod.key], evicts)
        else:
            found[pod.key] = Verdict(pod.key, why=_why(core, pod, outcome.reasons[pod.key]))
    return found


def _why(core: Scheduler, pod: Pod, refused: Refusal) -> str:
    if pod.shape.gates:
        return f"Scheduling is blocked due to non-empty scheduling gates: {', '.join(pod.shape.gates)}"
    return refused.note or texts.unfit(core.standing(pod.shape), pod, refused)
