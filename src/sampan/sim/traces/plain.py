"""A plain trace: a CSV file with a line a task, of whatever columns it has of these.

arrival, duration     seconds; the two that must be there. A duration of inf: until the end
cpu, memory           quantities a pod: 500m or 0.5 (cores), 2Gi (bytes)
gpu, gpu_model        0.5: half of one, 2: two whole ones; models that will do, joined by |
count                 pods that are alike; 1 where it is not said
gang                  yes: they start together or not at all
priority              a whole number of 32 bits; higher goes first, and may evict
user, queue, class    whom it is for, by what it is compared
"""

from __future__ import annotations

from pathlib import Path
from sys import intern

from sampan.base.errors import InvalidArgument
from sampan.schedule.devices import WHOLE
from sampan.schedule.shape import Shape
from sampan.sim.task import MOST_PODS, Task
from sampan.sim.traces import machine, table
from sampan.sim.traces.table import Row
from sampan.sim.traces.trace import Trace, in_order

MUST = ("arrival", "duration")
COLUMNS = (*MUST, "cpu", "memory", "gpu", "gpu_model", "count", "gang", "priority", "user", "queue", "class")


def read(path: Path) -> Trace:
    """Return the tasks of a file.

    Raises:
        NotFound, InvalidArgument
    """
    columns = table.head(path)
    missing = [name for name in MUST if name not in columns]
    unknown = [name for name in columns if name not in COLUMNS]
    if missing or unknown:
        what = f"no column {missing[0]}" if missing else f"a column {unknown[0]!r} that is not known"
        raise InvalidArgument(f"{path} has {what}: its first line names columns of {', '.join(COLUMNS)}")
    return Trace(in_order([_task(number, row) for number, row in enumerate(table.rows(path))]), [])


def _task(number: int, row: Row) -> Task:
    gang = row.text("gang", "no")
    if gang not in ("yes", "no"):
        raise InvalidArgument(f"{row.where}: gang is {gang!r}: yes or no is wanted")
    return Task(
        name=f"task-{number}",
        arrival_s=row.number("arrival"),
        duration_s=row.number("duration", endless=True),
        shape=_shape(row),
        priority=row.whole("priority", "0", -(2**31), 2**31 - 1),
        user=intern(row.text("user")),
        queue=intern(row.text("queue")),
        kind=intern(row.text("class")),
        count=row.whole("count", "1", 1, MOST_PODS),
        together=gang == "yes",
    )


def _shape(row: Row) -> Shape:
    milli = row.amount("gpu", WHOLE)
    if milli > WHOLE and milli % WHOLE:
        raise InvalidArgument(f"{row.where}: gpu is {row.text('gpu')!r}: a part of one, or whole ones")
    models = tuple(sorted(filter(None, row.text("gpu_model").split("|"))))
    gpus, each = (milli // WHOLE, WHOLE) if milli >= WHOLE else (1 if milli else 0, milli)
    return machine.shape(row.amount("cpu", 1000), row.amount("memory"), gpus, each, models)
