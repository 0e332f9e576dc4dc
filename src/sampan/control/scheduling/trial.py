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
    """Return what would become of pods, each in its turn: by priority, then in this order."""
    core = Scheduler(cluster.snapshot, profile)
    order = sorted(pods, key=lambda seen: -seen.pod.priority)
    found = {seen.pod.key: _tried(cluster, core, seen) for seen in order}
    return [found[seen.pod.key] for seen in pods]


def _tried(cluster: Cluster, core: Scheduler, seen: Seen) -> Verdict:
    pod, key = seen.pod, seen.pod.key
    cluster.snapshot.settle()
    fault = seen.fault
    if seen.claims and not fault:
        wanted = cluster.volumes.wanted(pod.shape, seen.claims)
        fault, pod = wanted.fault, msgspec.structs.replace(pod, shape=wanted.shape)
    if fault:
        return Verdict(key, why=texts.fault(len(cluster.snapshot.nodes), fault))
    outcome = core.place([pod])
    if key in outcome.placements:
        return Verdict(key, outcome.placements[key], tuple(one.pod.key for one in outcome.evictions))
    return Verdict(key, why=_why(core, pod, outcome.reasons[key]))


def _why(core: Scheduler, pod: Pod, refused: Refusal) -> str:
    if pod.shape.gates:
        return f"Scheduling is blocked due to non-empty scheduling gates: {', '.join(pod.shape.gates)}"
    return refused.note or texts.unfit(core.standing(pod.shape), pod, refused)
