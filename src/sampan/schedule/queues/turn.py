"""turn: queues decide who runs, `place` decides where."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from sampan.schedule.place import Scheduler
from sampan.schedule.queues.job import Admission
from sampan.schedule.queues.queues import Queues

NO_NODES = "admitted, but no nodes were found for all of its pods"


class Turned(NamedTuple):
    """`placements`: node by pod, of the jobs in `admission.admitted` that found nodes."""

    admission: Admission
    placements: dict[str, str]


def turn(queues: Queues, scheduler: Scheduler, now_s: float) -> Turned:
    """Admit jobs and place their pods; a job whose pods do not all find a node waits again, until its next turn.

    The pods of jobs that end are taken off the snapshot, so that their room is there for those that are admitted. Pods of
    jobs evict nobody: to make room is the queues' business. They count amounts, not nodes, so room may be in pieces too small.
    """
    admission = queues.admit(now_s)
    for ended in admission.ended:
        for pod in ended.job.pods:
            if pod.key in scheduler.snapshot.pods:
                scheduler.snapshot.remove(pod.key)
    placements: dict[str, str] = {}
    for job in admission.admitted.copy():
        found = scheduler.place([msgspec.structs.replace(pod, may_preempt=False) for pod in job.pods])
        if len(found.placements) == len(job.pods):
            placements |= found.placements
            continue
        for key in found.placements:
            scheduler.snapshot.remove(key)
        queues.put_back(job.key)
        admission.admitted.remove(job)
        admission.waiting[job.key] = NO_NODES
    return Turned(admission, placements)
