"""Trace: nodes and tasks, as read from files; and what can be changed of them before they are simulated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

import msgspec

from sampan.base.errors import InvalidArgument
from sampan.schedule.node import Node
from sampan.sim.task import Task

MOST_TIMES = 1_000_000


class Trace(NamedTuple):
    """`tasks` in order of arrival. `nodes`: empty where the trace has no machines. `left_out`: what was not read, and why."""

    tasks: list[Task]
    nodes: list[Node]
    left_out: str = ""


def in_order(tasks: list[Task]) -> list[Task]:
    """Return tasks in order of arrival, those of one time in the order in which they stand."""
    return sorted(tasks, key=lambda task: task.arrival_s)


def scaled(tasks: Sequence[Task], factor: float, seed: int) -> list[Task]:
    """Return each task `factor` times on average: what is left of whole copies is drawn by the seed.

    Raises:
        InvalidArgument: the factor is not positive, or is too large.
    """
    if not 0 < factor <= MOST_TIMES:
        raise InvalidArgument(f"a trace cannot be scaled by {factor:g}: give a number above 0, at most {MOST_TIMES:,}")
    whole, part = divmod(factor, 1)
    source = Random(seed)  # noqa: S311  (no secret)
    return [copy for task in tasks for copy in _copies(task, int(whole) + (source.random() < part))]


def _copies(task: Task, times: int) -> Iterator[Task]:
    if times and not task.together:
        yield task if times == 1 else msgspec.structs.replace(task, count=task.count * times)
    elif times:
        yield task
        for number in range(2, times + 1):
            yield msgspec.structs.replace(task, name=f"{task.name}.{number}")


def some(nodes: Sequence[Node], count: int, seed: int) -> list[Node]:
    """Return so many of the nodes, drawn by the seed, in their order.

    Raises:
        InvalidArgument: there are not so many.
    """
    if count > len(nodes):
        raise InvalidArgument(f"the trace has {len(nodes)} nodes: {count} of them cannot be taken")
    taken = set(Random(seed).sample(range(len(nodes)), count))  # noqa: S311  (no secret)
    return [node for number, node in enumerate(nodes) if number in taken]
