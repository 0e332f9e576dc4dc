"""The folder of a public GPU cluster's trace (2023), with its own times: pods come, run and leave as they did.

LS and Guaranteed pods may evict Burstable ones, and these BE pods. A pod runs as long as it did, from when it was scheduled until it
was deleted; those that were never scheduled are left out, as nobody knows how long they would have run.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sampan.base.errors import InvalidArgument, NotFound
from sampan.schedule.devices import WHOLE
from sampan.schedule.node import Node
from sampan.schedule.shape import Shape
from sampan.sim.task import Task
from sampan.sim.traces import machine, table
from sampan.sim.traces.table import Row
from sampan.sim.traces.trace import Trace, in_order

ALL_NODES, GPU_NODES, PODS = "openb_node_list_all_node.csv", "openb_node_list_gpu_node.csv", "openb_pod_list_{}.csv"
ORDERS = "orders"
PRIORITIES = {"LS": 2, "Guaranteed": 2, "Burstable": 1, "BE": 0}
_MI = 1 << 20
_MOST_MIB = table.MOST // _MI


def read(folder: Path, workload: str) -> Trace:
    """Return all nodes (those with GPUs where the folder has no more) and the pods of a list.

    Raises:
        NotFound, InvalidArgument: a file is missing, is not of this form, or has no times.
    """
    path = _pods(folder, workload)
    if "scheduled_time" not in table.head(path):
        raise InvalidArgument(f"{path} has no times: give a --workload that has, or --arrivals")
    rows = list(table.rows(path))
    ran = [row for row in rows if row.text("scheduled_time")]
    names = ALL_NODES if (folder / ALL_NODES).exists() else GPU_NODES
    nodes = _nodes(folder / names)
    idle = len(rows) - len(ran)
    why = f"{idle} pods that were never scheduled are left out" if idle else ""
    return Trace(in_order([_task(number, row) for number, row in enumerate(ran)]), nodes, why)


class Arrivals(NamedTuple):
    """The nodes with GPUs, the shape of each pod of a list, and orders of arrival by seed: places in that list."""

    nodes: list[Node]
    shapes: list[Shape]
    orders: dict[int, list[int]]


def arrivals(folder: Path, workload: str) -> Arrivals:
    """Return what is placed once or never.

    Raises:
        NotFound, InvalidArgument: a file is missing, or is not of this form.
    """
    shapes = [_shape(row) for row in table.rows(_pods(folder, workload))]
    nodes = _nodes(folder / GPU_NODES)
    if not any(node.devices for node in nodes):
        raise InvalidArgument(f"{folder / GPU_NODES} has no GPU: arrivals are measured by how many of them are placed")
    paths = [path for path in sorted((folder / ORDERS).glob(f"{workload}.*")) if path.suffix[1:].isdecimal()]
    if not paths:
        raise NotFound(f"{folder / ORDERS} has no order of arrival {workload}.SEED, where SEED is a number")
    return Arrivals(nodes, shapes, {int(path.suffix[1:]): _order(path, len(shapes)) for path in paths})


def _pods(folder: Path, workload: str) -> Path:
    """Return the list of a workload."""
    path = folder / PODS.format(workload)
    if path.exists():
        return path
    before, after = PODS.split("{}")
    there = sorted(each.name.removeprefix(before).removesuffix(after) for each in folder.glob(PODS.format("*")))
    if not there:
        raise NotFound(f"{folder} is no folder of openb: it has no {PODS.format('WORKLOAD')}")
    raise NotFound(f"{path} is not there: --workload names one of {', '.join(there)}")


def _order(path: Path, pods: int) -> list[int]:
    with table.opened(path) as file:
        words = file.read().split()
    for number, word in enumerate(words, 1):
        if not word.isdecimal() or int(word) >= pods:
            raise InvalidArgument(f"{path}, number {number} is {word!r}: rows of the list of pods are 0 to {pods - 1}")
    return [int(word) for word in words]


def _nodes(path: Path) -> list[Node]:
    found: dict[str, Node] = {}
    for row in table.rows(path):
        name = row.text("sn")
        if not name or name in found:
            raise InvalidArgument(f"{row.where}: sn is {name!r}: each machine has a name of its own")
        gpus = row.whole("gpu", "0", most=machine.MOST_GPUS)
        memory = row.whole("memory_mib", most=_MOST_MIB) * _MI
        found[name] = machine.node(name, row.whole("cpu_milli"), memory, gpus, row.text("model"))
    return list(found.values())


def _task(number: int, row: Row) -> Task:
    kind = row.text("qos")
    if kind not in PRIORITIES:
        raise InvalidArgument(f"{row.where}: qos is {kind!r}: it is one of {', '.join(PRIORITIES)}")
    return Task(
        name=f"{row.text('name')}-{number}",
        arrival_s=row.number("creation_time"),
        duration_s=max(row.number("deletion_time") - row.number("scheduled_time"), 0.0),
        shape=_shape(row),
        priority=PRIORITIES[kind],
        kind=kind,
    )


def _shape(row: Row) -> Shape:
    gpus = row.whole("num_gpu", "0", most=machine.MOST_GPUS)
    milli = row.whole("gpu_milli", "0", most=WHOLE) if gpus == 1 else WHOLE
    models = tuple(sorted(filter(None, row.text("gpu_spec").split("|"))))
    return machine.shape(row.whole("cpu_milli"), row.whole("memory_mib", most=_MOST_MIB) * _MI, gpus, milli, models)
