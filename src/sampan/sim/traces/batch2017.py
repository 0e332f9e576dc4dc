"""Batch tasks of a public cluster trace (2017) in the form that CloudSimPy has them: a CSV file with a line a task.

submit_time, duration     seconds
cpu                       cores an instance
memory                    an instance's part of a machine's
job_id, task_id           a job has several tasks; that one waits for another is not in the file
instances_num             instances that are alike; each is placed alone
"""

from __future__ import annotations

from pathlib import Path

from sampan.base.errors import InvalidArgument
from sampan.schedule.node import Node
from sampan.sim.task import MOST_PODS, Task
from sampan.sim.traces import machine, table
from sampan.sim.traces.trace import Trace, in_order

COLUMNS = frozenset({"submit_time", "duration", "cpu", "memory", "job_id", "task_id", "instances_num"})


def read(path: Path, node: Node) -> Trace:
    """Return the tasks of a file, for machines like `node`.

    Raises:
        NotFound, InvalidArgument
    """
    missing = sorted(COLUMNS - set(table.head(path)))
    if missing:
        raise InvalidArgument(
            f"{path} has no column {missing[0]}: batch tasks of 2017 have {', '.join(sorted(COLUMNS))}"
        )
    memory = dict(node.allocatable)["memory"]
    tasks = [
        Task(
            name=f"job-{row.text('job_id')}-{row.text('task_id')}-{number}",
            arrival_s=row.number("submit_time"),
            duration_s=row.number("duration"),
            shape=machine.shape(row.parts("cpu", 1000), row.parts("memory", memory)),
            count=row.whole("instances_num", "", 1, MOST_PODS),
        )
        for number, row in enumerate(table.rows(path))
    ]
    return Trace(in_order(tasks), [])
