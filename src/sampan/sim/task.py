"""Task: what a trace asks for at one moment, one pod or several that are alike; and Instance: one of its pods."""

from __future__ import annotations

import math

import msgspec

from sampan.schedule.shape import Shape

FOREVER_S = math.inf
MOST_PODS = 10_000_000
"""Of one task that is read: each is an object, and more are a slip of the pen."""


class Task(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`name` is unique in its trace. Times are in seconds of the trace's own clock.

    `duration_s`: of work, while nothing slows it. `kind`: its class of service, as the trace has it (LS, BE). `together`: its
    pods start at once or not at all, and end together (a gang).
    """

    name: str
    arrival_s: float
    duration_s: float
    shape: Shape
    priority: int = 0
    user: str = ""
    queue: str = ""
    kind: str = ""
    count: int = 1
    together: bool = False

    def key(self, number: int) -> str:
        """Return the key of one of its pods, which are numbered from 0 on."""
        return f"{self.name}/{number}"


class Instance(msgspec.Struct, gc=False, eq=False):
    """A pod of a task, and what became of it. It waits where `node` is empty and `ends_s` is not a number.

    `done_s`: how much of its work was done by `paced_s`; since then it does `pace` seconds of it each second.
    """

    task: Task
    key: str
    since_s: float  # it waits, or runs, since then
    entry: int = 0  # its place among all that wait
    node: str = ""
    ends_s: float = math.nan
    done_s: float = 0.0
    paced_s: float = 0.0
    pace: float = 1.0
    waited_s: float = 0.0  # in all, until it ran last
    lost_s: float = 0.0  # work that had to be done again
    starts: int = 0

    def done_by(self, now_s: float) -> float:
        """Return how much of its work a running instance has done."""
        return self.done_s + (now_s - self.paced_s) * self.pace
