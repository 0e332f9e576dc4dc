"""SWF: logs of parallel machines in the Standard Workload Format 2.2.

Lines that begin with ; are comments, those at the head have a name and a value. A job is a line of 18 numbers, -1 for what is not
known. Its processors are pods of one core each, a gang: they start together and end together. What a job asked for counts before
what it got. Memory counts where it is known how much a machine has. Left out are jobs that never ran (no run time, no processors) and lines for parts of a job that was swapped out
(status 2, 3, 4), which a line for the whole precedes. Partitions, and that a job waits for another, are not kept.

Spec: Feitelson et al., The Standard Workload Format, version 2.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from sampan.base.errors import InvalidArgument
from sampan.schedule.node import Node
from sampan.sim.task import MOST_PODS, Task
from sampan.sim.traces import machine
from sampan.sim.traces.table import MOST, opened
from sampan.sim.traces.trace import Trace, in_order

FIELDS = 18
JOB, SUBMIT, RUN, GOT, USED_MEMORY, ASKED, ASKED_MEMORY, STATUS, USER, QUEUE = 0, 1, 3, 4, 6, 7, 9, 10, 11, 14
UNKNOWN = -1
PARTS = (2, 3, 4)
_MOST_OF = {"MaxProcs": MOST_PODS, "MaxNodes": MOST_PODS, "MaxMemory": MOST >> 10}
_HEAD = re.compile(r";\s*([A-Za-z]+):\s*(\S+)")


def read(path: Path, node: Node | None = None) -> Trace:
    """Return the jobs, and the machine where the head says how large it is; `node`: what else the jobs will run on.

    Raises:
        NotFound, InvalidArgument
    """
    heads: dict[str, str] = {}
    tasks: list[Task] = []
    left_out = 0
    for number, fields in _jobs(path, heads):
        memory = "MaxMemory" in heads or (node is not None and "memory" in dict(node.allocatable))
        task = _task(number, fields, memory=memory)
        if task is None:
            left_out += 1
        else:
            tasks.append(task)
    why = f"{left_out} lines of jobs that never ran, or of parts of jobs, are left out" if left_out else ""
    return Trace(in_order(tasks), _nodes(path, heads), why)


def _jobs(path: Path, heads: dict[str, str]) -> Iterator[tuple[int, list[float]]]:
    """Return (line, fields) of each job; `heads` gets what the comments say, the first of each name."""
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            text = line.strip()
            if text.startswith(";"):
                if (found := _HEAD.match(text)) is not None:
                    heads.setdefault(found[1], found[2])
            elif text:
                yield number, _fields(f"{path}, line {number}", text)


def _fields(where: str, text: str) -> list[float]:
    try:
        fields = [float(word) for word in text.split()]
    except ValueError:
        fields = []
    if len(fields) != FIELDS or not all(abs(field) <= MOST for field in fields):
        raise InvalidArgument(f"{where}: a job in SWF is {FIELDS} numbers, none beyond {MOST:.0e}")
    if max(fields[GOT], fields[ASKED]) > MOST_PODS:
        raise InvalidArgument(f"{where}: a job has at most {MOST_PODS:,} processors")
    return fields


def _task(number: int, fields: list[float], *, memory: bool) -> Task | None:
    processors = int(fields[ASKED] if fields[ASKED] > 0 else fields[GOT])
    if fields[STATUS] in PARTS or fields[RUN] < 0 or processors <= 0 or fields[SUBMIT] < 0:
        return None
    asked = fields[ASKED_MEMORY] if fields[ASKED_MEMORY] > 0 else fields[USED_MEMORY]
    return Task(
        name=f"job-{fields[JOB]:.0f}-{number}",
        arrival_s=fields[SUBMIT],
        duration_s=fields[RUN],
        shape=machine.shape(1000, int(asked) << 10 if memory and asked > 0 else 0),
        user=_name("user", fields[USER]),
        queue=_name("queue", fields[QUEUE]),
        count=processors,
        together=True,
    )


def _name(what: str, number: float) -> str:
    return "" if number == UNKNOWN else f"{what}-{number:.0f}"


def _nodes(path: Path, heads: dict[str, str]) -> list[Node]:
    """Return the machine's nodes: MaxNodes of them with MaxProcs in all, and MaxMemory (KB) each where it is said."""
    sizes = {}
    for name, most in _MOST_OF.items():
        if heads.get(name, "").isdecimal():
            sizes[name] = int(heads[name])
            if sizes[name] > most:
                raise InvalidArgument(f"{path}: {name} is {sizes[name]}: at most {most:,} is wanted")
    processors = sizes.get("MaxProcs") or sizes.get("MaxNodes") or 0
    count = sizes.get("MaxNodes") or processors
    memory = sizes.get("MaxMemory", 0) << 10
    cores = [processors // count + (number < processors % count) for number in range(count)] if count else []
    return [machine.node(f"node-{number:05}", 1000 * each, memory) for number, each in enumerate(cores) if each]
