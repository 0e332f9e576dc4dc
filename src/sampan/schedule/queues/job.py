"""Job: pods that are admitted together, and why one is not, or must end."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from sampan.schedule.pod import Pod


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """`longest_s`: after how long it is ended; None: as its queue says. Times are seconds of any one clock."""

    key: str
    queue: str
    pods: tuple[Pod, ...]
    priority: int = 0
    submitted_s: float = 0.0
    longest_s: float | None = None


class Ended(NamedTuple):
    """A job that must stop; `by`: the key of the job it makes room for, empty where its own time is over."""

    job: Job
    reason: str
    by: str = ""


class Admission(NamedTuple):
    """`ended` comes before `admitted`; `waiting`: why, of the first job of each queue that waits."""

    admitted: list[Job]
    ended: list[Ended]
    waiting: dict[str, str]
